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

#define BODY_BYTES 168 /* of rb_iseq_constant_body, that is all fields are below */

uint64_t ruby_flags(const struct runtime_process *p, uint64_t object)
{
	return object && !(object & 7) ? runtime_word(p, object) : 0;
}

bool ruby_text(const struct runtime_process *p, const struct ruby_layout *l, uint64_t string, size_t max, struct buf *out)
{
	uint64_t v[5] = { 0 }, length, at;
	char text[MOST_TEXT];

	if (!string || string & 7 || !runtime_read(p, string, v, sizeof(v)) || (v[0] & 0x1f) != RUBY_STRING)
		return false;
	length = v[0] & NOEMBED || l->string_embedded ? v[l->string_length / 8] : v[0] >> 14 & 31;
	at = v[0] & NOEMBED ? v[l->string_text / 8] : string + (l->string_embedded ? l->string_embedded : 16);
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
static bool path_text(const struct runtime_process *p, const struct ruby_layout *l, uint64_t path, struct buf *out)
{
	uint64_t flags = ruby_flags(p, path);

	if ((flags & 0x1f) == RUBY_ARRAY)
		path = runtime_word(p, flags & NOEMBED ? path + 16 : runtime_word(p, path + 32));
	return ruby_text(p, l, path, MOST_TEXT, out);
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
static uint32_t line_of(const struct runtime_process *p, const struct ruby_layout *l, const uint8_t *body, uint64_t pc)
{
	uint64_t pos = (pc - word_at(body, l->body_encoded)) / 8, entry = 0;
	struct table_in t = { .p = p, .addr = word_at(body, l->body_index) };
	uint32_t line, first = half_at(body, l->body_first), last = half_at(body, l->body_last);

	if (pc < word_at(body, l->body_encoded) || pos > half_at(body, l->body_size))
		return 0;
	pos -= pos > 0; /* pc is behind the instruction */
	if (!half_at(body, l->body_n_lines))
		return 0;
	if (half_at(body, l->body_n_lines) > 1) {
		entry = ruby_rank(read_in, &t, (uint32_t)pos);
		if (!entry || entry > half_at(body, l->body_n_lines))
			return 0;
		entry--;
	}
	if (!runtime_read(p, word_at(body, l->body_lines) + l->line_bytes * entry, &line, sizeof(line)))
		return 0;
	return line >= first && line <= last ? line : 0;
}

enum { ISEQ_METHOD = 1, ISEQ_BLOCK = 2 }; /* rb_iseq_constant_body.type, its first field */

/* "block in append" ends with "append"; only a block has it, a method has "append" alone. */
static bool is_label(const struct buf *label, const struct buf *base, uint32_t type)
{
	if (label->len < base->len || memcmp(label->data + label->len - base->len, base->data, base->len))
		return false;
	if (type == ISEQ_METHOD)
		return label->len == base->len;
	return type != ISEQ_BLOCK || !strncmp(label->data, "block ", 6);
}

int ruby_frame_name(const struct runtime_process *p, const struct ruby_layout *l, uint64_t iseq, uint64_t pc,
		    struct runtime_name *name)
{
	uint64_t flags = ruby_flags(p, iseq), at;
	struct buf base = BUF_INIT;
	uint8_t body[BODY_BYTES];
	bool ok;

	if ((flags & 0x1f) != RUBY_IMEMO || (flags >> 12 & 0xf) != IMEMO_ISEQ)
		return -ESTALE;
	at = runtime_word(p, iseq + l->iseq_body);
	if (!at || at & 7 || !runtime_read(p, at, body, sizeof(body)))
		return -ESTALE;
	name->line = line_of(p, l, body, pc);
	ok = name->line && word_at(body, l->body_path) != word_at(body, l->body_base_label) && ruby_text(p, l, word_at(body, l->body_label), MOST_TEXT, &name->function) &&
	     ruby_text(p, l, word_at(body, l->body_base_label), MOST_TEXT, &base) && is_label(&name->function, &base, half_at(body, 0)) &&
	     path_text(p, l, word_at(body, l->body_path), &name->file);
	buf_release(&base);
	return ok ? 0 : -ESTALE;
}

/* ---- is it what it should be? ---- */

#define MOST_THREAD_WORDS 64
#define CONTEXT_BYTES 64 /* that all fields of the context are below */

static bool is_context(const struct runtime_process *p, const struct ruby_layout *l, uint64_t at, uint8_t *ec)
{
	uint64_t stack, words, frame, end;

	if (!at || at & 7 || at >> 47 || !runtime_read(p, at, ec, CONTEXT_BYTES))
		return false;
	stack = word_at(ec, l->context_stack);
	words = word_at(ec, l->context_words);
	frame = word_at(ec, l->context_frame);
	end = stack + 8 * words;
	return stack && !(stack & 7) && words >= 1024 && words <= 1 << 24 && frame >= stack &&
	       frame <= end - l->frame_bytes && !((end - frame) % l->frame_bytes);
}

/* The context that runs, or ran last: a word in the main ractor. */
static uint64_t find_context(const struct runtime_process *p, const struct ruby_layout *l, uint64_t ractor, uint8_t *ec)
{
	uint64_t v[160];
	size_t i;

	if (!ractor || !runtime_read(p, ractor, v, sizeof(v)))
		return 0;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		if (is_context(p, l, v[i], ec))
			return v[i];
	return 0;
}

/* VM_FRAME_MAGIC_METHOD and so on, in ep[0]. */
static bool is_frame_kind(uint64_t flags)
{
	uint64_t kind = flags & 0x7fff0001;

	return (kind >= 0x11110001 && kind <= 0x77770001 && !((kind >> 16) % 0x1111)) || kind == 0x78880001 || kind == 0x79990001;
}

static int check_frame(struct runtime *r, const struct ruby_layout *l, const uint64_t *v, uint64_t flags)
{
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
	int err = is_frame_kind(flags) ? 0 : -ESTALE;

	if (!err)
		err = ruby_frame_name(&r->process, l, v[l->frame_iseq / 8], v[l->frame_pc / 8], &name);
	runtime_name_release(&name);
	return err;
}

/* All frames have names, and the outermost was entered from C. */
static int check_frames(struct runtime *r, const struct ruby_layout *l, const uint8_t *ec)
{
	uint64_t cfp = word_at(ec, l->context_frame), flags = 0;
	uint64_t end = word_at(ec, l->context_stack) + 8 * word_at(ec, l->context_words) - l->frame_bytes;
	int n, named = 0;

	for (n = 0; cfp < end && n < MOST_FRAMES; cfp += l->frame_bytes, n++) {
		uint64_t v[RUBY_FRAME_BYTES / 8];
		int err;

		if (!runtime_read(&r->process, cfp, v, l->frame_bytes))
			return -ESTALE;
		if (!v[l->frame_pc / 8])
			continue;
		flags = runtime_word(&r->process, v[l->frame_ep / 8]);
		err = check_frame(r, l, v, flags);
		if (err)
			return err;
		named++;
	}
	if (!named)
		return -EAGAIN;
	return cfp == end && flags & RUBY_FLAG_FINISH ? 0 : -ESTALE;
}

/*
 * Somewhere in the context's thread (rb_thread_t, or its rb_native_thread) is its native thread, whose own word is the
 * context. In 2.7 the thread says which context it is in.
 */
static bool is_place(const struct runtime_process *p, const struct ruby *ruby, uint64_t thread, uint64_t context)
{
	const struct ruby_layout *l = &ruby->layout;
	uint64_t v[MOST_THREAD_WORDS], word;
	size_t i;

	if (l->thread_id)
		return thread && thread_local_is_thread(p, runtime_word(p, thread + l->thread_id)) &&
		       runtime_word(p, thread + l->thread_context) == context;
	if (l->thread_native)
		thread = runtime_word(p, thread + l->thread_native);
	if (!thread || !runtime_read(p, thread, v, l->thread_words * sizeof(v[0])))
		return false;
	for (i = 0; i < l->thread_words; i++)
		if (v[i] > 4096 && thread_local_is_thread(p, v[i]))
			return thread_local_read(p, &ruby->place, v[i], &word) && word == context;
	return false;
}

uint64_t ruby_machine(const struct runtime_process *p, const struct ruby *ruby)
{
	return ruby->vm ? runtime_word(p, ruby->vm) : 0;
}

static uint64_t main_ractor(const struct runtime_process *p, const struct ruby *ruby)
{
	uint64_t vm;

	if (ruby->ractor)
		return runtime_word(p, ruby->ractor);
	vm = ruby_machine(p, ruby);
	return vm ? runtime_word(p, vm + ruby->layout.vm_ractor) : 0;
}

int ruby_check(struct runtime *r, const struct ruby *ruby)
{
	const struct ruby_layout *l = &ruby->layout;
	uint8_t ec[CONTEXT_BYTES];
	uint64_t at = 0;

	if (!l->thread_id)
		at = find_context(&r->process, l, main_ractor(&r->process, ruby), ec);
	else if (!thread_local_read(&r->process, &ruby->place, 0, &at) || !is_context(&r->process, l, at, ec))
		at = 0;
	if (!at)
		return -EAGAIN;
	return is_place(&r->process, ruby, word_at(ec, l->context_thread), at) ? check_frames(r, l, ec) : -ESTALE;
}
