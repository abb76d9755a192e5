/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ledger rules, each broken rule a failed test: the heap programs' functions, run by BPF_PROG_RUN.
 * Calls that few allocators have are in shapes_test.c.
 */
#include "tests/bpf/ledger_world.h"

static void malloc_and_free__leave_nothing_live(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	assert_live(100, 1);
	assert_true(block_at(0x5000, &b));
	assert_int_equal(b.size_bytes, 100);
	do_free(20, 0x5000);
	assert_live(0, 0);
	assert_int_equal(all_stacks().alloc_bytes, 100);
	assert_false(block_at(0x5000, &b));
}

static void blocks_of_no_bytes_and_of_realloc_null__are_blocks(void **state)
{
	(void)state;
	do_malloc(20, 0, 0x5000);
	assert_live(0, 1);
	enter(ROW_REALLOC, 20, 0, 64, 0);
	leave(20, 0x6000);
	assert_live(64, 2);
	assert_int_equal(totals().old_free_blocks, 0);
}

static void calloc__counts_the_product(void **state)
{
	(void)state;
	assert_int_equal(enter(ROW_CALLOC, 20, 10, 12, 0), 1);
	leave(20, 0x5000);
	assert_live(120, 1);
}

static void a_failed_malloc__changes_nothing(void **state)
{
	(void)state;
	enter(ROW_MALLOC, 20, 100, 0, 0);
	leave(20, 0);
	assert_live(0, 0);
	assert_int_equal(all_stacks().alloc_blocks, 0);
	assert_int_equal(totals().failed_calls, 1);
}

static void posix_memalign__reads_its_result_from_memory(void **state)
{
	uint64_t result = 0x7000;

	(void)state;
	enter(ROW_MEMALIGN, 20, (uintptr_t)&result, 64, 500);
	leave(20, 0);
	assert_live(500, 1);
	do_free(20, 0x7000);
	assert_live(0, 0);
}

static void a_failed_posix_memalign__changes_nothing(void **state)
{
	uint64_t result = 0x7000;

	(void)state;
	enter(ROW_MEMALIGN, 20, (uintptr_t)&result, 3, 12345);
	leave(20, 22 /* EINVAL */);
	assert_live(0, 0);
}

static void an_unreadable_result__is_a_loss(void **state)
{
	(void)state;
	enter(ROW_MEMALIGN, 20, 8, 64, 500);
	leave(20, 0);
	assert_live(0, 0);
	assert_int_equal(losses(MP_LOSS_RESULT_READ), 1);
	assert_int_equal(totals().lost_bytes, 500);
}

static void realloc__ends_the_old_block_and_keeps_its_birth(void **state)
{
	struct mp_block before, after;

	(void)state;
	do_malloc(20, 100, 0x5000);
	assert_true(block_at(0x5000, &before));
	usleep(20000);
	enter(ROW_REALLOC, 21, 0x5000, 300, 0);
	leave(21, 0x6000);
	assert_live(300, 1);
	assert_false(block_at(0x5000, &after));
	assert_true(block_at(0x6000, &after));
	assert_int_equal(after.birth_ms, before.birth_ms);
	assert_int_not_equal(after.stack, before.stack);
}

static void a_realloc_in_flight__has_taken_the_old_block_out(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	enter(ROW_REALLOC, 21, 0x5000, 300, 0);
	assert_false(block_at(0x5000, &b)); /* another thread may be given 0x5000 now */
	leave(21, 0x6000);
}

static void a_failed_realloc__keeps_the_old_block(void **state)
{
	struct mp_block before, after;

	(void)state;
	do_malloc(20, 7777, 0x5000);
	assert_true(block_at(0x5000, &before));
	enter(ROW_REALLOC, 21, 0x5000, 1ULL << 46, 0);
	leave(21, 0);
	assert_live(7777, 1);
	assert_true(block_at(0x5000, &after));
	assert_memory_equal(&before, &after, sizeof(before));
}

static void a_realloc_that_the_gate_was_shut_in__has_ended_the_old_block(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	enter(ROW_REALLOC, 21, 0x5000, 300, 0);
	fake_stack[21] = 0x400000 + 21; /* its return was not seen */
	skel->bss->gate_epoch++;
	do_malloc(20, 7, 0x7000);
	assert_false(block_at(0x5000, &b));
	assert_live(7, 1);
	assert_int_equal(losses(MP_LOSS_LOST_RETURN), 0);
}

