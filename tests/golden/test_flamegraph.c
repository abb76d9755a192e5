/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The flame graph: bytes of a small one, words, names that want to break out, and that a picture of
 * 100 000 stacks stays within its bounds. It is also the program that test_flamegraph.py and
 * test_flamegraph_browser.py get their pictures from:
 *
 *	test_flamegraph --render NAME [FORMAT [METRIC]]   a profile of this file, to stdout
 *	test_flamegraph --read FORMAT [METRIC]		  one read from stdin: profiles.c, make_read_stack
 *	test_flamegraph --diff FORMAT one|two		  a comparison, of lines with two figures, A and B
 *	test_flamegraph --bench STACKS [FORMAT]		  time, memory and size of a large one
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "render/flamegraph_internal.h"
#include "tests/golden/golden.h"
#include "tests/golden/profiles.h"

#define MAX_FILE_BYTES 3000000 /* of 100 000 stacks */
#define MAX_RSS_BYTES (150 * MIB)

static uint32_t frame(struct profile *p, const char *name, const char *module, enum frame_class class)
{
	struct profile_frame f = { .name = profile_string(p, name), .module = profile_string(p, module),
				   .class = class };

	return profile_frame(p, &f);
}

static void drawn(struct buf *out, const struct profile *p, enum profile_metric metric)
{
	struct render_opts o = { .metric = metric };

	renderer_by_name("flamegraph")->render(out, p, &o);
}

/* ---- profiles ---- */

/* Each kind of code, as a service has them; host, command and all. */
static void make_kinds(struct profile *p)
{
	static const struct {
		const char *name, *module;
		enum frame_class class;
		uint64_t kib;
	} v[] = {
		{ "malloc", "libc.so.6", FRAME_ALLOCATOR, 700 },
		{ "Session::open(int, char const*) const", "gatewayd", FRAME_APP, 600 },
		{ "PyObject_Malloc", "libpython3.11.so.1.0", FRAME_APP, 500 },
		{ "CRYPTO_malloc", "libcrypto.so.3", FRAME_APP, 400 },
		{ "std::string::_M_mutate(unsigned long)", "libstdc++.so.6", FRAME_CXX, 300 },
		{ "[libvendor.so+0x12f0]", "libvendor.so", FRAME_UNKNOWN, 200 },
		{ "do_syscall_64", "[kernel]", FRAME_KERNEL, 100 },
		{ "[stack not sent]", "", FRAME_NOTE, 50 },
	};
	uint32_t frames[2], at;
	size_t i;

	make_common(p);
	make_process(p, 7, 4242, "gatewayd")->at_attach.rss_anon_bytes = 40 * MIB;
	p->host = profile_string(p, "app-17");
	p->kernel = profile_string(p, "6.1.0-25-amd64");
	p->command_line = profile_string(p, "memprobe -p 4242 -o 'a b.svg'");
	frames[1] = frame(p, "main", "gatewayd", FRAME_APP);
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		frames[0] = frame(p, v[i].name, v[i].module, v[i].class);
		at = profile_add_stack(p, i + 1, profile_proc(p, 7), frames, 2, MP_END_COMPLETE);
		make_totals(&p->stacks[at], v[i].kib * KIB, v[i].kib, 0, 0);
	}
}

static const char *const hostile_names[] = {
	"<script>window.broken=1</script>",
	"</title></text></svg><svg onload=\"window.broken=2\">",
	"]]><script>window.broken=3</script>",
	"a&b&#60;script&gt;&amp;",
	"\"quoted\" 'too' onmouseover=window.broken=4",
	"two\nlines 99",
	"tab\tand\rreturn",
	"nul-less \x01\x02\x1b[31mred\x7f",
	"invalid \xff\xfe\xc0\xaf\xed\xa0\x80 end",
	"cut short \xe2\x82",
	"no XML character \xef\xbf\xbe\xef\xbf\xbf here",
	"next line \xc2\x85 and \xe2\x80\xa8 separator",
	"semi;colon,comma;;",
	"javascript:window.broken=5",
	"${window.broken=6}`${window.broken=6}`",
	"%s%n%d",
	"\xe5\x87\xbd\xe6\x95\xb0 \xf0\x9f\x92\xbe",
	"",
};

