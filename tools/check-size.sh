#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# No function over 80 lines, no file over 600.
#
#	tools/check-size.sh [ROOT]
#
# A function is what stands between `{` and `}` alone in the first column, both counted out. A
# table is exempt: from a line with the comment `size: table` to the `};` that ends it in the first
# column. Generated headers (vmlinux.h) are not looked at. One line per offence; exit status 1 if
# there is one, 2 if there was nothing to look at.
set -u
root=${1:-$(dirname "$0")/..}
cd "$root" || exit 2

mapfile -t files < <(find src bpf tests tools -type f ! -name vmlinux.h ! -path '*/fixtures/*' \
	! -path '*/corpus/*' \( -name '*.[ch]' -o -name '*.cc' -o -name '*.sh' -o -name '*.py' \
	-o -path tests/run \) 2>/dev/null | sort)
if [ ${#files[@]} = 0 ]; then
	echo "check-size: no sources in $root" >&2
	exit 2
fi

awk '
function close_file() {
	if (name != "" && lines > 600) {
		printf "%s: %d lines, 600 allowed\n", name, lines
		bad = 1
	}
}
FNR == 1 {
	close_file()
	name = FILENAME
	lines = 0
	start = 0
	table = 0
	code = name ~ /\.(c|h|cc)$/
}
code && /\/\* size: table \*\// { table = 1 }
!table { lines++ }
table && /^};/ { table = 0 }
code && /^{[ \t]*$/ {
	start = FNR
	head = before
}
code && /^}/ && start {
	if (FNR - start - 1 > 80) {
		printf "%s:%d: function of %d lines, 80 allowed: %s\n", name, start, FNR - start - 1, head
		bad = 1
	}
	start = 0
}
{ before = $0 }
END {
	close_file()
	exit bad
}
' "${files[@]}"
