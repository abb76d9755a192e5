/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* CPython's strings, code objects and frames, read and checked; see cpython.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "runtime/cpython.h"

/* In every version: struct PyObject, PyVarObject, PyBytesObject, PyASCIIObject */
#define OB_TYPE 8
#define OB_SIZE 16
#define BYTES_DATA 32
#define STRING_LENGTH 16
#define STRING_STATE 32

#define MOST_TEXT 400u
#define MOST_TABLE (1u << 20)
#define MOST_FRAMES 2000
#define MOST_THREADS 1000
#define MOST_INTERPRETERS 1000

uint64_t cpython_type(const struct runtime_process *p, uint64_t object)
{
	return object && !(object & 7) ? runtime_word(p, object + OB_TYPE) : 0;
}

static void add_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(b, c < 0x20 || c == 0x7f ? '?' : (char)c);
	} else if (c < 0x800) {
		buf_addc(b, (char)(0xc0 | c >> 6));
		buf_addc(b, (char)(0x80 | (c & 63)));
	} else if (c < 0x10000 && (c < 0xd800 || c > 0xdfff)) {
		buf_addc(b, (char)(0xe0 | c >> 12));
		buf_addc(b, (char)(0x80 | (c >> 6 & 63)));
		buf_addc(b, (char)(0x80 | (c & 63)));
	} else {
		buf_addc(b, '?');
	}
}

bool cpython_text(const struct runtime_process *p, const struct cpython *c, uint64_t string, struct buf *out)
{
	uint8_t head[40], text[MOST_TEXT * 4];
	uint64_t length, at;
	uint32_t state, width, i, ch;

	if (!string || string & 7 || !runtime_read(p, string, head, sizeof(head)))
		return false;
	memcpy(&at, head + OB_TYPE, sizeof(at));
	memcpy(&length, head + STRING_LENGTH, sizeof(length));
	memcpy(&state, head + STRING_STATE, sizeof(state));
	width = state >> 2 & 7; /* interned:2, kind:3, compact:1, ascii:1 */
	if (at != c->unicode_type || !(state & 0x20) || (width != 1 && width != 2 && width != 4))
		return false;
	if (length > MOST_TEXT)
		length = MOST_TEXT;
	at = string + (state & 0x40 ? c->layout.ascii_data : c->layout.unicode_data);
	if (length && !runtime_read(p, at, text, length * width))
		return false;
	for (i = 0; i < length; i++) {
		ch = 0;
		memcpy(&ch, text + i * width, width);
		if (!ch)
			return false;
		add_utf8(out, ch);
	}
	return true;
}

bool cpython_code_read(const struct runtime_process *p, const struct cpython *c, uint64_t code, struct cpython_code *out)
{
	const struct cpython_layout *l = &c->layout;
	uint8_t v[256];
	uint64_t type;

	if (!code || code & 7 || c->code_start > sizeof(v) || !runtime_read(p, code, v, c->code_start))
		return false;
	memcpy(&type, v + OB_TYPE, 8);
	memcpy(&out->code_bytes, v + OB_SIZE, 8);
	memcpy(&out->filename, v + l->code_filename, 8);
	memcpy(&out->qualname, v + l->code_qualname, 8);
	memcpy(&out->linetable, v + l->code_linetable, 8);
	memcpy(&out->first_line, v + l->code_firstlineno, 4);
	out->code_bytes *= 2; /* it is in code units */
	return type == c->code_type && out->code_bytes && out->code_bytes < MOST_TABLE * 16;
}

/* The table must be about exactly the code there is: another object's would not. */
static int64_t line_in(const uint8_t *table, size_t len, const struct cpython_code *code, int64_t offset)
{
	if (cpython_line_table_covers(table, len) != (int64_t)code->code_bytes)
		return -1;
	return cpython_line(table, len, code->first_line, offset);
}

int cpython_code_line(const struct runtime_process *p, const struct cpython *c, const struct cpython_code *code,
		      uint64_t at, uint32_t *line)
{
	int64_t offset = (int64_t)at - c->code_start, found = -1;
	uint64_t head[4]; /* refcount, type, size, hash */
	uint8_t *table;

	if (offset < -2 || offset >= (int64_t)code->code_bytes || offset & 1)
		return -ESTALE;
	if (!code->linetable || code->linetable & 7 || !runtime_read(p, code->linetable, head, sizeof(head)) ||
	    head[1] != c->bytes_type || !head[2] || head[2] > MOST_TABLE)
		return -ESTALE;
	table = xmalloc(head[2]);
	if (runtime_read(p, code->linetable + BYTES_DATA, table, head[2]))
		found = line_in(table, head[2], code, offset);
	free(table);
	*line = found > 0 ? (uint32_t)found : 0;
	return found < 0 ? -ESTALE : 0;
}

/* ---- is it what the layout says? ---- */

