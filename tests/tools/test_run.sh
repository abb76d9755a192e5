#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The runner itself: what it counts, and that it fails when it must. Runs a copy of tests/run in a
# small tree whose results are known.
set -eu
echo '#include <stdio.h>
#include <cmocka.h>' | gcc -include stdarg.h -include stddef.h -include stdint.h -include setjmp.h \
	-E -x c - >/dev/null 2>&1 || { echo "needs cmocka"; exit 77; }
root=$PWD
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/tests/{unit,tools,golden} "$tree"/build/tests/unit "$tree"/fuzz
cp "$root/tests/run" "$tree/tests/run"
fail() { echo "$*"; cat "$tree/out"; exit 1; }

# expects STATUS SUMMARY TIER...
expects() {
	local status=0
	(unset T O; cd "$tree" && MAKE=true TEST_SECONDS=2 tests/run "${@:3}") >"$tree/out" 2>&1 || status=$?
	[ "$(tail -n 1 "$tree/out")" = "$2" ] || fail "$3: not $2"
	[ "$status" = "$1" ] || fail "$3: status $status, not $1"
}
shows() { grep -Eq "$1" "$tree/out" || fail "no line $1"; }
script() { printf '#!/bin/sh\n%s\n' "$2" >"$tree/tests/$1"; chmod +x "$tree/tests/$1"; }
program() { # NAME BODY-OF-TESTS TABLE
	cat >"$tree/tests/unit/$1.c" <<C
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
static void good(void **s) { (void)s; assert_int_equal(1, 1); }
static void bad(void **s) { (void)s; assert_int_equal(1, 2); }
static void skipping(void **s) { (void)s; skip(); }
static void crash(void **s) { (void)s; _Exit(3); }
int main(void)
{
	const struct CMUnitTest a[] = { $2 }, b[] = { $3 };
	int n = cmocka_run_group_tests(a, NULL, NULL);
	(void)bad; (void)skipping; (void)crash; (void)good;
	return n + cmocka_run_group_tests(b, NULL, NULL);
}
C
	gcc -o "$tree/build/tests/unit/$1" "$tree/tests/unit/$1.c" -lcmocka
}
u() { printf 'cmocka_unit_test(%s),' "$@"; }

script tools/test_ok.sh 'exit 0'
expects 0 '1 passed, 0 failed, 0 skipped' tools
script tools/test_skip.sh 'echo noise; echo "no such kernel"; exit 77'
expects 0 '1 passed, 0 failed, 1 skipped' tools
shows '^skip .*tools/test_skip.sh .*no such kernel$'
script tools/test_bad.sh 'echo the reason; exit 1'
expects 1 '1 passed, 1 failed, 1 skipped' tools
shows '\| the reason$'
script tools/test_bad.sh 'sleep 60 & sleep 60'
expects 1 '1 passed, 1 failed, 1 skipped' tools
shows '^FAIL .*over its time of 2 s$'
script tools/test_bad.py 'echo "3 passed, 2 failed, 1 skipped"; exit 1'
rm "$tree/tests/tools/test_bad.sh"
expects 1 '4 passed, 2 failed, 2 skipped' tools
script tools/test_bad.py 'echo "FAIL a_sum: 3 is not 4"; seq 100; echo "1 passed, 1 failed, 0 skipped"; exit 1'
expects 1 '2 passed, 1 failed, 1 skipped' tools
shows '^FAIL .*tools/test_bad.py .*a_sum'
shows '\| FAIL a_sum: 3 is not 4$'
script tools/test_bad.py 'echo "3 passed, 0 failed, 0 skipped"; exit 1'
expects 1 '4 passed, 1 failed, 1 skipped' tools
script tools/test_bad.py 'echo "a traceback"; exit 0'
expects 1 '1 passed, 1 failed, 1 skipped' tools
script tools/test_bad.py 'echo "0 passed, 0 failed, 0 skipped"'
expects 1 '1 passed, 1 failed, 1 skipped' tools
rm "$tree"/tests/tools/*
expects 1 '0 passed, 0 failed, 0 skipped' tools
script tools/test_skip.sh 'echo "nothing here"; exit 77'
expects 1 '0 passed, 0 failed, 1 skipped' tools
shows '^nothing ran$'
script tools/test_bad.py 'echo "skip x: why"; echo "0 passed, 0 failed, 2 skipped"; exit 77'
expects 1 '0 passed, 0 failed, 3 skipped' tools
shows '^skip .*skip x: why$'
# a measurement that fails is made twice, and both are shown; not where anything else fails
rm "$tree"/tests/tools/*
cat >"$tree/tests/tools/test_again.py" <<PY
#!/usr/bin/python3
import sys
sys.path.insert(0, "$root/tests/e2e")
import harness
harness.missing = lambda: None
runs = []
@harness.test
def second(t):
    runs.append(1)
    t.measured("a_share__is_small", len(runs) == 2, f"run {len(runs)}")
    t.true("the_rest__is_right", True)
@harness.test
def never(t):
    t.measured("a_time__is_short", False, "1 s")
@harness.test
def bytes_differ(t):
    t.measured("another_time__is_short", False, "2 s")
    t.true("a_sum__is_right", False, "not again")
harness.main()
PY
chmod +x "$tree/tests/tools/test_again.py"
expects 1 '2 passed, 3 failed, 0 skipped' tools
shows '\| again a_share__is_small: run 1$'
shows '\| again a_time__is_short: 1 s$'
shows '\| FAIL a_time__is_short: 1 s$'
shows '\| FAIL a_sum__is_right: not again$'
shows '\| FAIL another_time__is_short: 2 s$'
shows '^Measured once more:$'
grep -q 'again \(another\|a_sum\)' "$tree/out" && fail "what is wrong was hidden"
# python files for a harness, and files that nothing would run
# shellcheck disable=SC2016
script tools/harness.py 'echo "$1"; echo "4 passed, 0 failed, 0 skipped"'
rm "$tree"/tests/tools/test_*
touch "$tree/tests/tools/test_functions.py"
expects 0 '4 passed, 0 failed, 0 skipped' tools
rm "$tree"/tests/tools/*
touch "$tree/tests/tools/test_plain.sh" "$tree/tests/tools/test_plain.py"
expects 1 '0 passed, 2 failed, 0 skipped' tools
shows '^FAIL .*test_plain.sh .*not executable$'
# what a test leaves behind ends with it
rm "$tree"/tests/tools/*
script tools/test_leaver.sh "sleep 600 & echo \$! >$tree/left; exit 0"
expects 0 '1 passed, 0 failed, 0 skipped' tools
grep -qs '^State:.[^Z]' "/proc/$(cat "$tree/left")/status" && fail "a process was left running"

program test_a "$(u good good)" "$(u good)"
expects 0 '3 passed, 0 failed, 0 skipped' unit
program test_b "$(u good bad skipping)" "$(u bad skipping good)"
expects 1 '5 passed, 2 failed, 2 skipped' unit
program test_b "$(u good)" "$(u good crash)"
expects 1 '5 passed, 1 failed, 0 skipped' unit
shows '^FAIL .*status 3$'
rm "$tree/build/tests/unit/test_b"
expects 1 '3 passed, 1 failed, 0 skipped' unit
shows '^FAIL .*unit/test_b.c .*not built$'
exit 0
