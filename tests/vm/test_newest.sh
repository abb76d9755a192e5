#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The newest kernel of Debian's backports, with its own default, lazy preemption.
. tests/vm/kernel.sh
test_kernel newest "" "uprobe session"
