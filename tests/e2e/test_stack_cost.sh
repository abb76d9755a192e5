#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# A stack by unwind tables costs less than the kernel's own frame-pointer walk of the same program, at every
# depth. Loose: figures are for `make bench`; this one fails when the walk has become several times dearer.
set -u
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
out=$("${BUILD:?}/tests/e2e/stack_cost" "$TARGETS/deep" "$TARGETS/deep_fp" 11 3000)
status=$?
[ $status = 77 ] && { echo "no uprobe_multi links or no table walk on this kernel"; exit 77; }
echo "$out"
[ $status = 0 ] && echo "$out" | awk '$1 + 0 > 0 { n++; if ($7 + 0 >= 1 || $7 + 0 <= 0) bad = 1 }
	END { exit bad || n != 3 }'
