/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzing recordings. Check sums would stop nearly every input, so the input is a list of sections as they are
 * before packing: kind (a byte), length (two bytes), bytes; they are packed and signed here. What can be read must be
 * sound: indices in bounds, sums that fit, and written and read again it must be the same. An input that begins as a
 * recording does is read as it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/codec.h"
#include "model/codec_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t kinds[] = { KIND_SNAP, KIND_STRS, KIND_FRMS, KIND_PROC, KIND_STKS, KIND_FIGS, KIND_FACT, KIND_ENDS };

static void set_u32(char *at, uint32_t v)
{
	int i;

	for (i = 0; i < 4; i++)
		at[i] = (char)(v >> 8 * i);
}

/* Stored, not packed: one block of deflate. */
static void add_section(struct buf *file, uint32_t kind, const uint8_t *plain, size_t len)
{
	const uint8_t stored[5] = { 1, (uint8_t)len, (uint8_t)(len >> 8), (uint8_t)~len, (uint8_t)(~len >> 8) };
	size_t at = file->len;

	codec_add_u32(file, kind);
	codec_add_u32(file, (uint32_t)len + 5);
	codec_add_u32(file, (uint32_t)len);
	codec_add_u32(file, 0);
	buf_add(file, stored, 5);
	buf_add(file, plain, len);
	set_u32(file->data + at + 12, codec_section_crc((uint8_t *)file->data + at, file->len - at));
}

static void make_file(struct buf *file, const uint8_t *data, size_t size)
{
	size_t at = 0, len;

	buf_adds(file, CODEC_MAGIC);
	codec_add_u32(file, CODEC_VERSION);
	codec_add_u32(file, 0);
	codec_add_u32(file, 1);
	codec_add_u32(file, 0);
	set_u32(file->data + 12, codec_head_crc((uint8_t *)file->data));
	for (; size - at >= 3; at += len) {
		uint32_t kind = kinds[data[at] % 8];

		len = data[at + 1] | (size_t)data[at + 2] << 8;
		at += 3;
		if (len > size - at)
			len = size - at;
		add_section(file, kind, data + at, len);
	}
}

static void check_profile(const struct profile *p)
{
	uint64_t live = 0, alloc = 0;
	size_t i, k;

	for (i = 0; i < p->n_frames; i++)
		if (p->frames[i].name >= p->strings.n || p->frames[i].build_id >= p->strings.n)
			abort();
	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		if (s->proc >= p->n_procs || (uint64_t)s->first_frame + s->n_frames > p->n_stack_frames ||
		    s->end >= MP_END_NR)
			abort();
		for (k = 0; k < s->n_frames; k++)
			if (p->stack_frames[s->first_frame + k] >= p->n_frames)
				abort();
		live += s->live_bytes;
		alloc += s->t.alloc_bytes;
	}
	if (live > CODEC_MAX_BYTES || alloc > CODEC_MAX_BYTES || p->watch.n_steps > LADDER_MAX_CHANGES ||
	    p->n_marks > PROFILE_MAX_MARKS)
		abort();
}

static int add_to_buf(void *ctx, const void *data, size_t len)
{
	buf_add(ctx, data, len);
	return 0;
}

static void check_again(const struct profile *p)
{
	struct codec_writer *w;
	struct codec_recording r;
	struct buf b = BUF_INIT;
	struct profile q;

	w = codec_writer_new(add_to_buf, &b, 1);
	if (codec_write(w, p) || codec_finish(w) || codec_open(&r, b.data, b.len) || r.n != 1 || codec_read(&r, 0, &q))
		abort();
	if (q.n_stacks != p->n_stacks || q.strings.n != p->strings.n || q.n_procs != p->n_procs ||
	    (p->n_stack_frames && memcmp(q.stack_frames, p->stack_frames, p->n_stack_frames * 4) != 0))
		abort();
	profile_release(&q);
	codec_close(&r);
	codec_writer_free(w);
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec_recording r;
	struct buf file = BUF_INIT;
	struct profile p;

	if (size >= 8 && !memcmp(data, CODEC_MAGIC, 8))
		buf_add(&file, data, size);
	else
		make_file(&file, data, size);
	if (!codec_open(&r, file.data, file.len)) {
		while (r.n) {
			size_t n = r.n;
			int err = codec_read(&r, n - 1, &p);

			if (!err) {
				check_profile(&p);
				check_again(&p);
			}
			profile_release(&p);
			if (!err)
				break;
			if (r.n >= n || !r.problem.len)
				abort();
		}
	}
	codec_close(&r);
	buf_release(&file);
	return 0;
}
