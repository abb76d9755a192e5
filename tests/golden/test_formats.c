/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * pprof, JSON lines and .heapprofile: bytes of small profiles (pprof before its compression, which is
 * zlib's and may change with it), order, bounds, encodings. What the bytes mean is read back in
 * test_formats.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/units.h"
#include "render/gzip.h"
#include "render/json_text.h"
#include "render/protobuf.h"
#include "render/renderer.h"
#include "tests/golden/golden.h"
#include "tests/golden/profiles.h"

#define MAX_RSS_BYTES (150 * MIB)

static void small_profiles__are_these_bytes(void **state)
{
	static const struct {
		const char *name;
		void (*make)(struct profile *p);
	} v[] = { { "growing", make_growing }, { "empty", make_empty }, { "many", make_many }, { "rich", make_rich } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		golden_compare(v[i].name, v[i].make, "pprof", "pb");
		golden_compare(v[i].name, v[i].make, "json", "jsonl");
		golden_compare(v[i].name, v[i].make, "heapprofile", "heapprofile");
	}
}

static const char *const formats[] = { "pprof", "json", "heapprofile" };

/* The same profile, put together from the last process and stack to the first: other ids of everything. */
static void copy_backwards(struct profile *to, const struct profile *p)
{
	uint32_t frames[64], i, k;

	make_common(to);
	for (i = (uint32_t)p->n_procs; i-- > 0;)
		make_process(to, p->procs[i].gen, p->procs[i].tgid, profile_str(p, p->procs[i].comm));
	for (i = (uint32_t)p->n_stacks; i-- > 0;) {
		const struct profile_stack *s = &p->stacks[i];

		for (k = s->n_frames; k-- > 0;) {
			struct profile_frame f = p->frames[p->stack_frames[s->first_frame + k]];

			f.file = profile_string(to, profile_str(p, f.file));
			f.build_id = profile_string(to, profile_str(p, f.build_id));
			f.module = profile_string(to, profile_str(p, f.module));
			f.name = profile_string(to, profile_str(p, f.name));
			frames[k] = profile_frame(to, &f);
		}
		k = profile_add_stack(to, s->id, profile_proc(to, p->procs[s->proc].gen), frames, s->n_frames, s->end);
		make_totals(&to->stacks[k], s->live_bytes, s->live_blocks, s->t.free_bytes, s->t.free_blocks);
	}
}

static void the_order_of_stacks_and_processes_in_memory__is_not_in_the_bytes(void **state)
{
	struct profile p, once, twice;
	uint32_t i, k;

	(void)state;
	make_many(&p);
	for (i = 0; i < 200; i++) { /* many that weigh the same */
		char name[16];
		const char *names[] = { name, i % 2 ? "main" : "start", NULL };

		snprintf(name, sizeof(name), "f%u", i % 50);
		make_totals(make_stack(&p, 1000 + i, 1 + i % 3, MP_END_COMPLETE, names), 64, 1, 0, 0);
	}
	copy_backwards(&once, &p);
	copy_backwards(&twice, &once);
	for (i = 0; i < 3; i++) {
		for (k = 0; k < METRIC_NR; k++) {
			struct render_opts o = { .metric = (enum profile_metric)k };
			struct buf a = BUF_INIT, b = BUF_INIT;

			golden_render(&a, &once, formats[i], &o);
			golden_render(&b, &twice, formats[i], &o);
			if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
				fail_msg("%s by %s differs", formats[i], metric_name(o.metric));
			buf_release(&a);
			buf_release(&b);
		}
	}
	profile_release(&p);
	profile_release(&once);
	profile_release(&twice);
}

static void count_and_forget(void *ctx, struct buf *b)
{
	*(size_t *)ctx += b->len;
	buf_reset(b);
}

static void the_formats_of_100000_stacks__need_no_more_than_150_mebibytes(void **state)
{
	static const struct {
		const char *format;
		size_t least, most;
	} v[] = { { "pprof", 1000000, 10000000 },     { "json", 1000000, 50000000 },	 { "heapprofile", 1000000, 30000000 },
		  { "folded", 150000000, 300000000 }, { "report", 1000, 100000 } };
	struct rusage ru;
	struct profile p;
	size_t i;

	(void)state;
	make_large(&p, 100000);
	for (i = 0; i < sizeof(v) / sizeof(*v); i++) {
		size_t bytes = 0;
		struct render_opts o = { .metric = METRIC_LIVE_BYTES, .drain = count_and_forget, .drain_ctx = &bytes };
		struct buf b = BUF_INIT;

		renderer_by_name(v[i].format)->render(&b, &p, &o);
		assert_in_range(bytes + b.len, v[i].least, v[i].most);
		getrusage(RUSAGE_SELF, &ru);
		print_message("%s: %zu bytes, %ld KiB at the peak so far\n", v[i].format, bytes + b.len, ru.ru_maxrss);
		buf_release(&b);
#ifndef __SANITIZE_ADDRESS__
		if ((uint64_t)ru.ru_maxrss * KIB > MAX_RSS_BYTES)
			fail_msg("%s: %ld KiB at the peak", v[i].format, ru.ru_maxrss);
#endif
	}
	profile_release(&p);
}

static void stacks_below_min_bytes__are_left_out_and_counted(void **state)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES, .min_bytes = 1000 };
	struct profile p;
	size_t i;

	(void)state;
	make_growing(&p);
	for (i = 0; i < 3; i++) {
		struct buf b = BUF_INIT;

		golden_render(&b, &p, formats[i], &o);
		if (!memmem(b.data, b.len, i == 1 ? "\"left_out_stacks\":1,\"left_out_bytes\":128," :
						 "left out: 1 stacks below --min-bytes (128 B)", 40))
			fail_msg("%s: %s", formats[i], b.data);
		assert_null(memmem(b.data, b.len, "decode", 6));
		buf_release(&b);
	}
	profile_release(&p);
}

