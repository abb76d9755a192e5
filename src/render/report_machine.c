/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report on a whole machine (model/machine.h): who grows, when RAM or a control group is full, what to type next;
 * then all of its memory in rows that add up, as printed; then the code of those that had heap probes.
 *
 *	GROWING   app-17 uses 171.0 MiB/min more; 84 % of it: checkout (pid 8114)
 *	RAM full  in 19 min (17 min to 21 min), near 03:31 UTC; swap off; memory stall 11 % of the last 10 s; ...
 *	next      sudo memprobe -p 8114 -d 2m    (30 s cannot tell a leak from a cache that fills)
 *
 * At most 40 lines, unless all frames are asked for. Pure.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "render/machine_text.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"
#include "render/watch_text.h"

#define SHOWN_TREES 5
#define SHOWN_TREES_VERBOSE 20
#define DETAILS 3
#define STACKS_OF_ONE 3
#define NAME_WIDTH 16
#define GROUP_WIDTH 15
/* Rows of amounts that are no tree are shown from here on, but those that are always. */
#define LEAST_KEPT_PART 50 /* 2 % of what is in use */
#define MOST_GROUPS_TOLD 3
#define NEAR_LIMIT 0.8

/* ---- the table ---- */

/* Amounts as printed: integers, so that the column adds up to the last digit. */
struct table_units {
	struct amount_unit bytes; /* in hundredths where it is GiB, else in tenths */
	unsigned int per_unit;
};

static struct table_units units_of(const struct machine *m)
{
	if (machine_used_bytes(&m->now) >= 4 * GIB)
		return (struct table_units){ { "GiB", GIB }, 100 };
	return (struct table_units){ { "MiB", MIB }, 10 };
}

/* A recording may say anything. */
static int64_t rounded(double v)
{
	return v > -1e15 && v < 1e15 ? llround(v) : 0;
}

static int64_t in_units(int64_t bytes, const struct table_units *u)
{
	return rounded((double)bytes * u->per_unit / (double)u->bytes.bytes);
}

static int64_t in_rate(const struct machine *m, int64_t growth)
{
	return m->window_s > 0 ? rounded((double)growth * 600 / m->window_s / (double)MIB) : 0;
}

/* Text of a foreign process in so many columns. */
static void add_cell(struct buf *out, const char *text, size_t width)
{
	struct buf clean = BUF_INIT;
	size_t i, columns = 0;

	buf_add_printable(&clean, text, strlen(text));
	for (i = 0; i < clean.len; i++) {
		bool begins = ((unsigned char)clean.data[i] & 0xc0) != 0x80;

		if (begins && columns == width)
			break;
		columns += begins;
		buf_addc(out, clean.data[i] == '\t' ? ' ' : clean.data[i]);
	}
	buf_pad(out, ' ', width - columns);
	buf_release(&clean);
}

struct amounts {
	int64_t bytes, rate; /* as printed */
};

static void add_amounts(struct buf *out, const struct table_units *u, const struct amounts *a)
{
	char number[32], rate[32];
	uint64_t b = (uint64_t)(a->bytes < 0 ? -a->bytes : a->bytes);

	snprintf(number, sizeof(number), "%s%llu.%0*llu", a->bytes < 0 ? "-" : "",
		 (unsigned long long)(b / u->per_unit), u->per_unit == 100 ? 2 : 1,
		 (unsigned long long)(b % u->per_unit));
	format_tenths(rate, a->rate);
	buf_addf(out, " %6s %s %s%s", number, u->bytes.name, "", "");
	buf_addf(out, "%*s%s%s", (int)(strlen(rate) < 7 ? 7 - strlen(rate) : 0), "", a->rate > 0 ? "+" : " ", rate);
}

static void add_full(struct buf *out, double seconds)
{
	char text[24];

	if (seconds < 0 || seconds > MACHINE_FAR_S)
		buf_addf(out, " %10s", "-");
	else
		buf_addf(out, " %10s", units_format_duration(text, (uint64_t)(seconds * (double)NS_PER_S)));
}

