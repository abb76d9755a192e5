/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The live view without a terminal: a made-up run of two processes over two minutes, its rates worked out by hand, its
 * order, filter and cursor, and screens of every size up to 130 x 50.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "render/top_rows.h"
#include "render/top_view.h"

#define S NS_PER_S

struct fixture {
	struct profile p;
	struct history h;
	struct top_canvas c;
	struct top_state st;
};

static uint32_t add_stack(struct profile *p, uint64_t id, uint32_t proc, const char *name)
{
	struct profile_frame malloc_frame = { .name = profile_string(p, "malloc"), .module = profile_string(p, "libc.so.6"),
					      .class = FRAME_ALLOCATOR };
	struct profile_frame f = { .name = profile_string(p, name), .module = profile_string(p, "app"),
				   .file = profile_string(p, "src/app.cc"), .line = 7 };
	uint32_t frames[2] = { profile_frame(p, &malloc_frame), profile_frame(p, &f) };

	return profile_add_stack(p, id, proc, frames, 2, MP_END_COMPLETE);
}

static void set_stack(struct profile *p, uint32_t stack, uint64_t made, uint64_t live, uint64_t size)
{
	struct profile_stack *s = &p->stacks[stack];

	s->t = (struct profile_totals){ .alloc_blocks = made, .alloc_bytes = made * size, .free_blocks = made - live,
					.free_bytes = (made - live) * size, .birth_sum_ms = live * 1000 };
	s->live_blocks = live;
	s->live_bytes = live * size;
}

/*
 * At t seconds: leak has t blocks of 1 MiB; churn made 100 t blocks and holds 3 MiB; other holds 40 MiB from the start.
 * The memory of process 10 grows by 1 MiB/s, that of process 11 stands.
 */
static void run_to(struct fixture *f, uint64_t t)
{
	struct profile *p = &f->p;

	set_stack(p, 0, t, t, MIB);
	set_stack(p, 1, 100 * t + 3, 3, MIB);
	set_stack(p, 2, 40, 40, MIB);
	p->window_ns = t * S;
	p->wall_time_ns = (1800000000 + t) * S;
	p->procs[0].now = (struct profile_facts){ .rss_bytes = (100 + t) * MIB, .rss_anon_bytes = (90 + t) * MIB,
						  .limit_bytes = 2 * GIB, .limit_used_bytes = (90 + t) * MIB,
						  .limit_name = profile_string(p, "gate.service") };
	p->procs[1].now = (struct profile_facts){ .rss_bytes = 300 * MIB, .rss_anon_bytes = 290 * MIB,
						  .limit_bytes = UINT64_MAX };
	history_add(&f->h, p);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint64_t t;

	profile_init(&f->p);
	f->st = (struct top_state)TOP_STATE_INIT;
	f->p.planes = PLANE_HEAP;
	profile_proc(&f->p, 1);
	profile_proc(&f->p, 2);
	f->p.procs[0].tgid = 10;
	f->p.procs[0].comm = profile_string(&f->p, "gatewayd");
	f->p.procs[1].tgid = 11;
	f->p.procs[1].comm = profile_string(&f->p, "steady");
	add_stack(&f->p, 100, 0, "Cache::leak(int)");
	add_stack(&f->p, 101, 0, "Json::churn(std::string const&)");
	add_stack(&f->p, 102, 1, "Table::load()");
	for (t = 1; t <= 120; t++)
		run_to(f, t);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	history_release(&f->h);
	profile_release(&f->p);
	top_canvas_release(&f->c);
	free(f);
	return 0;
}

static char *screen(struct fixture *f, unsigned int width, unsigned int height, const char *message)
{
	const struct top_data d = { .p = &f->p, .h = &f->h, .who = "gatewayd 10", .verdict = "LEAK, strong evidence",
				    .message = message };
	struct buf b = BUF_INIT;
	unsigned int row;

	f->c.width = width;
	f->c.height = height;
	top_view_draw(&f->c, &d, &f->st);
	for (row = 0; row < height; row++) {
		top_canvas_row(&f->c, row, &b);
		buf_addc(&b, '\n');
	}
	return buf_detach(&b);
}

