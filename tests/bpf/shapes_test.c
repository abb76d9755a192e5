/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Call shapes that few allocators have, and probes that find the arguments elsewhere: what the
 * ledger makes of them.
 */
#include "tests/bpf/ledger_world.h"

static void xallocx__changes_the_block_where_it_is(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	enter(ROW_XALLOCX, 21, 0x5000, 300, 0);
	leave(21, 320);
	assert_true(block_at(0x5000, &b));
	assert_int_equal(b.size_bytes, 300);
	assert_live(300, 1);
	enter(ROW_XALLOCX, 21, 0x5000, 200, 1000); /* up to 1200, and got 512 */
	leave(21, 512);
	assert_live(512, 1);
	enter(ROW_XALLOCX, 21, 0x5000, 200, 1000);
	leave(21, 1280);
	assert_live(1200, 1);
	do_free(22, 0x5000);
	assert_live(0, 0);
}

static void an_xallocx_that_gets_less_than_it_asked_for__changes_nothing(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	enter(ROW_XALLOCX, 21, 0x5000, 300, 50);
	leave(21, 112);
	assert_true(block_at(0x5000, &b));
	assert_int_equal(b.size_bytes, 100);
	assert_live(100, 1);
	assert_int_equal(totals().failed_calls, 1);
}

static void reallocf__ends_the_old_block_when_it_fails(void **state)
{
	struct mp_block b;

	(void)state;
	do_malloc(20, 100, 0x5000);
	enter(ROW_REALLOCF, 21, 0x5000, 300, 0);
	leave(21, 0x6000);
	assert_live(300, 1);
	enter(ROW_REALLOCF, 21, 0x6000, 1ULL << 50, 0);
	do_free(18, 0x6000); /* its own, an inner call */
	leave(21, 0);
	assert_false(block_at(0x6000, &b));
	assert_live(0, 0);
	assert_int_equal(totals().old_free_blocks, 0);
}

static void a_heap_that_ends_as_a_whole__is_a_loss(void **state)
{
	(void)state;
	do_malloc(20, 100, 0x5000);
	enter_free(ROW_HEAP_DESTROY, 21, 0x9000, 0);
	assert_int_equal(losses(MP_LOSS_HEAP_ENDED), 1);
	assert_live(100, 1);
	assert_int_equal(totals().old_free_blocks, 0);
	enter_free(ROW_HEAP_DESTROY, 21, 0, 0);
	assert_int_equal(losses(MP_LOSS_HEAP_ENDED), 1);
}

#define MOVED(row, moved) ((uint64_t)(row) | (uint64_t)(moved) << 32)

static void arguments_in_other_registers__are_read_there(void **state)
{
	(void)state;
	enter(MOVED(ROW_MALLOC, MP_MOVED(0, 1)), 20, 7, 100, 9);
	leave(20, 0x5000);
	assert_live(100, 1);
	enter(MOVED(ROW_CALLOC, MP_MOVED(0, 1) | MP_MOVED(1, 2)), 20, 7, 10, 3);
	leave(20, 0x6000);
	assert_live(130, 2);
	enter(MOVED(ROW_REALLOC, MP_MOVED(0, 1) | MP_MOVED(1, 0)), 20, 500, 0x5000, 9);
	leave(20, 0x7000);
	assert_live(530, 2);
	enter_free(MOVED(ROW_FREE, MP_MOVED(0, 1)), 20, 0x6000, 0x7000);
	assert_live(30, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, reset)
	const struct CMUnitTest tests[] = {
		T(xallocx__changes_the_block_where_it_is),
		T(an_xallocx_that_gets_less_than_it_asked_for__changes_nothing),
		T(reallocf__ends_the_old_block_when_it_fails),
		T(a_heap_that_ends_as_a_whole__is_a_loss),
		T(arguments_in_other_registers__are_read_there),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
