/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Announcements that wait; see put_off.h. */
#include "kern/put_off.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"

/* What we are short of now may be there then. */
#define PUT_OFF_NS NS_PER_S
/* So many announcements in that time may turn out to be of other code, and be made again at once. */
#define MOST_STALE 64

void put_off_add(struct put_off *p, const struct uw_object_key *key)
{
	XGROW(p->v, p->n, p->cap);
	p->v[p->n++] = (struct put_off_entry){ *key, clock_monotonic_ns() + PUT_OFF_NS };
}

bool put_off_next(struct put_off *p, struct uw_object_key *key)
{
	if (!p->n || p->v[0].until_ns > clock_monotonic_ns())
		return false;
	*key = p->v[0].key;
	memmove(p->v, p->v + 1, --p->n * sizeof(*p->v));
	return true;
}

bool put_off_is_often(struct put_off *p)
{
	uint64_t now = clock_monotonic_ns();

	if (now - p->stale_since_ns > PUT_OFF_NS) {
		p->stale_since_ns = now;
		p->n_stale = 0;
	}
	return ++p->n_stale > MOST_STALE;
}

void put_off_release(struct put_off *p)
{
	free(p->v);
	*p = (struct put_off){ 0 };
}
