#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Shifted probes see every call and its arguments: each form of prologue and five allocators, on all
# their paths, against what the target counts itself (probe_points.c). The last line sums it up.
set -u
tool=$BUILD/tests/e2e/probe_points
libraries=/usr/lib/$(uname -m)-linux-gnu
passed=0 failed=0 skipped=0

# check NAME ARGUMENT...: adds its counts; what is not installed is skipped with its reason
check() {
	local name=$1 out status
	shift
	out=$("$tool" "$@" 2>&1)
	status=$?
	printf '%s\n' "$out" | sed "s|^|$name: |"
	if [[ ${out##*$'\n'} =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
		skipped=$((skipped + BASH_REMATCH[3]))
		[ $((BASH_REMATCH[1] + BASH_REMATCH[2] + BASH_REMATCH[3])) != 0 ] || failed=$((failed + 1))
	else
		echo "$name: status $status, no counts"
		failed=$((failed + 1))
	fi
}

skip() {
	echo "skip: $1"
	skipped=$((skipped + 1))
}

check glibc "$TARGETS/shapes"
for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
	if [ -e "$libraries/$library" ]; then
		check "${library%%.*}" -a "$TARGETS/shapes" "$libraries/$library"
	else
		skip "no $libraries/$library"
	fi
done
if [ -x "$TARGETS/shapes_musl" ]; then
	check musl -a "$TARGETS/shapes_musl"
else
	skip "no program linked with musl (musl-tools)"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] || exit 1
[ "$passed" != 0 ] || exit 77
