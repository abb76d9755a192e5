#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Rows of the unwind tables against libdw, for what the other tests unwind through, and for a sample of the system's
# objects within 25 s; all of them: tests/e2e/unwind_rows.sh.
set -u
rows=${BUILD:?}/tests/e2e/unwind_rows
list=$(ldd /usr/bin/python3 /usr/bin/bash /usr/bin/perl /usr/bin/redis-server /usr/bin/ruby /usr/bin/node 2>/dev/null |
	sed -n 's/.* \(\/[^ ]*\) .*/\1/p' | sort -u)
# shellcheck disable=SC2086
"$rows" $list $(readlink -f /usr/bin/python3 /usr/bin/bash /usr/bin/perl /usr/bin/redis-server | sort -u) >"$BUILD/rows.log"
status=$?
tail -3 "$BUILD/rows.log"
[ $status = 0 ] || { grep -E '^FAIL|^  ' "$BUILD/rows.log" | head -20; exit 1; }