#define N_HOSTILE (sizeof(hostile_names) / sizeof(hostile_names[0]))

static void make_hostile(struct profile *p)
{
	static char endless[65536];
	uint32_t frames[2], at;
	size_t i;

	make_common(p);
	make_process(p, 7, 1, "a<b>&\"'\n]]>");
	p->host = profile_string(p, "<host>]]>\x01");
	p->kernel = profile_string(p, "&6.1");
	p->command_line = profile_string(p, "memprobe -- '<x>' ]]> \xff");
	memset(endless, 'x', sizeof(endless) - 1);
	frames[1] = frame(p, endless, "lib<&>.so", FRAME_APP);
	for (i = 0; i < N_HOSTILE; i++) {
		frames[0] = frame(p, hostile_names[i], i % 2 ? "mod\nule<&\"'" : "]]>", FRAME_APP);
		at = profile_add_stack(p, i + 1, profile_proc(p, 7), frames, 2, MP_END_COMPLETE);
		make_totals(&p->stacks[at], 1000 + i, 1, 0, 0);
	}
}

static void make_endless_recursion(struct profile *p)
{
	static uint32_t frames[4096];
	char name[32];
	uint32_t i;

	make_common(p);
	make_process(p, 7, 1, "deep");
	for (i = 0; i < 4096; i++) {
		snprintf(name, sizeof(name), "f%u", i % 1000);
		frames[i] = frame(p, name, "app", FRAME_APP);
	}
	profile_add_stack(p, 1, 0, frames, 4096, MP_END_COMPLETE);
	profile_add_stack(p, 2, 0, frames, 3000, MP_END_DEPTH);
	make_totals(&p->stacks[0], 4096, 2, 0, 0);
	make_totals(&p->stacks[1], 100, 1, 0, 0);
}

static void make_huge_total(struct profile *p)
{
	static const char *const names[] = { "f", "main", NULL };

	make_common(p);
	make_process(p, 7, 1, "huge");
	make_totals(make_stack(p, 1, 7, MP_END_COMPLETE, names), UINT64_MAX - 1, 3, 0, 0);
}

static void read_profile(struct profile *p)
{
	char *line = NULL;
	size_t cap = 0;
	uint64_t id = 0;

	make_common(p);
	while (getline(&line, &cap, stdin) > 0)
		make_read_stack(p, line, ++id);
	free(line);
}

/* ---- tests ---- */

static void a_small_picture__is_these_bytes(void **state)
{
	struct buf got = BUF_INIT;
	struct profile p;

	(void)state;
	make_growing(&p);
	drawn(&got, &p, METRIC_LIVE_BYTES);
	golden_check(&got, "tests/golden/growing.svg");
	buf_release(&got);
	profile_release(&p);
}

static void check_words(void (*make)(struct profile *p), enum profile_metric metric, const char *const *words)
{
	struct buf b = BUF_INIT;
	struct profile p;

	make(&p);
	drawn(&b, &p, metric);
	for (; *words; words++) {
		bool wanted = **words != '!';

		if (!strstr(b.data, *words + !wanted) == wanted)
			fail_msg("%s: %s\n%s", wanted ? "not there" : "there", *words, b.data);
	}
	buf_release(&b);
	profile_release(&p);
}

static void make_sampled(struct profile *p)
{
	make_growing(p);
	p->watch.rung = RUNG_SAMPLED;
	p->watch.interval_bytes = 8192;
}

