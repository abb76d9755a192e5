/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Lines at their width: where they are broken. Links libpure.a only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/profile.h"
#include "render/renderer.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"

static void assert_fits(const char *text, size_t width, size_t hang, const char *expected)
{
	struct buf b = BUF_INIT;

	text_fit(&b, text, width, hang);
	assert_string_equal(b.data, expected);
	buf_release(&b);
}

static void a_long_line__goes_on_at_its_column(void **state)
{
	(void)state;
	assert_fits("trust   lost nothing of all that was there\n", 28, 8, "trust   lost nothing of all\n        that was there\n");
}

static void a_number__stays_with_its_unit(void **state)
{
	(void)state;
	assert_fits("ends at the limit of 23.54 GiB\n", 28, 2, "ends at the limit of\n  23.54 GiB\n");
	assert_fits("it grows by (12 to 34 MiB)\n", 22, 2, "it grows by (12 to\n  34 MiB)\n");
}

static void an_option__stays_with_its_value(void **state)
{
	(void)state;
	assert_fits("type memprobe census -p 4242\n", 26, 2, "type memprobe census\n  -p 4242\n");
}

static void numbers_only__are_broken_all_the_same(void **state)
{
	(void)state;
	assert_fits("12 34 56 78\n", 8, 1, "12 34 56\n 78\n");
}

static void assert_fits_in(const char *text, unsigned int lines, const char *expected)
{
	struct buf b = BUF_INIT;

	text_fit_in(&b, text, 28, 2, lines);
	assert_string_equal(b.data, expected);
	buf_release(&b);
}

static void a_sentence_for_which_there_is_no_room__ends_where_it_makes_sense(void **state)
{
	(void)state;
	assert_fits_in("a leak of one (or two, or so) does not show; for others: -d 5m\n", 2,
		       "a leak of one (or two, or\n  so) does not show\n");
	assert_fits_in("the kernel kills a process, most likely the largest\n", 1, "the kernel kills a process\n");
	assert_fits_in("a sentence without an end where it would be needed\n", 1, "a sentence without an end...\n");
	assert_fits_in("a sentence without any ends where it would be needed\n", 1, "a sentence without any...\n");
	assert_fits_in("one\ntwo\nthree\n", 2, "one\ntwo\n");
	assert_fits_in("                  a deep indent that is for wide screens\n", 2, "  a deep indent that is for\n  wide screens\n");
}

/* Two seconds, in which one site allocated 40 KiB, and freed nothing. */
static void head_of(struct buf *out, const char *name, uint64_t bytes)
{
	uint32_t frames[] = { 0 };
	struct profile_frame frame = { 0 };
	struct profile_proc proc = { .tgid = 42 };
	struct profile_stack stack = { .n_frames = 1, .live_bytes = bytes, .live_blocks = 1,
				       .t = { .alloc_bytes = bytes, .alloc_blocks = 1 } };
	struct profile p = { .window_ns = 2000000000, .n_procs = 1, .procs = &proc, .n_stacks = 1, .stacks = &stack,
			     .stack_frames = frames, .frames = &frame, .n_frames = 1 };

	frame.name = intern_id(&p.strings, name);
	proc.comm = intern_id(&p.strings, "demo");
	verdict_add(out, &p, &(struct render_opts){ 0 });
	intern_release(&p.strings);
}

static void what_is_flat__is_told_as_it_is_and_not_per_minute(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	head_of(&b, "keep", 40960);
	assert_string_equal(b.data, "FLAT      demo (pid 42): live heap +40.0 KiB in 2.0 s\n");
	buf_release(&b);
}

static void proportions_of_bursts__are_no_growth_where_the_memory_is_undecided(void **state)
{
	struct profile_proc proc = { .tgid = 42 };
	struct profile_stack stack = { .live_bytes = 1 << 30, .live_blocks = 1, .t = { .alloc_bytes = 1 << 30, .alloc_blocks = 1 } };
	struct profile p = { .window_ns = 30000000000, .n_procs = 1, .procs = &proc, .n_stacks = 1, .stacks = &stack, .has_verdict = true,
			     .watch = { .rung = RUNG_BRIEF, .too_much = 1.8 },
			     .verdict = { .word = TREND_UNDECIDED, .doubt = DOUBT_SHORT, .need_s = 120 } };
	struct buf b = BUF_INIT;

	(void)state;
	proc.comm = intern_id(&p.strings, "demo");
	verdict_add(&b, &p, &(struct render_opts){ 0 });
	assert_string_equal(b.data, "UNDECIDED  demo (pid 42): the window was too short: -d 2m\n");
	intern_release(&p.strings);
	buf_release(&b);
}

