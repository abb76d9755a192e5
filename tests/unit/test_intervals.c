/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The interval model, each of its rules; and system calls applied to it, as the kernel side reports them: arguments
 * and ranges merged with their neighbours. The last test compares random operations with a model of single pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/mapping_calls.h"

#define K 0x1000ULL
#define STACK_A 7
#define STACK_B 9

struct world {
	struct vm_ledger ledger;
	struct vm_space space;
};

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	vm_space_init(&w->space, &w->ledger, 3);
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	vm_space_release(&w->space);
	vm_ledger_release(&w->ledger);
	free(w);
	return 0;
}

static struct vm_new by(uint64_t stack)
{
	return (struct vm_new){ .hash = stack, .birth_ms = (uint32_t)stack * 100 };
}

static void map(struct world *w, uint64_t start, uint64_t end_page, uint64_t stack)
{
	const struct vm_new m = by(stack);

	vm_map(&w->space, start * K, end_page * K, &m);
}

/* Pages and blocks of a stack. */
static void is(const struct world *w, uint64_t stack, long alloc, long blocks, long freed, long free_blocks)
{
	static const struct vm_stack none;
	const uint64_t *at = table_get(&w->ledger.index_of, stack);
	const struct vm_stack *s = at ? &w->ledger.stacks[*at] : &none;

	assert_int_equal(s->alloc_bytes, (uint64_t)alloc * K);
	assert_int_equal(s->alloc_blocks, blocks);
	assert_int_equal(s->free_bytes, (uint64_t)freed * K);
	assert_int_equal(s->free_blocks, free_blocks);
	assert_int_equal(s->birth_sum_ms, (uint64_t)(blocks - free_blocks) * stack * 100);
}

static uint64_t reserved(const struct world *w, uint64_t stack)
{
	const uint64_t *at = table_get(&w->ledger.index_of, stack);

	return at ? w->ledger.stacks[*at].reserved_bytes / K : 0;
}

/* ---- intervals ---- */

static void a_mapping__is_one_block_of_its_bytes(void **state)
{
	struct world *w = *state;

	map(w, 16, 24, STACK_A);
	is(w, STACK_A, 8, 1, 0, 0);
	vm_unmap(&w->space, 16 * K, 24 * K);
	is(w, STACK_A, 8, 1, 8, 1);
	assert_int_equal(w->space.n, 0);
}

static void head_middle_and_tail__leave_the_rest_as_one_block(void **state)
{
	struct world *w = *state;

	map(w, 10, 20, STACK_A);
	vm_unmap(&w->space, 8 * K, 11 * K);
	vm_unmap(&w->space, 14 * K, 15 * K);
	vm_unmap(&w->space, 18 * K, 25 * K);
	is(w, STACK_A, 10, 1, 4, 0);
	assert_int_equal(w->space.n, 2);
	vm_unmap(&w->space, 15 * K, 18 * K);
	is(w, STACK_A, 10, 1, 7, 0);
	vm_unmap(&w->space, 0, 100 * K);
	is(w, STACK_A, 10, 1, 10, 1);
}

static void unmapping_what_is_not_there__is_nothing(void **state)
{
	struct world *w = *state;

	map(w, 10, 20, STACK_A);
	vm_unmap(&w->space, 0, 10 * K);
	vm_unmap(&w->space, 20 * K, 30 * K);
	vm_unmap(&w->space, 15 * K, 15 * K);
	vm_unmap(&w->space, 17 * K, 12 * K);
	is(w, STACK_A, 10, 1, 0, 0);
	assert_int_equal(w->space.n, 1);
}

static void a_mapping_over_others__ends_what_it_covers(void **state)
{
	struct world *w = *state;

	map(w, 10, 14, STACK_A);
	map(w, 14, 18, STACK_A);
	map(w, 20, 22, STACK_A);
	map(w, 12, 22, STACK_B);
	is(w, STACK_A, 10, 3, 8, 2);
	is(w, STACK_B, 10, 1, 0, 0);
	assert_int_equal(w->space.n, 2);
}