static void add_seen(struct buf *out, const struct profile *p, const struct machine_row *r)
{
	if (r->seen == SEEN_HEAP_SAMPLED && p->watch.interval_bytes)
		buf_addf(out, "  heap 1:%uKi\n", p->watch.interval_bytes / 1024);
	else
		buf_addf(out, "  %s\n", machine_seen_name(r->seen));
}

static void add_tree_name(struct buf *out, const struct profile *p, const struct machine_row *r)
{
	const char *name = profile_str(p, r->name);
	char more[24] = "";

	if (r->n_procs > 1)
		snprintf(more, sizeof(more), " (1 + %u)", r->n_procs - 1);
	if (strlen(name) + strlen(more) <= NAME_WIDTH) {
		struct buf b = BUF_INIT;

		buf_addf(&b, "%s%s", name, more);
		add_cell(out, b.data, NAME_WIDTH);
		buf_release(&b);
		return;
	}
	add_cell(out, name, NAME_WIDTH - strlen(more));
	buf_adds(out, more);
}

/* All that a new process has is growth, though it may stand since. */
static const char *word_of(const struct machine *m, const struct machine_row *r)
{
	if (r->has_ended)
		return "ended";
	if (r->age_s > 0 && r->age_s < m->window_s && r->word != TREND_GROWING)
		return "started";
	return trend_name(r->word);
}

static void add_tree_row(struct buf *out, const struct profile *p, const struct machine_row *r, size_t number,
			 const struct table_units *u, const struct amounts *a)
{
	buf_addf(out, "%2zu %7d  ", number, r->pid);
	add_tree_name(out, p, r);
	buf_addc(out, ' ');
	add_cell(out, profile_str(p, r->group), GROUP_WIDTH);
	add_amounts(out, u, a);
	buf_addf(out, "  %-10s", word_of(&p->machine, r));
	add_full(out, r->full_s);
	add_seen(out, p, r);
}

static void add_other_row(struct buf *out, const char *label, const struct table_units *u, const struct amounts *a,
			  const char *tail)
{
	buf_addf(out, "%12s", "");
	add_cell(out, label, NAME_WIDTH + GROUP_WIDTH + 1);
	add_amounts(out, u, a);
	if (*tail)
		buf_addf(out, "%*s  %s", 23, "", tail);
	buf_addc(out, '\n');
}

static const char *label_of(char text[64], const struct machine_row *r)
{
	switch (r->kind) {
	case MACHINE_KERNEL:
		return "kernel: slab, page tables, stacks";
	case MACHINE_SHMEM:
		return "tmpfs and shared memory files";
	case MACHINE_HUGETLB:
		return "huge pages set aside";
	case MACHINE_KEPT:
		return "kept free by the kernel";
	case MACHINE_OTHERS:
		snprintf(text, 64, "%u other processes", r->n_procs);
		return text;
	default:
		return "unexplained";
	}
}

static void add_total(struct buf *out, const struct machine *m, const struct table_units *u, const struct amounts *a)
{
	const char *unit = m->now.total_bytes >= GIB ? "GiB" : "MiB";
	double bytes = m->now.total_bytes >= GIB ? (double)GIB : (double)MIB;
	char label[64];

	snprintf(label, sizeof(label), "%s (%.1f of %.1f %s)",
		 m->now.swap_total_bytes > m->now.swap_free_bytes ? "RAM+swap" : "RAM in use",
		 (double)machine_used_bytes(&m->now) / bytes, (double)m->now.total_bytes / bytes, unit);
	add_other_row(out, label, u, a, "");
}

struct table_sum {
	struct table_units u;
	struct amounts left; /* of the total, as printed */
	struct machine_row others;
	struct buf rows; /* those that are not trees */
};

static void count(const struct machine *m, struct table_sum *t, const struct machine_row *r, struct amounts *a)
{
	*a = (struct amounts){ in_units(r->bytes, &t->u), in_rate(m, r->growth_bytes) };
	t->left.bytes -= a->bytes;
	t->left.rate -= a->rate;
}

/* Too small to tell apart: it is unexplained then. */
static bool is_shown(const struct machine *m, const struct machine_row *r)
{
	return (r->kind != MACHINE_KEPT && r->kind != MACHINE_HUGETLB) ||
	       r->bytes > (int64_t)machine_used_bytes(&m->now) / LEAST_KEPT_PART;
}