static void a_name_of_five_thousand_letters__is_cut_in_a_sentence(void **state)
{
	struct buf name = BUF_INIT, b = BUF_INIT;

	(void)state;
	buf_pad(&name, 'x', 5000);
	head_of(&b, name.data, 1 << 20);
	assert_non_null(strstr(b.data, "xxx...\n"));
	assert_true(b.len < 200);
	buf_release(&name);
	buf_release(&b);
}

/* A Java heap that is all resident may fill with what leaks. */
static void growth_that_has_ended__is_told_with_what_it_may_hide(void **state)
{
	struct profile_proc proc = { .tgid = 42, .has_collections = true, .collections = 1 };
	struct profile p = { .window_ns = 30000000000, .n_procs = 1, .procs = &proc, .has_verdict = true,
			     .verdict = { .word = TREND_LEVELS_OFF } };
	struct buf b = BUF_INIT;

	(void)state;
	verdict_add_why(&b, &p, &(struct render_opts){ 0 }, 3, 3);
	assert_non_null(strstr(b.data, "but  - 1 full collection seen, 3 are needed"));
	assert_non_null(strstr(b.data, "     - a slower leak would hide under this curve; to look for it: -d 5m\n"));
	buf_reset(&b);
	proc.has_collections = false;
	verdict_add_why(&b, &p, &(struct render_opts){ 0 }, 3, 3);
	assert_string_equal(b.data, "\nbut  - a slower leak would hide under this curve; to look for it: -d 5m\n");
	buf_release(&b);
}

static void why_of(struct buf *out, struct profile_steady steady, struct profile_staying staying, unsigned int why)
{
	struct profile_proc proc = { .tgid = 42, .steady = steady, .staying = staying };
	struct profile p = { .window_ns = 60000000000, .n_procs = 1, .procs = &proc, .has_verdict = true,
			     .verdict = { .word = TREND_LEAK, .why = why, .by_classes = true } };

	proc.steady.type = proc.staying.type = intern_id(&p.strings, "Shop::Order");
	verdict_add_why(out, &p, &(struct render_opts){ 0 }, 9, 9);
	intern_release(&p.strings);
}

/* Of 440 that came early 435 stay: 98.9 %. */
static void objects_that_stay__are_told_as_evidence_in_whole_percent(void **state)
{
	struct profile_staying staying = { .stay = { .born = 900, .early = 440, .alive = 435, .full = 8, .rate = 9000, .ratio = 1.2 } };
	struct buf b = BUF_INIT;

	(void)state;
	why_of(&b, (struct profile_steady){ 0 }, staying, WHY_OBJECTS);
	assert_string_equal(b.data, "\nwhy  + of 440 Shop::Order that came in the first half of the window and outlived full collections 99 % "
				    "stay; of later ones as many\n"
				    "but  - a cache that is not full yet would look the same until it is\n");
	buf_release(&b);
}

static void objects_that_outlive_collections__are_told_as_evidence_by_number_or_bytes(void **state)
{
	struct profile_steady steady = { .rise = { .objects = 1150, .full = 9, .looks = 7, .rate = 20480, .ratio = 1.04 } };
	struct buf b = BUF_INIT;

	(void)state;
	why_of(&b, steady, (struct profile_staying){ 0 }, WHY_CLASSES);
	assert_string_equal(b.data, "\nwhy  + Shop::Order +1 150 over 9 full collections that left them, straight: second half / first half 1.04\n"
				    "but  - a cache that is not full yet would look the same until it is\n");
	buf_reset(&b);
	steady.rise.unit_bytes = 4096; /* of a heap that is one thing */
	why_of(&b, steady, (struct profile_staying){ 0 }, WHY_CLASSES);
	assert_non_null(strstr(b.data, "why  + Shop::Order +4.5 MiB over 9 full collections that left it, straight: "));
	buf_release(&b);
}

