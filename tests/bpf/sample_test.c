/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Sampling: over many repetitions of a known set of allocations the estimates have the right mean, and the printed
 * deviation is what it says. The draws are the kernel's random numbers and cannot be seeded: a right mean lies more
 * than three standard errors off once in 370 runs, so a round that fails is repeated with new numbers, and
 * a wrong one fails both.
 */
#include "tests/bpf/ledger_world.h"

#include <math.h>

#include "model/profile.h"

#define INTERVAL 8192
#define REPETITIONS 300

/* What is allocated in each repetition. 480 KiB of it is in blocks below the interval: some 60 are drawn. */
static const struct {
	uint64_t size;
	unsigned int n;
} known[] = {
	{ 1, 30 }, { 16, 30 }, { 100, 30 }, { 128, 30 }, { 1000, 20 }, { 1024, 20 }, { 4000, 20 }, { 4097, 20 },
	{ 5000, 20 }, { 8191, 20 }, { 8192, 3 }, { 8193, 3 }, { 65536, 2 }, { 204800, 1 },
};

#define N_KNOWN (sizeof(known) / sizeof(known[0]))

static uint64_t next_addr;

static int reset_sampling(void **state)
{
	int err = reset(state);

	skel->bss->sample_bytes = INTERVAL;
	skel->data->count_old_frees = false;
	memset(skel->bss->nesting_sites, 0, sizeof(skel->bss->nesting_sites));
	next_addr = 0x100000;
	return err;
}

/* A call to its end, waited for or not. */
static uint64_t call(uint64_t row, int slot, uint64_t a0, uint64_t a1)
{
	uint64_t addr = next_addr += 0x100000;

	if (enter(row, slot, a0, a1, 0))
		leave(slot, addr);
	return addr;
}

/* ---- means ---- */

/*
 * The truth of a repetition: its sums, and the variance that drawing gives them. A block of S bytes is drawn S times in
 * R and then stands for R/S, rounded up with the fraction's probability f: the variance of its count is
 * R/S - 1 + S/R f (1 - f). (The variance of the repetitions themselves is no yardstick: where a byte is
 * drawn once or not at all it is small exactly when the mean is low.)
 */
struct truth {
	double bytes, blocks, bytes_var, blocks_var;
};

static void truth_add(struct truth *t, double size, double n)
{
	double stands_for = INTERVAL / size, f = stands_for - floor(stands_for);
	double var = size < INTERVAL ? stands_for - 1 + f * (1 - f) / stands_for : 0;

	t->bytes += n * size;
	t->blocks += n;
	t->bytes_var += n * size * size * var;
	t->blocks_var += n * var;
}

/* How many standard errors the mean of the repetitions is off the truth. */
static double off_by(double sum, double truth, double variance)
{
	return fabs(sum / REPETITIONS - truth) / sqrt(variance / REPETITIONS);
}

/* One repetition: its estimates are what it adds to the live ones. */
typedef void (*repetition_fn)(void);

static bool is_unbiased(repetition_fn once, const struct truth *t)
{
	struct sums before = all_stacks(), now;
	double bytes, blocks, bytes_off, blocks_off;
	int i;

	for (i = 0; i < REPETITIONS; i++)
		once();
	now = all_stacks();
	bytes = (double)(int64_t)(now.live_bytes - before.live_bytes);
	blocks = (double)(int64_t)(now.live_blocks - before.live_blocks);
	bytes_off = off_by(bytes, t->bytes, t->bytes_var);
	blocks_off = off_by(blocks, t->blocks, t->blocks_var);
	if (bytes_off <= 3 && blocks_off <= 3)
		return true;
	print_message("bytes %.0f, truth %.0f, %.1f standard errors; blocks %.2f, truth %.0f, %.1f\n",
		      bytes / REPETITIONS, t->bytes, bytes_off, blocks / REPETITIONS, t->blocks, blocks_off);
	return false;
}