static void realloc_to_zero_that_returns_null__is_a_free(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	enter(ROW_REALLOC, 21, 0x5000, 0, 0);
	leave(21, 0);
	assert_live(0, 0);
	assert_false(block_at(0x5000, &b));
	assert_int_equal(totals().failed_calls, 0);
}

static void realloc_of_an_older_block__has_no_known_age(void **state)
{
	struct mp_block b;

	(void)state;
	enter(ROW_REALLOC, 20, 0x9000, 64, 0);
	leave(20, 0xa000);
	assert_live(64, 1);
	assert_int_equal(totals().old_free_blocks, 1);
	assert_true(block_at(0xa000, &b));
	assert_int_equal(b.flags, MP_BLOCK_AGE_UNKNOWN);
}

static void free_of_an_older_block__is_counted_apart(void **state)
{
	(void)state;
	do_free(20, 0x9000);
	assert_live(0, 0);
	assert_int_equal(totals().old_free_blocks, 1);
	assert_int_equal(totals().old_free_unsized, 1);
}

static void a_double_free__subtracts_once(void **state)
{
	(void)state;
	do_malloc(20, 100, 0x5000);
	do_malloc(20, 50, 0x6000);
	do_free(20, 0x5000);
	do_free(21, 0x5000);
	assert_live(50, 1);
}

static void free_of_null__is_nothing(void **state)
{
	(void)state;
	do_free(20, 0);
	assert_int_equal(totals().old_free_blocks, 0);
}

static void an_inner_call__is_not_counted(void **state)
{
	(void)state;
	assert_int_equal(enter(ROW_MALLOC, 20, 100, 0, 0), 1);
	assert_int_equal(enter(ROW_MALLOC, 10, 4096, 0, 0), 0);
	do_free(10, 0x9000);
	leave(20, 0x5000);
	assert_live(100, 1);
	assert_int_equal(totals().old_free_blocks, 0);
	assert_int_equal(losses(MP_LOSS_LOST_RETURN), 0);
}

static void a_tail_jump__is_the_same_call(void **state)
{
	(void)state;
	assert_int_equal(enter(ROW_REALLOCARRAY, 20, 0, 10, 8), 1);
	assert_int_equal(enter(ROW_REALLOC, 20, 0, 80, 0), 0);
	leave(20, 0x5000);
	leave(20, 0x5000); /* two return probes of a tail-jump chain come back together */
	assert_live(80, 1);
}

static void a_call_left_by_longjmp__does_not_count_the_next(void **state)
{
	(void)state;
	enter(ROW_MALLOC, 20, 100, 0, 0);
	fake_stack[20] = 0x400000 + 20; /* the frame is gone, its slot used again */
	assert_int_equal(enter(ROW_MALLOC, 20, 30, 0, 0), 1);
	leave(20, 0x5000);
	assert_live(30, 1);
	assert_int_equal(losses(MP_LOSS_LOST_RETURN), 1);
}

static void a_call_above_a_finished_one__counts(void **state)
{
	(void)state;
	enter(ROW_MALLOC, 20, 100, 0, 0);
	fake_stack[20] = 0x1234; /* left by longjmp, the slot used by something else */
	assert_int_equal(enter(ROW_MALLOC, 40, 30, 0, 0), 1);
	leave(40, 0x5000);
	assert_live(30, 1);
	assert_int_equal(losses(MP_LOSS_LOST_RETURN), 1);
}

static void a_call_below_a_finished_one__counts(void **state)
{
	(void)state;
	enter(ROW_MALLOC, 40, 100, 0, 0);
	fake_stack[40] = 0x1234;
	assert_int_equal(enter(ROW_MALLOC, 20, 30, 0, 0), 1);
	leave(20, 0x5000);
	assert_live(30, 1);
	assert_int_equal(losses(MP_LOSS_LOST_RETURN), 1);
}

/* The kernel would drop the pending return as dead, and the target would die returning. */
static void a_call_above_a_pending_one__takes_no_return_and_is_a_loss(void **state)
{
	(void)state;
	enter(ROW_MALLOC, 20, 100, 0, 0);
	assert_int_equal(enter(ROW_MALLOC, 40, 30, 0, 0), 0);
	assert_int_equal(losses(MP_LOSS_NESTED_UNSURE), 1);
	leave(20, 0x5000);
	assert_live(100, 1);
}

static void an_overflowing_product__is_no_realloc_to_zero(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	enter(ROW_REALLOCARRAY, 21, 0x5000, 1ULL << 63, 2);
	leave(21, 0);
	assert_true(block_at(0x5000, &b));
	assert_live(100, 1);
}

