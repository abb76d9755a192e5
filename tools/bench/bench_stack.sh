#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Cost of a stack: the walk by unwind tables beside bpf_get_stackid on a frame-pointer build of the same program, in
# turns within one run (tests/e2e/stack_cost.c). Goal: cheaper at each depth, at most 20 ns per extra frame.
set -u
[ "$(id -u)" = 0 ] || { echo "skip: needs root"; exit 0; }
echo "ns beyond an empty probe at the same place; (fp): built with frame pointers; ratio: +tables(fp) / +stackid(fp)"
"$BUILD/tests/e2e/stack_cost" "$BUILD/tests/e2e/targets/deep" "$BUILD/tests/e2e/targets/deep_fp" 31 5000 ||
	{ [ $? = 77 ] && echo "skip: no uprobe_multi links or no table walk on this kernel"; }
