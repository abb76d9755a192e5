#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# What the kernel's verifier processes per program stays below a budget: the sign of a loop that explodes on
# another kernel before it does.
set -eu
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
budget=100000
sleep 20 & target=$!
trap 'kill $target 2>/dev/null || :' EXIT
out=$("${MEMPROBE:?}" -v -d 0.2 -p $target 2>&1 >/dev/null | grep 'instructions verified')
echo "$out"
echo "$out" | grep -q 'heap_' || { echo "no heap program was listed"; exit 1; }
echo "$out" | awk -v budget=$budget '{ for (i = 2; i <= NF; i++) if ($i == "instructions") n = $(i - 1);
	if (n + 0 > budget) { print "over the budget of " budget ": " $0; bad = 1 } } END { exit bad }'
