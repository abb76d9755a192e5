/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Does a function always hand its work on to another one? See forward.h.
 *
 * Every instruction that can be reached without passing a target is looked at once. Calls of other
 * functions are taken to come back. Depends on the decoder only.
 */
#include "alloc/forward.h"

#include <stdlib.h>

#include "alloc/x86_insn.h"
#include "base/xalloc.h"

#if defined(__x86_64__)

#define MAX_CODE_BYTES 65536

struct walk {
	const uint8_t *code;
	size_t len;
	uint64_t at;
	const uint64_t *targets;
	size_t n_targets;
	bool *seen;    /* by offset */
	size_t *later; /* offsets to go on from */
	size_t n_later;
};

static bool is_target(const struct walk *w, uint64_t address)
{
	size_t i;

	for (i = 0; i < w->n_targets; i++)
		if (w->targets[i] == address)
			return true;
	return false;
}

static void visit_later(struct walk *w, uint64_t offset)
{
	if (offset >= w->len || w->seen[offset])
		return;
	w->seen[offset] = true;
	w->later[w->n_later++] = (size_t)offset;
}

/* One instruction; false: a way out that passes no target. */
static bool step(struct walk *w, size_t offset)
{
	struct x86_insn i;
	uint64_t to;

	if (!x86_decode(&i, w->code + offset, w->len - offset))
		return false;
	to = offset + (uint64_t)i.target;
	if (i.flow == X86_DIRECT && is_target(w, w->at + to))
		return true;
	if (i.flow == X86_DIRECT && !i.is_call) {
		if (i.ends && to >= w->len)
			return false;
		visit_later(w, to);
	} else if (i.ends) {
		return false;
	}
	if (!i.ends)
		visit_later(w, offset + i.len);
	return true;
}

bool code_forwards(const uint8_t *code, size_t len, uint64_t at, const uint64_t *targets, size_t n)
{
	struct walk w = { .code = code, .len = len, .at = at, .targets = targets, .n_targets = n };
	bool forwards = len > 0 && len <= MAX_CODE_BYTES;

	if (!forwards || !n)
		return false;
	w.seen = xcalloc(len, sizeof(*w.seen));
	w.later = xcalloc(len, sizeof(*w.later));
	visit_later(&w, 0);
	while (forwards && w.n_later)
		forwards = step(&w, w.later[--w.n_later]);
	free(w.seen);
	free(w.later);
	return forwards;
}

#else

bool code_forwards(const uint8_t *code, size_t len, uint64_t at, const uint64_t *targets, size_t n)
{
	(void)code;
	(void)len;
	(void)at;
	(void)targets;
	(void)n;
	return false;
}

#endif
