/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The whole machine: made-up machines whose truth is known, and whose rows must add up. No kernel, no clock.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "model/profile.h"
#include "tests/unit/made_machine.h"

/* The columns of a machine add up, to the byte. */
static void assert_adds_up(const struct machine *m)
{
	const struct machine_row *used = machine_row_of(m, MACHINE_USED);
	int64_t bytes = 0, growth = 0;
	size_t i;

	assert_non_null(used);
	for (i = 0; i < m->n_rows; i++) {
		if (m->rows[i].kind == MACHINE_USED)
			continue;
		bytes += m->rows[i].bytes;
		growth += m->rows[i].growth_bytes;
	}
	assert_int_equal(bytes, used->bytes);
	assert_int_equal(growth, used->growth_bytes);
	assert_int_equal(used->bytes, machine_used_bytes(&m->now));
	assert_int_equal(used->growth_bytes, machine_used_bytes(&m->now) - machine_used_bytes(&m->first));
}

static const struct machine_row *row_named(const struct made *m, const char *name)
{
	size_t i;

	for (i = 0; i < m->p.machine.n_rows; i++)
		if (m->p.machine.rows[i].kind == MACHINE_TREE &&
		    !strcmp(profile_str(&m->p, m->p.machine.rows[i].name), name))
			return &m->p.machine.rows[i];
	return NULL;
}


static void the_grower_is_first_and_all_columns_add_up(void **state)
{
	const struct machine_row *r;
	struct made m;

	(void)state;
	make_grower(&m);
	assert_adds_up(&m.p.machine);
	r = &m.p.machine.rows[0];
	assert_string_equal(profile_str(&m.p, r->name), "grower");
	assert_int_equal(r->pid, 100);
	assert_int_equal(r->word, TREND_GROWING);
	assert_int_equal(r->growth_bytes, LOOKS * 2 * MIB);
	assert_true(fabs(r->rate - 2.0 * MIB) < 1000);
	assert_int_equal(row_named(&m, "stander")->word, TREND_FLAT);
	assert_int_equal(row_named(&m, "stander")->growth_bytes, 0);
	/* 10 GiB - 6 of processes - slab and the like - shared */
	assert_int_equal(machine_row_of(&m.p.machine, MACHINE_UNEXPLAINED)->bytes,
			 10 * GIB - 6 * GIB - 525 * MIB - 100 * MIB);
	unmake(&m);
}

static void ram_is_full_when_what_is_left_is_used_up(void **state)
{
	struct made m;

	(void)state;
	make_grower(&m);
	/* 54 GiB less a minute's growth are left, at 2 MiB/s */
	assert_int_equal(m.p.machine.used.word, TREND_GROWING);
	assert_true(fabs(m.p.machine.full_s - (54.0 * 1024 - 60) / 2) < 30);
	assert_true(m.p.machine.full_low_s <= m.p.machine.full_s);
	assert_true(m.p.machine.full_high_s >= m.p.machine.full_s);
	unmake(&m);
}

/*
 * A master of 100 MiB, three workers that share 95 of it; one grows by 1 MiB a second; it was there, or is forked at
 * 10.
 */
static void make_tree(struct made *m, int born_s)
{
	int t, w;

	make(m);
	for (t = 0; t <= LOOKS; t++) {
		look(m, t, 10 * GIB);
		machine_proc_take(proc(m, 1, t, 50, 1, "puma"), t, 100 * MIB, 0);
		for (w = 0; w < 3 && t >= born_s; w++) {
			struct machine_proc *p = proc(m, 2 + (uint64_t)w, t, 60 + w, 50, "puma");
			uint64_t own = 3 * MIB + (w == 1 ? (uint64_t)t * MIB : 0);

			machine_proc_take(p, t, 95 * MIB + own, 0);
			if (t == born_s || t == LOOKS)
				machine_proc_rollup(p, t, 95 * MIB / 4 + own, 0, own, 95 * MIB + own);
		}
	}
	machine_proc_rollup(proc(m, 1, LOOKS, 50, 1, "puma"), LOOKS, 95 * MIB / 4 + 5 * MIB, 0, 5 * MIB, 100 * MIB);
	machine_fill(&m->p, &m->w);
}

