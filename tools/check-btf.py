#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Checks that kernels have every type, member and enumerator of a list; see check-btf.sh.

    tools/check-btf.py LIST BTF...

One line for each thing missing; optional members (`?`) are reported and do not fail. The
architecture is the BTF's own: only arm64 has struct user_pt_regs.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import btf as btfmod  # noqa: E402


def missing(btf, entries, values):
    """-> [(what, is it optional)]"""
    gone = [(name, False) for name in values if name not in btf.enumerators]
    for (kind, name), entry in entries.items():
        tid = btf.find(kind, name)
        if tid is None:
            gone.append((f"{kind.lower()} {name}", False))
            continue
        for member, optional in entry.members.items():
            if not btf.member(tid, member):
                gone.append((f"{kind.lower()} {name}: {member}", optional))
    return gone


def check(path, list_path):
    btf = btfmod.Btf(path)
    arch = "arm64" if btf.find("STRUCT", "user_pt_regs") else "x86"
    entries, values = btfmod.read_list(list_path, arch)
    bad = 0
    for what, optional in missing(btf, entries, values):
        print(f"{path}: {what}: missing" + (" (optional)" if optional else ""))
        bad += not optional
    n = len(values) + len(entries) + sum(len(e.members) for e in entries.values())
    print(f"{path}: {arch}: {n - bad} of {n} found")
    return bad == 0


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    results = [check(path, sys.argv[1]) for path in sys.argv[2:]]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