static void expect(struct fixture *f, unsigned int width, unsigned int height, const char *text, bool there)
{
	char *s = screen(f, width, height, "");

	if (!strstr(s, text) == there)
		print_error("%s\"%s\" in:\n%s", there ? "no " : "", text, s);
	assert_int_equal(strstr(s, text) != NULL, there);
	free(s);
}

static void press(struct fixture *f, const char *keys)
{
	for (; *keys; keys++) {
		top_key(&f->st, *keys == '\n' ? TOP_KEY_ENTER : *keys == 27 ? TOP_KEY_ESCAPE : (unsigned int)*keys);
		free(screen(f, 100, 40, ""));
	}
}

/* ---- rates ---- */

static void the_last_minute_and_the_start__have_rates_of_their_own(void **state)
{
	struct fixture *f = *state;
	struct top_rows r;
	uint64_t t;

	for (t = 121; t <= 200; t++) { /* it stops */
		set_stack(&f->p, 0, 120, 120, MIB);
		f->p.window_ns = t * S;
		history_add(&f->h, &f->p);
	}
	top_rows_stacks(&r, &f->p, &f->h, &f->st, 0);
	assert_int_equal(r.n, 2);
	assert_true(history_seconds(&f->h, HISTORY_RECENT) >= 60 && history_seconds(&f->h, HISTORY_RECENT) < 71);
	assert_true(r.v[0].rate < 0.01 && r.v[1].rate < 0.01);
	top_rows_release(&r);
	f->st.since_start = true;
	top_rows_stacks(&r, &f->p, &f->h, &f->st, 0);
	assert_int_equal(r.v[0].id, 0);
	assert_true(r.v[0].rate > 0.599 * MIB && r.v[0].rate < 0.601 * MIB); /* 120 MiB in 200 s */
	top_rows_release(&r);
}

static void a_mark__is_what_growth_is_counted_from(void **state)
{
	struct fixture *f = *state;
	struct top_rows r;
	uint64_t t;

	history_set_mark(&f->h);
	for (t = 121; t <= 150; t++)
		run_to(f, t);
	f->st.since_start = true;
	top_rows_stacks(&r, &f->p, &f->h, &f->st, 0);
	assert_true(r.v[0].change == 30.0 * MIB);
	assert_true(r.v[0].made == 30);
	assert_true(r.v[1].made == 3000 && r.v[1].change == 0);
	top_rows_release(&r);
	expect(f, 100, 40, "since mark 1, 30 s", true);
}

static void memory_of_a_process__has_its_rate_and_its_limit(void **state)
{
	struct fixture *f = *state;
	struct top_rows r;

	top_rows_procs(&r, &f->p, &f->h, &f->st);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.v[0].id, 0);
	assert_true(r.v[0].rate > 0.99 * MIB && r.v[0].rate < 1.01 * MIB);
	assert_true(r.v[0].bytes == 210.0 * MIB);
	assert_int_equal(r.v[0].site, 0);
	assert_true(r.v[1].rate == 0);
	top_rows_release(&r);
	/* (2048 - 210) MiB at 1 MiB/s */
	expect(f, 100, 40, "full in 31 min", true);
}

/* ---- order, filter, keys ---- */

static uint32_t first_stack(struct fixture *f)
{
	struct top_rows r;
	uint32_t id;

	top_rows_stacks(&r, &f->p, &f->h, &f->st, TOP_NONE);
	id = r.v[0].id;
	top_rows_release(&r);
	return id;
}

static void each_sort_key__brings_another_stack_to_the_top(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(first_stack(f), 0); /* growth */
	run_to(f, 121);
	press(f, "c");
	assert_int_equal(first_stack(f), 1);
	press(f, "b");
	assert_int_equal(first_stack(f), 0); /* 121 MiB */
	set_stack(&f->p, 0, 121, 20, MIB);
	f->p.window_ns = 122 * S;
	history_add(&f->h, &f->p);
	assert_int_equal(first_stack(f), 2); /* 40 MiB */
	f->p.stacks[1].early_blocks = f->p.stacks[2].early_blocks = 10;
	f->p.stacks[1].early_alive = 4;
	f->p.stacks[2].early_alive = 3;
	history_add_evidence(&f->h, &f->p);
	press(f, "a");
	assert_int_equal(first_stack(f), 1); /* 40 % */
	expect(f, 100, 40, "by share alive, last", true);
	press(f, "a");
	expect(f, 100, 40, "alive, since start", true);
	press(f, "a");
	expect(f, 100, 40, "alive, since start", false);
}

