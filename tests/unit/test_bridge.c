/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The bridge's sums, and what they are made of: smaps and stacks (text in the kernel's format). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/bridge.h"
#include "proc/smaps.h"

#define KIB 1024ull
#define MIB (1024 * KIB)

static const char smaps_text[] =
	"555500000000-555500021000 rw-p 00000000 00:00 0                          [heap]\n"
	"Size:                132 kB\nRss:                  40 kB\nSwap:                  8 kB\n"
	"VmFlags: rd wr mr mw me ac sd\n"
	"7f0000000000-7f0000100000 r-xp 00001000 08:01 4711                       /usr/bin/a b-c: d\n"
	"Rss:                 500 kB\nAnonHugePages:         0 kB\nSwap:                  0 kB\n"
	"7f1000000000-7f1000001000 ---p 00000000 00:00 0 \n"
	"Rss:                   0 kB\n"
	"7f1000001000-7f1000800000 rw-p 00000000 00:00 0 \n"
	"Rss:                  16 kB\nSwap:                  0 kB\n";

static void a_mapping_that_grows_while_it_is_listed__counts_once(void **state)
{
	static const char text[] = "7fa3b0000000-7fa3b165a000 rw-p 00000000 00:00 0\nRss: 22864 kB\n"
				   "7fa3b0000000-7fa3b165f000 rw-p 00000000 00:00 0\nRss: 22884 kB\n"
				   "7fa3b165f000-7fa3b4000000 ---p 00000000 00:00 0\nRss: 0 kB\n";
	struct proc_smaps s = { 0 };

	(void)state;
	proc_smaps_parse(&s, text, strlen(text));
	assert_int_equal(s.maps.n, 2);
	assert_int_equal(s.maps.v[0].end, 0x7fa3b165f000);
	assert_int_equal(s.rss_bytes[0], 22884 << 10);
	assert_int_equal(s.rss_sum_bytes, 22884 << 10);
	proc_smaps_release(&s);
}

static void smaps_are_read_per_mapping_and_summed(void **state)
{
	struct proc_smaps s = { 0 };

	(void)state;
	proc_smaps_parse(&s, smaps_text, strlen(smaps_text));
	assert_int_equal(s.maps.n, 4);
	assert_int_equal(s.rss_bytes[0], 40 * KIB);
	assert_int_equal(s.swap_bytes[0], 8 * KIB);
	assert_string_equal(s.maps.v[1].path, "/usr/bin/a b-c: d");
	assert_int_equal(s.rss_bytes[1], 500 * KIB);
	assert_int_equal(s.rss_bytes[2], 0);
	assert_int_equal(s.rss_bytes[3], 16 * KIB);
	assert_int_equal(s.rss_sum_bytes, 556 * KIB);
	proc_smaps_parse(&s, "Rss: 4 kB\nnonsense", 18);
	assert_int_equal(s.maps.n, 0);
	assert_int_equal(s.rss_sum_bytes, 0);
	proc_smaps_release(&s);
}

static void a_mapping_of_the_usual_size_above_a_guard__is_a_stack(void **state)
{
	struct proc_smaps s = { 0 };
	struct proc_stack *v;
	size_t n;

	(void)state;
	proc_smaps_parse(&s, smaps_text, strlen(smaps_text));
	assert_int_equal(proc_stacks_find(&v, &n, &s.maps, "tests/fixtures/none", 1), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0].start, 0x7f1000001000);
	assert_int_equal(v[0].end, 0x7f1000800000);
	free(v);
	proc_smaps_release(&s);
}

/* Each byte of every second KiB is resident. */
static uint64_t half(void *ctx, uint64_t start, uint64_t end)
{
	(*(unsigned int *)ctx)++;
	return (end - start) / 2;
}

