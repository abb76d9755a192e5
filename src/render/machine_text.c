/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See machine_text.h. */
#include "render/machine_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/units.h"

void machine_add_name(struct buf *out, const struct profile *p, const struct machine_row *r)
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

static void add_first_word(struct buf *out, const struct machine *m, const struct machine_headline *h)
{
	bool is_its_own = h->grower && h->grower->word == h->word;

	buf_addf(out, "%-10s ", is_its_own ? machine_row_word(m, h->grower) : trend_name(h->word));
}

/* Where the machine grows for certain, and the one that is named does not: both words are told. */
static void add_own_word(struct buf *out, const struct machine *m, const struct machine_headline *h)
{
	if (h->grower->word != h->word)
		buf_addf(out, ", itself %s", machine_row_word(m, h->grower));
	buf_addc(out, '\n');
}

static void add_who(struct buf *out, const struct profile *p, const struct machine_headline *h)
{
	const struct machine *m = &p->machine;
	const struct machine_row *used = machine_row_of(m, MACHINE_USED), *most = h->grower;
	double all = used ? (double)used->growth_bytes : 0, rate = per_minute_mib(all, m->window_s);
	const char *host = profile_str(p, p->host);

	add_first_word(out, m, h);
	buf_add_printable(out, host, strlen(host));
	if (!most) {
		buf_addf(out, ": RAM in use %+.1f MiB/min; %s grows for certain\n", rate,
			 h->word == TREND_GROWING ? "nothing alone" : "nothing");
		return;
	}
	buf_addf(out, " uses %.1f MiB/min %s; ", fabs(rate), rate < 0 ? "less" : "more");
	if (all > 0 && (double)most->growth_bytes <= all * 1.1) {
		buf_addf(out, "%.0f %% of it: ", fmin(100, 100 * (double)most->growth_bytes / all));
		machine_add_name(out, p, most);
	} else {
		machine_add_name(out, p, most);
		buf_addf(out, " grows %.1f", per_minute_mib((double)most->growth_bytes, m->window_s));
	}
	add_own_word(out, m, h);
}

static void add_time(struct buf *out, double seconds)
{
	char text[24];

	buf_adds(out, units_format_duration(text, (uint64_t)(fmin(fmax(seconds, 0), MACHINE_FAR_S) * (double)NS_PER_S)));
}

/* Both ends of an interval would be the figure itself. */
static bool is_shown_so(const char *text, double low, double high)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	bool same;

	add_time(&a, low);
	add_time(&b, high);
	same = high >= 0 && !strcmp(a.data, text) && !strcmp(b.data, text);
	buf_release(&a);
	buf_release(&b);
	return same;
}

/* "in 19 min (17 min to 21 min), near 03:31 UTC" */
static void add_when(struct buf *out, const struct profile *p, double s, double low, double high)
{
	time_t t = (time_t)((double)p->wall_time_ns * 1e-9 + s);
	size_t begin;
	struct tm tm;

	buf_adds(out, "in ");
	begin = out->len;
	add_time(out, s);
	if (low >= 0 && !is_shown_so(out->data + begin, low, high)) {
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
		buf_adds(out, g->kills_group ? ": then all of it is killed" : ": then the kernel kills in it");
		if (is_near(m->full_s)) {
			buf_adds(out, "; RAM in ");
			add_time(out, m->full_s);
		}
	} else if (is_near(m->full_s)) {
		buf_addf(out, "%-10s ", "RAM full");
		add_when(out, p, m->full_s, m->full_low_s, m->full_high_s);
		buf_adds(out, ": then the kernel kills");
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
	struct machine_headline h;

	machine_headline(&p->machine, &h);
	add_who(out, p, &h);
	add_full(out, p);
	add_next(out, p, h.grower);
}
