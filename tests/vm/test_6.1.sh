#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Linux 6.1, the oldest kernel supported, with full preemption: no uprobe_multi, no way to switch preemption off.
. tests/vm/kernel.sh
test_kernel 6.1 preempt=full "perf uprobe" test_vm.py:a_command
