/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's first lines when a process ran out of memory: by what limit it ended, and what grew before. Pure.
 *
 *	OOM-KILLED  beam.smp (pid 24390) at 00:11:34 UTC, after 4.2 s: 294.0 MiB anonymous; limit 300.0 MiB (app.slice)
 *	          last 4.2 s: +290.0 MiB: 288.0 MiB by ingest:load_all/1, 1.1 MiB by ingest:start/0
 *	REFUSED   beam.smp (pid 24390) ended at 00:11:34 UTC, after 4.2 s: 28 mappings refused, its allocator gave up: 16.0 MiB for [binary]; limit...
 *
 * The kernel kills, and the allocator never fails; or it is the other way round: which limit is met first decides.
 */
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "render/report_internal.h"

#define MOST_PROCESSES 4

static void add_who_and_when(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	const struct profile_death *d = &proc->death;
	time_t t = (time_t)(d->wall_time_ns / NS_PER_S);
	const char *comm = profile_str(p, proc->comm);
	char after[24];
	struct tm tm;

	gmtime_r(&t, &tm);
	buf_add_plain(out, comm);
	buf_addf(out, " (pid %d) at %02d:%02d:%02d UTC, after %s: ", (int)proc->tgid, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 units_format_duration(after, d->time_ns));
}

static void add_limit(struct buf *out, const struct profile *p, const struct profile_facts *f)
{
	char size[16];

	if (!f->limit_bytes || f->limit_bytes == UINT64_MAX)
		return;
	buf_addf(out, "; limit %s (", units_format_size(size, f->limit_bytes));
	buf_add_plain(out, profile_str(p, f->limit_name));
	buf_addc(out, ')');
}

static void add_refused(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	const struct profile_death *d = &proc->death;
	const char *separator = "";
	char count[32], size[16];

	if (proc->old.refused_maps) {
		buf_addf(out, "%s mapping%s refused", units_format_count(count, proc->old.refused_maps),
			 proc->old.refused_maps == 1 ? "" : "s");
		separator = ", ";
	}
	if (proc->old.failed_calls) {
		buf_addf(out, "%s%s allocation%s failed", separator, units_format_count(count, proc->old.failed_calls),
			 proc->old.failed_calls == 1 ? "" : "s");
		separator = ", ";
	}
	if (d->refusals) {
		buf_addf(out, "%sits allocator gave up: %s for ", separator, units_format_size(size, d->refused_bytes));
		buf_add_plain(out, profile_str(p, d->refused_type));
	}
}

struct grower {
	const char *name;
	uint64_t bytes;
};

/* Places of one name are one: they differ in who ran, or in what was above. Largest first. */
static size_t growers_of(struct grower *v, const struct profile *p, const struct profile_death *d)
{
	size_t n = 0, i, k;

	for (i = 0; i < DEATH_SITES && d->site_bytes[i]; i++) {
		uint32_t at = profile_find_stack(p, d->site[i]);
		const char *name = at == UINT32_MAX ? "" : own_frame_name(p, &p->stacks[at]);

		for (k = 0; k < n && strcmp(v[k].name, name) != 0; k++)
			;
		if (k == n)
			v[n++] = (struct grower){ .name = name };
		v[k].bytes += d->site_bytes[i];
		for (; k && v[k].bytes > v[k - 1].bytes; k--) {
			struct grower t = v[k];

			v[k] = v[k - 1];
			v[k - 1] = t;
		}
	}
	return n;
}

static void add_growth(struct buf *out, const struct profile *p, const struct profile_death *d)
{
	struct grower v[DEATH_SITES];
	char length[24], size[16];
	size_t i, n = growers_of(v, p, d);

	if (!d->grown_bytes)
		return;
	buf_addf(out, "          last %s: +%s",
		 units_format_duration(length, d->time_ns > d->since_ns ? d->time_ns - d->since_ns : 0),
		 units_format_size(size, d->grown_bytes));
	for (i = 0; i < n; i++) {
		buf_addf(out, "%s%s by ", i ? ", " : ": ", units_format_size(size, v[i].bytes));
		add_short_name(out, v[i].name);
	}
	buf_addc(out, '\n');
}

static void add_process(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	const struct profile_death *d = &proc->death;
	char size[16];

	buf_adds(out, d->oom_killed ? "OOM-KILLED  " : "REFUSED   ");
	add_who_and_when(out, p, proc);
	if (d->oom_killed && d->anon_bytes)
		buf_addf(out, "%s anonymous", units_format_size(size, d->anon_bytes));
	else if (d->oom_killed)
		buf_adds(out, "out of memory");
	if (!d->oom_killed)
		add_refused(out, p, proc);
	add_limit(out, p, &proc->now);
	buf_addc(out, '\n');
	add_growth(out, p, d);
}

void report_add_deaths(struct buf *out, const struct profile *p)
{
	size_t i, n = 0;

	for (i = 0; i < p->n_procs && n < MOST_PROCESSES; i++) {
		const struct profile_death *d = &p->procs[i].death;

		if (!d->oom_killed && !d->refusals && !d->grown_bytes)
			continue;
		add_process(out, p, &p->procs[i]);
		n++;
	}
}

void report_deaths(struct buf *out, const struct report *r)
{
	report_add_deaths(out, r->p);
}