/* For a minute a cache makes twice what leaks; of its 160 MiB then, 150 took the place of older blocks. */
static void a_full_cache__stands_below_a_leak(void **state)
{
	struct fixture *f = *state;
	struct top_rows r;
	uint64_t t;

	for (t = 121; t <= 180; t++) {
		set_stack(&f->p, 0, t, t, MIB);
		set_stack(&f->p, 2, 40 + 2 * (t - 120), 40 + 2 * (t - 120), MIB);
		f->p.window_ns = t * S;
		history_add(&f->h, &f->p);
	}
	assert_int_equal(first_stack(f), 2);
	f->p.stacks[2].old_bytes = 150 * MIB;
	history_add_evidence(&f->h, &f->p);
	assert_int_equal(first_stack(f), 0);
	top_rows_stacks(&r, &f->p, &f->h, &f->st, 1);
	assert_true(r.v[0].rate > 0.11 * MIB && r.v[0].rate < 0.14 * MIB); /* a sixteenth */
	assert_true(r.v[0].bytes == 160.0 * MIB);
	top_rows_release(&r);
	f->p.stacks[2].proc = 0; /* of the same process it is not the site that grows most */
	top_rows_procs(&r, &f->p, &f->h, &f->st);
	assert_int_equal(r.v[r.v[0].id ? 1 : 0].site, 0);
	top_rows_release(&r);
	f->st.depth = TOP_FRAMES;
	f->st.stack = 2;
	expect(f, 100, 40, "94 % of what lives took the place of older blocks of its sizes: it is no growth", true);
}

static void enter_opens_and_escape_closes(void **state)
{
	struct fixture *f = *state;

	free(screen(f, 100, 40, ""));
	expect(f, 100, 40, "PROCESS", true);
	press(f, "\n");
	assert_int_equal(f->st.depth, TOP_STACKS);
	expect(f, 100, 40, "Table::load", false); /* the other process's */
	expect(f, 100, 40, "Json::churn app.cc:7", true);
	press(f, "\n");
	assert_int_equal(f->st.depth, TOP_FRAMES);
	expect(f, 100, 40, "*   1  Cache::leak  src/app.cc:7  (app)", true);
	expect(f, 100, 40, "120.0 MiB live in 120 blocks, 1.0 MiB on average", true);
	press(f, "\x1b\x1b");
	assert_int_equal(f->st.depth, TOP_PROCESSES);
	top_key(&f->st, TOP_KEY_TAB);
	expect(f, 100, 40, "steady 11: Table::load", true);
}

static void the_cursor__stays_on_its_row_when_the_order_changes(void **state)
{
	struct top_list l = { .id = TOP_NONE };
	const uint32_t before[] = { 7, 8, 9 }, after[] = { 9, 7, 8 }, without[] = { 7, 9 };

	(void)state;
	top_list_place(&l, before, 3, 2);
	assert_int_equal(l.id, 7);
	top_list_place(&l, after, 3, 2); /* not moved yet: on the first row */
	assert_int_equal(l.id, 9);
	l.at = 2;
	l.id = TOP_NONE;
	l.follows = true;
	top_list_place(&l, after, 3, 2);
	assert_int_equal(l.id, 8);
	assert_int_equal(l.first, 1); /* scrolled: two rows are shown */
	top_list_place(&l, before, 3, 2);
	assert_int_equal(l.id, 8);
	assert_int_equal(l.at, 1);
	top_list_place(&l, without, 2, 2);
	assert_int_equal(l.id, 9);
	top_list_place(&l, NULL, 0, 2);
	assert_int_equal(l.id, TOP_NONE);
}

