#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# unwind_rows (see unwind_rows.c) over files, or over every ELF file of this machine: programs and
# shared objects below the system's directories, each inode once.
#
#	unwind_rows.sh [FILE...]
#
# Environment: ROWS (the program, default $BUILD/tests/e2e/unwind_rows), ROWS_SECONDS (stop after
# that, the rest counts as skipped; default 600). Last line `N passed, N failed, N skipped`.
set -u
rows=${ROWS:-${BUILD:-build}/tests/e2e/unwind_rows}
seconds=${ROWS_SECONDS:-600}
dirs=(/bin /sbin /lib /lib64 /usr/bin /usr/sbin /usr/lib /usr/lib64 /usr/libexec /usr/local)

if [ ! -x "$rows" ]; then
	echo "skip: no $rows"
	exit 77
fi
if [ $# -gt 0 ]; then
	exec "$rows" -s "$seconds" "$@"
fi

is_elf() {
	local magic
	IFS= read -r -N 4 magic <"$1" 2>/dev/null && [ "$magic" = $'\x7fELF' ]
}

# device:inode PATH of what is executable or looks like a shared object
list=()
declare -A seen
while IFS=' ' read -r inode file; do
	[ -n "${seen[$inode]:-}" ] && continue
	seen[$inode]=1
	LC_ALL=C is_elf "$file" && list+=("$file")
done < <(find -H "${dirs[@]}" -type f \( -perm /111 -o -name '*.so' -o -name '*.so.*' \) \
	-printf '%D:%i %p\n' 2>/dev/null)

echo "${#list[@]} ELF files"
if [ ${#list[@]} = 0 ]; then
	echo "skip: no ELF file found"
	exit 77
fi
exec "$rows" -s "$seconds" "${list[@]}"
