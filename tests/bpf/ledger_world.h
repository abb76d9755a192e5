/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the ledger's tests share: the heap programs' functions loaded as ledger.bpf.c, a made-up stack whose
 * slots are where calls keep their return addresses (a pending return probe shows as TRAMPOLINE there), calls
 * made by BPF_PROG_RUN, and what the tables say then. For one test program each; nothing here is a test.
 */
#ifndef MEMPROBE_TEST_LEDGER_WORLD_H
#define MEMPROBE_TEST_LEDGER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "bpf/memprobe.h"
#include "tests/bpf/ledger.skel.h"

#define GEN 7u
#define MAX_BLOCKS 1024
#define RING_BYTES 4096

enum {
	ROW_MALLOC,
	ROW_CALLOC,
	ROW_REALLOC,
	ROW_MEMALIGN,
	ROW_FREE,
	ROW_REALLOCARRAY,
	ROW_XALLOCX,
	ROW_REALLOCF,
	ROW_HEAP_DESTROY,
	ROW_NEW,
};

static const struct mp_shape shapes[] = {
	[ROW_MALLOC] = { .op = MP_OP_ALLOC, .size = 0, .count = MP_ARG_NONE, .ptr = MP_ARG_NONE },
	[ROW_CALLOC] = { .op = MP_OP_ALLOC, .size = 0, .count = 1, .ptr = MP_ARG_NONE },
	[ROW_REALLOC] = { .op = MP_OP_REALLOC, .size = 1, .count = MP_ARG_NONE, .ptr = 0 },
	[ROW_MEMALIGN] = { .op = MP_OP_ALLOC, .size = 2, .count = MP_ARG_NONE, .ptr = 0,
			   .flags = MP_SHAPE_PTR_IN_MEMORY },
	[ROW_FREE] = { .op = MP_OP_FREE, .size = MP_ARG_NONE, .count = MP_ARG_NONE, .ptr = 0 },
	[ROW_REALLOCARRAY] = { .op = MP_OP_REALLOC, .size = 1, .count = 2, .ptr = 0 },
	[ROW_XALLOCX] = { .op = MP_OP_REALLOC, .size = 1, .count = MP_ARG_NONE, .ptr = 0, .more = 2,
			  .flags = MP_SHAPE_IN_PLACE },
	[ROW_REALLOCF] = { .op = MP_OP_REALLOC, .size = 1, .count = MP_ARG_NONE, .ptr = 0,
			   .flags = MP_SHAPE_FAILURE_FREES },
	[ROW_NEW] = { .op = MP_OP_ALLOC, .size = 0, .count = MP_ARG_NONE, .ptr = MP_ARG_NONE },
	[ROW_HEAP_DESTROY] = { .op = MP_OP_HEAP_END, .size = MP_ARG_NONE, .count = MP_ARG_NONE,
			       .ptr = 0 },
};

#define TRAMPOLINE 0x7fffffffe000ULL

static struct ledger_bpf *skel;
static uint64_t fake_stack[64];

/* ---- the world ---- */

static inline int load(void **state)
{
	(void)state;
	skel = ledger_bpf__open();
	if (!skel)
		return -1;
	bpf_map__set_max_entries(skel->maps.blocks, MAX_BLOCKS);
	bpf_map__set_max_entries(skel->maps.events, RING_BYTES);
	memcpy((void *)skel->rodata->shapes, shapes, sizeof(shapes));
	skel->rodata->cfg_test_trampoline = TRAMPOLINE;
	return ledger_bpf__load(skel);
}

static inline int unload(void **state)
{
	(void)state;
	ledger_bpf__destroy(skel);
	return 0;
}

static inline void clear_map(struct bpf_map *map)
{
	char key[64];
	int fd = bpf_map__fd(map);

	while (!bpf_map_get_next_key(fd, NULL, key))
		bpf_map_delete_elem(fd, key);
}

