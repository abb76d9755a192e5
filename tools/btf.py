# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A kernel's BTF and the list in tools/vmlinux.types, for gen-vmlinux.py and check-btf.py.

The BTF is read through `bpftool -j btf dump`; nothing here reads the running kernel by itself.
"""
import json
import os
import subprocess

TRANSPARENT = ("CONST", "VOLATILE", "RESTRICT", "TYPE_TAG")


def bpftool():
    for path in ("/usr/sbin/bpftool", "/usr/local/sbin/bpftool", "/usr/bin/bpftool"):
        if os.access(path, os.X_OK):
            return path
    return "bpftool"


class Btf:
    """types[id] as bpftool names their fields; by_name[(kind, name)] -> id of a full definition."""

    def __init__(self, path):
        out = subprocess.run([bpftool(), "-j", "btf", "dump", "file", path, "format", "raw"],
                             check=True, stdout=subprocess.PIPE).stdout
        self.types = {t["id"]: t for t in json.loads(out)["types"]}
        self.by_name = {}
        self.enumerators = {}
        for t in self.types.values():
            if t["name"] != "(anon)":
                self.by_name.setdefault((base_kind(t), t["name"]), t["id"])
            for v in t.get("values", ()):
                self.enumerators.setdefault(v["name"], v["val"])

    def find(self, kind, name):
        return self.by_name.get((kind, name))

    def skip(self, tid):
        """The type below its qualifiers; 0 is void."""
        while tid and self.types[tid]["kind"] in TRANSPARENT:
            tid = self.types[tid]["type_id"]
        return tid

    def member(self, tid, name):
        """The member of that name, also one inside anonymous members; None when it is not there."""
        for m in self.types[tid].get("members", ()):
            if m["name"] == name:
                return m
        for m in self.types[tid].get("members", ()):
            inner = self.skip(m["type_id"])
            if m["name"] == "(anon)" and inner and "members" in self.types[inner]:
                found = self.member(inner, name)
                if found:
                    return found
        return None


def base_kind(t):
    return "ENUM" if t["kind"] == "ENUM64" else t["kind"]


class Entry:
    """One type of the list: kind, name and {member: optional}; `whole` for `*`."""

    def __init__(self, kind, name):
        self.kind, self.name, self.members, self.whole = kind, name, {}, False


def parse_line(line, arch, entries, values):
    head, _, tail = line.partition(":")
    words = head.split()
    if words[0] in ("x86", "arm64"):
        if words.pop(0) != arch:
            return
    if words[0] == "values":
        values.extend(tail.split())
        return
    if words[0] == "typedef":
        for name in words[1:]:
            entries.setdefault(("TYPEDEF", name), Entry("TYPEDEF", name))
        return
    kind, name = words[0].upper(), words[1]
    e = entries.setdefault((kind, name), Entry(kind, name))
    for m in tail.split():
        if m == "*":
            e.whole = True
        else:
            e.members[m.rstrip("?")] = m.endswith("?")


def read_list(path, arch):
    """-> ({(kind, name): Entry}, [enumerator names])"""
    entries, values = {}, []
    with open(path, encoding="ascii") as f:
        for line in f:
            line = line.split("#")[0].strip()
            if line:
                parse_line(line, arch, entries, values)
    return entries, values