static void what_is_not_counted__is_there_without_a_figure(void **state)
{
	struct world *w = *state;

	map(w, 10, 20, 0);
	map(w, 12, 14, STACK_A);
	vm_unmap(&w->space, 0, 13 * K);
	is(w, STACK_A, 2, 1, 1, 0);
	assert_int_equal(w->ledger.n, 1);
	assert_null(vm_find(&w->space, 11 * K));
	assert_int_equal(vm_find(&w->space, 14 * K)->mapping, VM_UNCOUNTED);
}

static void gaps__are_filled_without_touching_what_is_known(void **state)
{
	struct world *w = *state;

	map(w, 10, 12, STACK_A);
	map(w, 14, 16, STACK_A);
	assert_int_equal(vm_fill(&w->space, 8 * K, 20 * K), 8 * K);
	assert_int_equal(vm_fill(&w->space, 8 * K, 20 * K), 0);
	is(w, STACK_A, 4, 2, 0, 0);
	assert_int_equal(w->space.n, 5);
}

static void reserved_memory__is_no_bytes_until_it_is_committed(void **state)
{
	struct world *w = *state;
	struct vm_new m = by(STACK_A);

	m.is_reserved = true;
	vm_map(&w->space, 0, 100 * K, &m);
	is(w, STACK_A, 0, 1, 0, 0);
	assert_int_equal(reserved(w, STACK_A), 100);
	vm_protect(&w->space, 10 * K, 30 * K, false);
	vm_protect(&w->space, 20 * K, 40 * K, false);
	is(w, STACK_A, 30, 1, 0, 0);
	assert_int_equal(reserved(w, STACK_A), 70);
	vm_protect(&w->space, 35 * K, 50 * K, true);
	is(w, STACK_A, 30, 1, 5, 0);
	vm_unmap(&w->space, 0, 20 * K);
	is(w, STACK_A, 30, 1, 15, 0);
	assert_int_equal(reserved(w, STACK_A), 65);
	vm_unmap(&w->space, 0, 100 * K);
	is(w, STACK_A, 30, 1, 30, 1);
	assert_int_equal(reserved(w, STACK_A), 0);
}

static void mprotect__ends_at_the_first_hole(void **state)
{
	struct world *w = *state;

	map(w, 10, 12, STACK_A);
	map(w, 13, 15, STACK_A);
	vm_protect(&w->space, 10 * K, 15 * K, true);
	is(w, STACK_A, 4, 2, 2, 0);
	vm_protect(&w->space, 9 * K, 15 * K, true);
	is(w, STACK_A, 4, 2, 2, 0);
}

static void a_moved_mapping__is_a_block_of_its_mover_with_the_old_birth(void **state)
{
	struct world *w = *state;
	struct vm_new m = by(STACK_B);

	map(w, 10, 20, STACK_A);
	m.birth_ms = STACK_A * 100 + 5; /* of the call */
	vm_move(&w->space, 12 * K, 4 * K, 100 * K, 6 * K, false, &m);
	is(w, STACK_A, 10, 1, 4, 0);
	assert_int_equal(w->ledger.stacks[1].alloc_bytes, 6 * K);
	assert_int_equal(w->ledger.stacks[1].birth_sum_ms, STACK_A * 100);
	assert_null(vm_find(&w->space, 12 * K));
	vm_move(&w->space, 100 * K, 6 * K, 200 * K, 6 * K, true, &m);
	assert_non_null(vm_find(&w->space, 100 * K));
	assert_int_equal(w->ledger.stacks[1].alloc_blocks - w->ledger.stacks[1].free_blocks, 2);
}

static void a_child__has_all_of_its_parent_and_counts_nothing_of_it(void **state)
{
	struct world *w = *state;
	struct vm_space child;

	map(w, 10, 20, STACK_A);
	vm_space_init(&child, &w->ledger, 4);
	vm_space_fork(&child, &w->space);
	vm_unmap(&child, 0, 100 * K);
	is(w, STACK_A, 10, 1, 0, 0);
	vm_space_release(&child);
}

static void an_ended_process__keeps_its_figures(void **state)
{
	struct world *w = *state;

	map(w, 10, 20, STACK_A);
	vm_space_freeze(&w->space);
	vm_unmap(&w->space, 0, 100 * K);
	is(w, STACK_A, 10, 1, 0, 0);
}

/* ---- system calls ---- */

