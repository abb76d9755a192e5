/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * System calls that change mappings, as the kernel side saw them, applied to an address space (intervals.h).
 *
 * The kernel side knows arguments and the ranges that were entered, merged with their neighbours; what is new of a
 * range is what was not known to be mapped:
 *
 *	known 0x7000-0x9000; mmap of 0x2000 bytes, entered 0x5000-0x9000	-> new 0x5000-0x7000
 *
 * What failed entered nothing. Sizes are rounded to pages as the kernel does. Mappings of files are not counted (they
 * are the page cache's); shared memory is. mprotect commits and reserves at the stack that mapped. mremap is to a
 * mapping what realloc is to a block. Pure.
 */
#ifndef MEMPROBE_MODEL_MAPPING_CALLS_H
#define MEMPROBE_MODEL_MAPPING_CALLS_H

#include "bpf/memprobe.h"
#include "model/intervals.h"

#define VM_PAGE 4096

/* What a call leaves open. */
struct vm_doubt {
	uint64_t start, end; /* nobody knows whether this is still mapped; start == end: all is known */
	uint64_t missed_bytes; /* found mapped, or gone, where no call was seen to do that */
};

/* birth_ms: of what is new. is_counted false: only where mappings are, as before arming. */
struct vm_doubt vm_apply(struct vm_space *s, const struct mp_ev_vm *e, uint32_t birth_ms, bool is_counted);

#endif
