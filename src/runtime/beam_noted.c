/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What an Erlang process was started for; see beam_layout.h. All that proc_lib starts, as gen_server and supervisor do,
 * begins in proc_lib:init_p; it notes what for in its dictionary, and that is the name that Erlang's own tools show:
 *
 *	slot '$initial_call' -> {'$initial_call', {feed, init, 1}}, or a list of such pairs
 *
 * Under which atom is learned from the living processes. bpf/beam.bpf.h reads the same.
 */
#include <string.h>

#include "runtime/beam_layout.h"

#define TUPLE(n) ((uint64_t)(n) << 6)
#define MOST_SLOTS 1024
#define IN_SLOT 4 /* pairs that are looked at; as in the kernel */
#define IS_LIST(word) (((word) & 3) == 1)
#define IS_BOXED(word) (((word) & 3) == 2)

/* The next pair of a slot, {key, value}. *rest is what is left of it, 0 at its end. */
static bool next_pair(const struct runtime *r, uint64_t *rest, uint64_t pair[2])
{
	uint64_t cell[2] = { *rest, 0 }, tuple[3];

	if (IS_LIST(*rest) && !runtime_read(&r->process, *rest - 1, cell, sizeof(cell)))
		return false;
	*rest = IS_LIST(cell[1]) ? cell[1] : 0;
	if (!IS_BOXED(cell[0]) || !runtime_read(&r->process, cell[0] - 2, tuple, sizeof(tuple)) || tuple[0] != TUPLE(2))
		return false;
	memcpy(pair, tuple + 1, 2 * sizeof(*pair));
	return true;
}

/* Its dictionary; slots: how many are in use. 0: it has none. */
static uint64_t dictionary_of(const struct runtime *r, uint64_t process, uint32_t *mask, uint32_t *slots)
{
	const struct beam *b = r->state;
	uint64_t at = runtime_word(&r->process, process + b->layout->dictionary);
	uint32_t head[2];

	if (!at || at & 7 || !runtime_read(&r->process, at, head, sizeof(head)))
		return 0;
	*mask = head[0];
	*slots = head[1];
	return head[0] & (head[0] + 1) || !head[1] || head[1] > head[0] ? 0 : at + b->layout->dict_slots;
}

bool beam_noted_call(const struct runtime *r, uint64_t process, uint64_t mfa[3])
{
	const struct beam *b = r->state;
	uint32_t mask, slots, slot, i;
	uint64_t at = dictionary_of(r, process, &mask, &slots), rest, pair[2], call[4];

	if (!at || !b->noted)
		return false;
	slot = (uint32_t)(b->noted >> 6) & mask;
	if (slot >= slots)
		slot &= mask >> 1;
	rest = runtime_word(&r->process, at + 8ULL * slot);
	for (i = 0; i < IN_SLOT && rest; i++) {
		if (!next_pair(r, &rest, pair))
			return false;
		if (pair[0] != b->noted)
			continue;
		if (!IS_BOXED(pair[1]) || !runtime_read(&r->process, pair[1] - 2, call, sizeof(call)) || call[0] != TUPLE(3) ||
		    (call[3] & 15) != 15)
			return false;
		mfa[0] = call[1];
		mfa[1] = call[2];
		mfa[2] = call[3] >> 4;
		return true;
	}
	return false;
}

static bool is_named(const struct runtime *r, uint64_t atom, const char *name)
{
	struct buf text = BUF_INIT;
	bool is = beam_atom(r, atom, &text) && !strcmp(text.data, name);

	buf_release(&text);
	return is;
}

/* The key by its text, in whichever slot. */
static uint64_t find_key(const struct runtime *r, uint64_t process)
{
	uint32_t mask, slots, i, n;
	uint64_t at = dictionary_of(r, process, &mask, &slots), rest, pair[2];

	for (i = 0; at && i < slots && i < MOST_SLOTS; i++) {
		rest = runtime_word(&r->process, at + 8ULL * i);
		for (n = 0; n < IN_SLOT && rest && next_pair(r, &rest, pair); n++)
			if (is_named(r, pair[0], "$initial_call"))
				return pair[0];
	}
	return 0;
}

bool beam_learn_notes(struct runtime *r, const struct beam_process *p)
{
	struct beam *b = r->state;
	uint64_t initial[3], mfa[3], notes;

	if (!runtime_read(&r->process, p->addr + b->layout->initial, initial, sizeof(initial)))
		return true;
	notes = initial[0] << 32 | (initial[1] & 0xffffffff);
	if (!b->notes && is_named(r, initial[0], "proc_lib") && is_named(r, initial[1], "init_p"))
		b->notes = notes;
	if (!b->notes || notes != b->notes)
		return true;
	if (!b->noted)
		b->noted = find_key(r, p->addr);
	return beam_noted_call(r, p->addr, mfa);
}
