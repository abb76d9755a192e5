#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The stacks of the functions of one BPF call chain fit in 512 bytes together, each rounded up to 32 (one without
# locals takes 32), as kernels before 6.13 demand of programs without a private stack ("combined stack size of 3
# calls is 672. Too large", 6.1 and 6.12). Newer ones let more pass, and would not show it: memprobe falls back to
# frame pointers there.
# Remedy: rare code with locals of its own goes into a function that is not inlined.
set -eu
out=$(mktemp)
trap 'rm -f "$out"' EXIT
clang=${CLANG:-clang}
for tool in "$clang" llvm-readelf; do
	command -v "$tool" >/dev/null 2>&1 || { echo "needs $tool"; exit 77; }
done
"$clang" -O2 -g -target bpf -mcpu=v3 -Ibpf -I. -D__TARGET_ARCH_x86 -Ivmlinux/x86 -fstack-size-section \
	-c -o "$out" bpf/memprobe.bpf.c
sizes=$(llvm-readelf --stack-sizes "$out")

size_of() {
	awk -v name="$1" '$2 == name { print $1 ? int(($1 + 31) / 32) * 32 : 32; n++ } END { exit !n }' <<<"$sizes" ||
		{ echo "no function $1" >&2; exit 1; }
}

bad=0
check() { # FUNCTION...: each called by the one before
	local f bytes sum=0 text=
	for f; do
		bytes=$(size_of "$f") || { bad=1; return; }
		sum=$((sum + bytes))
		text+="${text:+ + }$f $bytes"
	done
	echo "$text = $sum"
	[ "$sum" -le 512 ] || bad=1
}
for entry in heap_entry heap_bump stack_verify fault_verify rss_changed vm_lock; do
	check $entry uw_chunk_walk uw_rule uw_search
	check $entry uw_chunk_walk uw_rule uw_vma_callback
	check $entry uw_chunk_walk uw_rule current_tgid_in_ns
	check $entry uw_chunk_walk uw_step_special
	check $entry uw_finish_hash
	check $entry rt_frames v8_frame
	check $entry rt_frames py_first
	check $entry rt_frames py_chunk
	check $entry rt_frames beam_stack
	check $entry rt_frames rb_first
	check $entry rt_frames rb_chunk
done
for entry in heap_entry heap_entry_fp heap_return heap_free_entry heap_bump heap_bump_fp rss_changed rss_changed_fp vm_lock; do
	check $entry proc_gen proc_exec proc_begin
	check $entry proc_gen proc_exec comm_matches
	check $entry proc_gen proc_unknown proc_begin
	check $entry proc_gen proc_unknown comm_matches
	check $entry proc_gen proc_unknown current_tgid_in_ns
	for f in call_abandon stack_enter stack_hash drops_one_of moved_unseen cost_flush; do
		check $entry $f
	done
done
for entry in rss_changed rss_targets task_fork task_exec; do
	for f in rss_sum_cpus rss_atomic; do
		check $entry rss_begin $f
	done
done
for f in rss_shrink rss_add_to_stack rss_place rss_add_placed; do
	check rss_changed $f
done
check heap_bump bump_add
check heap_bump_fp bump_add
check vm_lock vm_note_bystander current_tgid_in_ns
check vm_call_ends vm_see
check task_exec cost_flush
check task_exit cost_flush
# Whoever adds a function adds its chains.
known=" $(sed -nE 's/^\t*(check|for f in) //p' "$0" | tr '\n;' '  ') trial_vma trial_global "
for f in $(llvm-readelf -sW "$out" | awk '$4 == "FUNC" && $7 == 2 { print $8 }'); do
	[[ $known = *" $f "* ]] || { echo "no chain with $f is checked"; bad=1; }
done
[ $bad = 0 ] || { echo "a chain of calls has more than 512 bytes of stack, or is not known"; exit 1; }