static struct mp_ev_vm call(enum mp_vm_op op, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	return (struct mp_ev_vm){ .kind = MP_EV_VM, .gen = 3, .op = op, .hash = STACK_A, .arg = { a, b, c, d } };
}

static void entered(struct mp_ev_vm *e, uint64_t start, uint64_t end_page, uint64_t flags)
{
	e->range[e->n_ranges].start = start * K | flags;
	e->range[e->n_ranges++].end = end_page * K;
}

static struct vm_doubt apply(struct world *w, const struct mp_ev_vm *e)
{
	return vm_apply(&w->space, e, 700, true);
}

/* mmap that the kernel entered as this range */
static struct vm_doubt do_mmap(struct world *w, uint64_t bytes, uint64_t start, uint64_t end_page)
{
	struct mp_ev_vm e = call(MP_VM_MMAP, 0, bytes, 3, 0x22);

	entered(&e, start, end_page, 0);
	return apply(w, &e);
}

static void mmap__is_what_was_not_there_of_a_merged_range(void **state)
{
	struct world *w = *state;

	map(w, 7, 9, 0);
	do_mmap(w, 2 * K, 5, 9);
	do_mmap(w, 2 * K - 5, 3, 9);
	is(w, STACK_A, 4, 2, 0, 0);
	assert_non_null(vm_find(&w->space, 3 * K));
}

static void mmap_that_closes_a_hole__is_the_hole(void **state)
{
	struct world *w = *state;

	map(w, 2, 4, 0);
	map(w, 7, 9, 0);
	do_mmap(w, 3 * K, 2, 9);
	is(w, STACK_A, 3, 1, 0, 0);
	assert_int_equal(vm_find(&w->space, 6 * K)->start, 4 * K);
}

static void mmap_merged_with_an_unknown_neighbour__is_the_lower_part(void **state)
{
	struct world *w = *state;

	do_mmap(w, 2 * K, 3, 9);
	is(w, STACK_A, 2, 1, 0, 0);
	assert_int_equal(vm_find(&w->space, 3 * K)->end, 5 * K);
}

static void mmap_where_an_end_was_missed__ends_the_old_and_says_so(void **state)
{
	struct world *w = *state;

	map(w, 10, 14, STACK_B);
	assert_int_equal(do_mmap(w, 4 * K, 10, 14).missed_bytes, 4 * K);
	is(w, STACK_B, 4, 1, 4, 1);
	is(w, STACK_A, 4, 1, 0, 0);
}

static void a_failed_call__changes_nothing(void **state)
{
	static const enum mp_vm_op ops[] = { MP_VM_MMAP, MP_VM_MREMAP, MP_VM_SHMAT, MP_VM_BRK, MP_VM_SHMDT };
	struct world *w = *state;
	size_t i;

	map(w, 10, 14, STACK_B);
	w->space.brk = 20 * K;
	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct mp_ev_vm e = call(ops[i], 10 * K, 4 * K, 9 * K, 0);

		e.brk = 20 * K;
		apply(w, &e);
	}
	is(w, STACK_B, 4, 1, 0, 0);
	is(w, STACK_A, 0, 0, 0, 0);
}

static void a_file_and_an_inner_call__are_there_without_a_figure(void **state)
{
	struct world *w = *state;
	struct mp_ev_vm e = call(MP_VM_MMAP, 0, 2 * K, 1, 2);

	entered(&e, 10, 12, MP_VM_RANGE_FILE);
	apply(w, &e);
	e = call(MP_VM_MMAP, 0, 2 * K, 3, 0x22);
	e.flags = MP_VM_INNER;
	entered(&e, 20, 22, 0);
	apply(w, &e);
	assert_int_equal(w->ledger.n, 0);
	assert_int_equal(w->space.n, 2);
}

static void a_call_from_before_arming__is_there_without_a_figure(void **state)
{
	struct world *w = *state;
	struct mp_ev_vm e = call(MP_VM_MMAP, 0, 2 * K, 3, 0x22);

	entered(&e, 10, 12, 0);
	vm_apply(&w->space, &e, 0, false);
	assert_int_equal(w->ledger.n, 0);
	assert_non_null(vm_find(&w->space, 10 * K));
}

