/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where this machine has what the readers of proc, symbol and runtime take as an argument, so that tests give them
 * trees of their own. For those who look at the machine itself.
 */
#ifndef MEMPROBE_BASE_ROOTS_H
#define MEMPROBE_BASE_ROOTS_H

#define PROC_ROOT "/proc"
#define SYS_ROOT "/sys"
#define CGROUP_ROOT "/sys/fs/cgroup"
#define DEBUG_ROOT "/usr/lib/debug"

#endif