/* A child that was forked later: its memory is its parent's. */
static void make_forked(struct profile *p)
{
	make_kinds(p);
	*make_process(p, 8, 4243, "gatewayd") = (struct profile_proc){
		.gen = 8, .tgid = 4243, .comm = p->procs[0].comm, .begin_ns = 1, .at_attach = p->procs[0].at_attach,
	};
}

static void make_started_by_us(struct profile *p)
{
	make_kinds(p);
	p->procs[0].begin_ns = 1;
}

static void make_unfinished(struct profile *p)
{
	make_many(p);
	p->final = false;
}

static void the_words__say_what_is_drawn_and_how_far_to_trust_it(void **state)
{
	(void)state;
	check_words(make_kinds, METRIC_LIVE_BYTES,
		    (const char *const[]){ "gatewayd (pid 4242) on app-17: 2.8 MiB allocated since the attach and still live "
					   "(30 s to 2026-11-21 ",
					   "Width = live bytes. Not in the picture: 40.0 MiB of anonymous memory",
					   "EXACT: every malloc", "Lost: nothing. Complete stacks: 100.00 %",
					   "memprobe -p 4242 -o &#39;a b.svg&#39; ", "Linux 6.1.0-25-amd64", "!The run goes on",
					   ">application<", ">library<", ">runtime, interpreter<", ">allocator, libc<", ">kernel<",
					   ">no name<", ">stack cut or missing<", ">smaller stacks<", NULL });
	check_words(make_kinds, METRIC_ALLOC_BLOCKS,
		    (const char *const[]){ ": 2 850 blocks allocated since the attach, freed again or not", "Width = blocks allocated", NULL });
	check_words(make_growing, METRIC_LIVE_BYTES,
		    (const char *const[]){ "12 blocks of which were freed since (300.0 KiB)", "Complete stacks: 99.99 %",
					   " [truncated: no unwind info in app]\n", NULL });
	check_words(make_sampled, METRIC_LIVE_BYTES,
		    (const char *const[]){ "ESTIMATED: sampled every 8 KiB (so: +/-)", "!EXACT", NULL });
	check_words(make_forked, METRIC_LIVE_BYTES,
		    (const char *const[]){ "Not in the picture: 40.0 MiB of anonymous memory", NULL });
	check_words(make_started_by_us, METRIC_LIVE_BYTES,
		    (const char *const[]){ "Not in the picture: nothing from before the attach.", NULL });
	check_words(make_unfinished, METRIC_LIVE_BYTES,
		    (const char *const[]){ "3 processes: 11.5 MiB", "INCOMPLETE: ", "Lost: 5 events, see below.", "!EXACT", "The run goes on.",
					   "lost: blocks_full 5 (4.0 KiB): blocks left out", NULL });
	check_words(make_empty, METRIC_LIVE_BYTES,
		    (const char *const[]){ "Nothing allocated in 30 s was kept. 1 140 000 calls of malloc and free were seen, so "
					   "the probes work.", "!<script", "!<metadata", NULL });
}

/* No byte of a name reaches the file unescaped: between the tags of the script and of the style are only ours. */
static void hostile_names__stay_text(void **state)
{
	struct buf b = BUF_INIT;
	struct profile p;
	const char *s;
	int scripts = 0;
	size_t i;

	(void)state;
	make_hostile(&p);
	drawn(&b, &p, METRIC_LIVE_BYTES);
	assert_int_equal(strlen(b.data), b.len);
	for (i = 0; i < b.len; i++)
		if (((unsigned char)b.data[i] < 0x20 && b.data[i] != '\n') || b.data[i] == 0x7f)
			fail_msg("control character %d at %zu", b.data[i], i);
	for (s = b.data; (s = strstr(s, "<script")); s++)
		scripts++;
	assert_int_equal(scripts, 1);
	scripts = 0;
	for (s = b.data; (s = strstr(s, "]]>")); s++)
		scripts++;
	assert_int_equal(scripts, 2); /* the ends of the style and of the script */
	assert_true(b.len < 200000);
	buf_release(&b);
	profile_release(&p);
}