/* 1: a module's own code: it begins in line 1, and its file is not called as it is. */
static int check_frame(struct runtime *r, uint64_t code, uint64_t at)
{
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
	const struct cpython *c = r->state;
	struct cpython_code k;
	int err = r->ops->resolve(r, code, at, &name);

	if (!err && !strcmp(name.function.data, "<module>"))
		err = cpython_code_read(&r->process, c, code, &k) && k.first_line == 1 && strcmp(name.file.data, "<module>") ?
			      1 : -ESTALE;
	runtime_name_release(&name);
	return err;
}

static uint64_t word_in(const uint8_t *v, uint32_t at)
{
	uint64_t word;

	memcpy(&word, v + at, sizeof(word));
	return word;
}

int cpython_check_thread(struct runtime *r, const struct cpython *c, uint64_t thread)
{
	const struct cpython_layout *l = &c->layout;
	uint64_t frame = runtime_word(&r->process, thread + l->thread_frame);
	uint8_t v[MP_PY_FRAME_BYTES];
	int n, kind = -EAGAIN;
	bool is_shim = false;

	if (frame && l->cframe_frame)
		frame = runtime_word(&r->process, frame + l->cframe_frame - 1);
	for (n = 0; frame && n < MOST_FRAMES; n++) {
		uint64_t code;

		if (frame & 7 || !runtime_read(&r->process, frame, v, sizeof(v)))
			return -ESTALE;
		code = word_in(v, l->frame_code);
		frame = word_in(v, l->frame_previous);
		is_shim = l->is_shim && v[l->frame_mark] == l->is_shim;
		if (is_shim)
			continue;
		kind = check_frame(r, code, word_in(v, l->frame_instr) - code);
		if (kind < 0)
			return -ESTALE;
		if (!frame && l->is_entry && v[l->frame_mark] != l->is_entry)
			return -ESTALE; /* the outermost was entered from C */
	}
	if (kind >= 0 && l->is_shim && !is_shim)
		return -ESTALE; /* C code's own frame is the outermost */
	return frame ? -ESTALE : kind;
}

/* Does the thread's own word lead to its state, or, without the lock, to nothing? */
static bool is_place(const struct runtime *r, const struct cpython *c, uint64_t state)
{
	uint64_t thread = runtime_word(&r->process, state + c->layout.thread_id), word;

	if (!thread_local_is_thread(&r->process, thread) || !thread_local_read(&r->process, &c->place, thread, &word))
		return false;
	return !word || word == state || c->place.how == MP_TLS_ADDRESS;
}

static int check_interpreter(struct runtime *r, const struct cpython *c, uint64_t interp)
{
	const struct cpython_layout *l = &c->layout;
	uint64_t state;
	int best = -EAGAIN, n = 0, one;

	for (state = runtime_word(&r->process, interp + l->interp_threads); state && n < MOST_THREADS; n++) {
		if (state & 7 || !is_place(r, c, state))
			return -ESTALE;
		one = cpython_check_thread(r, c, state);
		if (one == -ESTALE)
			return one;
		if (one > best)
			best = one;
		state = runtime_word(&r->process, state + l->thread_next);
	}
	return state ? -ESTALE : best < 0 ? best : 0;
}

/* The last one that was made is the first; where it runs nothing, another may. */
int cpython_check(struct runtime *r, const struct cpython *c)
{
	const struct cpython_layout *l = &c->layout;
	uint64_t interp = runtime_word(&r->process, c->runtime + l->runtime_interpreters);
	int err = -EAGAIN, n;

	for (n = 0; interp && n < MOST_INTERPRETERS && err == -EAGAIN; n++) {
		err = check_interpreter(r, c, interp);
		interp = runtime_word(&r->process, interp + l->interp_next);
	}
	return err;
}

/* Bytes of glibc's struct pthread that are searched, and how many threads. */
enum { OWN_FIRST = 0x100, OWN_BYTES = 0x600, OWN_THREADS = 16 };

/* {sequence, value} of a key: the value is the state. The next one from `at` on; 0: none. */
static uint32_t own_state_in(const uint64_t *v, uint32_t at, uint64_t state)
{
	for (; at + 8 <= OWN_FIRST + OWN_BYTES; at += 8) {
		uint32_t i = (at - OWN_FIRST) / 8;

		if (i && v[i] == state && v[i - 1] && v[i - 1] < 1 << 20)
			return at;
	}
	return 0;
}

uint32_t cpython_own_state(const struct runtime_process *p, const struct cpython *c)
{
	const struct cpython_layout *l = &c->layout;
	uint64_t interp = runtime_word(p, c->runtime + l->runtime_interpreters), v[OWN_BYTES / 8];
	uint64_t state = interp ? runtime_word(p, interp + l->interp_threads) : 0;
	uint32_t found = 0;
	int i;

	for (i = 0; state && i < OWN_THREADS; i++, state = runtime_word(p, state + l->thread_next)) {
		uint64_t thread = runtime_word(p, state + l->thread_id);

		if (!thread || thread & 7 || !runtime_read(p, thread + OWN_FIRST, v, sizeof(v)))
			continue; /* it has ended meanwhile */
		if (!found)
			found = own_state_in(v, OWN_FIRST, state);
		if (!found || own_state_in(v, found, state) != found)
			return 0;
	}
	return found;
}
