#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Prints a trimmed vmlinux.h: the types of tools/vmlinux.types as one kernel's BTF has them.

    tools/gen-vmlinux.py ARCH LIST BTF VERSION

Members come out flat and in their order in the kernel; those inside anonymous structs and unions
too, since libbpf finds a member by its name through anonymous ones. Offsets are therefore not the
kernel's: every access must be a CO-RE one, which the pragma at the top makes of all of them.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import btf as btfmod  # noqa: E402

HEAD = """\
/* Linux {version}, {arch}: the types of tools/vmlinux.types, made by tools/gen-vmlinux.sh */
/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Recorded so that a build never depends on the build host's kernel. Trimmed: members are missing
 * and offsets are not the kernel's, so never take a sizeof; every access is relocated at load.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
"""
TAIL = """
#pragma clang attribute pop

#endif
"""


class Generator:
    def __init__(self, btf, entries):
        self.btf, self.entries = btf, entries
        self.done, self.forwards, self.out = set(), [], []

    def declare(self, tid, name):
        """A declaration of `name` with that type; emits first what it needs."""
        tid = self.strip(tid, keep_const=name.startswith("*"))
        if tid == 0:
            return "void " + name
        t = self.btf.types[tid]
        kind = t["kind"]
        if kind == "CONST":
            return "const " + self.declare(t["type_id"], name)
        if kind == "PTR":
            target = self.btf.skip(t["type_id"])
            if target and self.btf.types[target]["kind"] == "FUNC_PROTO":
                return "void *" + name
            inner = "*" + name
            if target and self.btf.types[target]["kind"] == "ARRAY":
                inner = f"({inner})"
            return self.declare(t["type_id"], inner)
        if kind == "ARRAY":
            return self.declare(t["type_id"], f"{name}[{t['nr_elems']}]")
        return self.named(t, kind, name)

    def named(self, t, kind, name):
        if kind in ("INT", "FLOAT"):
            return f"{t['name']} {name}"
        if kind == "TYPEDEF":
            self.emit_typedef(t)
            return f"{t['name']} {name}"
        if kind in ("STRUCT", "UNION", "FWD"):
            return self.record_reference(t, name)
        if kind in ("ENUM", "ENUM64"):
            return f"int {name}" if t["name"] == "(anon)" else f"enum {t['name']} {name}"
        raise SystemExit(f"{name}: BTF kind {kind} is not known here")

    def strip(self, tid, keep_const):
        while tid and self.btf.types[tid]["kind"] in btfmod.TRANSPARENT:
            if keep_const and self.btf.types[tid]["kind"] == "CONST":
                return tid
            tid = self.btf.types[tid]["type_id"]
        return tid

    def record_reference(self, t, name):
        kind = t.get("fwd_kind", t["kind"]).lower()
        if t["name"] == "(anon)":
            return self.record_body(kind, t, None) + " " + name
        if name.startswith(("*", "(*")):
            self.forward(kind, t["name"])
        else:
            self.emit_record(kind.upper(), t["name"])
        return f"{kind} {t['name']} {name}"

    def forward(self, kind, name):
        line = f"{kind} {name};"
        if line not in self.forwards:
            self.forwards.append(line)

    def emit_typedef(self, t):
        if ("TYPEDEF", t["name"]) in self.done:
            return
        self.done.add(("TYPEDEF", t["name"]))
        self.out.append("typedef " + self.declare(t["type_id"], t["name"]) + ";\n")

    def emit_record(self, kind, name):
        if (kind, name) in self.done:
            return
        entry = self.entries.get((kind, name))
        if not entry:
            raise SystemExit(f"{kind.lower()} {name} is needed by value but is not in the list")
        self.done.add((kind, name))
        tid = self.btf.find(kind, name)
        if tid is None:
            raise SystemExit(f"{kind.lower()} {name}: not in this BTF")
        t = self.btf.types[tid]
        names = None if entry.whole else entry.members
        body = self.record_body(f"{kind.lower()} {name}", t, names)
        self.out.append(f"\n{body};\n")

    def record_body(self, head, t, names):
        lines = []
        for m in self.members(t, names):
            width = f" : {m['bitfield_size']}" if m.get("bitfield_size") else ""
            lines.append(f"\t{self.declare(m['type_id'], m['name'])}{width};")
        return head + " {\n" + "\n".join(lines) + "\n}"

    def members(self, t, names):
        """In kernel order; names None: all of them."""
        if names is None:
            if any(m["name"] == "(anon)" for m in t["members"]):
                raise SystemExit(f"{t['name']}: `*` does not go through anonymous members")
            return t["members"]
        found = []
        for name, optional in names.items():
            m = self.btf.member(t["id"], name)
            if m:
                found.append(m)
            elif not optional:
                raise SystemExit(f"{t['name']}.{name}: not in this BTF")
        order = self.flat_order(t["id"])
        return sorted(found, key=lambda m: order.index(m["name"]))

    def flat_order(self, tid):
        names = []
        for m in self.btf.types[tid]["members"]:
            inner = self.btf.skip(m["type_id"])
            if m["name"] == "(anon)" and inner and "members" in self.btf.types[inner]:
                names += self.flat_order(inner)
            else:
                names.append(m["name"])
        return names

    def emit_enum(self, name):
        tid = self.btf.find("ENUM", name)
        if tid is None:
            raise SystemExit(f"enum {name}: not in this BTF")
        self.out.append(enum_text(f"enum {name}", [(v["name"], v["val"])
                                                   for v in self.btf.types[tid]["values"]]))

    def emit_values(self, values):
        pairs = []
        for name in values:
            if name not in self.btf.enumerators:
                raise SystemExit(f"{name}: no enum of this BTF has it")
            pairs.append((name, self.btf.enumerators[name]))
        if pairs:
            self.out.append(enum_text("enum", pairs))


def enum_text(head, pairs):
    lines = [f"\t{name} = {val}{'ULL' if val > 0x7fffffff else ''}," for name, val in pairs]
    return f"\n{head} {{\n" + "\n".join(lines) + "\n};\n"


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    arch, path, btf_path, version = sys.argv[1:]
    entries, values = btfmod.read_list(path, arch)
    gen = Generator(btfmod.Btf(btf_path), entries)
    for kind, name in entries:
        if kind == "TYPEDEF":
            tid = gen.btf.find(kind, name)
            if tid is None:
                sys.exit(f"typedef {name}: not in this BTF")
            gen.emit_typedef(gen.btf.types[tid])
        elif kind == "ENUM":
            gen.emit_enum(name)
        else:
            gen.emit_record(kind, name)
    gen.emit_values(values)
    print(HEAD.format(version=version, arch=arch), end="")
    print("\n" + "\n".join(sorted(gen.forwards)) + "\n")
    print("".join(gen.out), end="")
    print(TAIL, end="")


if __name__ == "__main__":
    main()
