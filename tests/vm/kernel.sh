# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# shellcheck shell=bash
# For the tests of this directory: one kernel, booted once, runs end-to-end tests and prints their counts.
#
#	. tests/vm/kernel.sh; test_kernel VERSION COMMAND-LINE LINKS [TEST...]
#
# The tests in $common, and more of one's own. VERSION as for tools/vm-fetch.sh, LINKS and TEST as for
# tests/vm/guest.py. Skips (77) with the reason when there is no emulator or the kernel cannot be had; a
# guest that dies is a failure.

# Not run here: what is slow or measures time (the emulated processor is 12 times slower), other allocators, the
# real servers and runtimes, a million blocks (memory), and tests in mount namespaces of their own, which do not
# see the build below /tmp.
common="test_torn.py test_calls.py test_cxx.py test_threads.py:first_malloc_of_a_thread
	test_threads.py:pingpong test_frame_pointers.py
	test_lifecycle.py:a_short_lived_tree test_select.py:by_name test_select.py:by_group test_rights.py
	test_safety.py:an_allocator_that_switches_stacks test_bumps.py:from_the_start"

test_kernel() {
	local version=$1 append=$2 kernel status out
	shift 2
	[ "$(uname -m)" = x86_64 ] || { echo "needs an x86-64 machine"; exit 77; }
	out=$(mktemp)
	# shellcheck disable=SC2064 # the name as it is now
	trap "rm -f '$out'" EXIT
	if ! kernel=$(tools/vm-fetch.sh "$version" 2>"$out"); then
		tail -n 1 "$out"
		exit 77
	fi
	# shellcheck disable=SC2086 # common is a list
	VM_APPEND=$append VM_MEMORY=1536 VM_TIMEOUT=480 VM_KEEP=$BUILD tools/vm-run.sh "$kernel" -- \
		env BUILD="$BUILD" MEMPROBE="$MEMPROBE" TARGETS="$TARGETS" O="$BUILD" \
		python3 -B tests/vm/guest.py "$@" $common 2>"$out"
	status=$?
	[ $status != 77 ] || [ ! -s "$out" ] || { tail -n 1 "$out"; exit 77; }
	[ ! -s "$out" ] || { cat "$out"; return 1; }
	return $status
}