static void an_abandoned_realloc__puts_the_old_block_back(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	enter(ROW_REALLOC, 21, 0x5000, 300, 0);
	fake_stack[21] = 0x1234;
	do_malloc(40, 10, 0x6000);
	assert_true(block_at(0x5000, &b));
	assert_live(110, 2);
}

static void a_return_of_another_frame__is_ignored(void **state)
{
	(void)state;
	enter(ROW_MALLOC, 20, 100, 0, 0);
	leave(30, 0x5000);
	assert_live(0, 0);
	leave(20, 0x6000);
	assert_live(100, 1);
}

static void an_address_given_twice__is_a_missed_free(void **state)
{
	(void)state;
	do_malloc(20, 100, 0x5000);
	do_malloc(21, 70, 0x5000);
	assert_live(70, 1);
	assert_int_equal(losses(MP_LOSS_MISSED_FREE), 1);
}

static void an_address_given_twice_in_bursts__is_a_block_that_was_met_again(void **state)
{
	(void)state;
	skel->bss->gate_epoch = 1;
	skel->data->burst_weight = 7 * MP_WEIGHT_ONE;
	do_malloc(20, 100, 0x5000);
	do_malloc(21, 70, 0x5000);
	assert_live(7 * 70, 7);
	assert_int_equal(losses(MP_LOSS_MISSED_FREE), 0);
	assert_int_equal(all_stacks().met_blocks, 7);
	/* one that is seen to end is not met */
	do_free(20, 0x5000);
	assert_int_equal(all_stacks().met_blocks, 7);
}

static void wrappers_that_tail_jump_to_free__count_once(void **state)
{
	(void)state;
	do_free(20, 0x9000);
	do_free(20, 0x9000);
	assert_int_equal(totals().old_free_blocks, 1);
}

static void the_same_address_freed_again_after_reuse__counts(void **state)
{
	(void)state;
	do_malloc(19, 100, 0x5000);
	do_free(20, 0x5000);
	do_malloc(19, 100, 0x5000);
	do_free(20, 0x5000);
	assert_live(0, 0);
	assert_int_equal(totals().old_free_blocks, 0);
}

static void an_address_that_another_thread_reused__counts(void **state)
{
	struct mp_block_key key = { .addr = 0x5000, .gen = GEN };
	struct mp_block b;

	(void)state;
	do_malloc(19, 100, 0x5000);
	assert_true(block_at(0x5000, &b));
	do_free(20, 0x5000);
	/* this thread only frees: the block comes back without a malloc of its own */
	bpf_map_update_elem(bpf_map__fd(skel->maps.blocks), &key, &b, BPF_ANY);
	do_free(20, 0x5000);
	assert_false(block_at(0x5000, &b));
}

static void a_full_table__loses_blocks_but_no_sums(void **state)
{
	uint64_t i;

	(void)state;
	for (i = 0; i < MAX_BLOCKS + 100; i++)
		do_malloc(20, 16, 0x100000 + i * 32);
	assert_live(16 * (MAX_BLOCKS + 100 - losses(MP_LOSS_BLOCKS_FULL)),
		    MAX_BLOCKS + 100 - losses(MP_LOSS_BLOCKS_FULL));
	assert_in_range(losses(MP_LOSS_BLOCKS_FULL), 100, 100 + 64); /* per-CPU slack of the counter */
	assert_int_equal(totals().lost_blocks, losses(MP_LOSS_BLOCKS_FULL));
	assert_int_equal(all_stacks().alloc_blocks, MAX_BLOCKS + 100);
	for (i = 0; i < MAX_BLOCKS + 100; i++)
		do_free(20, 0x100000 + i * 32);
	assert_live(0, 0);
}

static void disarmed__nothing_is_counted(void **state)
{
	(void)state;
	skel->bss->armed = 0;
	assert_int_equal(enter(ROW_MALLOC, 20, 100, 0, 0), 0);
	do_free(20, 0x9000);
	assert_int_equal(all_stacks().alloc_blocks, 0);
	assert_int_equal(totals().old_free_blocks, 0);
}

static void a_bystander__is_not_counted(void **state)
{
	uint32_t tgid = (uint32_t)getpid();

	(void)state;
	bpf_map_delete_elem(bpf_map__fd(skel->maps.procs), &tgid);
	skel->data->target_epoch++;
	assert_int_equal(enter(ROW_MALLOC, 20, 100, 0, 0), 0);
	assert_int_equal(all_stacks().alloc_blocks, 0);
}

