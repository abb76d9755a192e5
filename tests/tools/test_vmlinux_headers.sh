#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The recorded vmlinux.h files hold what tools/vmlinux.types lists, name their kernel, and both
# architectures' BPF objects compile with them (make bpf-arches, done before this runs).
set -eu
command -v python3 >/dev/null || { echo "needs python3"; exit 77; }
fail() { echo "$*"; exit 1; }
for arch in x86 arm64; do
	header=vmlinux/$arch/vmlinux.h
	head -n 1 "$header" | grep -Eq "^/\* Linux [0-9]+\.[0-9]+.*, $arch:" ||
		fail "$header: line 1 names no kernel"
	python3 -B - "$arch" "$header" <<'P' || exit 1
import re, sys
sys.path.insert(0, "tools")
import btf
arch, path = sys.argv[1:]
text = open(path).read()
entries, values = btf.read_list("tools/vmlinux.types", arch)
gone = [v for v in values if not re.search(rf"^\t{v} = ", text, re.M)]
for (kind, name), e in entries.items():
    if kind == "TYPEDEF":
        if not re.search(rf"^(typedef .*|}} ){name};$", text, re.M):
            gone.append(name)
        continue
    body = re.search(rf"^{kind.lower()} {name} {{\n(.*?)^}};", text, re.M | re.S)
    have = body.group(1) if body else ""
    if not body:
        gone.append(f"{kind.lower()} {name}")
    gone += [f"{name}.{m}" for m, optional in e.members.items()
             if not optional and not re.search(rf"\b{m}(\[\d+\])?;$", have, re.M)]
if gone:
    sys.exit(f"{path}: not there, run tools/gen-vmlinux.sh: {', '.join(gone)}")
P
	[ -f "$BUILD/bpf/$arch/memprobe.o" ] || fail "bpf/memprobe.bpf.c was not compiled for $arch"
done
exit 0