static void a_trees_shared_pages_count_once(void **state)
{
	const struct machine_row *r;
	struct made m;

	(void)state;
	make_tree(&m, 0);
	r = row_named(&m, "puma");
	assert_adds_up(&m.p.machine);
	assert_int_equal(r->n_procs, 4);
	assert_int_equal(r->pid, 50);
	assert_true(llabs(r->bytes - (int64_t)((95 + 5 + 9 + 30) * MIB)) < 8);
	assert_int_equal(r->growth_bytes, 30 * MIB);
	assert_int_equal(r->word, TREND_GROWING);
	unmake(&m);
}

static void the_worker_that_grows_is_named_with_what_its_end_frees(void **state)
{
	const struct machine_row *r;
	struct made m;

	(void)state;
	make_tree(&m, 0);
	r = row_named(&m, "puma");
	assert_int_equal(r->worker_pid, 61);
	assert_int_equal(r->worker_growth, 30 * MIB);
	assert_int_equal(r->worker_private, 33 * MIB);
	unmake(&m);
}

static void a_forked_worker_adds_only_what_is_its_own(void **state)
{
	struct made m;

	(void)state;
	make_tree(&m, 10);
	/* 3 x 3 MiB of their own, and what one has grown by; not 3 x 95 */
	assert_true(llabs(row_named(&m, "puma")->growth_bytes - (int64_t)((9 + 30) * MIB)) < 8);
	unmake(&m);
}

static void copied_pages_are_growth_though_no_process_gets_larger(void **state)
{
	const struct machine_row *r;
	struct made m;
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		look(&m, t, 10 * GIB + (uint64_t)t * MIB);
		machine_proc_take(proc(&m, 1, t, 50, 1, "redis"), t, 100 * MIB, 0);
		machine_proc_take(proc(&m, 2, t, 51, 50, "redis"), t, 100 * MIB, 0);
		if (t == 0 || t == LOOKS)
			machine_proc_rollup(proc(&m, 2, t, 51, 50, "redis"), t, 50 * MIB, 0, (uint64_t)t * MIB,
					    100 * MIB);
	}
	machine_fill(&m.p, &m.w);
	r = row_named(&m, "redis");
	assert_true(llabs(r->growth_bytes - (int64_t)(LOOKS * MIB)) < 8);
	assert_adds_up(&m.p.machine);
	unmake(&m);
}

static void shared_memory_of_a_tree_counts_once(void **state)
{
	const struct machine_row *r;
	struct made m;
	int t;
	uint64_t i;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		struct machine_memory mem = memory_of(10 * GIB);
		uint64_t touched = (uint64_t)t * 3 * MIB;

		mem.shmem_bytes = 90 * MIB;
		machine_watch_memory(&m.w, t, &mem);
		for (i = 0; i < 8; i++) /* each backend touches more of the same segment */
			machine_proc_take(proc(&m, 1 + i, t, 70 + (int)i, i ? 70 : 1, "postgres"), t, 10 * MIB + touched,
					  touched);
	}
	for (i = 0; i < 8; i++)
		machine_proc_rollup(proc(&m, 1 + i, LOOKS, 0, 1, "postgres"), LOOKS, 10 * MIB + 90 * MIB / 8,
				    90 * MIB / 8, 10 * MIB, 10 * MIB);
	for (i = 0; i < 8; i++)
		proc(&m, 1 + i, LOOKS, 70 + (int)i, i ? 70 : 1, "postgres");
	machine_fill(&m.p, &m.w);
	r = row_named(&m, "postgres");
	assert_int_equal(r->growth_bytes, 90 * MIB);
	assert_adds_up(&m.p.machine);
	/* nothing of it is left for files that nobody has mapped */
	assert_true(machine_row_of(&m.p.machine, MACHINE_SHMEM)->bytes < 8);
	unmake(&m);
}

