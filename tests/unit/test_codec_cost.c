/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Recordings: columns of numbers, byte by byte, and what a recording of many stacks takes. Time is this process's CPU
 * time, with limits that a slow machine keeps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/units.h"
#include "model/codec_internal.h"
#include "tests/unit/codec_run.h"

static void columns__hold_every_number(void **state)
{
	static const uint64_t v[] = { 0, 1, 127, 128, 300, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX, 5, 1ULL << 63 };
	const size_t n = sizeof(v) / sizeof(v[0]);
	struct codec_column c = { 0 };
	struct buf b = BUF_INIT;
	struct codec_in in;
	size_t i, len;

	(void)state;
	memcpy(codec_column_room(&c, n), v, sizeof(v));
	codec_column_add(&c, &b, n);
	for (len = 0; len <= b.len; len++) {
		uint8_t *data = malloc(len ? len : 1);

		memcpy(data, b.data, len);
		in = (struct codec_in){ .p = data, .end = data + len };
		codec_column_read(&c, &in, n);
		assert_true(in.bad == (len < b.len));
		free(data);
	}
	assert_memory_equal(c.v, v, sizeof(v));
	for (i = 0; i < n; i++)
		assert_int_equal(codec_unzigzag(codec_zigzag(v[i])), v[i]);
	codec_column_release(&c);
	buf_release(&b);
}

/* What the format's description says: 5 300 7 are 05 ac 07 02. */
static void columns__are_written_by_planes(void **state)
{
	struct codec_column c = { 0 };
	struct buf b = BUF_INIT;

	(void)state;
	memcpy(codec_column_room(&c, 3), (uint64_t[]){ 5, 300, 7 }, 24);
	codec_column_add(&c, &b, 3);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "\x05\xac\x07\x02", 4);
	codec_column_release(&c);
	buf_release(&b);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 100 000 stacks of 16 to 32 frames of 3 000, as a large program has them: callers are shared, leaves are not. */
static void make_large(struct profile *p, uint32_t n)
{
	uint32_t names[3000], frames[32], i, k, depth;
	char name[120];
	uint64_t h;

	codec_run_begin(p);
	codec_run_process(p, 1, 1);
	for (i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "app::subsystem_%u::Component<std::string, %u>::handle(Request const&)", i % 40, i);
		names[i] = codec_run_frame(p, name, i + 1);
	}
	for (i = 0; i < n; i++) {
		depth = 16 + (uint32_t)(hash_u64(i) % 17);
		for (k = 0, h = 0; k < depth; k++) {
			h = hash_u64(h * 31 + 1 + (hash_u64((uint64_t)i << 8 | k) % 100 < 60 ? 0 : hash_u64(i * 7 + k) % 8));
			frames[depth - 1 - k] = names[h % 3000];
		}
		profile_add_stack(p, hash_u64(i + 1), 0, frames, depth, MP_END_COMPLETE);
	}
}

static void change_some(struct profile *p, uint32_t step)
{
	uint32_t i;

	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &p->stacks[i];

		if (hash_u64(i) % 10 == 0 || !step) { /* a tenth goes on allocating */
			s->t.alloc_bytes += hash_u64(i + step) % 4096;
			s->t.alloc_blocks += 1 + i % 3;
			s->t.birth_sum_ms += step * 1000;
			s->live_bytes = totals_live_bytes(&s->t);
			s->live_blocks = totals_live_blocks(&s->t);
		}
	}
	p->window_ns += NS_PER_S;
}

/* In a run of 30 s with 100 000 stacks, a snapshot a second: what it takes. The limits are ten
 * times what was measured. */
static void a_hundred_thousand_stacks__cost_little_to_record(void **state)
{
	struct buf b = BUF_INIT;
	struct codec_writer *w = codec_writer_new(codec_run_sink, &b, 1);
	struct profile p;
	double begin, first, rest;
	size_t first_bytes;
	uint32_t i;

	(void)state;
	make_large(&p, 100000);
	change_some(&p, 0);
	begin = cpu_seconds();
	assert_int_equal(codec_write(w, &p), 0);
	first = cpu_seconds() - begin;
	first_bytes = b.len;
	for (i = 1, rest = 0; i < 30; i++) {
		change_some(&p, i);
		begin = cpu_seconds();
		assert_int_equal(codec_write(w, &p), 0);
		rest += cpu_seconds() - begin;
	}
	assert_int_equal(codec_finish(w), 0);
	print_message("first snapshot %.0f ms, %.2f MiB; 29 more: %.1f ms, %.0f KiB each\n", first * 1e3,
		      (double)first_bytes / MIB, rest / 29 * 1e3, (double)(b.len - first_bytes) / 29 / KIB);
	assert_true(first < 2);
	assert_true(rest / 29 < 0.1);
	assert_true(first_bytes < 5 * MIB);
	assert_true((b.len - first_bytes) / 29 < 100 * KIB);
	codec_writer_free(w);
	profile_release(&p);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns__hold_every_number),
		cmocka_unit_test(columns__are_written_by_planes),
		cmocka_unit_test(a_hundred_thousand_stacks__cost_little_to_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
