/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The whole machine on screens of all widths: lines fit, columns add up as printed. No kernel, no clock. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "render/renderer.h"
#include "tests/unit/made_machine.h"

static void assert_fits(const struct buf *text, unsigned int columns)
{
	const char *line = text->data;
	unsigned int n = 0;

	for (; *line; line = strchr(line, '\n') + 1, n++)
		assert_true(strchr(line, '\n') - line <= columns);
	assert_true(n <= 40);
}

/* In hundredths, wherever it stands in the line after its unit's first place; rates in tenths. */
static void take_amounts(const char *line, const char *unit, int64_t *bytes, int64_t *rate)
{
	const char *at = strstr(line, unit), *number = at - 1;
	double b, r;

	while (number > line && number[-1] != ' ')
		number--;
	assert_int_equal(sscanf(number, "%lf", &b), 1);
	assert_int_equal(sscanf(at + strlen(unit), "%lf", &r), 1);
	*bytes = llround(b * 100);
	*rate = llround(r * 10);
}

/* The rows between the heading and the last one, which is their sum; each in one line. How many. */
static unsigned int assert_screen_adds_up(const struct buf *text)
{
	const char *line = strstr(text->data, "PROCESS (TREE)"), *end = strstr(text->data, "shared pages");
	int64_t bytes = 0, rate = 0, all_bytes = 0, all_rate = 0;
	unsigned int n = 0;

	assert_non_null(line);
	assert_non_null(end);
	for (line = strchr(line, '\n') + 1; line < end; line = strchr(line, '\n') + 1, n++) {
		assert_null(memmem(line, (size_t)(strchr(line, '\n') - line), "...", 3));
		take_amounts(line, " GiB ", &bytes, &rate);
		all_bytes += bytes;
		all_rate += rate;
	}
	assert_int_equal(all_bytes, 2 * bytes);
	assert_int_equal(all_rate, 2 * rate);
	return n;
}

static const unsigned int widths[] = { 50, 54, 60, 66, 72, 80, 99, 100, 160 };

static void the_screen_names_the_grower_and_fits(void **state)
{
	const struct render_opts o = { .columns = 100 };
	struct buf text = BUF_INIT;
	struct made m;

	(void)state;
	make_grower(&m);
	m.p.host = profile_string(&m.p, "app-17");
	renderer_by_name("report")->render(&text, &m.p, &o);
	assert_fits(&text, 100);
	assert_true(!strncmp(text.data, "GROWING    app-17 uses 120.0 MiB/min more; 100 % of it: grower (pid 100)\n", 70));
	assert_non_null(strstr(text.data, "\nRAM full   in 7 h"));
	assert_non_null(strstr(text.data, ": then the kernel kills; "));
	assert_non_null(strstr(text.data, "\nnext       sudo memprobe -p 100 -d 2m"));
	buf_release(&text);
	unmake(&m);
}

/* ---- the first word, the row's and that of the time are one ---- */

/* Memory of the machine, and of one process on it, at second t. */
typedef uint64_t bytes_at(int t);

static uint64_t straight(int t)
{
	return (uint64_t)t * 3 * MIB;
}

static uint64_t dying(int t)
{
	return (uint64_t)(120 * (double)MIB * (1 - exp(-t / 8.0)));
}

static uint64_t nearly_straight(int t)
{
	return (uint64_t)(120 * (double)MIB * (1 - exp(-t / 18.0))) + (uint64_t)t * MIB / 3;
}

static uint64_t dying_soon(int t)
{
	return dying(t) / 4;
}

static uint64_t noisy(int t)
{
	return 40 * MIB + (uint64_t)(t * 7919 % 31) * MIB;
}

static uint64_t standing(int t)
{
	(void)t;
	return 0;
}

static uint64_t steps(int t)
{
	return t < 18 ? 0 : 80 * MIB;
}

/* one: of a process that begins at from_s; small: of another. */
static void make_two(struct made *m, bytes_at *used, bytes_at *one, bytes_at *small, int from_s)
{
	int t;

	make(m);
	for (t = 0; t <= LOOKS; t++) {
		look(m, t, 10 * GIB + used(t));
		if (t >= from_s)
			machine_proc_take(proc(m, 1, t, 100, 1, "app"), t, (from_s ? 0 : GIB) + one(t), 0);
		machine_proc_take(proc(m, 2, t, 200, 1, "other"), t, GIB + small(t), 0);
	}
	m->p.host = profile_string(&m->p, "h");
	machine_fill(&m->p, &m->w);
}

