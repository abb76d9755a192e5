/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where Go's heap is: arenas of 64 MiB, which hold objects, the stacks of goroutines, and what is free of them.
 * runtime.mheap_ has their numbers in a slice, allArenas (src/runtime/mheap.go, since 1.12); what precedes it differs
 * by version, so it is looked for by what it holds: each number is that of an arena in which something is mapped. Two
 * more slices (of the sweeper and of the marker) are its begin, so the longest counts. An arena's number is (address -
 * base) / 64 MiB; the base is -2^47 on x86-64 and 0 on arm64.
 */
#include <errno.h>
#include <string.h>

#include "runtime/go.h"

#define ARENA_SHIFT 26
#define MOST_ARENAS 65536
#define PIECE 512	       /* words of mheap_ that are read at once */
#define MOST_WORDS (PIECE * 64) /* the slice is at word 8 322 in 1.19 */
#ifdef __x86_64__
#define BASE 0xffff800000000000ull
#else
#define BASE 0ull
#endif

struct slice {
	uint64_t data, len, cap;
};

static uint64_t arena_of(uint64_t number)
{
	return (number << ARENA_SHIFT) + BASE;
}

static bool is_arena(const struct runtime_process *p, uint64_t number)
{
	uint64_t start = arena_of(number), end = start + (1ull << ARENA_SHIFT);
	size_t i;

	if (number >> (48 - ARENA_SHIFT) || !start || start >> 47)
		return false;
	for (i = 0; i < p->maps.n; i++)
		if (p->maps.v[i].start < end && p->maps.v[i].end > start)
			return !p->maps.v[i].ino && !p->maps.v[i].shared;
	return false;
}

/* Reads the numbers into ranges; false: it is another slice. */
static bool read_arenas(const struct runtime_process *p, const struct slice *s, struct runtime_ranges *out)
{
	uint64_t i, number;

	if (!s->len || s->len > s->cap || s->cap > MOST_ARENAS || !s->data || s->data & 7)
		return false;
	for (i = 0; i < s->len; i++) {
		if (!runtime_read(p, s->data + i * 8, &number, sizeof(number)) || !is_arena(p, number))
			return false;
		runtime_ranges_add(out, arena_of(number), arena_of(number + 1));
	}
	return true;
}

static void take_longest(const struct runtime_process *p, const uint64_t *words, size_t n, struct runtime_ranges *best)
{
	size_t i;

	for (i = 0; i + 3 <= n; i++) {
		struct runtime_ranges found = { 0 }, other;
		struct slice s;

		memcpy(&s, &words[i], sizeof(s));
		if (s.len > best->n && read_arenas(p, &s, &found)) {
			other = *best;
			*best = found;
			found = other;
		}
		runtime_ranges_release(&found);
	}
}

int go_find_arenas(struct runtime *r, uint64_t mheap, struct runtime_ranges *out)
{
	uint64_t words[PIECE + 2]; /* a slice may lie across two pieces */
	size_t at;
	int err = mheap ? runtime_process_refresh(&r->process) : -ENOTSUP;

	for (at = 0; !err && at < MOST_WORDS; at += PIECE) {
		if (!runtime_read(&r->process, mheap + at * 8, words, sizeof(words)))
			break; /* the program's data ends */
		take_longest(&r->process, words, PIECE + 2, out);
	}
	return err ? err : out->n ? 0 : -ENOTSUP;
}