static void a_fixed_mapping__lies_where_it_was_asked_for(void **state)
{
	struct world *w = *state;
	struct mp_ev_vm e = call(MP_VM_MMAP, 12 * K, 2 * K, 3, 0x32);

	map(w, 10, 20, STACK_B);
	entered(&e, 10, 12, 0); /* the parts that are left of the other */
	entered(&e, 12, 14, 0);
	apply(w, &e);
	is(w, STACK_B, 10, 1, 2, 0);
	is(w, STACK_A, 2, 1, 0, 0);
}

static void munmap__is_done_when_the_lock_says_so_and_in_doubt_else(void **state)
{
	struct world *w = *state;
	struct mp_ev_vm e = call(MP_VM_MUNMAP, 10 * K, K + 1, 0, 0);
	struct vm_doubt d;

	map(w, 10, 14, STACK_B);
	d = apply(w, &e);
	assert_int_equal(d.start, 10 * K);
	assert_int_equal(d.end, 12 * K);
	is(w, STACK_B, 4, 1, 0, 0);
	e.flags = MP_VM_DOWNGRADED;
	d = apply(w, &e);
	assert_int_equal(d.start, d.end);
	is(w, STACK_B, 4, 1, 2, 0);
	e.arg[0] = 12 * K + 1;
	apply(w, &e);
	e.flags = 0;
	e.arg[0] = 40 * K;
	d = apply(w, &e);
	assert_int_equal(d.start, d.end);
	is(w, STACK_B, 4, 1, 2, 0);
}

static void mremap__grows_in_place_moves_and_shrinks(void **state)
{
	struct world *w = *state;
	struct mp_ev_vm e = call(MP_VM_MREMAP, 10 * K, 2 * K, 5 * K, 1);

	map(w, 10, 12, STACK_B);
	entered(&e, 10, 15, 0);
	apply(w, &e);
	is(w, STACK_B, 2, 1, 2, 1);
	assert_int_equal(vm_find(&w->space, 10 * K)->end, 15 * K);
	e = call(MP_VM_MREMAP, 10 * K, 5 * K, 9 * K, 1);
	entered(&e, 50, 59, 0);
	apply(w, &e);
	assert_null(vm_find(&w->space, 10 * K));
	assert_int_equal(vm_find(&w->space, 50 * K)->end, 59 * K);
	e = call(MP_VM_MREMAP, 50 * K, 9 * K, K, 0);
	e.flags = MP_VM_DOWNGRADED;
	apply(w, &e);
	assert_int_equal(vm_find(&w->space, 50 * K)->end, 51 * K);
	assert_int_equal(w->ledger.stacks[1].alloc_bytes, 15 * K);
	assert_int_equal(w->ledger.stacks[1].free_bytes, 14 * K);
}

static void the_break__grows_and_shrinks_from_its_end(void **state)
{
	struct world *w = *state;
	struct mp_ev_vm e = call(MP_VM_BRK, 0, 0, 0, 0);

	e.brk = 10 * K + 5;
	apply(w, &e); /* a question */
	e.brk = 14 * K;
	apply(w, &e);
	e.brk = 16 * K - 1;
	apply(w, &e);
	is(w, STACK_A, 5, 2, 0, 0);
	e.brk = 13 * K;
	apply(w, &e);
	is(w, STACK_A, 5, 2, 3, 1);
}

static void shared_segments__come_and_go_whole(void **state)
{
	struct world *w = *state;
	struct mp_ev_vm e = call(MP_VM_SHMAT, 1, 0, 0, 0);

	map(w, 13, 15, STACK_B);
	entered(&e, 10, 13, 0);
	apply(w, &e);
	assert_int_equal(w->ledger.stacks[1].alloc_bytes, 3 * K);
	e = call(MP_VM_SHMDT, 13 * K, 0, 0, 0); /* no segment */
	apply(w, &e);
	e = call(MP_VM_SHMDT, 11 * K, 0, 0, 0); /* not its start */
	apply(w, &e);
	assert_int_equal(w->ledger.stacks[1].free_bytes, 0);
	e = call(MP_VM_SHMDT, 10 * K, 0, 0, 0);
	apply(w, &e);
	assert_int_equal(w->ledger.stacks[1].free_blocks, 1);
	is(w, STACK_B, 2, 1, 0, 0);
}

