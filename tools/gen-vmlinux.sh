#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Makes vmlinux/ARCH/vmlinux.h from a kernel's BTF and tools/vmlinux.types.
#
#	tools/gen-vmlinux.sh ARCH BTF-FILE-OR-KERNEL-IMAGE VERSION
#
# ARCH is x86 or arm64; VERSION is what line 1 will say, e.g. 6.1.0-56-cloud-amd64. The recorded
# files come from the oldest supported kernel (Debian's linux-image-6.1.0-*-cloud-ARCH, dpkg -x),
# so that what is in them is everywhere. Nothing is taken from the running kernel.
set -eu
[ $# = 3 ] || { sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
arch=$1 source=$2 version=$3
case $arch in x86|arm64) ;; *) echo "gen-vmlinux: $arch: x86 or arm64" >&2; exit 2;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
btf=$source
[ "$(head -c 2 "$source" | od -An -tx1 | tr -d ' ')" = 9feb ] || {
	btf=$work/btf
	python3 "$here/extract-btf.py" "$source" "$btf"
}
python3 "$here/gen-vmlinux.py" "$arch" "$here/vmlinux.types" "$btf" "$version" >"$work/vmlinux.h"
mkdir -p "$here/../vmlinux/$arch"
cp "$work/vmlinux.h" "$here/../vmlinux/$arch/vmlinux.h"
echo "vmlinux/$arch/vmlinux.h: $(wc -l <"$work/vmlinux.h") lines, Linux $version"