static void the_same_profile__gives_the_same_bytes(void **state)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	struct profile p, q;
	uint32_t i, k;

	(void)state;
	make_large(&p, 500);
	drawn(&a, &p, METRIC_LIVE_BYTES);
	/* the same stacks in the opposite order: ids of strings and frames differ */
	make_common(&q);
	make_process(&q, 7, 4242, "large");
	for (i = 500; i-- > 0;) {
		const struct profile_stack *s = &p.stacks[i];
		uint32_t frames[64];

		for (k = 0; k < s->n_frames; k++) {
			const struct profile_frame *f = &p.frames[p.stack_frames[s->first_frame + k]];

			frames[k] = frame(&q, profile_str(&p, f->name), profile_str(&p, f->module), f->class);
		}
		k = profile_add_stack(&q, s->id, 0, frames, s->n_frames, s->end);
		make_totals(&q.stacks[k], s->live_bytes, s->live_blocks, 0, 0);
	}
	drawn(&b, &q, METRIC_LIVE_BYTES);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	buf_release(&a);
	buf_release(&b);
	profile_release(&p);
	profile_release(&q);
}

static uint64_t max_rss_bytes(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (uint64_t)ru.ru_maxrss * KIB;
}

static void a_picture_of_100000_stacks__fits_3_megabytes_and_150_mebibytes(void **state)
{
	struct buf b = BUF_INIT;
	struct profile p;

	(void)state;
	make_large(&p, 100000);
	drawn(&b, &p, METRIC_LIVE_BYTES);
	assert_in_range(b.len, 500000, MAX_FILE_BYTES);
#ifndef __SANITIZE_ADDRESS__
	assert_in_range(max_rss_bytes(), 1, MAX_RSS_BYTES);
#endif
	buf_release(&b);
	profile_release(&p);
}

static void recursion_without_end_and_totals_above_2_to_53__have_a_bounded_picture(void **state)
{
	struct buf b = BUF_INIT;
	struct profile p;

	(void)state;
	make_endless_recursion(&p);
	drawn(&b, &p, METRIC_LIVE_BYTES);
	assert_non_null(strstr(b.data, "[deeper frames not drawn]"));
	assert_in_range(b.len, 10000, 500000);
	buf_release(&b);
	profile_release(&p);
	make_huge_total(&p);
	drawn(&b, &p, METRIC_LIVE_BYTES);
	assert_non_null(strstr(b.data, "16.00 EiB (18 446 744 073 709 551 614 B), 3 blocks"));
	buf_release(&b);
	profile_release(&p);
}

static void stacks_below_min_bytes__are_left_out_and_counted(void **state)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES, .min_bytes = 1000 };
	struct buf b = BUF_INIT;
	struct profile p;

	(void)state;
	make_growing(&p);
	renderer_by_name("flamegraph")->render(&b, &p, &o);
	assert_non_null(strstr(b.data, "; 1 stacks below --min-bytes (128 B)."));
	assert_null(strstr(b.data, "truncated"));
	buf_reset(&b);
	o.min_bytes = 1ULL << 60;
	renderer_by_name("flamegraph")->render(&b, &p, &o);
	assert_non_null(strstr(b.data, "Every stack is below --min-bytes."));
	buf_release(&b);
	profile_release(&p);
}