static void a_file_in_tmpfs_that_grows_is_no_process(void **state)
{
	const struct machine_row *r;
	struct made m;
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		struct machine_memory mem = memory_of(10 * GIB + (uint64_t)t * 4 * MIB);

		mem.shmem_bytes += (uint64_t)t * 4 * MIB;
		machine_watch_memory(&m.w, t, &mem);
		machine_proc_take(proc(&m, 1, t, 100, 1, "dd"), t, 3 * MIB, 0);
	}
	machine_fill(&m.p, &m.w);
	r = machine_row_of(&m.p.machine, MACHINE_SHMEM);
	assert_int_equal(r->growth_bytes, LOOKS * 4 * MIB);
	assert_int_equal(r->word, TREND_GROWING);
	assert_int_equal(machine_row_of(&m.p.machine, MACHINE_UNEXPLAINED)->growth_bytes, 0);
	assert_adds_up(&m.p.machine);
	unmake(&m);
}

static void one_that_ended_keeps_its_row_if_it_mattered(void **state)
{
	struct made m;
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		look(&m, t, 10 * GIB);
		machine_proc_take(proc(&m, 1, t, 100, 1, "stays"), t, 3 * MIB, 0);
		if (t >= 5 && t < 20)
			machine_proc_take(proc(&m, 2, t, 101, 1, "large"), t, (uint64_t)t * 20 * MIB, 0);
		if (t >= 5 && t < 7)
			machine_proc_take(proc(&m, 3, t, 102, 1, "small"), t, 2 * MIB, 0);
		if (t == 20)
			machine_watch_end(&m.w, 2, t);
		if (t == 7)
			machine_watch_end(&m.w, 3, t);
		machine_watch_tidy(&m.w);
	}
	machine_fill(&m.p, &m.w);
	assert_true(row_named(&m, "large")->has_ended);
	assert_int_equal(row_named(&m, "large")->bytes, 0);
	assert_int_equal(row_named(&m, "large")->growth_bytes, 0);
	assert_null(row_named(&m, "small"));
	assert_int_equal(m.p.machine.n_came, 2);
	assert_int_equal(m.p.machine.n_went, 2);
	assert_adds_up(&m.p.machine);
	unmake(&m);
}

static void more_trees_than_rows_are_one_row_and_still_add_up(void **state)
{
	struct made m;
	uint64_t i;
	char name[16];
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		look(&m, t, 20 * GIB);
		for (i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "p%d", (int)i);
			machine_proc_take(proc(&m, i + 1, t, 1000 + (int)i, 1, name), t, i * MIB + (uint64_t)t * i * 100, 0);
		}
	}
	machine_fill(&m.p, &m.w);
	assert_adds_up(&m.p.machine);
	assert_int_equal(m.p.machine.n_processes, 300);
	assert_int_equal(machine_row_of(&m.p.machine, MACHINE_OTHERS)->n_procs + m.p.machine.n_rows - 5, 300);
	assert_string_equal(profile_str(&m.p, m.p.machine.rows[0].name), "p299");
	unmake(&m);
}

/* pod of 2 GiB, 1.4 in use, + 14 MiB a second */
static void a_control_group_is_full_before_ram_is(void **state)
{
	struct made m;
	size_t g;
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		struct machine_memory mem = memory_of(10 * GIB + (uint64_t)t * 14 * MIB);
		struct machine_proc *p;

		machine_watch_memory(&m.w, t, &mem);
		g = machine_watch_group(&m.w, 77);
		snprintf(m.w.groups[g].name, sizeof(m.w.groups[g].name), "pod mailer");
		m.w.groups[g].limit_bytes = 2 * GIB;
		m.w.groups[g].used_bytes = 1024 * MIB + (uint64_t)t * 14 * MIB;
		m.w.groups[g].oom_kills = 3;
		m.w.groups[g].oom_kills_first = 2;
		series_add(&m.w.groups[g].used, t, (double)m.w.groups[g].used_bytes);
		p = proc(&m, 1, t, 100, 1, "node");
		p->groups[0] = g;
		p->n_groups = 1;
		snprintf(p->group, sizeof(p->group), "pod mailer");
		machine_proc_take(p, t, 900 * MIB + (uint64_t)t * 14 * MIB, 0);
	}
	machine_fill(&m.p, &m.w);
	assert_int_equal(m.p.machine.n_groups, 1);
	assert_true(fabs(m.p.machine.groups[0].full_s - (1024.0 - 30 * 14) / 14) < 1);
	assert_true(fabs(row_named(&m, "node")->full_s - m.p.machine.groups[0].full_s) < 0.01);
	assert_true(m.p.machine.full_s > m.p.machine.groups[0].full_s);
	assert_int_equal(m.p.machine.groups[0].new_kills, 1);
	assert_int_equal(m.p.machine.groups[0].growth_bytes, LOOKS * 14 * MIB);
	unmake(&m);
}