static void a_filter__shows_what_has_it_in_its_name(void **state)
{
	struct fixture *f = *state;

	press(f, "/JSON");
	expect(f, 100, 40, "filter: JSON_", true);
	press(f, "\n\n");
	expect(f, 100, 40, "nothing matches", true); /* no process is called so, nor has it a growing site of that name */
	press(f, "\x1b");
	assert_string_equal(f->st.filter, "");
	press(f, "\n/JSON\n");
	expect(f, 100, 40, "Json::churn", true);
	expect(f, 100, 40, "Cache::leak", false);
	press(f, "/x\x1b"); /* the one before */
	assert_string_equal(f->st.filter, "JSON");
	press(f, "/");
	top_key(&f->st, TOP_KEY_BACK);
	assert_string_equal(f->st.filter, "JSO");
}

static void keys_that_ask_of_the_run__are_actions_unless_one_types(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(top_key(&f->st, 'q'), TOP_QUIT);
	assert_int_equal(top_key(&f->st, 'm'), TOP_MARK);
	assert_int_equal(top_key(&f->st, 's'), TOP_SAVE);
	assert_int_equal(top_key(&f->st, 'f'), TOP_FLAME);
	assert_int_equal(top_key(&f->st, 'h'), TOP_HEAP);
	assert_int_equal(top_key(&f->st, '+'), TOP_TREE);
	assert_int_equal(top_key(&f->st, 'p'), TOP_NOTHING);
	assert_true(f->st.is_paused);
	expect(f, 100, 40, "PAUSED", true);
	top_key(&f->st, '/');
	assert_int_equal(top_key(&f->st, 'q'), TOP_NOTHING);
	assert_string_equal(f->st.filter, "q");
}

/* ---- the screen ---- */

static void every_size__is_drawn_within_its_bounds(void **state)
{
	struct fixture *f = *state;
	unsigned int width, height, depth;

	for (depth = 0; depth <= TOP_DEPTHS; depth++) {
		f->st.depth = depth % TOP_DEPTHS;
		f->st.shows_help = depth == TOP_DEPTHS;
		f->st.proc = f->st.stack = 0;
		for (width = 1; width <= 130; width += 1 + width / 12)
			for (height = 1; height <= 50; height += 1 + height / 8)
				free(screen(f, width, height, "a message that is longer than a small terminal is wide"));
	}
	f->st.shows_help = false;
	f->st.depth = 0;
	expect(f, 100, 40, "LEAK, strong evidence", true);
	expect(f, 60, 15, "Cache::leak app.cc:7", true);
	expect(f, 40, 8, "gatewayd", true);
}

static void a_tiny_terminal__is_told_so(void **state)
{
	struct fixture *f = *state;
	char *s = screen(f, 20, 5, "");

	assert_string_equal(s, "memprobe top\n20x5 is too small\n40x8 shows more\n+60.0 MiB/min\nq quit\n");
	free(s);
}

static void foreign_names__cannot_break_the_screen(void **state)
{
	struct fixture *f = *state;
	char *s;

	f->p.procs[0].comm = profile_string(&f->p, "a\x1b[2Jb\x01\xff\xe4\xb8\xad\xc3\xa4");
	s = screen(f, 100, 40, "");
	assert_null(strchr(s, 0x1b));
	assert_non_null(strstr(s, "a?[2Jb????"));
	free(s);
	f->c.utf8 = true;
	s = screen(f, 100, 40, "");
	assert_non_null(strstr(s, "a?[2Jb???\xc3\xa4")); /* one column wide: that one stays */
	free(s);
}

static void sparklines__are_ascii_or_blocks_and_flat_when_nothing_happens(void **state)
{
	struct fixture *f = *state;

	expect(f, 100, 40, ".,-=+*##", true);	   /* gatewayd, eight columns */
	expect(f, 100, 40, "  ========  ", true); /* steady */
	f->c.utf8 = true;
	expect(f, 100, 40, "\u2581", true);
	expect(f, 100, 40, ".,-=+*##", false);
}

static void what_has_ended__leaves_the_list(void **state)
{
	struct fixture *f = *state;

	f->p.procs[1].state = PROC_EXITED;
	run_to(f, 121);
	expect(f, 100, 40, "steady", false);
	f->p.procs[0].state = PROC_EXITED;
	run_to(f, 122);
	expect(f, 100, 40, "ended             -", true);
	expect(f, 100, 40, "--- 11 steady (ended)", true);
}