/* ---- against single pages ---- */

#define PAGES 64
#define BLOCKS 400

struct pages {
	int owner[PAGES]; /* 0: none; 1: not counted; else 2 + call */
	bool is_reserved[PAGES];
	uint64_t stack_of[BLOCKS];
};

static void check_pages(const struct world *w, const struct pages *m, int n_calls)
{
	uint64_t bytes[3] = { 0 }, kept[3] = { 0 }, blocks[3] = { 0 };
	int i, c;

	for (i = 0; i < PAGES; i++) {
		assert_int_equal(vm_find(&w->space, (uint64_t)i * K) != NULL, m->owner[i] != 0);
		if (m->owner[i] > 1)
			*(m->is_reserved[i] ? &kept[m->stack_of[m->owner[i]]] : &bytes[m->stack_of[m->owner[i]]]) += K;
	}
	for (c = 2; c < n_calls; c++)
		for (i = 0; i < PAGES; i++)
			if (m->owner[i] == c) {
				blocks[m->stack_of[c]]++;
				break;
			}
	for (i = 0; i < (int)w->ledger.n; i++) {
		const struct vm_stack *s = &w->ledger.stacks[i];

		assert_int_equal(s->alloc_bytes - s->free_bytes, bytes[s->hash]);
		assert_int_equal(s->alloc_blocks - s->free_blocks, blocks[s->hash]);
		assert_int_equal(s->reserved_bytes, kept[s->hash]);
	}
}

static void random_operations__agree_with_single_pages(void **state)
{
	struct world *w = *state;
	struct pages m = { 0 };
	unsigned int seed = 4711;
	int n, i;

	for (n = 2; n < BLOCKS; n++) {
		int a = rand_r(&seed) % PAGES, b = a + 1 + rand_r(&seed) % (PAGES - a), what = rand_r(&seed) % 4;
		struct vm_new new = { .hash = (uint64_t)(rand_r(&seed) % 3), .is_reserved = rand_r(&seed) % 2 };

		m.stack_of[n] = new.hash;
		for (i = a; i < b; i++) {
			if (what == 3 && !m.owner[i])
				break;
			if (what < 3)
				m.owner[i] = what == 2 ? 0 : new.hash ? n : 1;
			m.is_reserved[i] = new.is_reserved;
		}
		if (what < 2)
			vm_map(&w->space, (uint64_t)a * K, (uint64_t)b * K, &new);
		else if (what == 2)
			vm_unmap(&w->space, (uint64_t)a * K, (uint64_t)b * K);
		else
			vm_protect(&w->space, (uint64_t)a * K, (uint64_t)b * K, new.is_reserved);
		check_pages(w, &m, n + 1);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_mapping__is_one_block_of_its_bytes),
		T(head_middle_and_tail__leave_the_rest_as_one_block),
		T(unmapping_what_is_not_there__is_nothing),
		T(a_mapping_over_others__ends_what_it_covers),
		T(what_is_not_counted__is_there_without_a_figure),
		T(gaps__are_filled_without_touching_what_is_known),
		T(reserved_memory__is_no_bytes_until_it_is_committed),
		T(mprotect__ends_at_the_first_hole),
		T(a_moved_mapping__is_a_block_of_its_mover_with_the_old_birth),
		T(a_child__has_all_of_its_parent_and_counts_nothing_of_it),
		T(an_ended_process__keeps_its_figures),
		T(mmap__is_what_was_not_there_of_a_merged_range),
		T(mmap_that_closes_a_hole__is_the_hole),
		T(mmap_merged_with_an_unknown_neighbour__is_the_lower_part),
		T(mmap_where_an_end_was_missed__ends_the_old_and_says_so),
		T(a_failed_call__changes_nothing),
		T(a_file_and_an_inner_call__are_there_without_a_figure),
		T(a_call_from_before_arming__is_there_without_a_figure),
		T(a_fixed_mapping__lies_where_it_was_asked_for),
		T(munmap__is_done_when_the_lock_says_so_and_in_doubt_else),
		T(mremap__grows_in_place_moves_and_shrinks),
		T(the_break__grows_and_shrinks_from_its_end),
		T(shared_segments__come_and_go_whole),
		T(random_operations__agree_with_single_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
