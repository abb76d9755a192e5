/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Recordings: what is written is read again, snapshot by snapshot; cut after any byte, the snapshots before are
 * whole; any byte changed is found out; nothing in a file makes the reader leave its bounds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/units.h"
#include "model/codec.h"
#include "model/codec_internal.h"
#include "tests/unit/codec_run.h"

/* ---- comparing, field by field ---- */

static void same_facts(const struct profile_facts *a, const struct profile_facts *b)
{
	assert_int_equal(a->rss_bytes, b->rss_bytes);
	assert_int_equal(a->swap_bytes, b->swap_bytes);
	assert_int_equal(a->limit_bytes, b->limit_bytes);
	assert_int_equal(a->limit_name, b->limit_name);
	assert_int_equal(a->n_threads, b->n_threads);
	assert_int_equal(a->cpu_ns, b->cpu_ns);
}

static void same_procs(const struct profile *a, const struct profile *b)
{
	size_t i;

	assert_int_equal(a->n_procs, b->n_procs);
	for (i = 0; i < a->n_procs; i++) {
		const struct profile_proc *x = &a->procs[i], *y = &b->procs[i];

		assert_int_equal(x->gen, y->gen);
		assert_int_equal(x->tgid, y->tgid);
		assert_int_equal(x->comm, y->comm);
		assert_int_equal(x->parent, y->parent);
		assert_int_equal(x->state, y->state);
		assert_memory_equal(&x->old, &y->old, sizeof(x->old));
		same_facts(&x->at_attach, &y->at_attach);
		same_facts(&x->now, &y->now);
	}
}

static void same_stacks(const struct profile *a, const struct profile *b)
{
	size_t i;

	assert_int_equal(a->n_stacks, b->n_stacks);
	for (i = 0; i < a->n_stacks; i++) {
		const struct profile_stack *x = &a->stacks[i], *y = &b->stacks[i];

		assert_int_equal(x->id, y->id);
		assert_int_equal(x->proc, y->proc);
		assert_int_equal(x->end, y->end);
		assert_int_equal(x->n_frames, y->n_frames);
		assert_memory_equal(a->stack_frames + x->first_frame, b->stack_frames + y->first_frame,
				    x->n_frames * sizeof(*a->stack_frames));
		assert_memory_equal(&x->t, &y->t, sizeof(x->t));
		assert_int_equal(x->live_bytes, y->live_bytes);
		assert_int_equal(x->live_blocks, y->live_blocks);
	}
}

static void same_rest(const struct profile *a, const struct profile *b)
{
	assert_memory_equal(a->losses, b->losses, sizeof(a->losses));
	assert_memory_equal(&a->cost, &b->cost, sizeof(a->cost));
	assert_int_equal(a->watch.rung, b->watch.rung);
	assert_true(a->watch.is_fixed == b->watch.is_fixed && a->watch.budget == b->watch.budget &&
		    a->watch.slowdown == b->watch.slowdown && a->watch.cpu_before == b->watch.cpu_before &&
		    a->watch.delay_armed == b->watch.delay_armed);
	assert_int_equal(a->watch.n_steps, b->watch.n_steps);
	assert_memory_equal(a->watch.steps, b->watch.steps, a->watch.n_steps * sizeof(a->watch.steps[0]));
	assert_int_equal(a->n_marks, b->n_marks);
	assert_memory_equal(a->marks, b->marks, a->n_marks * sizeof(a->marks[0]));
	assert_int_equal(a->n_bridges, b->n_bridges);
	assert_memory_equal(a->bridges, b->bridges, a->n_bridges * sizeof(a->bridges[0]));
	assert_int_equal(a->window_ns, b->window_ns);
	assert_int_equal(a->wall_time_ns, b->wall_time_ns);
	assert_int_equal(a->final, b->final);
	assert_string_equal(profile_str(a, a->host), profile_str(b, b->host));
	assert_string_equal(profile_str(a, a->command_line), profile_str(b, b->command_line));
}

static void same(const struct profile *a, const struct profile *b)
{
	size_t i;

	assert_int_equal(a->strings.n, b->strings.n);
	for (i = 0; i < a->strings.n; i++)
		assert_string_equal(a->strings.strings[i], b->strings.strings[i]);
	assert_int_equal(a->n_frames, b->n_frames);
	for (i = 0; i < a->n_frames; i++) {
		const struct profile_frame *x = &a->frames[i], *y = &b->frames[i];

		assert_true(x->name == y->name && x->module == y->module && x->file == y->file && x->line == y->line &&
			    x->build_id == y->build_id && x->inlined == y->inlined && x->class == y->class &&
			    x->vaddr == y->vaddr);
	}
	same_procs(a, b);
	same_stacks(a, b);
	same_rest(a, b);
}