static void assert_unbiased(repetition_fn once, const struct truth *t)
{
	if (!is_unbiased(once, t))
		assert_true(is_unbiased(once, t));
}

static void assert_unbiased_blocks(repetition_fn once, double size, double n)
{
	struct truth t = { 0 };

	truth_add(&t, size, n);
	assert_unbiased(once, &t);
}

static void drop_blocks(void)
{
	clear_map(skel->maps.blocks); /* the sums stay; the table is small */
}

static void allocate_known(void)
{
	unsigned int i, j;

	for (i = 0; i < N_KNOWN; i++)
		for (j = 0; j < known[i].n; j++)
			call(ROW_MALLOC, 20, known[i].size, 0);
	drop_blocks();
}

static struct truth truth_of_known(void)
{
	struct truth t = { 0 };
	unsigned int i;

	for (i = 0; i < N_KNOWN; i++)
		truth_add(&t, (double)known[i].size, known[i].n);
	return t;
}

static void estimates_of_a_known_set__have_the_right_mean(void **state)
{
	struct truth t = truth_of_known();

	(void)state;
	assert_unbiased(allocate_known, &t);
}

static uint64_t one_size;

static void allocate_one_size(void)
{
	int i;

	for (i = 0; i < 40; i++)
		call(ROW_MALLOC, 20, one_size, 0);
	drop_blocks();
}

static void estimates_of_each_size__have_the_right_mean(void **state)
{
	static const uint64_t sizes[] = { 100, 1000, 3000, 5000, 8100, 8191 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		one_size = sizes[i];
		assert_unbiased_blocks(allocate_one_size, (double)one_size, 40);
	}
}

/* One in 8192 is drawn. */
static void blocks_of_a_byte_and_of_none__are_drawn_as_one_byte(void **state)
{
	struct sums s;
	int i;

	(void)state;
	for (i = 0; i < 400000; i++)
		call(ROW_MALLOC, 20, (uint64_t)i % 2, 0);
	s = all_stacks();
	assert_int_equal(s.live_blocks % INTERVAL, 0);
	assert_int_equal(s.live_bytes % INTERVAL, 0);
	/* 48.8 +/- 7 draws: out of 20..80 once in 40 000 runs */
	assert_in_range(s.live_blocks / INTERVAL, 20, 80);
}

static void blocks_of_the_interval_and_above__are_exact(void **state)
{
	(void)state;
	call(ROW_MALLOC, 20, INTERVAL, 0);
	call(ROW_MALLOC, 20, INTERVAL + 1, 0);
	call(ROW_CALLOC, 20, 1000, 1000);
	call(ROW_MALLOC, 20, 1ULL << 32, 0);
	assert_live(INTERVAL + INTERVAL + 1 + 1000000 + (1ULL << 32), 4);
	assert_int_equal(all_stacks().live_var, 0);
}

/* ---- the deviation ---- */

/* How many of n repetitions have the truth within the printed deviation. */
static unsigned int covered(unsigned int n, double bytes)
{
	struct sums before = all_stacks(), now;
	struct profile_totals t = { 0 };
	unsigned int i, inside = 0;
	double off;

	for (i = 0; i < n; i++) {
		allocate_known();
		now = all_stacks();
		t.alloc_var = now.alloc_var - before.alloc_var;
		off = (double)(now.live_bytes - before.live_bytes) - bytes;
		inside += fabs(off) <= totals_deviation(&t, METRIC_LIVE_BYTES);
		before = now;
	}
	return inside;
}

static void the_printed_deviation__covers_the_truth_in_68_of_100_runs(void **state)
{
	unsigned int n;

	(void)state;
	n = covered(REPETITIONS, truth_of_known().bytes);
	print_message("%u of %u\n", n, REPETITIONS);
	/* 0.6827 of 300 is 204.8 +/- 8.06; four of these: once in 16 000 runs */
	assert_in_range(n, 173, 237);
}

