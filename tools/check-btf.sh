#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Checks that kernels have every type and member of tools/vmlinux.types.
#
#	tools/check-btf.sh [-l LIST] BTF-FILE-OR-KERNEL-IMAGE...
#
# Exit status 1 if something is missing that is not marked optional. /sys/kernel/btf/vmlinux is
# the running kernel's file; tools/vm-fetch.sh fetches others.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
list=$here/vmlinux.types
if [ "${1-}" = -l ]; then
	list=$2
	shift 2
fi
[ $# -gt 0 ] || { sed -n '3,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
files=()
for f in "$@"; do
	if [ "$(head -c 2 "$f" | od -An -tx1 | tr -d ' ')" != 9feb ]; then
		python3 "$here/extract-btf.py" "$f" "$work/$(basename "$f")"
		f=$work/$(basename "$f")
	fi
	files+=("$f")
done
python3 "$here/check-btf.py" "$list" "${files[@]}"