static void a_number__has_seven_bits_in_a_byte(void **state)
{
	static const struct {
		uint64_t n;
		const char *bytes;
		size_t len;
	} v[] = {
		{ 0, "\0", 1 },
		{ 127, "\x7f", 1 },
		{ 128, "\x80\x01", 2 },
		{ 150, "\x96\x01", 2 },
		{ 1ULL << 53, "\x80\x80\x80\x80\x80\x80\x80\x10", 8 },
		{ UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
	};
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		buf_reset(&b);
		pb_add_varint(&b, v[i].n);
		assert_int_equal(b.len, v[i].len);
		assert_memory_equal(b.data, v[i].bytes, v[i].len);
	}
	buf_reset(&b);
	pb_add_uint(&b, 3, 0);
	assert_int_equal(b.len, 0);
	pb_add_uint(&b, 16, 1);
	pb_add_bytes(&b, 2, "hi", 2);
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.data, "\x80\x01\x01\x12\x02hi", 7);
	buf_release(&b);
}

static void a_string_of_json__has_nothing_that_json_forbids(void **state)
{
	static const struct {
		const char *text, *json;
	} v[] = {
		{ "", "\"\"" },
		{ "main", "\"main\"" },
		{ "a\"b\\c/d", "\"a\\\"b\\\\c/d\"" },
		{ "\\", "\"\\\\\"" },
		{ "tab\tline\nbell\a\x7f", "\"tab line?bell??\"" },
		{ "\xff\xc0\xaf\xe2\x82", "\"?????\"" },
		{ "\xe5\x87\xbd\xf0\x9f\x92\xbe", "\"\xe5\x87\xbd\xf0\x9f\x92\xbe\"" },
	};
	struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		buf_reset(&b);
		json_add_string(&b, v[i].text);
		assert_string_equal(b.data, v[i].json);
	}
	buf_reset(&b);
	json_add_number(&b, 0);
	json_add_uint(&b, "n", UINT64_MAX);
	json_add_some_text(&b, "left_out", "");
	assert_string_equal(b.data, "0,\"n\":18446744073709551615");
	buf_release(&b);
}

static void a_gzip_member__unpacks_to_its_pieces_and_has_no_time(void **state)
{
	struct buf packed = BUF_INIT, plain = BUF_INIT, got = BUF_INIT;
	struct gzip g;
	uint64_t i, x;

	(void)state;
	gzip_begin(&g, &packed);
	for (i = 0; i < 30000; i++) { /* does not compress, so that output comes in many turns */
		x = hash_u64(i);
		buf_add(&plain, &x, sizeof(x));
		gzip_add(&g, &x, sizeof(x));
	}
	gzip_add(&g, plain.data, 1001);
	gzip_end(&g);
	assert_memory_equal(packed.data, "\x1f\x8b\x08\0\0\0\0\0", 8);
	golden_inflate(&got, &packed);
	assert_int_equal(got.len, plain.len + 1001);
	assert_memory_equal(got.data, plain.data, plain.len);
	assert_memory_equal(got.data + plain.len, plain.data, 1001);
	buf_release(&packed);
	buf_release(&plain);
	buf_release(&got);
}

static void a_suffix__finds_its_format(void **state)
{
	static const struct {
		const char *path, *format;
	} v[] = {
		{ "x.pb.gz", "pprof" },	      { "d.svg/x.pb.gz", "pprof" }, { "x.pprof", "pprof" },
		{ "x.jsonl", "json" },	      { "x.ndjson", "json" },	    { "a.b.heapprofile", "heapprofile" },
		{ "x.gz", NULL },	      { "xpb.gz", NULL },	    { "pb.gz", NULL },
		{ "x.json", NULL },	      { "x.pb.gz/out", NULL },	    { "x.svg", "flamegraph" },
		{ "x.collapsed", "folded" },  { "x.", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		const struct renderer *r = renderer_by_file(v[i].path);

		if (!r != !v[i].format || (r && strcmp(r->name, v[i].format) != 0))
			fail_msg("%s: %s", v[i].path, r ? r->name : "none");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_profiles__are_these_bytes),
		cmocka_unit_test(the_order_of_stacks_and_processes_in_memory__is_not_in_the_bytes),
		cmocka_unit_test(the_formats_of_100000_stacks__need_no_more_than_150_mebibytes),
		cmocka_unit_test(stacks_below_min_bytes__are_left_out_and_counted),
		cmocka_unit_test(a_number__has_seven_bits_in_a_byte),
		cmocka_unit_test(a_string_of_json__has_nothing_that_json_forbids),
		cmocka_unit_test(a_gzip_member__unpacks_to_its_pieces_and_has_no_time),
		cmocka_unit_test(a_suffix__finds_its_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