static void a_label__loses_its_parameters_first_then_its_scopes(void **state)
{
	static const struct {
		const char *name;
		unsigned int columns;
		const char *label;
	} v[] = {
		{ "main", 4, "main" },
		{ "main", 3, "ma\xe2\x80\xa6" },
		{ "main", 2, "" },
		{ "Json::parse(char const*)", 24, "Json::parse(char const*)" },
		{ "Json::parse(char const*)", 23, "Json::parse" },
		{ "Json::parse(char const*)", 10, "parse" },
		{ "Json::parse(char const*)", 4, "par\xe2\x80\xa6" },
		{ "a::B<c::d, 1>::get() const", 20, "a::B<c::d, 1>::get" },
		{ "a::B<c::d, 1>::get() const", 15, "B<c::d, 1>::get" },
		{ "a::B<c::d, 1>::get() const", 14, "get" },
		{ "a::operator<<(b::c)", 12, "operator<<" },
		{ "x->y::", 4, "x->\xe2\x80\xa6" },
		{ "\xe5\x87\xbd\xe6\x95\xb0", 4, "\xe5\x87\xbd\xe6\x95\xb0" },
		{ "\xe5\x87\xbd\xe6\x95\xb0", 3, "\xe5\x87\xbd\xe2\x80\xa6" },
	};
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		buf_reset(&b);
		flame_add_label(&b, v[i].name, v[i].columns);
		assert_string_equal(b.data, v[i].label);
	}
	buf_release(&b);
}

static void kinds_of_code__follow_class_and_object(void **state)
{
	static const struct {
		enum frame_class class;
		const char *module;
		enum flame_kind kind;
	} v[] = {
		{ FRAME_APP, "gatewayd", FLAME_APP },	       { FRAME_APP, "libfoo.so.1", FLAME_LIBRARY },
		{ FRAME_APP, "python3.11", FLAME_RUNTIME },    { FRAME_APP, "libpython3.11.so.1.0", FLAME_RUNTIME },
		{ FRAME_APP, "beam.smp", FLAME_RUNTIME },      { FRAME_APP, "nodetool", FLAME_APP },
		{ FRAME_APP, "node", FLAME_RUNTIME },	       { FRAME_APP, "app.solver", FLAME_APP },
		{ FRAME_LIBC, "libc.so.6", FLAME_ALLOCATOR },  { FRAME_ALLOCATOR, "libjemalloc.so.2", FLAME_ALLOCATOR },
		{ FRAME_CXX, "app", FLAME_LIBRARY },	       { FRAME_RUNTIME, "", FLAME_RUNTIME },
		{ FRAME_KERNEL, "[kernel]", FLAME_KERNEL },    { FRAME_UNKNOWN, "libfoo.so", FLAME_UNNAMED },
		{ FRAME_NOTE, "", FLAME_NOTE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct profile_frame f = { .class = v[i].class };

		if (flame_kind_of(&f, v[i].module) != v[i].kind)
			fail_msg("%s: kind %d", v[i].module, flame_kind_of(&f, v[i].module));
	}
}

/* ---- pictures for other tests ---- */

static const struct {
	const char *name;
	void (*make)(struct profile *p);
} profiles[] = {
	{ "growing", make_growing }, { "empty", make_empty },	  { "many", make_many },
	{ "rich", make_rich },	     { "kinds", make_kinds },     { "hostile", make_hostile }, { "huge", make_huge_total },
	{ "deep", make_endless_recursion },
};

static int print(struct profile *p, const char *format, const char *metric)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	struct buf b = BUF_INIT;
	int err;

	if (!renderer_by_name(format) || (metric && metric_parse(metric, &o.metric)))
		return 2;
	renderer_by_name(format)->render(&b, p, &o);
	err = fwrite(b.data, 1, b.len, stdout) != b.len || fflush(stdout);
	buf_release(&b);
	profile_release(p);
	return err ? 1 : 0;
}