static void add_trend(struct buf *out, const char *row)
{
	static const char *const words[] = { "GROWING", "LEVELS OFF", "UNDECIDED", "FLAT", "SAW-TOOTH", "SHRINKING", "started" };
	const char *end = strchr(row, '\n');
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (memmem(row, (size_t)(end - row), words[i], strlen(words[i])))
			buf_adds(out, words[i]);
}

/* "GROWING/GROWING/in": the first word, that of the row of the process that it names, and the time. */
static void the_words(struct made *m, struct buf *out)
{
	const struct render_opts o = { .columns = 100 };
	const char *row, *full;
	struct buf text = BUF_INIT;

	buf_reset(out);
	renderer_by_name("report")->render(&text, &m->p, &o);
	full = strstr(text.data, "RAM full ");
	buf_add(out, text.data, strcspn(text.data, " ") + (strncmp(text.data, "LEVELS", 6) ? 0 : 4));
	buf_addc(out, '/');
	row = strstr(text.data, strstr(text.data, "app (pid") ? "   100  app" : "   200  other");
	if (memmem(text.data, (size_t)(full - text.data), "(pid", 4))
		add_trend(out, row);
	buf_addf(out, "/%s", !strncmp(full + 11, "in ", 3) ? "in" : "none");
	if (memmem(text.data, (size_t)(full - text.data), "itself", 6))
		buf_adds(out, "/itself");
	buf_release(&text);
}

static void the_first_word__is_the_row_s_and_that_of_the_time(void **state)
{
	static const struct {
		const char *name;
		bytes_at *used, *one, *small;
		int from_s;
		const char *expected;
	} cases[] = {
		{ "both grow", straight, straight, standing, 0, "GROWING/GROWING/in" },
		{ "the machine is drowned in noise", noisy, straight, standing, 0, "GROWING/GROWING/in" },
		{ "one levels off, and the sum of it just does not", nearly_straight, dying, standing, 0,
		  "LEVELS OFF/LEVELS OFF/none" },
		{ "both level off, a small one grows", dying, dying, straight, 0, "GROWING/GROWING/in" },
		{ "nothing alone", straight, standing, standing, 0, "GROWING//in" },
		{ "a part of it by one that levels off", straight, dying_soon, standing, 0, "GROWING/LEVELS OFF/in/itself" },
		{ "one that came, and stands", steps, steps, standing, 18, "started/started/none" },
		{ "nothing", standing, standing, standing, 0, "FLAT//none" },
	};
	struct buf words = BUF_INIT;
	struct made m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make_two(&m, cases[i].used, cases[i].one, cases[i].small, cases[i].from_s);
		the_words(&m, &words);
		if (strcmp(words.data, cases[i].expected) != 0)
			print_message("%s:\n", cases[i].name);
		assert_string_equal(words.data, cases[i].expected);
		unmake(&m);
	}
	buf_release(&words);
}

/*
 * More trees than have rows, of several processes, in all that a machine can have; what is large, and what is below
 * zero.
 */
static void make_crowd(struct made *m)
{
	int t, i;

	make(m);
	for (t = 0; t <= LOOKS; t++) {
		struct machine_memory mem = memory_of(20 * GIB + (uint64_t)t * 777777);

		mem.hugetlb_bytes = 2 * GIB;
		mem.kept_free_bytes = GIB;
		machine_watch_memory(&m->w, t, &mem);
		for (i = 0; i < 12; i++) {
			struct machine_proc *p = proc(m, 1 + (uint64_t)i, t, 4194000 + i, i % 2 ? 4194000 + i - 1 : 1,
						      i < 6 ? "a name of thirty characters or so" : "postgres");

			machine_proc_take(p, t, (uint64_t)(12 - i) * 77777777 + (uint64_t)t * (uint64_t)(i % 5) * 3333333, 0);
			machine_proc_faulted(p, t, (uint64_t)t * 1111111 * (uint64_t)i);
		}
	}
	machine_fill(&m->p, &m->w);
}