static void frees__take_their_part_of_the_variance_with_them(void **state)
{
	uint64_t addr[500];
	unsigned int i;

	(void)state;
	for (i = 0; i < 500; i++)
		addr[i] = call(ROW_MALLOC, 20, 2000, 0);
	assert_true(all_stacks().live_var > 0);
	for (i = 0; i < 500; i++)
		do_free(20, addr[i]);
	assert_live(0, 0);
	assert_int_equal(all_stacks().live_var, 0);
	assert_true(all_stacks().alloc_var > 0);
}

/* 4 GiB times a burst's weight: the square would not fit. */
static void a_huge_block_with_a_weight__has_a_variance(void **state)
{
	struct sums s;

	(void)state;
	skel->data->burst_weight = 1000 * MP_WEIGHT_ONE;
	call(ROW_MALLOC, 20, 1ULL << 33, 0);
	s = all_stacks();
	assert_int_equal(s.live_blocks, 1000);
	assert_true(s.live_var > 1ULL << 55);
	call(ROW_MALLOC, 20, 1ULL << 33, 0);
	assert_true(all_stacks().live_var > s.live_var);
}

/* 600 halves are rounded up with a deviation of 12; the table has room for 1024 blocks. */
static void a_weight_of_one_and_a_half__is_that_on_average_and_goes_when_all_are_freed(void **state)
{
	uint64_t addr[600];
	struct sums s;
	int i;

	(void)state;
	skel->bss->sample_bytes = 0;
	skel->data->burst_weight = 3 * MP_WEIGHT_ONE / 2;
	for (i = 0; i < 600; i++)
		addr[i] = call(ROW_MALLOC, 20, 100, 0);
	s = all_stacks();
	assert_in_range(s.live_blocks, 800, 1000);
	assert_int_equal(s.live_bytes, 100 * s.live_blocks);
	skel->data->burst_weight = MP_WEIGHT_ONE;
	for (i = 0; i < 600; i++)
		do_free(20, addr[i]);
	assert_live(0, 0);
}

/* ---- calls in calls ---- */

/* malloc of one object, a wrapper, that calls malloc of another: deeper in the stack, before it returns. */
static void wrapped(void)
{
	int i, wanted, inner;

	for (i = 0; i < 40; i++) {
		next_addr += 0x100000;
		wanted = enter(ROW_NEW, 20, 3000, 0, 0);
		inner = enter(ROW_MALLOC, 10, 3000, 0, 0);
		if (inner)
			leave(10, next_addr);
		if (wanted)
			leave(20, next_addr);
	}
	drop_blocks();
}

static void calloc_over_malloc(void)
{
	int i, inner;

	for (i = 0; i < 40; i++) {
		next_addr += 0x100000;
		assert_int_equal(enter(ROW_CALLOC, 20, 30, 100, 0), 1); /* drawn or not */
		inner = enter(ROW_MALLOC, 10, 3000, 0, 0);
		assert_int_equal(inner, 0);
		leave(20, next_addr);
	}
	drop_blocks();
}

/* operator new[] that jumps to operator new: the same place, another function. */
static void tail_jumps(void)
{
	int i, wanted;

	for (i = 0; i < 40; i++) {
		next_addr += 0x100000;
		wanted = enter(ROW_NEW, 20, 3000, 0, 0);
		wanted += enter(ROW_MALLOC, 20, 3000, 0, 0);
		assert_in_range(wanted, 0, 1);
		if (wanted)
			leave(20, next_addr);
	}
	drop_blocks();
}

/* The first that is drawn tells that there are inner calls: until then each is drawn twice. */
static void inner_calls__are_not_drawn_again(void **state)
{
	(void)state;
	assert_unbiased_blocks(calloc_over_malloc, 3000, 40);
	wrapped();
	assert_unbiased_blocks(wrapped, 3000, 40);
}

static void tail_jumps__are_not_drawn_again(void **state)
{
	(void)state;
	tail_jumps();
	assert_unbiased_blocks(tail_jumps, 3000, 40);
}

