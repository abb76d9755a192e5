/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Who within a process holds its memory: Erlang processes, at two looks; and whose large binaries they hold, by the
 * place that allocated them. Pure. Sizes in bytes, [0] at the first look and [1] at the last. Names are ids of strings
 * that the caller keeps.
 *
 *	look 1	<0.90.0> worker 10 B	<0.91.0> worker 20 B
 *	look 2	<0.90.0> worker 50 B	<0.92.0> spare   5 B
 *	rows	<0.90.0> 10 50, <0.92.0> 0 5	names	worker 2 30, 1 50; spare 0 0, 1 5
 *	all	2 30, 2 55
 */
#ifndef MEMPROBE_MODEL_HOLDERS_H
#define MEMPROBE_MODEL_HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLDER_NUMBER_BITS 28

/* One at one look. */
struct holder {
	uint64_t id; /* never given again while the process lives; Erlang: serial << HOLDER_NUMBER_BITS | number, as in <0.number.serial> */
	uint32_t name;
	uint64_t heap_bytes, old_heap_bytes;
	uint64_t binaries, binary_bytes; /* blocks outside its heap, each counted with one holder */
};

/* A block that is held. */
struct held_block {
	uint64_t addr;
	uint32_t holder; /* index in the look */
};

struct holder_row {
	uint64_t id; /* of names and of all: 0 */
	uint32_t name;
	uint64_t holders[2], heap_bytes[2], old_heap_bytes[2], binaries[2], binary_bytes[2];
};

/* Blocks of one place in the code, that were allocated in the window. */
struct holder_site {
	uint64_t stack; /* index in the profile: the largest of those that differ only in who ran */
	uint64_t bytes, blocks; /* live */
	uint64_t held_bytes, held_blocks, holders; /* of these, seen with a holder; how many hold some */
	uint64_t old_holders;			   /* of holders: were there at the first look */
	uint64_t half_age_ms;			   /* half of the blocks are older */
};

#define HOLDERS_ROWS 12
#define HOLDERS_NAMES 6
#define HOLDERS_SITES 4

struct holders {
	bool is_there;
	bool has_first; /* a first look, to tell growth from */
	uint32_t proc;	/* index in the profile */
	struct holder_row all;
	struct holder_row rows[HOLDERS_ROWS], names[HOLDERS_NAMES]; /* most memory first */
	size_t n_rows, n_names;
	struct holder_site sites[HOLDERS_SITES]; /* most bytes first */
	size_t n_sites;
};

/* Sets all, rows and names. before NULL: no first look. */
void holders_join(struct holders *h, const struct holder *before, size_t n_before, const struct holder *now, size_t n_now);

uint64_t holder_row_bytes(const struct holder_row *r, int look);

/* What the binaries of processes of one name say; where names tell nothing, those of one place. */
enum holder_advice {
	HOLDER_ADVICE_NONE = 0,
	HOLDER_UNCOLLECTED, /* each holds no more than it may gather before it collects, and none was made lately */
	HOLDER_KEEPS,	    /* the same ones hold far more than that */
};

/* A process of the BEAM collects when its binaries have grown by so many bytes: min_bin_vheap_size is 46422 words. */
#define HOLDER_GATHERS_BYTES (46422ULL * 8)

/* And by how much what it is about has grown. */
enum holder_advice holder_advice_of(const struct holders *h, uint64_t *grown_bytes);

#endif