/* It grew to the brim and was killed at second 20: nothing of it grows, and only a kill is told of. */
static void a_control_group_that_is_gone__is_not_about_to_be_full(void **state)
{
	unsigned int kills;
	struct made m;
	size_t g;
	int t;

	(void)state;
	for (kills = 0; kills <= 1; kills++) {
		make(&m);
		for (t = 0; t <= LOOKS; t++) {
			struct machine_memory mem = memory_of(10 * GIB);

			machine_watch_memory(&m.w, t, &mem);
			m.w.groups_s = t;
			if (t > 20)
				continue;
			g = machine_watch_group(&m.w, 77);
			m.w.groups[g].read_s = t;
			m.w.groups[g].limit_bytes = 2 * GIB;
			m.w.groups[g].used_bytes = GIB + (uint64_t)t * 51 * MIB;
			m.w.groups[g].oom_kills = kills;
			series_add(&m.w.groups[g].used, t, (double)m.w.groups[g].used_bytes);
		}
		machine_fill(&m.p, &m.w);
		assert_int_equal(m.p.machine.n_groups, kills);
		if (kills) {
			assert_true(m.p.machine.groups[0].full_s < 0);
			assert_int_equal(m.p.machine.groups[0].used_bytes, 0);
			assert_int_equal(m.p.machine.groups[0].growth_bytes, 0);
			assert_int_equal(m.p.machine.groups[0].new_kills, 1);
		}
		unmake(&m);
	}
}

/* Page faults are of the window: not those from before, but all of one that came later. */
static void a_tree_is_seen_by_its_page_faults(void **state)
{
	const struct machine_row *r;
	struct made m;
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		struct machine_memory mem = memory_of(10 * GIB);
		struct machine_proc *p;

		machine_watch_memory(&m.w, t, &mem);
		p = proc(&m, 1, t, 100, 1, "churner");
		machine_proc_take(p, t, GIB, 0);
		if (!t)
			p->faulted_first_bytes = 500 * GIB;
		machine_proc_faulted(p, t, 500 * GIB + (uint64_t)t * 3 * MIB);
		machine_proc_take(proc(&m, 2, t, 200, 1, "unread"), t, 2 * GIB, 0);
		if (t < LOOKS / 2)
			continue;
		p = proc(&m, 3, t, 101, 100, "churner");
		machine_proc_take(p, t, GIB, 0);
		machine_proc_faulted(p, t, LOOKS * MIB);
	}
	machine_fill(&m.p, &m.w);
	r = row_named(&m, "churner");
	assert_int_equal(r->n_procs, 2);
	assert_int_equal(r->seen, SEEN_FAULTS);
	assert_true(fabs(r->fault_rate - 4.0 * MIB) < 1);
	assert_int_equal(row_named(&m, "unread")->seen, SEEN_PROC);
	unmake(&m);
}

/* Two workers that grow by 1 MiB a second each, one that stands. */
static void a_group_without_a_limit__is_the_sum_of_its_processes(void **state)
{
	struct made m;
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		look(&m, t, 10 * GIB + (uint64_t)t * 2 * MIB);
		machine_proc_take(proc(&m, 1, t, 100, 1, "worker"), t, GIB + (uint64_t)t * MIB, 0);
		machine_proc_take(proc(&m, 2, t, 101, 1, "worker"), t, GIB + (uint64_t)t * MIB, 0);
		machine_proc_take(proc(&m, 3, t, 200, 1, "stander"), t, 5 * GIB, 0);
	}
	machine_fill(&m.p, &m.w);
	assert_int_equal(m.p.machine.n_groups, 1);
	assert_string_equal(profile_str(&m.p, m.p.machine.groups[0].name), "worker.service");
	assert_true(m.p.machine.groups[0].limit_bytes == UINT64_MAX);
	assert_int_equal(m.p.machine.groups[0].used_bytes, 2 * GIB + 2 * LOOKS * MIB);
	assert_int_equal(m.p.machine.groups[0].growth_bytes, 2 * LOOKS * MIB);
	assert_true(m.p.machine.groups[0].full_s < 0);
	unmake(&m);
}

