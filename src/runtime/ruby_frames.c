/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Ruby's strings, instruction sequences and control frames, read and checked; see ruby.h. */
#include <errno.h>
#include <string.h>

#include "runtime/ruby.h"

#define NOEMBED (1u << 13) /* FL_USER1: a string's, and of an array that it is embedded */
#define IMEMO_ISEQ 7
#define MOST_TEXT 400u
#define MOST_FRAMES 4000
#define SMALL 54 /* positions in the small table's words */

/* rb_iseq_constant_body */
enum { BODY_SIZE = 4, BODY_ENCODED = 8, BODY_PATH = 64, BODY_BASE_LABEL = 72, BODY_LABEL = 80, BODY_FIRST = 100,
       BODY_LAST = 108, BODY_LINES = 120, BODY_N_LINES = 136, BODY_INDEX = 144, BODY_BYTES = 152 };

uint64_t ruby_flags(const struct runtime_process *p, uint64_t object)
{
	return object && !(object & 7) ? runtime_word(p, object) : 0;
}

bool ruby_text(const struct runtime_process *p, uint64_t string, size_t max, struct buf *out)
{
	uint64_t v[5] = { 0 }, length, at;
	char text[MOST_TEXT];

	if (!string || string & 7 || !runtime_read(p, string, v, sizeof(v)) || (v[0] & 0x1f) != RUBY_STRING)
		return false;
	length = v[0] & NOEMBED ? v[2] : v[0] >> 14 & 31;
	at = v[0] & NOEMBED ? v[3] : string + 16;
	if (max > sizeof(text))
		max = sizeof(text);
	if (!length || length > 1 << 20)
		return false;
	if (length > max)
		length = max;
	if (!runtime_read(p, at, text, length))
		return false;
	buf_add_printable(out, text, length);
	return true;
}

/* { path, real path }, or the path. */
static bool path_text(const struct runtime_process *p, uint64_t path, struct buf *out)
{
	uint64_t flags = ruby_flags(p, path);

	if ((flags & 0x1f) == RUBY_ARRAY)
		path = runtime_word(p, flags & NOEMBED ? path + 16 : runtime_word(p, path + 32));
	return ruby_text(p, path, MOST_TEXT, out);
}

/* ---- lines ---- */

uint32_t ruby_rank(bool (*read)(void *ctx, uint64_t offset, void *out, size_t len), void *ctx, uint32_t pos)
{
	struct {
		uint32_t rank, pad;
		uint64_t small, bits[8];
	} block;
	uint64_t word;
	uint32_t bit, at;

	if (pos < SMALL) {
		if (!read(ctx, pos / 9 * 8, &word, sizeof(word)))
			return 0;
		return (uint32_t)(word >> pos % 9 * 7 & 0x7f);
	}
	bit = (pos - SMALL) % 512;
	at = bit / 64;
	if (!read(ctx, SMALL / 9 * 8 + (pos - SMALL) / 512 * (uint64_t)sizeof(block), &block, sizeof(block)))
		return 0;
	word = block.bits[at] << (63 - bit % 64);
	return block.rank + (at ? (uint32_t)(block.small >> (at - 1) * 9 & 0x1ff) : 0) +
	       (uint32_t)__builtin_popcountll(word);
}

struct table_in {
	const struct runtime_process *p;
	uint64_t addr;
};

static bool read_in(void *ctx, uint64_t offset, void *out, size_t len)
{
	const struct table_in *t = ctx;

	return runtime_read(t->p, t->addr + offset, out, len);
}

static uint64_t word_at(const uint8_t *v, size_t at)
{
	uint64_t word;

	memcpy(&word, v + at, sizeof(word));
	return word;
}

static uint32_t half_at(const uint8_t *v, size_t at)
{
	uint32_t half;

	memcpy(&half, v + at, sizeof(half));
	return half;
}

/* 0: it cannot be told, or is outside of the code's own lines. */
static uint32_t line_of(const struct runtime_process *p, const uint8_t *body, uint64_t pc)
{
	uint64_t pos = (pc - word_at(body, BODY_ENCODED)) / 8, entry = 0;
	struct table_in t = { .p = p, .addr = word_at(body, BODY_INDEX) };
	uint32_t line, first = half_at(body, BODY_FIRST), last = half_at(body, BODY_LAST);

	if (pc < word_at(body, BODY_ENCODED) || pos > half_at(body, BODY_SIZE))
		return 0;
	pos -= pos > 0; /* pc is behind the instruction */
	if (t.addr) {
		entry = ruby_rank(read_in, &t, (uint32_t)pos);
		if (!entry || entry > half_at(body, BODY_N_LINES))
			return 0;
		entry--;
	}
	if (!runtime_read(p, word_at(body, BODY_LINES) + 12 * entry, &line, sizeof(line)))
		return 0;
	return line >= first && line <= last ? line : 0;
}

