/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Demangling by libiberty's callback interface, bounded; see demangle.h.
 *
 * A mangled name of 60 bytes can expand to gigabytes (each substitution doubles it), so output is
 * cut by leaving the callback with longjmp as soon as there is more than is kept. That loses
 * nothing: the callback forms of libiberty keep their state on the stack (cp-demangle.c,
 * d_demangle_callback; rust-demangle.c, rust_demangle_callback).
 *
 * Depends on base and libiberty.
 */
#include "symbol/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>

/*
 * libiberty refuses names above 1024 bytes unless told not to limit recursion. Its stack use grows
 * with the length: 2048 bytes stay below 1 MiB.
 */
#define MAX_MANGLED_BYTES 2048

#define STYLE (DMGL_PARAMS | DMGL_ANSI)

struct sink {
	struct buf *out;
	size_t start;
	jmp_buf full;
};

static void take_piece(const char *text, size_t len, void *opaque)
{
	struct sink *s = opaque;
	size_t room = SYMBOL_MAX_NAME_BYTES + 1 - (s->out->len - s->start);

	buf_add(s->out, text, len < room ? len : room);
	if (len >= room)
		longjmp(s->full, 1);
}

static bool is_cxx(const char *name)
{
	return !strncmp(name, "_Z", 2) || !strncmp(name, "_GLOBAL_", 8);
}

static bool is_rust(const char *name)
{
	return !strncmp(name, "_R", 2) || !strncmp(name, "_ZN", 3);
}

static int run(struct sink *s, const char *name, size_t len)
{
	int options = STYLE | (len > 1000 ? DMGL_NO_RECURSE_LIMIT : 0);

	if (setjmp(s->full))
		return 1;
	if (is_rust(name) && rust_demangle_callback(name, STYLE, take_piece, s))
		return 1;
	s->out->len = s->start; /* what a failed attempt wrote */
	return is_cxx(name) && cplus_demangle_v3_callback(name, options, take_piece, s);
}

/*
 * Length of text that may be kept of len bytes when at most max are: not inside a UTF-8 character.
 */
static size_t cut_at(const char *text, size_t max)
{
	size_t back = 0;

	while (back < 3 && back < max && ((unsigned char)text[max - back] & 0xc0) == 0x80)
		back++;
	return max - back;
}

static void add_bounded(struct buf *out, const char *text, size_t len)
{
	if (len <= SYMBOL_MAX_NAME_BYTES) {
		buf_add_printable(out, text, len);
		return;
	}
	buf_add_printable(out, text, cut_at(text, SYMBOL_MAX_NAME_BYTES - 3));
	buf_adds(out, "...");
}

void name_add(struct buf *out, const char *name)
{
	add_bounded(out, name, strnlen(name, SYMBOL_MAX_NAME_BYTES + 1));
}

void demangle_add(struct buf *out, const char *name)
{
	size_t len = strnlen(name, SYMBOL_MAX_NAME_BYTES + 1);
	struct buf plain = BUF_INIT;
	struct sink s = { .out = &plain };

	if (len <= MAX_MANGLED_BYTES && (is_cxx(name) || is_rust(name)) && run(&s, name, len) &&
	    plain.len)
		add_bounded(out, plain.data, plain.len);
	else
		add_bounded(out, name, len);
	buf_release(&plain);
}
