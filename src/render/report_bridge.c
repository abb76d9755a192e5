/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The report's blocks on where the memory is, and on what limits it; see model/bridge.h and limit.h.
 *
 *	WHERE 5.94 GiB OF RSS IS (MiB)      at attach       now    change
 *	heap, allocated before attach          5734.4    5734.1      -0.3   by whom: not seen; what: below
 *	heap, allocated since                     0.0      43.1     +43.1   and 0.1 never touched
 *	...
 *	RSS                                    6036.2    6079.9     +43.7
 *
 *	FROM BEFORE ATTACH, BY SIZE (glibc's heap read from outside, no stop, approximate)
 *	  5.25 GiB  2 804 551 chunks of 2016 B, #1's size; 98 % begin with the vtable of Session
 *
 * Printed rows add up: what rounding leaves goes to `unexplained`. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "render/report_internal.h"

#define LABEL_COLUMNS 36
#define LEAST_SHARE_OF_SIZES 1 /* percent: smaller sizes are summed up */
#define MAX_SIZES 4

/* ---- limits ---- */

static const char *end_text(enum limit_end e)
{
	switch (e) {
	case LIMIT_ENDS_KILLED:
		return "the kernel kills it; malloc does not fail first";
	case LIMIT_ENDS_GROUP_KILLED:
		return "the kernel kills all of its control group; malloc does not fail first";
	case LIMIT_ENDS_SOME_KILLED:
		return "the kernel kills a process, most likely the largest; malloc does not fail first";
	case LIMIT_ENDS_OTHER_KILLED:
		return "the kernel kills others: it is protected (oom_score_adj)";
	case LIMIT_ENDS_MALLOC_FAILS:
		return "malloc fails; nothing is killed";
	default:
		return "";
	}
}

void report_limit(struct buf *out, const struct profile *p, const struct profile_facts *f)
{
	char limit[16], used[16], more[16];
	const char *name = profile_str(p, f->limit_name);

	if (!f->limit_bytes || f->limit_bytes == UINT64_MAX)
		return;
	buf_addf(out, "        limit %s (", units_format_size(limit, f->limit_bytes));
	buf_add_printable(out, name, strlen(name));
	buf_adds(out, ")");
	if (f->limit_kind != LIMIT_NONE)
		buf_addf(out, ", %s used", units_format_size(used, f->limit_used_bytes));
	buf_addf(out, ", %llu OOM kill%s\n", (unsigned long long)f->oom_kills, f->oom_kills == 1 ? "" : "s");
	if (f->limit_end == LIMIT_ENDS_NOT)
		return;
	buf_adds(out, "        there ");
	if (f->limit_swap_bytes && f->limit_swap_bytes != UINT64_MAX && f->limit_end != LIMIT_ENDS_MALLOC_FAILS)
		buf_addf(out, "%s of swap fill up, then ", units_format_size(more, f->limit_swap_bytes));
	buf_adds(out, end_text(f->limit_end));
	if (f->limit_slowed_bytes)
		buf_addf(out, ";\n        slowed down from %s on (memory.high)",
			 units_format_size(more, f->limit_slowed_bytes));
	buf_addc(out, '\n');
}

/* ---- rows ---- */

static void add_label(struct buf *out, const struct profile *p, const struct bridge *b, enum bridge_row row)
{
	static const char *const labels[BRIDGE_NR] = {
		[BRIDGE_HEAP_BEFORE] = "heap, allocated before attach",
		[BRIDGE_HEAP_SINCE] = "heap, allocated since",
		[BRIDGE_HEAP_KEPT] = "glibc: freed but kept, headers",
		[BRIDGE_DIRECT] = "direct mmap",
		[BRIDGE_CODE] = "code made at run time",
		[BRIDGE_FILES] = "files",
		[BRIDGE_SHARED] = "shared memory",
		[BRIDGE_UNEXPLAINED] = "unexplained",
		[BRIDGE_RSS] = "RSS",
	};
	const char *allocator = profile_str(p, b->allocator);
	uint32_t threads = b->proc < p->n_procs ? p->procs[b->proc].now.n_threads : 0;
	size_t before = out->len;

	if (row == BRIDGE_OTHER_HEAP && *allocator)
		buf_addf(out, "%.16s: mapped, less what is seen", allocator);
	else if (row == BRIDGE_OTHER_HEAP)
		buf_adds(out, "heap and mmap, less what is seen");
	else if (row == BRIDGE_STACKS)
		buf_addf(out, "%u thread stack%s", threads, threads == 1 ? "" : "s");
	else
		buf_adds(out, labels[row]);
	if (out->len - before < LABEL_COLUMNS)
		buf_pad(out, ' ', LABEL_COLUMNS - (out->len - before));
}

static void add_kept_note(struct buf *out, const struct bridge *b, const struct amount_unit *u)
{
	char trim[24];

	buf_addf(out, "   %llu arena%s; trim would give %s", (unsigned long long)b->n_arenas,
		 b->n_arenas == 1 ? "" : "s",
		 format_tenths(trim, in_tenths((int64_t)b->trim_bytes, u)));
}

static void add_note(struct buf *out, const struct profile *p, const struct bridge *b, enum bridge_row row,
		     const struct amount_unit *u)
{
	const char *reason = profile_str(p, b->reason);
	int64_t rss = b->now[BRIDGE_RSS], rest = b->now[BRIDGE_UNEXPLAINED];
	char text[24];

	if (row == BRIDGE_HEAP_BEFORE)
		buf_adds(out, b->is_estimate ? "   est.: by sampling" : "   by whom: not seen");
	else if (row == BRIDGE_HEAP_SINCE && b->untouched_bytes * 20 >= u->bytes)
		buf_addf(out, "   and %s never touched",
			 format_tenths(text, in_tenths((int64_t)b->untouched_bytes, u)));
	else if (row == BRIDGE_HEAP_KEPT)
		add_kept_note(out, b, u);
	else if (row == BRIDGE_OTHER_HEAP)
		buf_addf(out, "   est.%s%.40s", *reason ? "; " : "", reason);
	else if (row == BRIDGE_UNEXPLAINED && rss > 0)
		buf_addf(out, "   %s %% of RSS", format_tenths(text, (rest * 1000 + rss / 2) / rss));
}

static void add_change(struct buf *out, int64_t change)
{
	char text[24], sign[26];

	format_tenths(text, change);
	snprintf(sign, sizeof(sign), "%s%s", change > 0 ? "+" : "", text);
	buf_addf(out, " %9s", sign);
}

static bool is_shown(const struct bridge *b, enum bridge_row row)
{
	return row >= BRIDGE_N_MEASURED || b->now[row] || (b->has_attach && b->at_attach[row]);
}

/* Tenths of the unit; unexplained takes up what rounding leaves. */
static void round_rows(int64_t *tenths, const int64_t *rows, const struct amount_unit *u)
{
	size_t i;

	tenths[BRIDGE_RSS] = tenths[BRIDGE_UNEXPLAINED] = in_tenths(rows[BRIDGE_RSS], u);
	for (i = 0; i < BRIDGE_N_MEASURED; i++) {
		tenths[i] = in_tenths(rows[i], u);
		tenths[BRIDGE_UNEXPLAINED] -= tenths[i];
	}
}

static void add_rows(struct buf *out, const struct profile *p, const struct bridge *b, const struct amount_unit *u)
{
	int64_t now[BRIDGE_NR], then[BRIDGE_NR];
	char text[24];
	int row;

	round_rows(now, b->now, u);
	round_rows(then, b->at_attach, u);
	for (row = 0; row < BRIDGE_NR; row++) {
		if (!is_shown(b, (enum bridge_row)row))
			continue;
		add_label(out, p, b, (enum bridge_row)row);
		if (b->has_attach)
			buf_addf(out, " %9s", format_tenths(text, then[row]));
		buf_addf(out, " %9s", format_tenths(text, now[row]));
		if (b->has_attach)
			add_change(out, now[row] - then[row]);
		add_note(out, p, b, (enum bridge_row)row, u);
		buf_addc(out, '\n');
	}
}

/* ---- what is from before ---- */

static const struct profile_stack *site_of(const struct profile *p, const struct bridge *b)
{
	uint32_t at = b->site_blocks ? profile_find_stack(p, b->site_stack) : UINT32_MAX;

	return at == UINT32_MAX ? NULL : &p->stacks[at];
}

static void add_size(struct buf *out, const struct profile *p, const struct bridge *b, const struct bridge_size *s)
{
	char bytes[16], n[32];
	const char *type = profile_str(p, s->type);

	buf_addf(out, "%10s  %s chunk%s of %llu B", units_format_size(bytes, s->chunk_bytes * s->blocks),
		 units_format_count(n, s->blocks), s->blocks == 1 ? "" : "s", (unsigned long long)s->chunk_bytes);
	if (site_of(p, b) && b->site_chunk_bytes == s->chunk_bytes)
		buf_adds(out, ", #1's size");
	if (s->type_blocks && s->blocks && *type) {
		buf_addf(out, "; %llu %% begin with the vtable of ",
			 (unsigned long long)(s->type_blocks * 100 / s->blocks));
		add_short_name(out, type);
	}
	buf_addc(out, '\n');
}

static void add_sizes(struct buf *out, const struct profile *p, const struct bridge *b)
{
	uint64_t bytes = b->other_bytes, sizes = b->other_sizes, largest = b->largest_other_bytes, i;
	char sum[16], most[16], n[32];

	if (b->heap != BRIDGE_HEAP_GLIBC || !b->before_blocks)
		return;
	buf_adds(out, "\nFROM BEFORE ATTACH, BY SIZE (glibc's heap read from outside, no stop, approximate)\n");
	for (i = 0; i < b->n_sizes && i < BRIDGE_MAX_SIZES; i++) {
		uint64_t this = b->sizes[i].chunk_bytes * b->sizes[i].blocks;

		if (i < MAX_SIZES && this * 100 >= b->before_bytes * LEAST_SHARE_OF_SIZES) {
			add_size(out, p, b, &b->sizes[i]);
			continue;
		}
		bytes += this;
		sizes++;
		largest = this > largest ? this : largest;
	}
	if (sizes)
		buf_addf(out, "%10s  %s other size%s, %s above %s\n", units_format_size(sum, bytes),
			 units_format_count(n, sizes), sizes == 1 ? "" : "s", sizes == 1 ? "not" : "none",
			 units_format_size(most, largest));
}

bool report_history(struct buf *out, const struct profile *p, const struct bridge *b)
{
	const struct profile_stack *s = site_of(p, b);
	const struct profile_proc *proc = b->proc < p->n_procs ? &p->procs[b->proc] : NULL;
	char would[16], is[16], age[24];
	double blocks;

	if (!s || !proc || !p->window_ns || proc->now.start_age_ns < 2 * p->window_ns)
		return false;
	blocks = (double)totals_live_blocks(&s->t) / (double)p->window_ns * (double)proc->now.start_age_ns;
	if (blocks * (double)b->site_chunk_bytes > 1e18)
		return false;
	buf_addf(out, "#1's rate times the uptime (%s) is %s; in use of its size: %s",
		 units_format_duration(age, proc->now.start_age_ns),
		 units_format_size(would, (uint64_t)(blocks * (double)b->site_chunk_bytes)),
		 units_format_size(is, b->site_blocks * b->site_chunk_bytes));
	return true;
}

static void add_advice(struct buf *out, const struct bridge *b)
{
	char kept[16], trim[16];

	units_format_size(kept, (uint64_t)(b->now[BRIDGE_HEAP_KEPT] > 0 ? b->now[BRIDGE_HEAP_KEPT] : 0));
	switch (bridge_advice_of(b)) {
	case BRIDGE_ADVICE_ARENAS:
		buf_addf(out,
			 "=> %s lie free in %llu arenas: try MALLOC_ARENA_MAX=2 or jemalloc (rule: > 4 arenas, 10 %% free)\n",
			 kept, (unsigned long long)b->n_arenas);
		break;
	case BRIDGE_ADVICE_TRIM:
		buf_addf(out, "=> malloc_trim(0) would give back %s of the %s kept (rule: > 10 %% of the heap)\n",
			 units_format_size(trim, b->trim_bytes), kept);
		break;
	default:
		break;
	}
}

const struct bridge *report_main_bridge(const struct profile *p)
{
	const struct bridge *best = NULL;
	size_t i;

	for (i = 0; i < p->n_bridges; i++)
		if (p->bridges[i].has_now && (!best || p->bridges[i].now[BRIDGE_RSS] > best->now[BRIDGE_RSS]))
			best = &p->bridges[i];
	return best;
}

void report_bridge(struct buf *out, const struct profile *p, const struct bridge *b)
{
	struct amount_unit u;
	char rss[16];
	size_t at;

	if (!b || !b->has_now || b->now[BRIDGE_RSS] <= 0)
		return;
	u = unit_for((uint64_t)b->now[BRIDGE_RSS]);
	buf_addc(out, '\n');
	at = out->len;
	units_format_size(rss, (uint64_t)b->now[BRIDGE_RSS]);
	if (p->n_procs > 1 && b->proc < p->n_procs)
		buf_addf(out, "WHERE %s OF PID %d IS (%s)", rss, p->procs[b->proc].tgid, u.name);
	else
		buf_addf(out, "WHERE %s OF RSS IS (%s)", rss, u.name);
	buf_pad(out, ' ', LABEL_COLUMNS > out->len - at ? LABEL_COLUMNS - (out->len - at) : 0);
	buf_adds(out, b->has_attach ? " at attach       now    change\n" : "       now\n");
	add_rows(out, p, b, &u);
	add_advice(out, b);
	add_sizes(out, p, b);
	at = out->len;
	buf_adds(out, "  ");
	if (report_history(out, p, b))
		buf_addc(out, '\n');
	else
		out->data[out->len = at] = '\0';
}
