/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* CPU time of a process, read from its clock: nanoseconds, without a look into /proc. */
#ifndef MEMPROBE_APP_CPU_CLOCK_H
#define MEMPROBE_APP_CPU_CLOCK_H

#include <stdint.h>

/* 0 when it has ended. */
uint64_t cpu_clock_ns(int32_t tgid);

#endif
