#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Linux 6.12 with full preemption: uprobe_multi without sessions, and a verifier that lets no global function run
# with preemption off. And version 2 of the control groups, whatever the machine itself has.
. tests/vm/kernel.sh
test_kernel 6.12 preempt=full "uprobe multi" test_limits.py:limit_of_the_group_above \
	test_limits.py:what_only_version_2_has test_oom.py:killed_at_the_limit_of_a_group test_room.py:at_the_limit