/* Two sites, of whose early blocks few live: one makes the growth that is told, the other a tenth of it. */
static void a_site_that_grows_among_its_garbage__is_no_churn(void **state)
{
	struct profile_proc proc = { .tgid = 42 };
	struct profile_stack stacks[2] = {
		{ .live_bytes = 1000000, .live_blocks = 1000, .early_blocks = 10000, .early_alive = 100,
		  .t = { .alloc_bytes = 1000000, .alloc_blocks = 1000 } },
		{ .live_bytes = 100000, .live_blocks = 100, .early_blocks = 10000, .early_alive = 100,
		  .t = { .alloc_bytes = 100000, .alloc_blocks = 100 } },
	};
	struct profile p = { .window_ns = 60000000000, .n_procs = 1, .procs = &proc, .n_stacks = 2, .stacks = stacks,
			     .has_verdict = true, .verdict = { .word = TREND_GROWING, .by_heap = true, .rate = 18000 } };

	(void)state;
	assert_string_equal(verdict_kind(&p, &stacks[0]), "open");
	assert_string_equal(verdict_kind(&p, &stacks[1]), "churn");
	p.verdict.word = TREND_LEAK;
	assert_string_equal(verdict_kind(&p, &stacks[0]), "leak");
	p.verdict.word = TREND_FLAT;
	assert_string_equal(verdict_kind(&p, &stacks[0]), "churn");
}

/* Of a server that runs and a worker of it that has ended, who held fifty times as much. */
static void what_an_ended_process_held__is_no_part_of_the_growth(void **state)
{
	uint32_t frames[] = { 0, 1 };
	struct profile_frame frame[2] = { { 0 } };
	struct profile_proc procs[2] = { { .tgid = 42 }, { .tgid = 43, .state = PROC_EXITED } };
	struct profile_stack stacks[2] = {
		{ .proc = 0, .n_frames = 1, .live_bytes = 1 << 20, .live_blocks = 9, .t = { .alloc_bytes = 1 << 20, .alloc_blocks = 9 } },
		{ .proc = 1, .first_frame = 1, .n_frames = 1, .live_bytes = 50 << 20, .live_blocks = 9, .id = 1,
		  .t = { .alloc_bytes = 50 << 20, .alloc_blocks = 9 } },
	};
	struct profile p = { .window_ns = 2000000000, .n_procs = 2, .procs = procs, .n_stacks = 2, .stacks = stacks,
			     .stack_frames = frames, .frames = frame, .n_frames = 2 };
	struct buf b = BUF_INIT;

	(void)state;
	frame[0].name = intern_id(&p.strings, "of_the_server");
	frame[1].name = intern_id(&p.strings, "of_the_worker");
	verdict_add(&b, &p, &(struct render_opts){ 0 });
	assert_string_equal(b.data, "GROWING   2 processes: live heap +30.0 MiB/min; 100 % is one call site:\n"
				    "          #2 of_the_server\n");
	buf_reset(&b);
	verdict_add(&b, &p, &(struct render_opts){ .metric = METRIC_ALLOC_BYTES }); /* its row has another number there */
	assert_non_null(strstr(b.data, "          of_the_server\n"));
	intern_release(&p.strings);
	buf_release(&b);
}

/* Of 9 blocks made elsewhere all live. window_s: of the run. */
static void cohort_of(struct buf *out, double window_s, unsigned int why, enum profile_metric metric)
{
	struct profile_proc proc = { .tgid = 42 };
	struct profile_stack stacks[2] = {
		{ .live_bytes = 1000000, .live_blocks = 1000, .early_blocks = 300, .early_alive = 300,
		  .t = { .alloc_bytes = 1000000, .alloc_blocks = 1000 } },
		{ .live_bytes = 90, .live_blocks = 9, .t = { .alloc_bytes = 90, .alloc_blocks = 9 } },
	};
	struct profile p = { .window_ns = (uint64_t)(window_s * 1e9), .n_procs = 1, .procs = &proc, .n_stacks = 2, .stacks = stacks,
			     .has_verdict = true,
			     .verdict = { .word = TREND_GROWING, .by_heap = true, .rate = 18000, .why = why, .ratio = 1 } };

	verdict_add_why(out, &p, &(struct render_opts){ .metric = metric }, 9, 9);
}

static void a_share_of_all__is_no_power_of_ten(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	cohort_of(&b, 60, WHY_COHORT, METRIC_LIVE_BYTES);
	assert_non_null(strstr(b.data, " blocks of #1 from early in the window 100 % still live; of those made elsewhere 100 %\n"));
	buf_reset(&b);
	cohort_of(&b, 60, WHY_COHORT, METRIC_ALLOC_BYTES); /* the table is sorted by something else */
	assert_non_null(strstr(b.data, " blocks of that site from early in the window"));
	buf_release(&b);
}

static void a_doubt_after_a_long_run__asks_for_a_longer_one(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	cohort_of(&b, 60, WHY_STRAIGHT, METRIC_LIVE_BYTES);
	assert_non_null(strstr(b.data, "its blocks may end later; -d 5m\n"));
	buf_reset(&b);
	cohort_of(&b, 600, WHY_STRAIGHT, METRIC_LIVE_BYTES);
	assert_non_null(strstr(b.data, "its blocks may end later; -d 2h\n"));
	buf_release(&b);
}

