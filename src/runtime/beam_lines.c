/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Lines of Erlang and Elixir code, from the table that a loaded module carries (OTP 25 and 27, BeamCodeLineTab of
 * beam_code.h):
 *
 *	+0  names of files (lists)	+8  bytes of an entry of locations, 2 or 4	+16 locations: file << 24 | line
 *	+24 for each function, and once more, where its addresses begin in one array of ascending ones
 *
 * What does not look so has no line. It does not name functions.
 */
#include <stdlib.h>

#include "base/xalloc.h"
#include "runtime/beam_layout.h"

#define MOST_LINES 200000 /* of one function */
#define MOST_LOCATIONS 10000000
#define MOST_NAME 256
#define CONS_TAG 1
#define SMALL_TAG 15
#define NIL 0x3b

struct line_table {
	uint64_t files;
	uint32_t size_bytes, pad;
	uint64_t locations;
};

/* The entry whose code pc is in: the last of n ascending addresses that is not above it. SIZE_MAX: none. */
static size_t find_entry(const struct runtime *r, uint64_t at, size_t n, const struct beam_function *f, uint64_t pc)
{
	uint64_t *v = xcalloc(n, sizeof(*v));
	size_t i, found = SIZE_MAX;

	if (!runtime_read(&r->process, at, v, n * sizeof(*v)))
		n = 0;
	for (i = 0; i < n && v[i] >= f->start && v[i] < f->end && (!i || v[i] >= v[i - 1]); i++)
		if (v[i] <= pc)
			found = i;
	free(v);
	return i == n ? found : SIZE_MAX;
}

/* A list of characters: cells {character << 4 | 15, address of the next + 1}, up to nil. */
static bool add_file(const struct runtime *r, uint64_t list, struct buf *out)
{
	uint64_t cell[2];
	char name[MOST_NAME];
	size_t n = 0;

	while ((list & 3) == CONS_TAG && n < sizeof(name) && runtime_read(&r->process, list - CONS_TAG, cell, sizeof(cell)) &&
	       (cell[0] & 15) == SMALL_TAG) {
		name[n++] = cell[0] >> 4 < 0x80 ? (char)(cell[0] >> 4) : '?';
		list = cell[1];
	}
	if (list != NIL || !n)
		return false;
	buf_add_printable(out, name, n);
	return true;
}

void beam_line(const struct runtime *r, const struct beam_function *f, uint64_t pc, struct runtime_name *name)
{
	const struct beam *b = r->state;
	uint64_t at = runtime_word(&r->process, f->start + b->layout->line_table), ends[2], first;
	struct line_table t;
	uint32_t where = 0;
	size_t entry;

	if (!at || at & 7 || !runtime_read(&r->process, at, &t, sizeof(t)) || (t.size_bytes != 2 && t.size_bytes != 4) ||
	    !runtime_read(&r->process, at + sizeof(t), &first, sizeof(first)) ||
	    !runtime_read(&r->process, at + sizeof(t) + 8 * f->index, ends, sizeof(ends)) || ends[0] < first ||
	    ends[1] <= ends[0] || (ends[1] | ends[0] | first) & 7 || ends[1] - ends[0] > 8 * MOST_LINES ||
	    ends[1] - first > 8ULL * MOST_LOCATIONS)
		return;
	entry = find_entry(r, ends[0], (ends[1] - ends[0]) / 8, f, pc);
	if (entry == SIZE_MAX)
		return;
	entry += (ends[0] - first) / 8;
	if (!runtime_read(&r->process, t.locations + entry * t.size_bytes, &where, t.size_bytes) || !where)
		return;
	if (add_file(r, runtime_word(&r->process, t.files + 8 * (uint64_t)(where >> 24)), &name->file))
		name->line = where & 0xffffff;
	else
		buf_reset(&name->file);
}
