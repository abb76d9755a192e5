/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See machine_text.h. */
#include "render/machine_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

/* In a window that is too short for a verdict: growth of so much is worth a name. */
#define LEAST_UNDECIDED (1 * (int64_t)MIB)
/* One that grows for certain goes before one of so many times the growth that may be at its end. */
#define CERTAIN 4

/* Something that can be acted on: a tree, the kernel, shared memory. */
static bool can_grow(const struct machine_row *r)
{
	return (r->kind == MACHINE_TREE && !r->has_ended) || r->kind == MACHINE_KERNEL || r->kind == MACHINE_SHMEM;
}

static bool grows(const struct machine_row *r, enum trend_word w)
{
	return can_grow(r) && r->word == w && r->growth_bytes > (w == TREND_UNDECIDED ? LEAST_UNDECIDED : 0);
}

static double weight_of(const struct machine_row *r)
{
	double growth = (double)r->growth_bytes;

	if (grows(r, TREND_GROWING))
		return growth * CERTAIN;
	return grows(r, TREND_LEVELS_OFF) || grows(r, TREND_UNDECIDED) ? growth : 0;
}

const struct machine_row *machine_grower(const struct machine *m)
{
	const struct machine_row *most = NULL;
	size_t i;

	for (i = 0; i < m->n_rows; i++)
		if (weight_of(&m->rows[i]) > (most ? weight_of(most) : 0))
			most = &m->rows[i];
	return most;
}

static void add_name(struct buf *out, const struct profile *p, const struct machine_row *r)
{
	const char *name = profile_str(p, r->name);

	if (r->kind == MACHINE_KERNEL) {
		buf_adds(out, "the kernel's own memory");
	} else if (r->kind == MACHINE_SHMEM) {
		buf_adds(out, "files in tmpfs or shared memory");
	} else {
		buf_add_printable(out, name, strlen(name));
		buf_addf(out, " (pid %d", r->pid);
		if (r->n_procs > 1)
			buf_addf(out, " and %u workers", r->n_procs - 1);
		buf_addc(out, ')');
	}
}

static double per_minute_mib(double bytes, double seconds)
{
	return seconds > 0 ? bytes * 60 / seconds / (double)MIB : 0;
}

static void add_who(struct buf *out, const struct profile *p, const struct machine_row *most)
{
	const struct machine *m = &p->machine;
	const struct machine_row *used = machine_row_of(m, MACHINE_USED);
	double all = used ? (double)used->growth_bytes : 0, rate = per_minute_mib(all, m->window_s);
	const char *host = profile_str(p, p->host);

	buf_addf(out, "%-10s ", trend_name(most ? most->word : m->used.word));
	buf_add_printable(out, host, strlen(host));
	if (!most) {
		buf_addf(out, ": RAM in use %+.1f MiB/min; nothing grows for certain\n", rate);
		return;
	}
	buf_addf(out, " uses %.1f MiB/min %s; ", fabs(rate), rate < 0 ? "less" : "more");
	if (all > 0 && (double)most->growth_bytes <= all * 1.1) {
		buf_addf(out, "%.0f %% of it: ", fmin(100, 100 * (double)most->growth_bytes / all));
		add_name(out, p, most);
		buf_addc(out, '\n');
		return;
	}
	add_name(out, p, most);
	buf_addf(out, " grows %.1f\n", per_minute_mib((double)most->growth_bytes, m->window_s));
}

static void add_time(struct buf *out, double seconds)
{
	char text[24];

	buf_adds(out, units_format_duration(text, (uint64_t)(fmin(fmax(seconds, 0), MACHINE_FAR_S) * (double)NS_PER_S)));
}