/* A site of one call, with what calls it; at the end of a report of so many columns. */
static void where_of(struct buf *out, unsigned int columns, unsigned int lines)
{
	uint32_t frames[] = { 0, 1 };
	struct profile_frame frame[2] = { { .line = 59 }, { .line = 111 } };
	struct profile_proc proc = { .tgid = 42 };
	struct profile_stack stack = { .n_frames = 2, .live_bytes = 1, .live_blocks = 1 };
	struct profile p = { .n_procs = 1, .procs = &proc, .n_stacks = 1, .stacks = &stack,
			     .stack_frames = frames, .frames = frame, .n_frames = 2 };

	frame[0].name = intern_id(&p.strings, "session_open");
	frame[1].name = intern_id(&p.strings, "handle_request");
	frame[0].file = frame[1].file = intern_id(&p.strings, "/src/leaky_server.c");
	report_add_where(out, &p, &stack, 38, columns, lines);
	intern_release(&p.strings);
}

static void where_a_line_has_no_room__the_whole_name_has(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	where_of(&b, 60, 2);
	assert_string_equal(b.data, "session_open\n                                      < handle_request\n");
	buf_reset(&b);
	where_of(&b, 100, 1);
	assert_string_equal(b.data, "session_open leaky_server.c:59\n");
	buf_release(&b);
}

/* The memory that grew, less what may grow still, and the room: 400 MiB of anonymous and 30 of files; 20 are swapped. */
static void levels_off_at(struct buf *out, uint64_t level_mib, uint64_t limit_mib)
{
	struct profile_proc proc = { .tgid = 42 };
	struct profile p = { .window_ns = 30000000000, .n_procs = 1, .procs = &proc, .has_verdict = true,
			     .verdict = { .word = TREND_LEVELS_OFF, .seconds = 120, .level = (double)(level_mib << 20) } };

	proc.comm = intern_id(&p.strings, "demo");
	proc.now = (struct profile_facts){ .rss_bytes = 430 << 20, .rss_anon_bytes = 400 << 20, .rss_file_bytes = 30 << 20,
					   .swap_bytes = 20 << 20, .lazy_free_bytes = 10 << 20,
					   .limit_bytes = limit_mib << 20, .limit_used_bytes = 420 << 20,
					   .limit_name = intern_id(&p.strings, "a.service"), .limit_end = LIMIT_ENDS_KILLED };
	verdict_add(out, &p, &(struct render_opts){ 0 });
	intern_release(&p.strings);
}

static void where_growth_ends__is_told_beside_where_it_is_and_what_room_there_is(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	levels_off_at(&b, 450, 512);
	assert_string_equal(b.data, "LEVELS OFF  demo (pid 42): ends near 450.0 MiB in 2 min; now 410.0 MiB, files left out\n"
				    "Runs out  not by this: 92.0 MiB free below the limit of a.service, 512.0 MiB\n");
	buf_reset(&b);
	levels_off_at(&b, 510, 512);
	assert_non_null(strstr(b.data, "\nRuns out  before that: only 92.0 MiB free below the limit of a.service, 512.0 MiB.\n"
				       "          There the kernel kills it; malloc does not fail first\n"));
	buf_reset(&b);
	levels_off_at(&b, 450, 0);
	assert_null(strstr(b.data, "Runs out"));
	buf_release(&b);
}

static void a_process_that_names_itself_as_it_likes__stays_in_its_line(void **state)
{
	uint32_t frames[] = { 0 };
	struct profile_frame frame = { 0 };
	struct profile_proc procs[2] = { { .tgid = 42 }, { .tgid = 43 } };
	struct profile_stack stack = { .n_frames = 1, .live_bytes = 1, .live_blocks = 1 };
	struct profile p = { .n_procs = 2, .procs = procs, .n_stacks = 1, .stacks = &stack,
			     .stack_frames = frames, .frames = &frame, .n_frames = 1 };
	struct buf b = BUF_INIT;

	(void)state;
	frame.name = intern_id(&p.strings, "keep");
	procs[0].comm = intern_id(&p.strings, "\033[2Ja\nb\xff");
	report_add_where(&b, &p, &stack, 10, 100, 1);
	assert_string_equal(b.data, "?[2Ja?b?: keep\n");
	buf_reset(&b);
	report_add_frames(&b, &p, &stack);
	assert_null(strchr(b.data, '\033'));
	assert_null(strchr(b.data, '\xff'));
	intern_release(&p.strings);
	buf_release(&b);
}