static void without_heap_probes__no_heap_is_shown(void **state)
{
	struct fixture *f = *state;

	expect(f, 100, 40, "heap +60.0 MiB/min", true);
	f->p.planes = 0;
	expect(f, 100, 40, "heap +60.0", false);
	expect(f, 100, 40, "no heap probes", true);
}

/* ---- the whole machine ---- */

static struct machine_row tree(struct profile *p, int32_t pid, const char *name, uint32_t n, int64_t bytes, int64_t growth)
{
	return (struct machine_row){ .kind = MACHINE_TREE, .pid = pid, .name = profile_string(p, name), .n_procs = n,
				     .bytes = bytes, .growth_bytes = growth, .full_s = -1, .word = TREND_FLAT,
				     .worker_pid = pid, .group = profile_string(p, "system.slice") };
}

/* At t seconds: gatewayd (probed) has grown by t MiB, puma with 8 workers fell until 100 s and has stood since. */
static void machine_to(struct fixture *f, uint64_t t)
{
	struct machine *m = &f->p.machine;
	int64_t fell = (int64_t)(t < 100 ? t : 100) * 2 * (int64_t)MIB;

	*m = (struct machine){ .is_there = true, .n_rows = 4, .window_s = (double)t, .full_s = 1140, .n_processes = 190,
			       .n_probed = 1 };
	m->now = (struct machine_memory){ .total_bytes = 64 * GIB, .available_bytes = 4 * GIB - t * MIB, .stall_10s = 0.11 };
	m->rows[0] = tree(&f->p, 311, "puma", 9, (int64_t)(8 * GIB) - fell, -fell);
	m->rows[1] = tree(&f->p, 10, "gatewayd", 1, (int64_t)((90 + t) * MIB), (int64_t)(t * MIB));
	m->rows[1].word = TREND_GROWING;
	m->rows[1].full_s = 4560;
	m->rows[2] = (struct machine_row){ .kind = MACHINE_OTHERS, .n_procs = 184, .bytes = (int64_t)GIB, .full_s = -1 };
	m->rows[3] = (struct machine_row){ .kind = MACHINE_USED, .bytes = 60 * (int64_t)GIB, .full_s = -1 };
	run_to(f, t);
}

static void a_whole_machine__has_trees_in_order_and_the_rest_below(void **state)
{
	struct fixture *f = *state;
	struct top_rows r;
	uint64_t t;

	for (t = 121; t <= 200; t++)
		machine_to(f, t);
	top_rows_procs(&r, &f->p, &f->h, &f->st);
	assert_int_equal(r.n, 3);
	assert_int_equal(r.v[0].id, 10);
	assert_true(r.v[0].rate > 0.99 * MIB && r.v[0].rate < 1.01 * MIB);
	assert_int_equal(r.v[0].proc, 0); /* its stacks are known */
	assert_int_equal(r.v[0].site, 0);
	assert_int_equal(r.v[1].id, 311);
	assert_true(r.v[1].rate == 0); /* in the last minute */
	assert_int_equal(r.v[1].proc, TOP_NONE);
	top_rows_release(&r);
	f->st.since_start = true;
	top_rows_procs(&r, &f->p, &f->h, &f->st);
	assert_true(r.v[1].rate > -1.01 * MIB && r.v[1].rate < -0.99 * MIB); /* 200 MiB in 200 s */
	top_rows_release(&r);
	f->st.since_start = false;
	expect(f, 100, 40, "heap probes in 1 of 190", true);
	expect(f, 100, 40, "RAM  60.2 of 64.0 GiB   +60.0 MiB/min   full in 19 min   swap off   stall 11 %", true);
	expect(f, 100, 40, "GROWING     76 min  Cache::leak", true);
	expect(f, 100, 40, "+ 311  puma (1 + 8)", true);
	expect(f, 100, 40, "184 others        1.00 GiB      0.0", true);
	f->st.own_pid = 10; /* it grows most, and is not accused */
	top_rows_procs(&r, &f->p, &f->h, &f->st);
	assert_int_equal(r.v[0].id, 311);
	assert_int_equal(r.n_fixed, 2);
	top_rows_release(&r);
}