static void one_address_in_two_generations__is_two_blocks(void **state)
{
	struct mp_proc p = { .gen = GEN + 1 };
	uint32_t tgid = (uint32_t)getpid();

	(void)state;
	do_malloc(20, 100, 0x5000);
	bpf_map_update_elem(bpf_map__fd(skel->maps.procs), &tgid, &p, BPF_ANY);
	skel->data->target_epoch++;
	do_malloc(20, 30, 0x5000);
	assert_live(130, 2);
	assert_int_equal(losses(MP_LOSS_MISSED_FREE), 0);
}

/* ---- the event buffer ---- */

struct sent {
	uint64_t hash;
	unsigned int of_hash, all;
};

static int take_event(void *ctx, void *data, size_t len)
{
	const struct mp_ev_stack *e = data;
	struct sent *sent = ctx;

	if (len < offsetof(struct mp_ev_stack, ips) || e->kind != MP_EV_STACK)
		return 0;
	sent->all++;
	sent->of_hash += e->hash == sent->hash;
	return 0;
}

static void a_stack_that_found_the_buffer_full__is_sent_with_its_next_block(void **state)
{
	struct sent sent = { 0 };
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(skel->maps.events), take_event, &sent, NULL);
	struct mp_block b;
	int slot;

	(void)state;
	assert_non_null(ring);
	ring_buffer__consume(ring);
	for (slot = 0; slot < 64 && !losses(MP_LOSS_STACK_UNSENT); slot++)
		do_malloc(slot, 100, 0x5000 + (uint64_t)slot * 0x100);
	assert_int_equal(losses(MP_LOSS_STACK_UNSENT), 1);
	slot--;
	assert_true(block_at(0x5000 + (uint64_t)slot * 0x100, &b));
	do_malloc(slot, 100, 0x15000);
	assert_int_equal(losses(MP_LOSS_STACK_UNSENT), 1); /* one stack, however often it is tried */

	sent = (struct sent){ .hash = b.stack };
	ring_buffer__consume(ring);
	assert_in_range(sent.all, 1, 63);
	assert_int_equal(sent.of_hash, 0);
	do_malloc(slot, 100, 0x16000);
	do_malloc(slot, 100, 0x17000);
	ring_buffer__consume(ring);
	assert_int_equal(sent.of_hash, 1);
	ring_buffer__free(ring);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, reset)
	const struct CMUnitTest tests[] = {
		T(malloc_and_free__leave_nothing_live),
		T(blocks_of_no_bytes_and_of_realloc_null__are_blocks),
		T(calloc__counts_the_product),
		T(a_failed_malloc__changes_nothing),
		T(posix_memalign__reads_its_result_from_memory),
		T(a_failed_posix_memalign__changes_nothing),
		T(an_unreadable_result__is_a_loss),
		T(realloc__ends_the_old_block_and_keeps_its_birth),
		T(a_realloc_in_flight__has_taken_the_old_block_out),
		T(a_failed_realloc__keeps_the_old_block),
		T(a_realloc_that_the_gate_was_shut_in__has_ended_the_old_block),
		T(realloc_to_zero_that_returns_null__is_a_free),
		T(realloc_of_an_older_block__has_no_known_age),
		T(free_of_an_older_block__is_counted_apart),
		T(a_double_free__subtracts_once),
		T(free_of_null__is_nothing),
		T(an_inner_call__is_not_counted),
		T(a_tail_jump__is_the_same_call),
		T(a_call_left_by_longjmp__does_not_count_the_next),
		T(a_call_above_a_finished_one__counts),
		T(a_call_below_a_finished_one__counts),
		T(a_call_above_a_pending_one__takes_no_return_and_is_a_loss),
		T(an_overflowing_product__is_no_realloc_to_zero),
		T(an_abandoned_realloc__puts_the_old_block_back),
		T(a_return_of_another_frame__is_ignored),
		T(an_address_given_twice__is_a_missed_free),
		T(an_address_given_twice_in_bursts__is_a_block_that_was_met_again),
		T(wrappers_that_tail_jump_to_free__count_once),
		T(the_same_address_freed_again_after_reuse__counts),
		T(an_address_that_another_thread_reused__counts),
		T(a_full_table__loses_blocks_but_no_sums),
		T(disarmed__nothing_is_counted),
		T(a_bystander__is_not_counted),
		T(one_address_in_two_generations__is_two_blocks),
		T(a_stack_that_found_the_buffer_full__is_sent_with_its_next_block),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