/* ---- tests ---- */

static void every_snapshot__is_read_as_it_was_written(void **state)
{
	struct buf b = BUF_INIT;
	struct codec_recording r;
	size_t ends[CODEC_RUN_N], i;
	struct profile got, want;

	(void)state;
	codec_run_record(&b, ends);
	assert_int_equal(codec_open(&r, b.data, b.len), 0);
	assert_int_equal(r.n, CODEC_RUN_N);
	assert_true(r.is_complete);
	assert_string_equal(r.problem.data, "");
	assert_int_equal(r.run_id, 0x1122334455667788);
	for (i = 0; i < r.n; i++) {
		assert_int_equal(codec_read(&r, i, &got), 0);
		codec_run_make(&want, i);
		same(&got, &want);
		assert_int_equal(r.snapshots[i].window_ns, want.window_ns);
		profile_release(&got);
		profile_release(&want);
	}
	assert_int_equal(codec_find(&r, 0), 0);
	assert_int_equal(codec_find(&r, 24 * NS_PER_S), 1);
	assert_int_equal(codec_find(&r, 26 * NS_PER_S), 2);
	assert_int_equal(codec_find(&r, UINT64_MAX), 3);
	codec_close(&r);
	buf_release(&b);
}

static void a_run_without_stacks__is_a_recording(void **state)
{
	struct buf b = BUF_INIT;
	struct codec_writer *w = codec_writer_new(codec_run_sink, &b, 1);
	struct codec_recording r;
	struct profile p, got;

	(void)state;
	profile_init(&p);
	assert_int_equal(codec_write(w, &p), 0);
	assert_int_equal(codec_finish(w), 0);
	assert_int_equal(codec_open(&r, b.data, b.len), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(codec_read(&r, 0, &got), 0);
	assert_int_equal(got.n_stacks + got.n_procs + got.n_frames, 0);
	profile_release(&got);
	codec_close(&r);
	codec_writer_free(w);
	profile_release(&p);
	buf_release(&b);
}

/* Each in memory of exactly its size, so that the sanitizer sees the first byte too far. */
static void cut_after_any_byte__what_is_whole_is_read(void **state)
{
	struct profile want[CODEC_RUN_N];
	size_t ends[CODEC_RUN_N], len, n, i;
	struct buf b = BUF_INIT;

	(void)state;
	codec_run_record(&b, ends);
	for (i = 0; i < CODEC_RUN_N; i++)
		codec_run_make(&want[i], i);
	for (len = 0; len < b.len; len++) {
		struct codec_recording r;
		uint8_t *data = malloc(len ? len : 1);

		memcpy(data, b.data, len);
		for (n = 0; n < CODEC_RUN_N && ends[n] <= len;)
			n++;
		assert_int_equal(codec_open(&r, data, len), len ? 0 : -ENODATA);
		assert_int_equal(r.n, n);
		assert_false(r.is_complete);
		assert_true(r.problem.len > 0);
		if (n) {
			struct profile got;

			assert_int_equal(codec_read(&r, n - 1, &got), 0);
			same(&got, &want[n - 1]);
			profile_release(&got);
		}
		codec_close(&r);
		free(data);
	}
	for (i = 0; i < CODEC_RUN_N; i++)
		profile_release(&want[i]);
	buf_release(&b);
}

static void any_byte_changed__is_found_out(void **state)
{
	size_t ends[CODEC_RUN_N], i, n;
	struct buf b = BUF_INIT;
	int bit;

	(void)state;
	codec_run_record(&b, ends);
	for (i = 0; i < b.len; i++) {
		for (bit = 0; bit < 8; bit++) {
			struct codec_recording r;
			int err;

			b.data[i] ^= (char)(1 << bit);
			for (n = 0; n < CODEC_RUN_N && ends[n] <= i;)
				n++;
			err = codec_open(&r, b.data, b.len);
			assert_false(r.is_complete);
			assert_true(r.problem.len > 0);
			assert_true(err ? i < CODEC_FILE_HEAD : r.n == n);
			codec_close(&r);
			b.data[i] ^= (char)(1 << bit);
		}
	}
	buf_release(&b);
}

/* Makes the check sum of the section at `at` right again. */
static void sign(struct buf *b, size_t at)
{
	uint8_t *head = (uint8_t *)b->data + at;
	uint32_t crc = codec_section_crc(head, CODEC_SECTION_HEAD + codec_u32(head + 4));
	int i;

	for (i = 0; i < 4; i++)
		head[12 + i] = (uint8_t)(crc >> 8 * i);
}

/* Puts bytes of a section in place of those at `at`: stored, not packed. */
static void replace_section(struct buf *out, const struct buf *b, size_t at, const struct buf *plain)
{
	size_t end = at + CODEC_SECTION_HEAD + codec_u32((const uint8_t *)b->data + at + 4);
	const uint16_t len = (uint16_t)plain->len;
	const uint8_t stored[5] = { 1, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len, (uint8_t)(~len >> 8) };

	buf_add(out, b->data, at + 4);
	codec_add_u32(out, (uint32_t)plain->len + 5);
	codec_add_u32(out, (uint32_t)plain->len);
	codec_add_u32(out, 0);
	buf_add(out, stored, 5);
	buf_add(out, plain->data, plain->len);
	sign(out, at);
	buf_add(out, b->data + end, b->len - end);
}

/* Whatever the sections say, with right check sums: an error or a profile, and no harm. */
static void any_byte_of_any_section_changed_and_signed__does_no_harm(void **state)
{
	size_t ends[CODEC_RUN_N], at;
	struct codec_unpacker u;
	struct codec_section s;
	struct buf b = BUF_INIT;
	unsigned int n_read = 0, n_refused = 0;

	(void)state;
	codec_run_record(&b, ends);
	codec_unpacker_init(&u);
	for (at = CODEC_FILE_HEAD; at < b.len; at = s.end) {
		struct buf plain = BUF_INIT;
		struct codec_in in;
		size_t i;

		assert_int_equal(codec_section_at((uint8_t *)b.data, b.len, at, &s), FOUND_SECTION);
		in = codec_unpack(&u, &s);
		buf_add(&plain, in.p, (size_t)(in.end - in.p));
		for (i = 0; i < plain.len; i++) {
			static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
			uint8_t was = (uint8_t)plain.data[i];
			size_t k;

			for (k = 0; k < sizeof(values); k++) {
				struct buf file = BUF_INIT;
				struct codec_recording r;
				struct profile p;

				plain.data[i] = (char)values[k];
				replace_section(&file, &b, at, &plain);
				assert_int_equal(codec_open(&r, file.data, file.len), 0);
				while (r.n) {
					int err = codec_read(&r, r.n - 1, &p);

					profile_release(&p);
					n_read += !err;
					n_refused += err != 0;
					assert_true(!err || r.problem.len);
					if (!err)
						break;
				}
				codec_close(&r);
				buf_release(&file);
			}
			plain.data[i] = (char)was;
		}
		buf_release(&plain);
	}
	codec_unpacker_release(&u);
	buf_release(&b);
	assert_true(n_read > 100 && n_refused > 100); /* both happened */
}

static void a_newer_version__is_refused_by_its_number(void **state)
{
	struct codec_recording r;
	struct buf b = BUF_INIT;
	size_t ends[CODEC_RUN_N];

	(void)state;
	codec_run_record(&b, ends);
	b.data[8] = CODEC_VERSION + 1;
	assert_int_equal(codec_open(&r, b.data, b.len), -EPROTONOSUPPORT);
	assert_non_null(strstr(r.problem.data, "version 2, of a newer memprobe"));
	assert_int_equal(r.n, 0);
	codec_close(&r);
	assert_int_equal(codec_open(&r, "#!/bin/sh\necho this is no recording\n", 36), -EINVAL);
	assert_non_null(strstr(r.problem.data, "no recording"));
	codec_close(&r);
	buf_release(&b);
}

static void sections_of_an_unknown_kind__are_skipped(void **state)
{
	static const char *const word = "NEWS";
	struct buf b = BUF_INIT, file = BUF_INIT, plain = BUF_INIT;
	size_t ends[CODEC_RUN_N], second;
	struct codec_recording r;
	struct codec_section s;
	struct profile got, want;

	(void)state;
	codec_run_record(&b, ends);
	/* the last snapshot's first section, twice; the second one gets another kind */
	assert_int_equal(codec_section_at((uint8_t *)b.data, b.len, ends[2], &s), FOUND_SECTION);
	second = s.end;
	buf_add(&file, b.data, second);
	buf_add(&file, b.data + ends[2], second - ends[2]);
	buf_add(&file, b.data + second, b.len - second);
	memcpy(file.data + second, word, 4);
	sign(&file, second);
	assert_int_equal(codec_open(&r, file.data, file.len), 0);
	assert_int_equal(r.n, CODEC_RUN_N);
	assert_true(r.is_complete);
	assert_int_equal(codec_read(&r, 3, &got), 0);
	codec_run_make(&want, 3);
	same(&got, &want);
	profile_release(&got);
	profile_release(&want);
	codec_close(&r);
	buf_release(&b);
	buf_release(&file);
	buf_release(&plain);
}

/* Columns that a later version adds are read over; those that an earlier one does not have are 0. */
static void tables_of_other_versions__give_the_columns_that_both_know(void **state)
{
	static const uint64_t column[3] = { 2, 4, 300 };
	struct codec_bounds bounds = { .n_strings = 400, .n_procs = 1 };
	struct profile_frame v[3] = { 0 };
	struct codec_column c = { 0 };
	struct buf b = BUF_INIT;
	struct codec_in in;
	size_t k;

	(void)state;
	codec_add_number(&b, codec_frames.n + 2);
	for (k = 0; k < codec_frames.n + 2; k++) {
		bool is_small = k == 4 || k == 6 || k == 8; /* class, inlined, is_managed: 0 or so */

		memcpy(codec_column_room(&c, 3), is_small ? (uint64_t[3]){ 0 } : column, sizeof(column));
		codec_column_add(&c, &b, 3);
	}
	in = (struct codec_in){ .p = (uint8_t *)b.data, .end = (uint8_t *)b.data + b.len };
	codec_records_read(&c, &in, &codec_frames, v, 3, &bounds);
	assert_false(in.bad);
	assert_ptr_equal(in.p, in.end);
	assert_true(v[0].name == 1 && v[1].module == 2 && v[2].line == 150 && v[2].vaddr == 150);
	buf_reset(&b);
	codec_add_number(&b, 1);
	memcpy(codec_column_room(&c, 3), column, sizeof(column));
	codec_column_add(&c, &b, 3);
	memset(v, 0, sizeof(v));
	in = (struct codec_in){ .p = (uint8_t *)b.data, .end = (uint8_t *)b.data + b.len };
	codec_records_read(&c, &in, &codec_frames, v, 3, &bounds);
	assert_false(in.bad);
	assert_true(v[2].name == 150 && !v[2].module && !v[2].line);
	codec_column_release(&c);
	buf_release(&b);
}

struct small_disk {
	size_t left;
};

static int write_to_small_disk(void *ctx, const void *data, size_t len)
{
	struct small_disk *d = ctx;

	(void)data;
	if (len > d->left)
		return -ENOSPC;
	d->left -= len;
	return 0;
}

static void a_full_disk__is_an_error_once_and_for_all(void **state)
{
	struct small_disk d = { 100 };
	struct codec_writer *w = codec_writer_new(write_to_small_disk, &d, 1);
	struct profile p;

	(void)state;
	codec_run_begin(&p);
	codec_run_grow(&p, 0);
	assert_int_equal(codec_write(w, &p), -ENOSPC);
	d.left = SIZE_MAX;
	assert_int_equal(codec_write(w, &p), -ENOSPC);
	assert_int_equal(codec_finish(w), -ENOSPC);
	codec_writer_free(w);
	profile_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_snapshot__is_read_as_it_was_written),
		cmocka_unit_test(a_run_without_stacks__is_a_recording),
		cmocka_unit_test(cut_after_any_byte__what_is_whole_is_read),
		cmocka_unit_test(any_byte_changed__is_found_out),
		cmocka_unit_test(any_byte_of_any_section_changed_and_signed__does_no_harm),
		cmocka_unit_test(a_newer_version__is_refused_by_its_number),
		cmocka_unit_test(sections_of_an_unknown_kind__are_skipped),
		cmocka_unit_test(tables_of_other_versions__give_the_columns_that_both_know),
		cmocka_unit_test(a_full_disk__is_an_error_once_and_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
