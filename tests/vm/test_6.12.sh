#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Linux 6.12 with full preemption: uprobe_multi without sessions, and a verifier that lets no global function run
# with preemption off.
. tests/vm/kernel.sh
test_kernel 6.12 preempt=full "uprobe multi"
