#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# tools/check-size.sh: limits are exact, tables and generated headers are exempt.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{src/base,bpf,vmlinux/x86,tests,tools}
fail() { echo "$*"; exit 1; }
lines() { yes "${2:-	x();}" | head -n "$1"; }
accepts() { "$root/tools/check-size.sh" "$tree" >"$tree/out" 2>&1 || fail "$1: $(cat "$tree/out")"; }
refuses() {
	"$root/tools/check-size.sh" "$tree" >"$tree/out" 2>&1 && fail "$1: accepted"
	grep -q "$2" "$tree/out" || fail "$1: $(cat "$tree/out")"
}
f=$tree/src/base/a.c
function_of() { printf 'int f(void)\n{\n'; lines "$1"; printf '}\n'; }

function_of 80 >"$f"; accepts "a function of 80 lines"
function_of 81 >"$f"; refuses "a function of 81 lines" 'a.c:2: function of 81 lines.*int f(void)'
{ function_of 80; function_of 80; } >"$f"; accepts "two functions of 80 lines"
lines 600 'int x;' >"$f"; accepts "a file of 600 lines"
lines 601 'int x;' >"$f"; refuses "a file of 601 lines" 'a.c: 601 lines'
{ lines 599 'int x;'; printf '/* size: table */\nint t[] = {\n'; lines 500 '	1,'; printf '};\n'; } >"$f"
accepts "a table of 500 lines"
{ cat "$f"; lines 2 'int y;'; } >"$f.c"; rm "$f"
refuses "a file of 601 lines around a table" 'a.c.c: 601 lines'
rm "$f.c"
lines 900 'int x;' >"$tree/bpf/vmlinux.h"; lines 1 'int x;' >"$f"; accepts "a generated header"
lines 700 'true' >"$tree/tools/long.sh"; refuses "a script of 700 lines" 'long.sh: 700 lines'
rm -r "$tree/src" "$tree/tools" "$tree/bpf"
"$root/tools/check-size.sh" "$tree" >/dev/null 2>&1 && fail "an empty tree: accepted"
exit 0