static void the_screen_fits_and_adds_up_at_any_width(void **state)
{
	struct buf text = BUF_INIT;
	struct made m;
	size_t i;

	(void)state;
	make_crowd(&m);
	for (i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		const struct render_opts o = { .columns = widths[i] };

		buf_reset(&text);
		renderer_by_name("report")->render(&text, &m.p, &o);
		assert_fits(&text, widths[i]);
		/* five trees, others, kernel, tmpfs, huge pages, kept, unexplained, the sum */
		assert_int_equal(assert_screen_adds_up(&text), 12);
		assert_true(!strstr(text.data, "SEEN BY") == (widths[i] < 80));
		assert_true(!strstr(text.data, "CGROUP") == (widths[i] < 96));
	}
	buf_release(&text);
	unmake(&m);
}

/* Three groups of one process each; the second grows fastest, and has a limit. */
static void make_groups(struct made *m)
{
	static const char *const names[] = { "slow.service", "pod mailer", "faster.service" };
	static const uint64_t mib_each[] = { 2, 14, 5 };
	size_t i, g;
	int t;

	make(m);
	for (t = 0; t <= LOOKS; t++) {
		look(m, t, 10 * GIB + (uint64_t)t * 21 * MIB);
		for (i = 0; i < 3; i++) {
			struct machine_proc *p;
			struct machine_watch *w = &m->w;

			g = machine_watch_group(w, 77 + i);
			snprintf(w->groups[g].name, sizeof(w->groups[g].name), "%s", names[i]);
			w->groups[g].limit_bytes = i == 1 ? 2 * GIB : UINT64_MAX;
			w->groups[g].used_bytes = GIB + (uint64_t)t * mib_each[i] * MIB;
			w->groups[g].oom_kills = i == 1 ? 3 : 0;
			w->groups[g].oom_kills_first = i == 1 ? 2 : 0;
			series_add(&w->groups[g].used, t, (double)w->groups[g].used_bytes);
			p = proc(m, 1 + i, t, 100 + (int)i, 1, "node");
			p->groups[0] = g;
			snprintf(p->group, sizeof(p->group), "%s", names[i]);
			p->n_groups = 1;
			machine_proc_take(p, t, 900 * MIB + (uint64_t)t * mib_each[i] * MIB, 0);
		}
	}
	machine_fill(&m->p, &m->w);
}

static void groups_are_ranked_and_the_first_limit_is_told_with_what_happens_there(void **state)
{
	const struct render_opts o = { .columns = 100 };
	struct buf text = BUF_INIT;
	struct made m;

	(void)state;
	make_groups(&m);
	renderer_by_name("report")->render(&text, &m.p, &o);
	assert_fits(&text, 100);
	assert_non_null(strstr(text.data, "\nLimit      pod mailer (2.00 GiB) full in 43 s, near "));
	assert_non_null(strstr(text.data, " UTC: then the kernel kills in it; RAM in"));
	assert_non_null(strstr(text.data, "\ngroups  pod mailer +420.0 MiB, now 1.41 GiB\n"
					  "        faster.service +150.0 MiB, now 1.15 GiB\n"
					  "        slow.service +60.0 MiB, now 1.06 GiB\n"));
	assert_non_null(strstr(text.data, "\nlimits  pod mailer 1.41 GiB of 2.00 GiB, killed 3 times, 1 of it now\n"));
	buf_release(&text);
	unmake(&m);
}

/* A process may call itself anything. */
static void hostile_names_leave_the_screen_whole(void **state)
{
	struct buf text = BUF_INIT;
	struct made m;
	size_t i;
	int t;

	(void)state;
	make(&m);
	for (t = 0; t <= LOOKS; t++) {
		look(&m, t, 10 * GIB + (uint64_t)t * MIB);
		machine_proc_take(proc(&m, 1, t, 100, 1, "\033[2Jevil\n\xff" "0123456789012345678901234567890123456"), t,
				  GIB + (uint64_t)t * MIB, 0);
	}
	machine_fill(&m.p, &m.w);
	for (i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		const struct render_opts o = { .columns = widths[i] };

		buf_reset(&text);
		renderer_by_name("report")->render(&text, &m.p, &o);
		assert_fits(&text, widths[i]);
		assert_screen_adds_up(&text);
		assert_null(strchr(text.data, '\033'));
	}
	buf_release(&text);
	unmake(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_screen_names_the_grower_and_fits),
		cmocka_unit_test(the_first_word__is_the_row_s_and_that_of_the_time),
		cmocka_unit_test(the_screen_fits_and_adds_up_at_any_width),
		cmocka_unit_test(groups_are_ranked_and_the_first_limit_is_told_with_what_happens_there),
		cmocka_unit_test(hostile_names_leave_the_screen_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
