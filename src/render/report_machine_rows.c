/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The table of a whole machine's memory: trees of processes, then the other kinds, in rows that add up as printed.
 *
 *	 #     PID  PROCESS (TREE)   CGROUP            PSS+SWAP  MiB/min  TREND         FULL IN  SEEN BY
 *	 1    8114  checkout         checkout.servic  21.20 GiB   +143.4  GROWING        76 min  heap, exact
 *	 2    1502  postgres (1 + 60 postgresql.serv  12.10 GiB     +1.9  FLAT                -  faults 12.4
 *	            184 other processes                9.81 GiB     +1.3                         faults 0.3
 *	            ...
 *	            RAM in use (59.7 of 62.8 GiB)     59.70 GiB   +171.0
 *
 * Where the screen is narrower it has fewer columns: CGROUP goes first, then SEEN BY, FULL IN, TREND. Pure.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "render/machine_text.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"

/* Of the columns, the blanks before them included. */
#define NUMBER_WIDTH 12u /* and PID */
#define AMOUNT_WIDTH 20u
#define TREND_WIDTH 12u
#define FULL_WIDTH 11u
#define SEEN_WIDTH 13u
#define GROUP_WIDTH 16u
#define NAME_LEAST 12u
#define NAME_MOST 16u
/* A row that is no tree begins here when it has not much room. */
#define NARROW_INDENT 3u
#define NARROW_LABEL 28u
/* Rows of amounts that are no tree are shown from here on, but those that are always. */
#define LEAST_KEPT_PART 50 /* 2 % of what is in use */
#define MOST_FAULT_RATE 9999 /* MiB/s */

struct rows {
	struct buf *out;
	const struct profile *p;
	const struct machine *m;
	struct amount_unit unit;
	unsigned int parts; /* of a unit that are printed: hundredths where it is GiB, else tenths */
	unsigned int name_width;
	bool has_group, has_trend, has_full, has_seen;
	bool has_faults; /* a row shows a rate of page faults */
};

/* Amounts as printed: integers, so that the column adds up to the last digit. */
struct amounts {
	int64_t bytes, rate;
};

/* A recording may say anything. */
static int64_t rounded(double v)
{
	return v > -1e15 && v < 1e15 ? llround(v) : 0;
}

int64_t machine_rate_tenths(int64_t bytes, double seconds)
{
	return seconds > 0 ? rounded((double)bytes * 600 / seconds / (double)MIB) : 0;
}

static bool takes(unsigned int *left, unsigned int width)
{
	if (*left < width)
		return false;
	*left -= width;
	return true;
}

static void choose_columns(struct rows *t, unsigned int columns)
{
	unsigned int fixed = NUMBER_WIDTH + AMOUNT_WIDTH + NAME_LEAST, left = columns > fixed ? columns - fixed : 0;

	t->has_trend = takes(&left, TREND_WIDTH);
	t->has_full = t->has_trend && takes(&left, FULL_WIDTH);
	t->has_seen = t->has_full && takes(&left, SEEN_WIDTH);
	t->has_group = t->has_seen && takes(&left, GROUP_WIDTH);
	t->name_width = NAME_LEAST + (left < NAME_MOST - NAME_LEAST ? left : NAME_MOST - NAME_LEAST);
}

static void init(struct rows *t, struct buf *out, const struct profile *p, unsigned int columns)
{
	*t = (struct rows){ .out = out, .p = p, .m = &p->machine };
	if (machine_used_bytes(&t->m->now) >= 4 * GIB) {
		t->unit = (struct amount_unit){ "GiB", GIB };
		t->parts = 100;
	} else {
		t->unit = (struct amount_unit){ "MiB", MIB };
		t->parts = 10;
	}
	choose_columns(t, columns);
}

static struct amounts amounts_of(const struct rows *t, int64_t bytes, int64_t growth)
{
	return (struct amounts){ rounded((double)bytes * t->parts / (double)t->unit.bytes),
				 machine_rate_tenths(growth, t->m->window_s) };
}

/* ---- cells ---- */

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

static void add_amounts(const struct rows *t, const struct amounts *a)
{
	uint64_t b = (uint64_t)(a->bytes < 0 ? -a->bytes : a->bytes);
	char number[32], tenths[24], rate[32];

	snprintf(number, sizeof(number), "%s%llu.%0*llu", a->bytes < 0 ? "-" : "", (unsigned long long)(b / t->parts),
		 t->parts == 100 ? 2 : 1, (unsigned long long)(b % t->parts));
	snprintf(rate, sizeof(rate), "%s%s", a->rate > 0 ? "+" : "", format_tenths(tenths, a->rate));
	buf_addf(t->out, " %6s %s %8s", number, t->unit.name, rate);
}

static void add_full(struct buf *out, double seconds)
{
	char text[24];

	if (seconds < 0 || seconds > MACHINE_FAR_S)
		buf_addf(out, " %10s", "-");
	else
		buf_addf(out, " %10s", units_format_duration(text, (uint64_t)(seconds * (double)NS_PER_S)));
}

/* "faults 12.4": in MiB/s, which is told below the table. */
static void add_faults(struct rows *t, double bytes_per_s)
{
	int64_t tenths = rounded(bytes_per_s * 10 / (double)MIB);

	t->has_faults = true;
	if (tenths < 1000)
		buf_addf(t->out, "faults %lld.%lld", (long long)(tenths / 10), (long long)(tenths % 10));
	else
		buf_addf(t->out, "faults %lld", (long long)fmin((double)(tenths / 10), MOST_FAULT_RATE));
}

static void add_seen(struct rows *t, const struct machine_row *r)
{
	if (!t->has_seen)
		return;
	buf_adds(t->out, "  ");
	if (r->seen == SEEN_FAULTS)
		add_faults(t, fmax(0, r->fault_rate));
	else if (r->seen == SEEN_HEAP_SAMPLED && t->p->watch.interval_bytes)
		buf_addf(t->out, "heap 1:%uKi", t->p->watch.interval_bytes / 1024);
	else
		buf_adds(t->out, machine_seen_name(r->seen));
}

/* ---- rows ---- */

static void add_heading(const struct rows *t)
{
	buf_addf(t->out, "\n # %7s  %-*s", "PID", (int)t->name_width, "PROCESS (TREE)");
	if (t->has_group)
		buf_addf(t->out, " %-*s", (int)GROUP_WIDTH - 1, "CGROUP");
	buf_addf(t->out, " %10s %8s", "PSS+SWAP", "MiB/min");
	if (t->has_trend)
		buf_adds(t->out, "  TREND");
	if (t->has_full)
		buf_addf(t->out, "%16s", "FULL IN");
	buf_adds(t->out, t->has_seen ? "  SEEN BY\n" : "\n");
}

static void add_tree_name(const struct rows *t, const struct machine_row *r)
{
	const char *name = profile_str(t->p, r->name);
	size_t room = t->name_width, len;
	struct buf b = BUF_INIT;
	char more[24] = "";

	if (r->n_procs > 1)
		snprintf(more, sizeof(more), " (1 + %u)", r->n_procs - 1);
	len = strlen(more);
	room = room > len ? room - len : 0;
	if (strlen(name) <= room) {
		buf_adds(&b, name);
	} else {
		add_cell(&b, name, room);
		while (b.len && b.data[b.len - 1] == ' ') /* it was cut there: no second blank */
			b.len--;
	}
	buf_addf(&b, "%s", more);
	add_cell(t->out, b.data, t->name_width);
	buf_release(&b);
}

static void add_tree_row(struct rows *t, const struct machine_row *r, size_t number, const struct amounts *a)
{
	buf_addf(t->out, "%2zu %7d  ", number, r->pid);
	add_tree_name(t, r);
	if (t->has_group) {
		buf_addc(t->out, ' ');
		add_cell(t->out, profile_str(t->p, r->group), GROUP_WIDTH - 1);
	}
	add_amounts(t, a);
	if (t->has_trend)
		buf_addf(t->out, "  %-*s", t->has_full ? (int)TREND_WIDTH - 2 : 0, machine_row_word(t->m, r));
	if (t->has_full)
		add_full(t->out, r->full_s);
	add_seen(t, r);
	buf_addc(t->out, '\n');
}

/* A row that is no tree, but for what stands behind its amounts. label_short: where the label has no room. */
static void add_label(const struct rows *t, const char *label, const char *label_short)
{
	unsigned int indent = NUMBER_WIDTH, width = t->name_width + (t->has_group ? GROUP_WIDTH : 0);

	if (width < NARROW_LABEL) {
		width += indent - NARROW_INDENT;
		indent = NARROW_INDENT;
	}
	buf_pad(t->out, ' ', indent);
	add_cell(t->out, strlen(label) <= width ? label : label_short, width);
}

static void add_other_row(struct rows *t, const struct machine_row *r, const struct amounts *a)
{
	static const char *const labels[MACHINE_KIND_NR][2] = {
		[MACHINE_KERNEL] = { "kernel slab, page tables, stacks", "kernel" },
		[MACHINE_SHMEM] = { "tmpfs and shared memory files", "tmpfs, shared memory" },
		[MACHINE_HUGETLB] = { "huge pages set aside", "huge pages" },
		[MACHINE_KEPT] = { "kept free by the kernel", "kept by the kernel" },
		[MACHINE_UNEXPLAINED] = { "unexplained", "unexplained" },
	};
	char text[64];

	if (r->kind == MACHINE_OTHERS) {
		snprintf(text, sizeof(text), "%u other process%s", r->n_procs, r->n_procs == 1 ? "" : "es");
		add_label(t, text, text);
	} else {
		add_label(t, labels[r->kind][0], labels[r->kind][1]);
	}
	add_amounts(t, a);
	if (t->has_seen && r->kind != MACHINE_UNEXPLAINED) {
		buf_pad(t->out, ' ', TREND_WIDTH + FULL_WIDTH);
		add_seen(t, r);
	}
	buf_addc(t->out, '\n');
}

static void add_total(const struct rows *t, const struct amounts *a)
{
	const struct machine_memory *now = &t->m->now;
	const char *unit = now->total_bytes >= GIB ? "GiB" : "MiB";
	const char *name = now->swap_total_bytes > now->swap_free_bytes ? "RAM+swap" : "RAM in use";
	double bytes = now->total_bytes >= GIB ? (double)GIB : (double)MIB;
	char label[64];

	snprintf(label, sizeof(label), "%s (%.1f of %.1f %s)", name, (double)machine_used_bytes(now) / bytes,
		 (double)now->total_bytes / bytes, unit);
	add_label(t, label, name);
	add_amounts(t, a);
	buf_addc(t->out, '\n');
}

/* Too small to tell apart: it is unexplained then. */
static bool is_shown(const struct machine *m, const struct machine_row *r)
{
	return (r->kind != MACHINE_KEPT && r->kind != MACHINE_HUGETLB) ||
	       r->bytes > (int64_t)machine_used_bytes(&m->now) / LEAST_KEPT_PART;
}

/* What is printed is taken off what is left of the total, as printed. */
static struct amounts take_row(const struct rows *t, const struct machine_row *r, struct amounts *left)
{
	struct amounts a = amounts_of(t, r->bytes, r->growth_bytes);

	left->bytes -= a.bytes;
	left->rate -= a.rate;
	return a;
}

/* Trees first: so many, and the rest of them in one row. Returns that one. */
static struct machine_row add_trees(struct rows *t, size_t n_trees, struct amounts *left)
{
	struct machine_row others = { .kind = MACHINE_OTHERS };
	size_t i, number = 0;
	struct amounts a;

	for (i = 0; i < t->m->n_rows; i++) {
		const struct machine_row *r = &t->m->rows[i];

		if (r->kind == MACHINE_TREE && number < n_trees) {
			a = take_row(t, r, left);
			add_tree_row(t, r, ++number, &a);
		} else if (r->kind == MACHINE_TREE || r->kind == MACHINE_OTHERS) {
			others.n_procs += r->n_procs;
			others.bytes += r->bytes;
			others.growth_bytes += r->growth_bytes;
			others.fault_rate += r->fault_rate;
			others.seen = r->seen > SEEN_PROC ? SEEN_FAULTS : others.seen;
		}
	}
	return others;
}

static void add_rows(struct rows *t, size_t n_trees)
{
	const struct machine_row *used = machine_row_of(t->m, MACHINE_USED);
	struct amounts total = amounts_of(t, (int64_t)machine_used_bytes(&t->m->now), used ? used->growth_bytes : 0);
	struct amounts left = total, a;
	struct machine_row others = add_trees(t, n_trees, &left), rest = { .kind = MACHINE_UNEXPLAINED };
	size_t i;

	if (others.n_procs) {
		a = take_row(t, &others, &left);
		add_other_row(t, &others, &a);
	}
	for (i = 0; i < t->m->n_rows; i++) {
		const struct machine_row *r = &t->m->rows[i];

		if (r->kind <= MACHINE_OTHERS || r->kind >= MACHINE_UNEXPLAINED || !is_shown(t->m, r))
			continue;
		a = take_row(t, r, &left);
		add_other_row(t, r, &a);
	}
	add_other_row(t, &rest, &left);
	add_total(t, &total);
}

void report_machine_rows(struct buf *out, const struct profile *p, size_t n_trees, unsigned int columns)
{
	struct buf b = BUF_INIT;
	struct rows t;

	init(&t, &b, p, columns);
	add_heading(&t);
	add_rows(&t, n_trees);
	text_fit(out, b.data, columns, 0);
	buf_reset(&b);
	buf_adds(&b, "shared pages counted once (PSS), swapped ones included, page cache that can be dropped left out\n");
	if (t.has_faults)
		buf_adds(&b, "faults: MiB/s that its page faults brought in, one page each, kept or given back\n");
	text_fit(out, b.data, columns, 2);
	buf_release(&b);
}
