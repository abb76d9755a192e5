#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Unwind tables of the largest programs and libraries of this machine: CPU time to build one, and its size
# (tests/e2e/table_cost.c). Goal: at most 100 ms for 100 MB of text, at most 8 bytes per row.
set -eu
mapfile -t files < <(find -L /usr/lib /usr/bin -xdev -type f -size +4M \( -perm -100 -o -name '*.so*' \) \
	-printf '%s %p\n' 2>/dev/null | sort -rn | awk '{ print $2 }' |
	while read -r f; do [ "$(head -c 4 "$f" | tail -c 3)" = ELF ] && realpath "$f"; done | awk '!seen[$0]++' | head -n 5)
files+=("$(ldd /bin/sh | awk '/libc\.so/ { print $3 }')")
"$BUILD/tests/e2e/table_cost" 7 "${files[@]}"