static void add_table(struct buf *out, const struct profile *p, size_t n_trees)
{
	const struct machine *m = &p->machine;
	struct table_sum t = { .u = units_of(m), .others = { .kind = MACHINE_OTHERS }, .rows = BUF_INIT };
	struct amounts a, total;
	size_t i, number = 0;
	char text[64];

	total.bytes = in_units((int64_t)machine_used_bytes(&m->now), &t.u);
	total.rate = in_rate(m, machine_row_of(m, MACHINE_USED) ? machine_row_of(m, MACHINE_USED)->growth_bytes : 0);
	t.left = total;
	buf_addf(out, "\n # %7s  %-*s %-*s %10s %8s  %-10s %10s  %s\n", "PID", NAME_WIDTH, "PROCESS (TREE)", GROUP_WIDTH,
		 "CGROUP", "PSS+SWAP", "MiB/min", "TREND", "FULL IN", "SEEN BY");
	for (i = 0; i < m->n_rows; i++) {
		const struct machine_row *r = &m->rows[i];

		if (r->kind == MACHINE_TREE && number < n_trees) {
			count(m, &t, r, &a);
			add_tree_row(out, p, r, ++number, &t.u, &a);
		} else if (r->kind == MACHINE_TREE || r->kind == MACHINE_OTHERS) {
			t.others.n_procs += r->n_procs;
			t.others.bytes += r->bytes;
			t.others.growth_bytes += r->growth_bytes;
		} else if (r->kind < MACHINE_UNEXPLAINED && is_shown(m, r)) {
			count(m, &t, r, &a);
			add_other_row(&t.rows, label_of(text, r), &t.u, &a, "/proc");
		}
	}
	if (t.others.n_procs) {
		count(m, &t, &t.others, &a);
		add_other_row(out, label_of(text, &t.others), &t.u, &a, "/proc");
	}
	buf_add(out, t.rows.data, t.rows.len);
	add_other_row(out, "unexplained", &t.u, &t.left, "");
	add_total(out, m, &t.u, &total);
	buf_adds(out, "shared pages counted once (PSS), swapped ones included, page cache that can be dropped left out\n");
	buf_release(&t.rows);
}

/* ---- details of those with heap probes ---- */

static uint32_t proc_of(const struct profile *p, int32_t pid)
{
	uint32_t found = UINT32_MAX, i;

	for (i = 0; i < p->n_procs && pid; i++)
		if (p->procs[i].tgid == pid)
			found = i;
	return found;
}

static void add_bytes(struct buf *out, int64_t bytes)
{
	char size[16];

	units_format_size(size, (uint64_t)(bytes < 0 ? -bytes : bytes));
	buf_addf(out, "%s%s", bytes < 0 ? "-" : "+", size);
}

static double watched_s(const struct profile *p, const struct profile_proc *proc)
{
	uint64_t end = proc->end_ns ? proc->end_ns : p->window_ns;

	return end > proc->begin_ns ? (double)(end - proc->begin_ns) * 1e-9 : 0;
}

static void add_title(struct buf *out, const struct profile *p, const struct machine_row *r, size_t number, uint32_t proc)
{
	const char *name = profile_str(p, r->name);

	buf_addf(out, "\n%zu  ", number);
	buf_add_printable(out, name, strlen(name));
	buf_addf(out, " %d: heap ", r->probed_pid);
	add_bytes(out, heap_net_of(p, proc).bytes);
	buf_addf(out, " in %.0f s, all of its memory ", watched_s(p, &p->procs[proc]));
	add_bytes(out, r->growth_bytes);
	buf_addf(out, " in %.0f s", p->machine.window_s);
	if (r->has_ended)
		buf_adds(out, "; it has ended");
	buf_addc(out, '\n');
}

