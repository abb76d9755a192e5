/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where the memory of the whole machine is, as /proc has it: what the kernel itself holds, shared memory, how tight it
 * is (PSI), and what of one process is its own. Rooted at a path argument; no clock, no state.
 *
 * Sizes in bytes. Documentation: admin-guide/mm, filesystems/proc.rst, accounting/psi.rst; fields that a kernel does
 * not have are 0.
 */
#ifndef MEMPROBE_PROC_MACHINE_MEMORY_H
#define MEMPROBE_PROC_MACHINE_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

struct proc_machine {
	uint64_t total_bytes, available_bytes, swap_total_bytes, swap_free_bytes;
	uint64_t shmem_bytes;	    /* tmpfs, System V, memfd: resident, mapped by somebody or not */
	uint64_t slab_bytes;	    /* of it what cannot be dropped */
	uint64_t slab_cache_bytes;  /* what can: dentries, inodes; part of available */
	uint64_t page_table_bytes;
	uint64_t stack_bytes;	    /* of the kernel's threads */
	uint64_t other_kernel_bytes; /* per-CPU, vmalloc without stacks */
	uint64_t hugetlb_bytes;	    /* set aside, used or not */
	uint64_t kept_free_bytes;   /* watermarks and reserves: never available to programs */
	uint64_t oom_kills;	    /* since boot */
	double stall_10s; /* share of the time in which some task waited for memory, 0.11: 11 %; -1: not told */
};

int proc_machine_read(struct proc_machine *m, const char *proc_root);

/*
 * Of one process, from the page tables (smaps_rollup): some 20 ms per GiB, and 30 us at least. Pages of files that can
 * be dropped are in none of these.
 */
struct proc_rollup {
	uint64_t pss_bytes;	/* anonymous + shared memory + swapped; a page of n processes counts 1/n */
	uint64_t pss_shmem_bytes; /* of it */
	uint64_t private_bytes; /* anonymous + swapped, of nobody else: what its end gives back */
	uint64_t all_bytes;	/* the same kinds, shared pages counted in full */
};

/* 0, -ESRCH (gone, or no memory), -EACCES, -errno. */
int proc_rollup_read(struct proc_rollup *r, const char *proc_root, pid_t pid);

#endif