static void parts_of_mappings_go_to_the_rows_that_claim_them(void **state)
{
	static const struct bridge_map maps[] = {
		{ 0, 100 * KIB, 70 * KIB, BRIDGE_FILES },
		{ 100 * KIB, 500 * KIB, 200 * KIB, BRIDGE_DIRECT },
		{ 600 * KIB, 700 * KIB, 50 * KIB, BRIDGE_DIRECT },
	};
	static const struct bridge_claim claims[] = {
		{ 200 * KIB, 300 * KIB, BRIDGE_RSS },
		{ 300 * KIB, 340 * KIB, BRIDGE_STACKS },
		{ 480 * KIB, 620 * KIB, BRIDGE_STACKS }, /* over a hole */
	};
	int64_t rows[BRIDGE_NR] = { 0 };
	unsigned int asked = 0;

	(void)state;
	bridge_add_maps(rows, maps, 3, claims, 3, half, &asked);
	assert_int_equal(rows[BRIDGE_RSS], 320 * KIB);
	assert_int_equal(rows[BRIDGE_FILES], 70 * KIB); /* the kernel's own word, where nothing is claimed */
	assert_int_equal(rows[BRIDGE_STACKS], (40 + 20 + 20) / 2 * KIB);
	assert_int_equal(rows[BRIDGE_DIRECT], (100 + 140 + 80) / 2 * KIB);
	rows[BRIDGE_HEAP_BEFORE] = 45 * KIB; /* the walk saw so much of the 50 */
	bridge_finish(rows);
	assert_int_equal(rows[BRIDGE_UNEXPLAINED], 5 * KIB);
	rows[BRIDGE_HEAP_BEFORE] = 60 * KIB;
	bridge_finish(rows);
	assert_int_equal(rows[BRIDGE_UNEXPLAINED], -10 * (int64_t)KIB);
}

static void what_is_set_aside_and_never_touched__is_not_asked_for_page_by_page(void **state)
{
	static const struct bridge_map maps[] = {
		{ 100 * KIB, 200 * KIB, 60 * KIB, BRIDGE_DIRECT }, /* all of it claimed: the kernel's own word */
		{ 200 * KIB, 900 * KIB, 0, BRIDGE_DIRECT },	   /* partly claimed, nothing there */
	};
	static const struct bridge_claim claims[] = { { 100 * KIB, 800 * KIB, BRIDGE_MANAGED } };
	int64_t rows[BRIDGE_NR] = { 0 };
	unsigned int asked = 0;

	(void)state;
	bridge_add_maps(rows, maps, 2, claims, 1, half, &asked);
	bridge_finish(rows);
	assert_int_equal(asked, 0);
	assert_int_equal(rows[BRIDGE_MANAGED], 60 * KIB);
	assert_int_equal(rows[BRIDGE_DIRECT], 0);
	assert_int_equal(rows[BRIDGE_UNEXPLAINED], 0);
}

static void advice_follows_its_rule(void **state)
{
	static const struct {
		const char *what;
		enum bridge_heap heap;
		int64_t in_use, kept;
		uint64_t arenas, trim;
		enum bridge_advice advice;
	} rows[] = {
		{ "little is free", BRIDGE_HEAP_GLIBC, 200, 19, 9, 19, BRIDGE_ADVICE_NONE },
		{ "many arenas", BRIDGE_HEAP_GLIBC, 100, 50, 5, 0, BRIDGE_ADVICE_ARENAS },
		{ "few arenas", BRIDGE_HEAP_GLIBC, 100, 50, 4, 0, BRIDGE_ADVICE_NONE },
		{ "many arenas, a small heap", BRIDGE_HEAP_GLIBC, 10, 15, 9, 0, BRIDGE_ADVICE_NONE },
		{ "a trim gives much", BRIDGE_HEAP_GLIBC, 100, 50, 1, 40, BRIDGE_ADVICE_TRIM },
		{ "a trim gives little", BRIDGE_HEAP_GLIBC, 100, 50, 1, 15, BRIDGE_ADVICE_NONE },
		{ "a trim first", BRIDGE_HEAP_GLIBC, 100, 50, 9, 40, BRIDGE_ADVICE_TRIM },
		{ "not read", BRIDGE_HEAP_UNREAD, 100, 50, 9, 40, BRIDGE_ADVICE_NONE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct bridge b = { .heap = rows[i].heap, .n_arenas = rows[i].arenas };

		b.trim_bytes = rows[i].trim * MIB;
		b.now[BRIDGE_HEAP_BEFORE] = rows[i].in_use * (int64_t)MIB;
		b.now[BRIDGE_HEAP_KEPT] = rows[i].kept * (int64_t)MIB;
		if (bridge_advice_of(&b) != rows[i].advice)
			fail_msg("%s: %d", rows[i].what, bridge_advice_of(&b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mapping_that_grows_while_it_is_listed__counts_once),
		cmocka_unit_test(smaps_are_read_per_mapping_and_summed),
		cmocka_unit_test(a_mapping_of_the_usual_size_above_a_guard__is_a_stack),
		cmocka_unit_test(parts_of_mappings_go_to_the_rows_that_claim_them),
		cmocka_unit_test(what_is_set_aside_and_never_touched__is_not_asked_for_page_by_page),
		cmocka_unit_test(advice_follows_its_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