static void add_stack_row(struct buf *out, const struct profile *p, const struct profile_stack *s, double seconds,
			  const struct render_opts *o)
{
	struct profile alone = *p; /* its process has been named */
	double alive = verdict_alive(p, s);
	char live[16], share[8] = "?", rate[24];

	alone.n_procs = 1;
	if (alive >= 0)
		snprintf(share, sizeof(share), "%.0f %%", alive * 100);
	format_tenths(rate, seconds > 0 ? rounded((double)stack_net_bytes(s) * 600 / seconds / (double)MIB) : 0);
	buf_addf(out, "%11s %8s %6s  ", units_format_size(live, s->live_bytes), rate, share);
	report_add_where(out, &alone, s, 29, o->columns, o->all_frames ? 8 : 1);
}

/* The tree's own story: a worker, a history. */
static void add_story(struct buf *out, const struct machine *m, const struct machine_row *r)
{
	double rate = m->window_s > 0 ? (double)r->growth_bytes / m->window_s : 0, since;
	char size[16], age[24];

	if (r->n_procs > 1 && r->worker_pid && r->growth_bytes > 0 && r->worker_growth > 0) {
		buf_addf(out, "   pid %d of its %u processes makes %.0f %% of it; ", r->worker_pid, r->n_procs,
			 fmin(100, 100 * (double)r->worker_growth / (double)r->growth_bytes));
		buf_addf(out, "ending that one frees %s\n", units_format_size(size, r->worker_private));
	}
	since = r->age_s > m->window_s ? (double)r->bytes / r->age_s : 0;
	if (r->n_procs == 1 && r->age_s > 4 * m->window_s && rate > 0 && since > rate * 0.67 && since < rate * 1.5) {
		units_format_duration(age, (uint64_t)(fmin(r->age_s, 1e9) * (double)NS_PER_S));
		buf_addf(out, "   history: %s in %s is %.1f MiB/min: it may have grown like this since its start\n",
			 units_format_size(size, (uint64_t)r->bytes), age, since * 60 / (double)MIB);
	}
}

static void add_detail(struct buf *out, const struct profile *p, const struct machine_row *r, size_t number,
		       bool is_first, const struct render_opts *o)
{
	uint32_t proc = proc_of(p, r->probed_pid);
	const struct profile_stack **s;
	uint64_t rest = 0, n_rest = 0;
	size_t n, i, shown = 0;
	double seconds;
	char live[16];

	if (proc == UINT32_MAX)
		return;
	seconds = watched_s(p, &p->procs[proc]);
	s = stacks_by_size(p, o, &n);
	add_title(out, p, r, number, proc);
	if (is_first)
		buf_addf(out, "%11s %8s %6s  %s\n", "LIVE", "MiB/min", "ALIVE", "WHERE");
	for (i = 0; i < n; i++) {
		if (s[i]->proc != proc)
			continue;
		if (shown++ < STACKS_OF_ONE) {
			add_stack_row(out, p, s[i], seconds, o);
			continue;
		}
		rest += s[i]->live_bytes;
		n_rest++;
	}
	if (n_rest)
		buf_addf(out, "%11s %8s %6s  %llu smaller stack%s\n", units_format_size(live, rest), "", "",
			 (unsigned long long)n_rest, n_rest == 1 ? "" : "s");
	add_story(out, &p->machine, r);
	free(s);
}

/* ---- the end of it ---- */

static void add_limits(struct buf *out, const struct profile *p)
{
	const struct machine *m = &p->machine;
	char used[16], limit[16];
	size_t i, n = 0;

	for (i = 0; i < m->n_groups && n < 3; i++) {
		const struct machine_group *g = &m->groups[i];
		const char *name = profile_str(p, g->name);

		if (g->limit_bytes == UINT64_MAX ||
		    (g->full_s < 0 && !g->oom_kills && (double)g->used_bytes < NEAR_LIMIT * (double)g->limit_bytes))
			continue;
		buf_adds(out, n++ ? "        " : "limits  ");
		buf_add_printable(out, name, strlen(name));
		buf_addf(out, " %s of %s", units_format_size(used, g->used_bytes), units_format_size(limit, g->limit_bytes));
		if (g->oom_kills)
			buf_addf(out, ", killed %llu time%s", (unsigned long long)g->oom_kills, g->oom_kills == 1 ? "" : "s");
		if (g->new_kills)
			buf_addf(out, ", %llu of it now", (unsigned long long)g->new_kills);
		buf_adds(out, g->kills_group ? ", all of it together\n" : "\n");
	}
}

