/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The verdict's lines on the limit that is met first: when at this rate, and what happens there; or how much room there
 * is where the growth dies out.
 *
 *	Runs out in 23 min  (22 min to 24 min), near 03:36 UTC, at the limit of gateway.service, 8.00 GiB.
 *	          There the kernel kills it; malloc does not fail first; 2 OOM kills so far
 *	Runs out  not by this: 2.11 GiB free below the limit of gateway.service, 8.00 GiB
 *
 * Pure.
 */
#include <time.h>

#include "base/units.h"
#include "render/report_internal.h"
#include "render/verdict_internal.h"
#include "render/verdict_text.h"

/* Forecasts beyond this are left out. */
#define DAY_S 86400.0
#define FAR_S (30 * DAY_S)

bool verdict_tells_growth(const struct profile *p)
{
	return p->has_verdict && (p->verdict.word == TREND_GROWING || p->verdict.word == TREND_LEAK);
}

/* The process that has least room; NULL when none has a limit. */
static const struct profile_facts *least_room(const struct profile *p, double *room)
{
	const struct profile_facts *tight = NULL;
	size_t i;

	*room = 0;
	for (i = 0; i < p->n_procs; i++) {
		const struct profile_facts *f = &p->procs[i].now;
		double left = (double)f->limit_bytes - (double)f->limit_used_bytes;

		if (p->procs[i].state != PROC_RUNNING || !f->limit_bytes || f->limit_bytes == UINT64_MAX || (tight && left >= *room))
			continue;
		tight = f;
		*room = left > 0 ? left : 0;
	}
	return tight;
}

bool verdict_tells_end(const struct profile *p)
{
	const struct verdict *v = &p->verdict;
	double room;

	return verdict_tells_growth(p) && least_room(p, &room) && v->rate > 0 &&
	       room / v->rate <= FAR_S;
}

bool verdict_tells_limit(const struct profile *p)
{
	return verdict_tells_end(p) || (p->has_verdict && p->verdict.word == TREND_LEVELS_OFF && p->verdict.seconds > 0);
}

/* "near 03:36 UTC, " */
static void add_clock(struct buf *out, const struct profile *p, double seconds)
{
	time_t t = (time_t)(p->wall_time_ns / NS_PER_S) + (time_t)seconds;
	struct tm tm;

	if (!p->wall_time_ns || seconds > DAY_S || !gmtime_r(&t, &tm))
		return;
	buf_addf(out, "near %02d:%02d UTC, ", tm.tm_hour, tm.tm_min);
}

static void add_there(struct buf *out, const struct profile_facts *f)
{
	buf_addf(out, ".\n%*sThere ", VERDICT_COLUMN, "");
	report_add_limit_end(out, f);
}

void verdict_add_end(struct buf *out, const struct profile *p)
{
	const struct verdict *v = &p->verdict;
	struct buf when = BUF_INIT;
	const struct profile_facts *tight;
	double room;

	if (!verdict_tells_end(p))
		return;
	tight = least_room(p, &room);
	buf_adds(&when, "Runs out in ");
	verdict_add_time(&when, room / v->rate);
	verdict_add_head(out, when.data);
	buf_release(&when);
	if (v->low > 0) {
		buf_addc(out, '(');
		verdict_add_time(out, room / v->high);
		buf_adds(out, " to ");
		verdict_add_time(out, room / v->low);
		buf_adds(out, "), ");
	}
	add_clock(out, p, room / v->rate);
	buf_adds(out, "at the limit of ");
	buf_add_plain(out, profile_str(p, tight->limit_name));
	buf_adds(out, ", ");
	verdict_add_size(out, (double)tight->limit_bytes);
	if (tight->limit_end != LIMIT_ENDS_NOT)
		add_there(out, tight);
	if (tight->oom_kills)
		buf_addf(out, "; %llu OOM kill%s so far", (unsigned long long)tight->oom_kills,
			 tight->oom_kills == 1 ? "" : "s");
	buf_addc(out, '\n');
}

double verdict_series_now(const struct profile *p)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < p->n_procs; i++) {
		const struct profile_facts *f = &p->procs[i].now;

		if (p->procs[i].state == PROC_RUNNING)
			sum += (double)f->rss_anon_bytes + (double)f->rss_shmem_bytes + (double)f->swap_bytes -
			       (double)f->lazy_free_bytes;
	}
	return sum;
}

void verdict_add_room(struct buf *out, const struct profile *p, double more)
{
	double room;
	const struct profile_facts *tight = least_room(p, &room);

	if (!tight)
		return;
	buf_adds(out, room > more ? "Runs out  not by this: " : "Runs out  before that: only ");
	verdict_add_size(out, room);
	buf_adds(out, " free below the limit of ");
	buf_add_plain(out, profile_str(p, tight->limit_name));
	buf_adds(out, ", ");
	verdict_add_size(out, (double)tight->limit_bytes);
	if (room <= more && tight->limit_end != LIMIT_ENDS_NOT)
		add_there(out, tight);
	buf_addc(out, '\n');
}