/* The rate of one that is looked at twice a second, and grows by as much a second between those two times. */
static double late_rate(double until_s, double from_s, double to_s, double bytes_per_s)
{
	struct machine_proc *p;
	double seconds, growth, t;
	struct made m;

	make(&m);
	p = machine_watch_proc(&m.w, 1, 0, false);
	for (t = 0; t <= until_s; t += 0.5)
		machine_proc_take(p, t, 50 * MIB + (uint64_t)(bytes_per_s * (fmin(fmax(t, from_s), to_s) - from_s)), 0);
	growth = machine_proc_late_growth(p, until_s, &seconds);
	unmake(&m);
	return seconds > 0 ? growth / seconds : 0;
}

static void growth_of_late_is_that_of_the_last_minute(void **state)
{
	const double hour = 3600, leak = 10.0 * MIB / 60;

	(void)state;
	/* half a minute after 4 h in which nothing grew */
	assert_true(late_rate(4 * hour + 30, 4 * hour, 5 * hour, leak) > leak * 0.35);
	assert_true(late_rate(4 * hour + 90, 4 * hour, 5 * hour, leak) > leak * 0.99);
	/* it grew at the start, and has stopped */
	assert_true(late_rate(400, 0, 300, leak) == 0);
	assert_true(late_rate(330, 0, 300, leak) < leak * 0.65);
	/* after days of growth, too, when the series has a point in minutes */
	assert_true(fabs(late_rate(72 * hour, 0, 72 * hour, leak) - leak) < 1);
	/* at the start: what there is */
	assert_true(fabs(late_rate(4, 0, hour, leak) - leak) < 1);
}

static void swapped_pages_are_in_use(void **state)
{
	struct machine_memory mem = memory_of(10 * GIB);

	(void)state;
	mem.swap_total_bytes = 4 * GIB;
	mem.swap_free_bytes = 3 * GIB;
	assert_int_equal(machine_used_bytes(&mem), 11 * GIB);
}

static void what_a_process_got_since_its_share_was_read__is_its_own(void **state)
{
	struct made m;
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		look(&m, t, 10 * GIB + (uint64_t)t * 4 * MIB);
		machine_proc_take(proc(&m, 1, t, 100, 1, "app"), t, 100 * MIB + (uint64_t)t * 4 * MIB, 0);
		if (t == 10)
			machine_proc_rollup(proc(&m, 1, t, 100, 1, "app"), t, 90 * MIB, 0, 90 * MIB, 140 * MIB);
	}
	machine_fill(&m.p, &m.w);
	assert_int_equal(row_named(&m, "app")->bytes, 90 * MIB + 20 * 4 * MIB);
	assert_adds_up(&m.p.machine);
	unmake(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_grower_is_first_and_all_columns_add_up),
		cmocka_unit_test(a_tree_is_seen_by_its_page_faults),
		cmocka_unit_test(ram_is_full_when_what_is_left_is_used_up),
		cmocka_unit_test(a_trees_shared_pages_count_once),
		cmocka_unit_test(the_worker_that_grows_is_named_with_what_its_end_frees),
		cmocka_unit_test(a_forked_worker_adds_only_what_is_its_own),
		cmocka_unit_test(copied_pages_are_growth_though_no_process_gets_larger),
		cmocka_unit_test(shared_memory_of_a_tree_counts_once),
		cmocka_unit_test(a_file_in_tmpfs_that_grows_is_no_process),
		cmocka_unit_test(one_that_ended_keeps_its_row_if_it_mattered),
		cmocka_unit_test(more_trees_than_rows_are_one_row_and_still_add_up),
		cmocka_unit_test(a_control_group_is_full_before_ram_is),
		cmocka_unit_test(a_control_group_that_is_gone__is_not_about_to_be_full),
		cmocka_unit_test(a_group_without_a_limit__is_the_sum_of_its_processes),
		cmocka_unit_test(what_a_process_got_since_its_share_was_read__is_its_own),
		cmocka_unit_test(growth_of_late_is_that_of_the_last_minute),
		cmocka_unit_test(swapped_pages_are_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