/* The three that grew most, when it is not one alone. */
static void add_groups(struct buf *out, const struct profile *p)
{
	const struct machine_group *best[MACHINE_MOST_GROUPS], *g;
	char used[16], grown[16];
	size_t i, k, n = 0;

	for (i = 0; i < p->machine.n_groups; i++) {
		g = &p->machine.groups[i];
		if (g->growth_bytes <= 0)
			continue;
		for (k = n++; k && best[k - 1]->growth_bytes < g->growth_bytes; k--)
			best[k] = best[k - 1];
		best[k] = g;
	}
	for (i = 0; i < n && n > 1 && i < MOST_GROUPS_TOLD; i++) {
		const char *name = profile_str(p, best[i]->name);

		buf_adds(out, i ? "        " : "groups  ");
		buf_add_printable(out, name, strlen(name));
		buf_addf(out, " +%s, now %s\n", units_format_size(grown, (uint64_t)best[i]->growth_bytes),
			 units_format_size(used, best[i]->used_bytes));
	}
}

static void add_trust(struct buf *out, const struct profile *p)
{
	const struct machine *m = &p->machine;

	add_groups(out, p);
	add_limits(out, p);
	if (m->n_probed)
		buf_addf(out, "trust   heap probes in %u of %llu processes: the fastest growers, within 2 %% of all CPUs\n",
			 m->n_probed, (unsigned long long)m->n_processes);
	else
		buf_addf(out, "trust   %llu processes by /proc alone: no heap probes\n",
			 (unsigned long long)m->n_processes);
	if (m->n_probed) {
		buf_adds(out, "        there ");
		watch_add_how(out, p);
		buf_addc(out, '\n');
	}
	buf_addf(out, "        lost %llu; %llu processes came and %llu went\n",
		 (unsigned long long)profile_lost_events(p), (unsigned long long)m->n_came,
		 (unsigned long long)m->n_went);
	report_add_losses(out, p, "        ");
	buf_addf(out, "cost    looking: %.1f %% of one CPU", m->cpu_share * 100);
	if (m->n_probed && p->watch.share > 0) {
		buf_adds(out, "; probes: ");
		watch_add_cost(out, p);
	}
	buf_addc(out, '\n');
}

/* Details of the first rows that had heap probes; they take the lines that are left. */
static void add_details(struct buf *out, const struct report *r, size_t n_trees)
{
	const struct machine *m = &r->p->machine;
	size_t i, n = 0;

	for (i = 0; i < m->n_rows && i < n_trees && m->rows[i].kind == MACHINE_TREE && n < DETAILS; i++)
		if (m->rows[i].probed_pid)
			add_detail(out, r->p, &m->rows[i], i + 1, !n++, r->o);
}

void report_machine_rows(struct buf *out, const struct profile *p, size_t n_trees)
{
	add_table(out, p, n_trees < SHOWN_TREES ? n_trees : SHOWN_TREES);
}

void report_machine(struct buf *out, const struct report *r)
{
	size_t n_trees = r->o->all_frames ? SHOWN_TREES_VERBOSE : SHOWN_TREES;
	struct buf b = BUF_INIT, details = BUF_INIT, end = BUF_INIT;
	unsigned int used;

	machine_add_head(&b, r->p);
	text_fit(out, b.data, r->columns, 11);
	buf_reset(&b);
	add_table(&b, r->p, n_trees);
	text_fit(out, b.data, r->columns, 0);
	buf_reset(&b);
	buf_addc(&b, '\n');
	add_trust(&b, r->p);
	text_fit(&end, b.data, r->columns, 8);
	buf_reset(&b);
	add_details(&b, r, n_trees);
	text_fit(&details, b.data, r->columns, 0);
	used = text_lines(out->data) + text_lines(end.data);
	if (!r->o->all_frames)
		text_keep_lines(&details, used < REPORT_LINES ? REPORT_LINES - used : 0);
	buf_add(out, details.data, details.len);
	buf_add(out, end.data, end.len);
	buf_release(&b);
	buf_release(&details);
	buf_release(&end);
}