/* xalloc(n, zero) { return zero ? calloc(1, n) : malloc(n); }: one call site, two functions in turn. */
static void two_functions_in_turn_from_one_place(void)
{
	int i;

	for (i = 0; i < 40; i++)
		call(i % 2 ? ROW_CALLOC : ROW_MALLOC, 20, 3000, 1);
	drop_blocks();
}

static void functions_in_turn_from_one_place__are_two_calls(void **state)
{
	(void)state;
	assert_unbiased_blocks(two_functions_in_turn_from_one_place, 3000, 40);
}

/* ---- realloc and free ---- */

static void realloc_chain(void)
{
	uint64_t addr = call(ROW_MALLOC, 20, 100, 0), size;
	int i;

	for (i = 0; i < 8; i++) {
		addr = call(ROW_MALLOC, 20, 100, 0);
		for (size = 400; size <= 6400; size *= 2)
			addr = call(ROW_REALLOC, 21, addr, size);
		if (i % 2)
			do_free(22, addr);
	}
	drop_blocks();
}

static void realloc_chains__stay_unbiased(void **state)
{
	struct truth t = { 0 };

	(void)state;
	truth_add(&t, 6400, 4); /* live, and the first of 100 */
	truth_add(&t, 100, 1);
	assert_unbiased(realloc_chain, &t);
}

static void failed_reallocs(void)
{
	int i;

	for (i = 0; i < 20; i++) {
		uint64_t addr = call(ROW_MALLOC, 20, 2000, 0);

		enter(ROW_REALLOC, 21, addr, 3000, 0);
		leave(21, 0);
	}
	drop_blocks();
}

static void failed_reallocs__stay_unbiased(void **state)
{
	(void)state;
	assert_unbiased_blocks(failed_reallocs, 2000, 20);
}

static void frees_of_blocks_that_were_not_drawn__change_nothing(void **state)
{
	struct mp_proc_totals t;
	struct sums before;
	int i;

	(void)state;
	call(ROW_MALLOC, 20, 100000, 0);
	before = all_stacks();
	for (i = 0; i < 100; i++) {
		do_free(20, 0x9000000000ULL + (uint64_t)i * 64);
		if (enter(ROW_REALLOC, 20, 0x9100000000ULL + (uint64_t)i * 64, 0, 0))
			leave(20, 0);
	}
	assert_live(before.live_bytes, before.live_blocks);
	t = totals();
	assert_int_equal(t.old_free_blocks, 0); /* not known to be from before the attach */
	assert_int_equal(t.old_free_bytes, 0);
}

static void churn(void)
{
	int i;

	for (i = 0; i < 100; i++)
		do_free(20, call(ROW_MALLOC, 20, 3000, 0));
}

static void blocks_that_are_freed__leave_nothing(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		churn();
	assert_live(0, 0);
	assert_true(all_stacks().alloc_blocks > 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, reset_sampling)
	const struct CMUnitTest tests[] = {
		T(estimates_of_a_known_set__have_the_right_mean),
		T(estimates_of_each_size__have_the_right_mean),
		T(blocks_of_a_byte_and_of_none__are_drawn_as_one_byte),
		T(blocks_of_the_interval_and_above__are_exact),
		T(the_printed_deviation__covers_the_truth_in_68_of_100_runs),
		T(frees__take_their_part_of_the_variance_with_them),
		T(a_huge_block_with_a_weight__has_a_variance),
		T(a_weight_of_one_and_a_half__is_that_on_average_and_goes_when_all_are_freed),
		T(inner_calls__are_not_drawn_again),
		T(tail_jumps__are_not_drawn_again),
		T(functions_in_turn_from_one_place__are_two_calls),
		T(realloc_chains__stay_unbiased),
		T(failed_reallocs__stay_unbiased),
		T(frees_of_blocks_that_were_not_drawn__change_nothing),
		T(blocks_that_are_freed__leave_nothing),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
