/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Recordings in the tree, rendered: tests/golden/NAME.memprobe gives the bytes of NAME.* in each format. They stay as
 * they are: what was written by an earlier memprobe must be read by a later one. With GOLDEN_WRITE=1 missing ones are
 * written (where profiles.c has changed: remove them first), and the texts of the comparison.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "model/codec.h"
#include "render/renderer.h"
#include "tests/golden/golden.h"
#include "tests/golden/profiles.h"

#define RUN_ID 0x5245434f5244ULL

static const struct {
	const char *name;
	void (*make)(struct profile *p);
} profiles[] = { { "growing", make_growing }, { "empty", make_empty }, { "many", make_many }, { "rich", make_rich } };

#define N_PROFILES (sizeof(profiles) / sizeof(profiles[0]))

static void write_missing(const char *path, size_t i)
{
	struct render_opts o = { 0 };
	struct buf b = BUF_INIT;
	struct profile p;

	if (!getenv("GOLDEN_WRITE") || !access(path, F_OK))
		return;
	profiles[i].make(&p);
	p.run_id = RUN_ID + i;
	renderer_by_name("memprobe")->render(&b, &p, &o);
	golden_write(&b, path);
	buf_release(&b);
	profile_release(&p);
}

/* The snapshot of a recording in the tree. */
static void load(size_t i, struct profile *p)
{
	struct codec_recording r;
	struct buf file = BUF_INIT;
	char path[128];

	snprintf(path, sizeof(path), "tests/golden/%s.memprobe", profiles[i].name);
	write_missing(path, i);
	assert_int_equal(buf_read_file(&file, path, 1 << 20), 0);
	assert_int_equal(codec_open(&r, file.data, file.len), 0);
	assert_true(r.is_complete);
	assert_int_equal(r.n, 1);
	assert_int_equal(codec_read(&r, 0, p), 0);
	assert_int_equal(p->run_id, RUN_ID + i);
	codec_close(&r);
	buf_release(&file);
}

static void every_format_of_a_recording_in_the_tree__is_the_golden_file(void **state)
{
	static const struct {
		const char *format, *suffix;
	} v[] = { { "report", "txt" }, { "folded", "folded" }, { "flamegraph", "svg" }, { "pprof", "pb" },
		  { "json", "jsonl" }, { "heapprofile", "heapprofile" } };
	struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	unsigned int n = 0;
	size_t i, k;

	(void)state;
	for (i = 0; i < N_PROFILES; i++) {
		struct profile p;

		load(i, &p);
		for (k = 0; k < sizeof(v) / sizeof(v[0]); k++) {
			struct buf got = BUF_INIT, want = BUF_INIT;
			char path[128];

			snprintf(path, sizeof(path), "tests/golden/%s.%s", profiles[i].name, v[k].suffix);
			if (buf_read_file(&want, path, 1 << 20))
				continue; /* not each profile is there in each format */
			golden_render(&got, &p, v[k].format, &o);
			if (got.len != want.len || memcmp(got.data, want.data, got.len) != 0)
				fail_msg("%s differs from the recording's: has profiles.c changed? See above", path);
			n++;
			buf_release(&got);
			buf_release(&want);
		}
		profile_release(&p);
	}
	assert_in_range(n, 15, 24);
}

static void compare_text(const struct diff *d, const char *format, const char *path)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	struct buf got = BUF_INIT;

	renderer_by_name(format)->diff(&got, d, &o);
	golden_check(&got, path);
	buf_release(&got);
}

static void a_comparison__is_these_bytes(void **state)
{
	static const char *const begun[] = { "Begun::later(int)", "main", NULL };
	struct profile a, b;
	struct diff d;

	(void)state;
	load(0, &a);
	load(0, &b);
	b.window_ns = 60 * NS_PER_S;
	b.wall_time_ns += 30 * NS_PER_S;
	make_totals(&b.stacks[0], 43632000 * 2, 21816 * 2, 0, 0);
	make_totals(&b.stacks[1], 53434, 204, 1999999999, 2000000);
	make_totals(make_stack(&b, 99, 7, MP_END_COMPLETE, begun), 500000, 500, 0, 0);
	diff_make(&d, &a, &b);
	assert_true(d.is_one_run);
	compare_text(&d, "report", "tests/golden/moments.diff.txt");
	compare_text(&d, "folded", "tests/golden/moments.diff.folded");
	diff_release(&d);
	b.run_id++;
	diff_make(&d, &a, &b);
	assert_false(d.is_one_run);
	compare_text(&d, "report", "tests/golden/runs.diff.txt");
	compare_text(&d, "folded", "tests/golden/runs.diff.folded");
	diff_release(&d);
	profile_release(&a);
	profile_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_of_a_recording_in_the_tree__is_the_golden_file),
		cmocka_unit_test(a_comparison__is_these_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