/* "in 19 min (17 min to 21 min), near 03:31 UTC" */
static void add_when(struct buf *out, const struct profile *p, double s, double low, double high)
{
	time_t t = (time_t)((double)p->wall_time_ns * 1e-9 + s);
	struct tm tm;

	buf_adds(out, "in ");
	add_time(out, s);
	if (low >= 0) {
		buf_adds(out, " (");
		add_time(out, low);
		buf_adds(out, high >= 0 && high < MACHINE_FAR_S ? " to " : " or more");
		if (high >= 0 && high < MACHINE_FAR_S)
			add_time(out, high);
		buf_addc(out, ')');
	}
	if (s >= 86400)
		return;
	gmtime_r(&t, &tm);
	buf_addf(out, ", near %02d:%02d UTC", tm.tm_hour, tm.tm_min);
}

static bool is_near(double seconds)
{
	return seconds >= 0 && seconds < MACHINE_FAR_S;
}

/* The control group that is full first, if that is before RAM is. */
static const struct machine_group *first_group(const struct machine *m)
{
	const struct machine_group *first = NULL;
	size_t i;

	for (i = 0; i < m->n_groups; i++)
		if (is_near(m->groups[i].full_s) && (!first || m->groups[i].full_s < first->full_s))
			first = &m->groups[i];
	return first && (!is_near(m->full_s) || first->full_s < m->full_s) ? first : NULL;
}

static void add_full(struct buf *out, const struct profile *p)
{
	const struct machine *m = &p->machine;
	const struct machine_group *g = first_group(m);
	const char *name = g ? profile_str(p, g->name) : "";
	char used[16], total[16];

	if (g) {
		buf_addf(out, "%-10s ", "Limit");
		buf_add_printable(out, name, strlen(name));
		buf_addf(out, " (%s) full ", units_format_size(total, g->limit_bytes));
		add_when(out, p, g->full_s, -1, -1);
		if (is_near(m->full_s)) {
			buf_adds(out, "; RAM in ");
			add_time(out, m->full_s);
		}
	} else if (is_near(m->full_s)) {
		buf_addf(out, "%-10s ", "RAM full");
		add_when(out, p, m->full_s, m->full_low_s, m->full_high_s);
	} else {
		buf_addf(out, "%-10s not in sight: %s of %s in use", "RAM full",
			 units_format_size(used, m->now.total_bytes - m->now.available_bytes),
			 units_format_size(total, m->now.total_bytes));
	}
	if (!m->now.swap_total_bytes)
		buf_adds(out, "; swap off");
	else
		buf_addf(out, "; swap free %s", units_format_size(used, m->now.swap_free_bytes));
	if (m->now.stall_10s >= 0.005)
		buf_addf(out, "; stalls %.0f %%", m->now.stall_10s * 100);
	buf_addf(out, "; OOM kills: %llu", (unsigned long long)m->now.oom_kills);
	if (m->now.oom_kills > m->first.oom_kills)
		buf_addf(out, " (%llu now)", (unsigned long long)(m->now.oom_kills - m->first.oom_kills));
	buf_addc(out, '\n');
}

static void add_next(struct buf *out, const struct profile *p, const struct machine_row *most)
{
	double window = p->machine.window_s;
	int32_t pid = most && most->n_procs > 1 && most->worker_pid ? most->worker_pid : most ? most->pid : 0;

	buf_addf(out, "%-10s ", "next");
	if (most && most->kind == MACHINE_TREE)
		buf_addf(out, "sudo memprobe -p %d -d 2m    (%.0f s cannot tell a leak from a cache that fills)\n", pid,
			 window);
	else if (most && most->kind == MACHINE_KERNEL)
		buf_adds(out, "slabtop -o -s c    (which of the kernel's caches it is)\n");
	else if (most)
		buf_adds(out, "df -t tmpfs; ipcs -m    (which file system or segment it is)\n");
	else
		buf_addf(out, "sudo memprobe -d %s    (slower growth shows in a longer look only)\n",
			 window < 100 ? "5m" : "1h");
}

void machine_add_head(struct buf *out, const struct profile *p)
{
	const struct machine_row *most = machine_grower(&p->machine);

	add_who(out, p, most);
	add_full(out, p);
	add_next(out, p, most);
}
