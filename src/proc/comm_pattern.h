/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Glob patterns over process names, as fnmatch(3) without flags has them: * ? [a-z] [!a-z] \c.
 *
 * A pattern becomes an automaton (bpf/memprobe.h), so that user space and the kernel side decide alike.
 */
#ifndef MEMPROBE_PROC_COMM_PATTERN_H
#define MEMPROBE_PROC_COMM_PATTERN_H

#include <stdbool.h>

#include "bpf/memprobe.h"

/* 0; -EINVAL (empty, or a backslash at the end); -E2BIG: longer than a name can be. */
int comm_pattern_compile(struct mp_comm_pattern *p, const char *glob);
/* comm: at most MP_COMM_BYTES count. */
bool comm_pattern_matches(const struct mp_comm_pattern *p, const char *comm);

#endif