/* "block in append" ends with "append". */
static bool ends_with(const struct buf *label, const struct buf *base)
{
	return label->len >= base->len && !memcmp(label->data + label->len - base->len, base->data, base->len);
}

int ruby_frame_name(const struct runtime_process *p, uint64_t iseq, uint64_t pc, struct runtime_name *name)
{
	uint64_t flags = ruby_flags(p, iseq), at;
	struct buf base = BUF_INIT;
	uint8_t body[BODY_BYTES];
	bool ok;

	if ((flags & 0x1f) != RUBY_IMEMO || (flags >> 12 & 0xf) != IMEMO_ISEQ)
		return -ESTALE;
	at = runtime_word(p, iseq + 16);
	if (!at || at & 7 || !runtime_read(p, at, body, sizeof(body)))
		return -ESTALE;
	name->line = line_of(p, body, pc);
	ok = name->line && ruby_text(p, word_at(body, BODY_LABEL), MOST_TEXT, &name->function) &&
	     ruby_text(p, word_at(body, BODY_BASE_LABEL), MOST_TEXT, &base) && ends_with(&name->function, &base) &&
	     path_text(p, word_at(body, BODY_PATH), &name->file);
	buf_release(&base);
	return ok ? 0 : -ESTALE;
}

/* ---- is it what it should be? ---- */

struct ruby_context {
	uint64_t stack, words, cfp; /* its first three */
};

static bool is_context(const struct runtime_process *p, uint64_t at, struct ruby_context *ec)
{
	uint64_t end;

	if (!at || at & 7 || at >> 47 || !runtime_read(p, at, ec, sizeof(*ec)))
		return false;
	end = ec->stack + 8 * ec->words;
	return ec->stack && !(ec->stack & 7) && ec->words >= 1024 && ec->words <= 1 << 24 && ec->cfp >= ec->stack &&
	       ec->cfp <= end - RUBY_FRAME_BYTES && !((end - ec->cfp) % RUBY_FRAME_BYTES);
}

/* The context that runs, or ran last: a word in the main ractor. */
static uint64_t find_context(const struct runtime_process *p, uint64_t ractor, struct ruby_context *ec)
{
	uint64_t v[160];
	size_t i;

	if (!ractor || !runtime_read(p, ractor, v, sizeof(v)))
		return 0;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		if (is_context(p, v[i], ec))
			return v[i];
	return 0;
}

/* All frames have names, and the outermost was entered from C. */
static int check_frames(struct runtime *r, const struct ruby_context *ec)
{
	uint64_t cfp = ec->cfp, end = ec->stack + 8 * ec->words - RUBY_FRAME_BYTES, flags = 0;
	int n, named = 0;

	for (n = 0; cfp < end && n < MOST_FRAMES; cfp += RUBY_FRAME_BYTES, n++) {
		struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
		uint64_t v[RUBY_FRAME_BYTES / 8];
		int err;

		if (!runtime_read(&r->process, cfp, v, sizeof(v)))
			return -ESTALE;
		if (!v[RUBY_FRAME_PC / 8])
			continue;
		flags = runtime_word(&r->process, v[RUBY_FRAME_EP / 8]);
		err = ruby_frame_name(&r->process, v[RUBY_FRAME_ISEQ / 8], v[RUBY_FRAME_PC / 8], &name);
		runtime_name_release(&name);
		if (err)
			return err;
		named++;
	}
	if (!named)
		return -EAGAIN;
	return cfp == end && flags & RUBY_FLAG_FINISH ? 0 : -ESTALE;
}

/* Somewhere in the context's thread (rb_thread_t) is its native thread, whose own word is the context. */
static bool is_place(const struct runtime_process *p, const struct thread_local_place *place, uint64_t context)
{
	uint64_t v[64], word;
	size_t i;

	if (!runtime_read(p, runtime_word(p, context + 48), v, sizeof(v)))
		return false;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		if (v[i] > 4096 && thread_local_is_thread(p, v[i]))
			return thread_local_read(p, place, v[i], &word) && word == context;
	return false;
}

int ruby_check(struct runtime *r, const struct ruby *ruby)
{
	struct ruby_context ec;
	uint64_t at = find_context(&r->process, runtime_word(&r->process, ruby->ractor), &ec);

	if (!at)
		return -EAGAIN;
	return is_place(&r->process, &ruby->place, at) ? check_frames(r, &ec) : -ESTALE;
}
