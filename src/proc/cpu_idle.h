/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How long CPUs had nothing to do that could not wait, from PROC_ROOT/stat (man 5 proc): idle, waiting for I/O, or at
 * niced programs, which give way; in ticks of a hundredth of a second. Depends on proc_internal.h only.
 */
#ifndef MEMPROBE_PROC_CPU_IDLE_H
#define MEMPROBE_PROC_CPU_IDLE_H

#include <stdint.h>
#include <sys/types.h>

struct cpu_idle {
	uint64_t *ns; /* by CPU number, since boot; 0 of those that are off */
	unsigned int n;
};

/* Anew. 0, or -errno: c is then as it was. */
int cpu_idle_read(struct cpu_idle *c, const char *proc_root);
/* Of the CPUs that pid may run on, together. 0, or -errno: -ESRCH when it has ended. */
int cpu_idle_of(const struct cpu_idle *c, pid_t pid, uint64_t *ns);
void cpu_idle_release(struct cpu_idle *c);

#endif