/* The ends of blocks that were left out of a full table are not seen, but where every free is counted. */
static void what_was_left_out_of_the_table__is_growth_only_where_its_frees_are_counted(void **state)
{
	struct profile_proc proc = { .tgid = 42 };
	struct profile p = { .n_procs = 1, .procs = &proc };

	(void)state;
	proc.old.lost_bytes = 1000;
	proc.old.old_free_bytes = 400;
	assert_int_equal(heap_net_of(&p, UINT32_MAX).bytes, 600);
	p.watch.n_steps = 1; /* exact again, after bursts */
	assert_int_equal(heap_net_of(&p, UINT32_MAX).bytes, -400);
	p.watch.n_steps = 0;
	p.watch.rung = RUNG_BURSTS;
	assert_int_equal(heap_net_of(&p, UINT32_MAX).bytes, -400);
}

/* The rows tell 6 MiB; what glibc's heap has more in use than at the attach is read from outside. */
static void check_of(struct buf *out, enum rung rung, int64_t grew_bytes)
{
	struct profile_proc proc = { .tgid = 42 };
	struct profile_stack stack = { .live_bytes = 6 << 20, .live_blocks = 1,
				       .t = { .alloc_bytes = 6 << 20, .alloc_blocks = 1 } };
	struct profile p = { .window_ns = 60000000000, .n_procs = 1, .procs = &proc, .n_stacks = 1, .stacks = &stack,
			     .watch = { .rung = rung }, .n_bridges = 1 };

	p.bridges[0] = (struct bridge){ .heap = BRIDGE_HEAP_GLIBC, .has_attach = true, .has_now = true };
	p.bridges[0].at_attach[BRIDGE_HEAP_BEFORE] = 20 << 20;
	p.bridges[0].now[BRIDGE_HEAP_BEFORE] = (20 << 20) + grew_bytes;
	p.bridges[0].now[BRIDGE_RSS] = 1;
	report_add_heap_check(out, &p);
}

static void what_bursts_tell_and_the_heap_denies__is_said(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	check_of(&b, RUNG_BRIEF, 24 << 20);
	assert_string_equal(b.data, "        the heap itself has grown by 24.0 MiB, the rows by 6.0 MiB: they are too low by about 4 times\n");
	buf_reset(&b);
	check_of(&b, RUNG_BRIEF, 1 << 20);
	assert_string_equal(b.data, "        the heap itself has grown by 1.0 MiB, not by the 6.0 MiB of the rows: the rest of these "
				    "blocks took the place of older ones, or has ended unseen\n");
	buf_reset(&b);
	check_of(&b, RUNG_BRIEF, 7 << 20); /* a fifth is no news */
	check_of(&b, RUNG_EXACT, 24 << 20);
	assert_int_equal(b.len, 0);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_line__goes_on_at_its_column),
		cmocka_unit_test(a_number__stays_with_its_unit),
		cmocka_unit_test(an_option__stays_with_its_value),
		cmocka_unit_test(numbers_only__are_broken_all_the_same),
		cmocka_unit_test(a_sentence_for_which_there_is_no_room__ends_where_it_makes_sense),
		cmocka_unit_test(where_a_line_has_no_room__the_whole_name_has),
		cmocka_unit_test(where_growth_ends__is_told_beside_where_it_is_and_what_room_there_is),
		cmocka_unit_test(a_process_that_names_itself_as_it_likes__stays_in_its_line),
		cmocka_unit_test(what_was_left_out_of_the_table__is_growth_only_where_its_frees_are_counted),
		cmocka_unit_test(growth_that_has_ended__is_told_with_what_it_may_hide),
		cmocka_unit_test(objects_that_stay__are_told_as_evidence_in_whole_percent),
		cmocka_unit_test(objects_that_outlive_collections__are_told_as_evidence_by_number_or_bytes),
		cmocka_unit_test(what_is_flat__is_told_as_it_is_and_not_per_minute),
		cmocka_unit_test(a_site_that_grows_among_its_garbage__is_no_churn),
		cmocka_unit_test(what_an_ended_process_held__is_no_part_of_the_growth),
		cmocka_unit_test(a_share_of_all__is_no_power_of_ten),
		cmocka_unit_test(a_doubt_after_a_long_run__asks_for_a_longer_one),
		cmocka_unit_test(proportions_of_bursts__are_no_growth_where_the_memory_is_undecided),
		cmocka_unit_test(what_bursts_tell_and_the_heap_denies__is_said),
		cmocka_unit_test(a_name_of_five_thousand_letters__is_cut_in_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
