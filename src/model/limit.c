/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The limit that comes first; see limit.h. Kernel: Documentation/admin-guide/cgroup-v2.rst,
 * Documentation/mm/overcommit-accounting.rst, setrlimit(2), proc(5) for oom_score_adj. */
#include "model/limit.h"

static uint64_t room(const struct limit *l)
{
	return l->limit_bytes > l->used_bytes ? l->limit_bytes - l->used_bytes : 0;
}

static uint64_t room_with_swap(const struct limit *l)
{
	uint64_t r = room(l);

	return l->swap_left_bytes > UINT64_MAX - r ? UINT64_MAX : r + l->swap_left_bytes;
}

static enum limit_end end_at(const struct limit *l, bool can_be_killed)
{
	switch (l->kind) {
	case LIMIT_ADDRESS_SPACE:
	case LIMIT_DATA:
	case LIMIT_COMMIT:
		return LIMIT_ENDS_MALLOC_FAILS;
	case LIMIT_RAM:
		return can_be_killed ? LIMIT_ENDS_SOME_KILLED : LIMIT_ENDS_OTHER_KILLED;
	case LIMIT_GROUP_MAX:
		if (!can_be_killed)
			return LIMIT_ENDS_OTHER_KILLED;
		return l->kills_group ? LIMIT_ENDS_GROUP_KILLED : LIMIT_ENDS_KILLED;
	default:
		return LIMIT_ENDS_NOT;
	}
}

struct limit_outlook limit_outlook_of(const struct limit *v, size_t n, bool can_be_killed)
{
	struct limit_outlook o = { .first = SIZE_MAX, .slowed = SIZE_MAX };
	size_t i;

	for (i = 0; i < n; i++) {
		size_t *best = v[i].kind == LIMIT_GROUP_HIGH ? &o.slowed : &o.first;

		if (v[i].kind == LIMIT_NONE || v[i].limit_bytes == UINT64_MAX)
			continue;
		if (*best == SIZE_MAX || room_with_swap(&v[i]) < room_with_swap(&v[*best]))
			*best = i;
	}
	if (o.first == SIZE_MAX)
		return o;
	o.end = end_at(&v[o.first], can_be_killed);
	o.room_bytes = room(&v[o.first]);
	o.swap_bytes = v[o.first].swap_left_bytes;
	if (o.slowed != SIZE_MAX && room(&v[o.slowed]) >= room_with_swap(&v[o.first]))
		o.slowed = SIZE_MAX;
	return o;
}