/* What has no line of its own on the screen is among the others. */
static void trees_that_are_scrolled_away__are_among_the_others(void **state)
{
	struct fixture *f = *state;
	struct machine *m = &f->p.machine;
	char name[16], *s, *line, *unit;
	unsigned int i, n = 0;
	double sum = 0;

	*m = (struct machine){ .is_there = true, .window_s = 121, .full_s = -1, .n_processes = 17 };
	m->now = (struct machine_memory){ .total_bytes = 64 * GIB, .available_bytes = 47 * GIB };
	for (i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "tree%u", i);
		m->rows[m->n_rows++] = tree(&f->p, 1000 + (int32_t)i, name, 1, (int64_t)GIB, 0);
	}
	m->rows[m->n_rows++] = (struct machine_row){ .kind = MACHINE_OTHERS, .n_procs = 5, .bytes = (int64_t)GIB, .full_s = -1 };
	m->rows[m->n_rows++] = (struct machine_row){ .kind = MACHINE_USED, .bytes = 13 * (int64_t)GIB, .full_s = -1 };
	run_to(f, 121);
	s = screen(f, 100, 30, "");
	for (line = strtok(strstr(s, "PROCESS (TREE)"), "\n"); line && strncmp(line, "---", 3); line = strtok(NULL, "\n")) {
		unit = strstr(line, " GiB");
		if (!unit)
			continue;
		while (unit > line && unit[-1] != ' ')
			unit--;
		sum += strtod(unit, NULL);
		n++;
	}
	free(s);
	assert_in_range(n, 4, 12); /* some are not there */
	assert_true(sum > 12.99 && sum < 13.01);
}

static void a_tree__opens_below_its_row(void **state)
{
	struct fixture *f = *state;

	machine_to(f, 121);
	free(screen(f, 100, 40, ""));
	top_key(&f->st, TOP_KEY_DOWN);
	expect(f, 100, 40, "seen by /proc alone: h puts heap probes there", true);
	assert_int_equal(f->st.lists[0].pid, 311);
	assert_int_equal(top_key(&f->st, '+'), TOP_TREE);
	assert_int_equal(f->st.open_tree, 311);
	f->h.n_members = 2; /* as history_add_members finds them */
	f->h.members[0] = (struct history_member){ .pid = 311, .name = "puma", .bytes = 100.0 * MIB };
	f->h.members[1] = (struct history_member){ .pid = 340, .name = "puma: worker", .bytes = 90.0 * MIB };
	expect(f, 100, 40, "340    puma: worker", true);
	top_key(&f->st, TOP_KEY_DOWN);
	free(screen(f, 100, 40, ""));
	top_key(&f->st, TOP_KEY_DOWN);
	free(screen(f, 100, 40, ""));
	assert_int_equal(f->st.lists[0].pid, 340);
	top_key(&f->st, TOP_KEY_ENTER); /* nothing is known of it */
	assert_int_equal(f->st.depth, TOP_PROCESSES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		T(the_last_minute_and_the_start__have_rates_of_their_own),
		T(a_mark__is_what_growth_is_counted_from),
		T(memory_of_a_process__has_its_rate_and_its_limit),
		T(each_sort_key__brings_another_stack_to_the_top),
		T(a_full_cache__stands_below_a_leak),
		T(enter_opens_and_escape_closes),
		T(the_cursor__stays_on_its_row_when_the_order_changes),
		T(a_filter__shows_what_has_it_in_its_name),
		T(keys_that_ask_of_the_run__are_actions_unless_one_types),
		T(every_size__is_drawn_within_its_bounds),
		T(a_tiny_terminal__is_told_so),
		T(foreign_names__cannot_break_the_screen),
		T(sparklines__are_ascii_or_blocks_and_flat_when_nothing_happens),
		T(what_has_ended__leaves_the_list),
		T(without_heap_probes__no_heap_is_shown),
		T(a_whole_machine__has_trees_in_order_and_the_rest_below),
		T(trees_that_are_scrolled_away__are_among_the_others),
		T(a_tree__opens_below_its_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