/* Empty tables, this process the only target, armed; the thread's record made anew. */
static inline int reset(void **state)
{
	struct mp_proc_totals zero = { 0 };
	struct mp_proc p = { .gen = GEN };
	struct mp_loss_count none[256] = { 0 };
	uint32_t tgid = (uint32_t)getpid(), gen = GEN, i;

	(void)state;
	clear_map(skel->maps.blocks);
	clear_map(skel->maps.stacks);
	memset(skel->bss->known_stacks, 0, sizeof(skel->bss->known_stacks));
	for (i = 0; i < MP_LOSS_NR; i++)
		bpf_map_update_elem(bpf_map__fd(skel->maps.losses), &i, none, BPF_ANY);
	bpf_map_update_elem(bpf_map__fd(skel->maps.proc_totals), &gen, &zero, BPF_ANY);
	bpf_map_update_elem(bpf_map__fd(skel->maps.procs), &tgid, &p, BPF_ANY);
	skel->data->target_epoch++;
	skel->bss->armed = 1;
	skel->bss->sample_bytes = 0;
	skel->data->burst_weight = MP_WEIGHT_ONE;
	skel->bss->gate_epoch = skel->bss->burst_begin_ms = 0;
	for (i = 0; i < 64; i++)
		fake_stack[i] = 0x400000 + i;
	return 0;
}

static inline int run(struct bpf_program *prog, uint64_t *args, size_t n)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .ctx_in = args, .ctx_size_in = n * sizeof(*args));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(prog), &o), 0);
	return (int)o.retval;
}

/* Enter at stack slot i; returns whether the return is wanted, and then hijacks the slot as the kernel does. */
static inline int enter(uint64_t row, int slot, uint64_t a0, uint64_t a1, uint64_t a2)
{
	uint64_t args[] = { row, (uintptr_t)&fake_stack[slot], fake_stack[slot], a0, a1, a2 };
	int wanted = run(skel->progs.run_enter, args, 6);

	if (wanted)
		fake_stack[slot] = TRAMPOLINE;
	return wanted;
}

static inline void leave(int slot, uint64_t ret)
{
	uint64_t args[] = { (uintptr_t)&fake_stack[slot] + 8, ret };

	fake_stack[slot] = 0x400000 + (uint64_t)slot;
	run(skel->progs.run_leave, args, 2);
}

static inline void enter_free(uint64_t row, int slot, uint64_t a0, uint64_t a1)
{
	uint64_t args[] = { row, (uintptr_t)&fake_stack[slot], fake_stack[slot], a0, a1, 0 };

	run(skel->progs.run_free, args, 6);
}

static inline void do_free(int slot, uint64_t ptr)
{
	enter_free(ROW_FREE, slot, ptr, 0);
}

static inline void do_malloc(int slot, uint64_t size, uint64_t addr)
{
	assert_int_equal(enter(ROW_MALLOC, slot, size, 0, 0), 1);
	leave(slot, addr);
}

/* ---- what the tables say ---- */

struct sums {
	uint64_t alloc_bytes, alloc_blocks, live_bytes, live_blocks;
	uint64_t alloc_var, live_var; /* MP_VAR_UNIT */
	uint64_t met_blocks;
};

static inline struct sums all_stacks(void)
{
	struct sums s = { 0 };
	uint64_t key, next, *prev = NULL;
	struct mp_stack st;

	while (!bpf_map_get_next_key(bpf_map__fd(skel->maps.stacks), prev, &next)) {
		key = next;
		prev = &key;
		bpf_map_lookup_elem(bpf_map__fd(skel->maps.stacks), &key, &st);
		s.alloc_bytes += st.alloc_bytes;
		s.alloc_blocks += st.alloc_blocks;
		s.live_bytes += st.alloc_bytes - st.free_bytes;
		s.live_blocks += st.alloc_blocks - st.free_blocks;
		s.alloc_var += st.alloc_var;
		s.live_var += st.alloc_var - st.free_var;
		s.met_blocks += st.met_blocks;
	}
	return s;
}

static inline int block_at(uint64_t addr, struct mp_block *b)
{
	struct mp_block_key key = { .addr = addr, .gen = GEN };

	return !bpf_map_lookup_elem(bpf_map__fd(skel->maps.blocks), &key, b);
}

static inline uint64_t losses(enum mp_loss kind)
{
	struct mp_loss_count per_cpu[256] = { 0 };
	uint32_t k = kind;
	uint64_t sum = 0;
	int i;

	bpf_map_lookup_elem(bpf_map__fd(skel->maps.losses), &k, per_cpu);
	for (i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += per_cpu[i].events;
	return sum;
}

static inline struct mp_proc_totals totals(void)
{
	struct mp_proc_totals t = { 0 };
	uint32_t gen = GEN;

	bpf_map_lookup_elem(bpf_map__fd(skel->maps.proc_totals), &gen, &t);
	return t;
}

static inline void assert_live(uint64_t bytes, uint64_t blocks)
{
	struct sums s = all_stacks();

	assert_int_equal(s.live_bytes, bytes);
	assert_int_equal(s.live_blocks, blocks);
}

#endif
