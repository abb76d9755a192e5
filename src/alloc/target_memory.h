/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A process's memory as the readers of heaps see it: three functions that the caller supplies.
 *
 * Nothing is read that is not resident: a read of an absent page would map one in the target, or
 * swap it in. The target runs meanwhile, so two reads may see two moments.
 * Pure: no system calls here; the tests supply an array.
 */
#ifndef MEMPROBE_ALLOC_TARGET_MEMORY_H
#define MEMPROBE_ALLOC_TARGET_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum page_state { PAGE_ABSENT = 0, PAGE_RESIDENT, PAGE_SWAPPED };

struct target_memory {
	void *ctx;
	uint64_t page_bytes;
	/* Copies from the start of the range until it cannot; returns how many bytes. */
	size_t (*read)(void *ctx, uint64_t addr, void *out, size_t len);
	/* enum page_state of n pages from the one at addr; what cannot be told is absent. */
	void (*pages)(void *ctx, uint64_t addr, size_t n, uint8_t *state);
	uint64_t (*now_ns)(void *ctx);
};

/* Mappings, as far as the readers of heaps want them. */
enum memory_kind {
	MEMORY_BRK,   /* "[heap]" */
	MEMORY_ANON,  /* private, writable, without a file */
	MEMORY_DATA,  /* private, writable, of libc or the program */
	MEMORY_CONST, /* of a file, not writable: vtables lie here */
};

struct memory_range {
	uint64_t start, end;
	enum memory_kind kind;
};

#endif
