/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A scratch process: a child of memprobe that calls a function of memprobe's own as often as it is
 * told to. Probes are tried and timed on it, never on memprobe itself and never on a target.
 *
 *	scratch_start -> probes on scratch_offset(site), pid s.pid -> scratch_run... -> scratch_stop
 *
 * The child dies with memprobe, however that ends, and after scratch_stop there is none. Not for
 * others than src/kern. Depends on nothing.
 */
#ifndef MEMPROBE_KERN_SCRATCH_H
#define MEMPROBE_KERN_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum scratch_site {
	SCRATCH_ENTRY,	 /* begins with an instruction that the kernel emulates */
	SCRATCH_STEPPED, /* with one that it single-steps */
	SCRATCH_PAIR,	 /* as SCRATCH_ENTRY, for entry and return */
	SCRATCH_N_SITES
};

struct scratch {
	pid_t pid; /* 0: none */
	int fd;
	int status; /* of waitpid, after scratch_stop */
};

/* No seccomp filter's author could know these: on x86-64 a return probe's own, 335, is among them. */
#define SCRATCH_UNKNOWN_SYSCALLS 334

/* 0 or -errno. */
int scratch_start(struct scratch *s);
/* Kills it if it lives; harmless when there is none. */
void scratch_stop(struct scratch *s);
/*
 * Have it call the site's function n times. *cpu_ns: what that took of its CPU time, never 0. -ECHILD:
 * it died; -ETIMEDOUT: not done after timeout_ms, and not to be asked again; -errno.
 */
int scratch_run(struct scratch *s, enum scratch_site site, uint32_t n, unsigned int timeout_ms,
		uint64_t *cpu_ns);
/*
 * The same, called by a second thread of the child. is_process: by a process that has the child's memory and is no
 * thread of it.
 */
int scratch_run_other(struct scratch *s, enum scratch_site site, uint32_t n, unsigned int timeout_ms, bool is_process);
/* From now on a seccomp filter kills it for any system call from this number on. 0 or -errno. */
int scratch_lock_up(struct scratch *s, uint32_t first_killed, unsigned int timeout_ms);
/* Where the function begins, as an offset in /proc/self/exe; 0 when not found. */
unsigned long scratch_offset(enum scratch_site site);

#endif