/* Lines `PROCESS-PID;FRAME;... A B`: live bytes of two moments of a run, 10 s and 30 s, or of two runs. */
static int print_diff(const char *format, bool is_one_run)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	struct profile sides[2];
	struct buf b = BUF_INIT;
	char line[65536];
	struct diff d;
	uint64_t id;
	int i, err;

	for (i = 0; i < 2; i++) {
		make_common(&sides[i]);
		sides[i].run_id = is_one_run ? 1 : 1 + (uint64_t)i;
		sides[i].window_ns = (i ? 30 : 10) * NS_PER_S;
	}
	for (id = 1; fgets(line, sizeof(line), stdin); id++) {
		char *values[2], *text;

		line[strcspn(line, "\n")] = '\0';
		for (i = 1; i >= 0; i--) {
			values[i] = strrchr(line, ' ') + 1;
			values[i][-1] = '\0';
		}
		for (i = 0; i < 2; i++) {
			text = xasprintf("%s %s 1", line, values[i]);
			if (strcmp(values[i], "0") != 0)
				make_read_stack(&sides[i], text, id);
			free(text);
		}
	}
	diff_make(&d, &sides[0], &sides[1]);
	renderer_by_name(format)->diff(&b, &d, &o);
	err = fwrite(b.data, 1, b.len, stdout) != b.len || fflush(stdout);
	diff_release(&d);
	profile_release(&sides[0]);
	profile_release(&sides[1]);
	buf_release(&b);
	return err;
}

static double cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void count_and_forget(void *ctx, struct buf *b)
{
	*(size_t *)ctx += b->len;
	buf_reset(b);
}

static int bench(uint32_t n, const char *format)
{
	size_t bytes = 0;
	struct render_opts o = { .metric = METRIC_LIVE_BYTES, .drain = count_and_forget, .drain_ctx = &bytes };
	struct buf b = BUF_INIT;
	struct profile p;
	double t;
	uint64_t before;

	make_large(&p, n);
	before = max_rss_bytes();
	t = cpu_s();
	renderer_by_name(format)->render(&b, &p, &o);
	printf("stacks %u seconds %.3f file_bytes %zu rss_before_mib %llu rss_peak_mib %llu\n", n, cpu_s() - t, bytes + b.len,
	       (unsigned long long)(before / MIB), (unsigned long long)(max_rss_bytes() / MIB));
	buf_release(&b);
	profile_release(&p);
	return 0;
}

static int as_program(int argc, char **argv)
{
	struct profile p;
	size_t i;

	if (argc >= 3 && !strcmp(argv[1], "--bench"))
		return bench((uint32_t)atoi(argv[2]), argc > 3 ? argv[3] : "flamegraph");
	if (argc == 4 && !strcmp(argv[1], "--diff"))
		return print_diff(argv[2], !strcmp(argv[3], "one"));
	if (argc >= 3 && !strcmp(argv[1], "--read")) {
		read_profile(&p);
		return print(&p, argv[2], argc > 3 ? argv[3] : NULL);
	}
	if (argc >= 3 && !strcmp(argv[2], "large")) {
		make_large(&p, 100000);
		return print(&p, argc > 3 ? argv[3] : "flamegraph", argc > 4 ? argv[4] : NULL);
	}
	for (i = 0; argc >= 3 && i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (strcmp(profiles[i].name, argv[2]) != 0)
			continue;
		profiles[i].make(&p);
		return print(&p, argc > 3 ? argv[3] : "flamegraph", argc > 4 ? argv[4] : NULL);
	}
	return 2;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_picture__is_these_bytes),
		cmocka_unit_test(the_words__say_what_is_drawn_and_how_far_to_trust_it),
		cmocka_unit_test(hostile_names__stay_text),
		cmocka_unit_test(the_same_profile__gives_the_same_bytes),
		cmocka_unit_test(a_picture_of_100000_stacks__fits_3_megabytes_and_150_mebibytes),
		cmocka_unit_test(recursion_without_end_and_totals_above_2_to_53__have_a_bounded_picture),
		cmocka_unit_test(stacks_below_min_bytes__are_left_out_and_counted),
		cmocka_unit_test(a_label__loses_its_parameters_first_then_its_scopes),
		cmocka_unit_test(kinds_of_code__follow_class_and_object),
	};

	if (argc > 1)
		return as_program(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
