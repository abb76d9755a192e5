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
 *	IN USE, BY SIZE (...)		where not all calls are seen
 *	  3.2 MiB  3 735 chunks of 912 B, +3 649 since the attach
 *
 * Printed rows add up, in each column and across. Where room is scarce the small rows are one. Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "render/report_internal.h"
#include "render/verdict_text.h"

#define LABEL_COLUMNS 36u
#define LEAST_SHARE_OF_SIZES 1 /* percent: smaller sizes are summed up */
#define MAX_SIZES 4
/* Rows below this part of RSS are put together when there is little room, or hardly any. */
#define SMALL_SHARE 50
#define LARGE_SHARE 10

/* ---- limits ---- */

static const char *limit_end_text(enum limit_end e)
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

void report_add_limit_end(struct buf *out, const struct profile_facts *f)
{
	char size[16];

	if (f->limit_swap_bytes && f->limit_swap_bytes != UINT64_MAX && f->limit_end != LIMIT_ENDS_MALLOC_FAILS)
		buf_addf(out, "%s of swap fill up, then ", units_format_size(size, f->limit_swap_bytes));
	buf_adds(out, limit_end_text(f->limit_end));
	if (f->limit_slowed_bytes)
		buf_addf(out, "; slowed down from %s on (memory.high)", units_format_size(size, f->limit_slowed_bytes));
}

void report_limit(struct buf *out, const struct report *r, const struct profile_facts *f)
{
	const struct profile *p = r->p;
	char limit[16], used[16];
	const char *name = profile_str(p, f->limit_name);
	bool is_terse = r->terse >= 1 && !r->o->all_frames;

	if (!f->limit_bytes || f->limit_bytes == UINT64_MAX || (is_terse && verdict_tells_limit(p)))
		return;
	buf_addf(out, "        limit %s (", units_format_size(limit, f->limit_bytes));
	buf_add_printable(out, name, strlen(name));
	buf_adds(out, ")");
	if (f->limit_kind != LIMIT_NONE)
		buf_addf(out, ", %s used", units_format_size(used, f->limit_used_bytes));
	buf_addf(out, ", %llu OOM kill%s\n", (unsigned long long)f->oom_kills, f->oom_kills == 1 ? "" : "s");
	if (f->limit_end == LIMIT_ENDS_NOT || verdict_tells_end(p))
		return;
	buf_adds(out, "        there ");
	report_add_limit_end(out, f);
	buf_addc(out, '\n');
}

/* ---- rows ---- */

#define ROW_SMALLER BRIDGE_NR /* several rows in one */

struct bridge_table {
	struct buf *out;
	const struct report *r;
	const struct bridge *b;
	struct amount_unit unit;
	unsigned int label_columns;
	struct bridge_line {
		int row;
		int64_t then, now; /* bytes */
	} lines[BRIDGE_NR + 1];
	size_t n;
};

/*
 * Blocks from before the attach only become fewer: what there is more of was made since, and not drawn or between
 * bursts.
 */
static bool has_unseen(const struct bridge *b)
{
	return b->is_estimate && b->has_attach && b->now[BRIDGE_HEAP_BEFORE] > b->at_attach[BRIDGE_HEAP_BEFORE];
}

static void add_label(const struct bridge_table *t, int row)
{
	static const char *const labels[BRIDGE_NR + 1] = {
		[BRIDGE_HEAP_BEFORE] = "heap, allocated before attach",
		[BRIDGE_HEAP_SINCE] = "heap, allocated since",
		[BRIDGE_HEAP_KEPT] = "glibc: freed but kept, headers",
		[BRIDGE_DIRECT] = "direct mmap",
		[BRIDGE_DIRECT_SINCE] = "direct mmap, since attach",
		[BRIDGE_CODE] = "code made at run time",
		[BRIDGE_FILES] = "files",
		[BRIDGE_SHARED] = "shared memory",
		[BRIDGE_UNEXPLAINED] = "unexplained",
		[BRIDGE_RSS] = "RSS",
		[ROW_SMALLER] = "smaller rows together",
	};
	const struct profile *p = t->r->p;
	const char *allocator = profile_str(p, t->b->allocator);
	uint32_t threads = t->b->proc < p->n_procs ? p->procs[t->b->proc].now.n_threads : 0;
	struct buf label = BUF_INIT;
	size_t len;

	if (row == BRIDGE_OTHER_HEAP && t->label_columns < LABEL_COLUMNS) /* no room for its note */
		buf_addf(&label, "%.9s, est.: mapped - seen", *allocator ? allocator : "heap");
	else if (row == BRIDGE_OTHER_HEAP && *allocator)
		buf_addf(&label, "%.16s: mapped, less what is seen", allocator);
	else if (row == BRIDGE_OTHER_HEAP)
		buf_adds(&label, "heap and mmap, less what is seen");
	else if (row == BRIDGE_MANAGED)
		buf_addf(&label, "%.32s", profile_str(p, t->b->managed));
	else if (row == BRIDGE_STACKS)
		buf_addf(&label, "%u thread stack%s", threads, threads == 1 ? "" : "s");
	else if (row == BRIDGE_DIRECT && t->b->now[BRIDGE_DIRECT_SINCE])
		buf_adds(&label, "direct mmap, before or unseen");
	else if (row == BRIDGE_HEAP_BEFORE && has_unseen(t->b))
		buf_adds(&label, "heap, before attach or unseen");
	else
		buf_adds(&label, labels[row] ? labels[row] : "other");
	len = text_cut(label.data, label.len, t->label_columns);
	buf_add(t->out, label.data, len);
	buf_pad(t->out, ' ', t->label_columns - text_width(label.data, len));
	buf_release(&label);
}

static void add_kept_note(struct buf *out, const struct bridge *b, const struct amount_unit *u)
{
	char trim[24];

	buf_addf(out, "   %llu arena%s; trim would give %s", (unsigned long long)b->n_arenas,
		 b->n_arenas == 1 ? "" : "s",
		 format_tenths(trim, in_tenths((int64_t)b->trim_bytes, u)));
}

/* What the runtime said when it counted last, of what is resident of its heap now. */
static void add_managed_note(struct buf *out, const struct bridge_table *t)
{
	const struct profile *p = t->r->p;
	uint64_t used = t->b->proc < p->n_procs ? p->procs[t->b->proc].managed_heap.used_bytes : 0;
	int64_t free_bytes = t->b->now[BRIDGE_MANAGED] - (int64_t)used;
	char in_use[24], rest[24];

	if (!used || free_bytes < 0)
		return;
	buf_addf(out, "   est.: used %s, free %s", format_tenths(in_use, in_tenths((int64_t)used, &t->unit)),
		 format_tenths(rest, in_tenths(free_bytes, &t->unit)));
}

static void add_note(struct buf *out, const struct bridge_table *t, int row)
{
	const struct profile *p = t->r->p;
	const struct bridge *b = t->b;
	const struct amount_unit *u = &t->unit;
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
	else if (row == BRIDGE_MANAGED)
		add_managed_note(out, t);
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

/* A row's note, if all of it fits. */
static void add_note_that_fits(const struct bridge_table *t, int row)
{
	unsigned int used = t->label_columns + (t->b->has_attach ? 30 : 10);
	struct buf note = BUF_INIT;

	add_note(&note, t, row);
	if (used + text_width(note.data, note.len) <= t->r->columns)
		buf_add(t->out, note.data, note.len);
	buf_release(&note);
}

static bool is_shown(const struct bridge *b, int row)
{
	return row >= BRIDGE_N_MEASURED || b->now[row] || (b->has_attach && b->at_attach[row]);
}

static bool is_small(const struct bridge_table *t, int row)
{
	int64_t rss = t->b->now[BRIDGE_RSS], now = t->b->now[row], then = t->b->has_attach ? t->b->at_attach[row] : 0;
	bool is_of_heap = row == BRIDGE_HEAP_SINCE || row == BRIDGE_HEAP_BEFORE;

	int64_t least = rss / (t->r->terse == REPORT_TERSEST ? LARGE_SHARE : SMALL_SHARE);

	return t->r->terse >= 2 && !t->r->o->all_frames && row < BRIDGE_N_MEASURED && !is_of_heap && now < least &&
	       then < least;
}

static void take_rows(struct bridge_table *t)
{
	struct bridge_line small = { .row = ROW_SMALLER };
	bool has_small = false;
	int row;

	for (row = 0; row < BRIDGE_RSS; row++) {
		const struct bridge_line line = { row, t->b->at_attach[row], t->b->now[row] };

		if (row == BRIDGE_UNEXPLAINED && has_small)
			t->lines[t->n++] = small;
		if (!is_shown(t->b, row))
			continue;
		if (!is_small(t, row)) {
			t->lines[t->n++] = line;
			continue;
		}
		has_small = true;
		small.then += line.then;
		small.now += line.now;
	}
}

static void add_row(const struct bridge_table *t, int row, int64_t then, int64_t now)
{
	char text[24];

	add_label(t, row);
	if (t->b->has_attach)
		buf_addf(t->out, " %9s", format_tenths(text, then));
	buf_addf(t->out, " %9s", format_tenths(text, now));
	if (t->b->has_attach)
		add_change(t->out, now - then);
	add_note_that_fits(t, row);
	buf_addc(t->out, '\n');
}

static void add_rows(struct bridge_table *t)
{
	int64_t now[BRIDGE_NR + 1], then[BRIDGE_NR + 1], v[BRIDGE_NR + 1], sum_now, sum_then;
	size_t i;

	take_rows(t);
	for (i = 0; i < t->n; i++)
		v[i] = t->lines[i].now;
	sum_now = round_to_sum(now, v, t->n, &t->unit);
	for (i = 0; i < t->n; i++)
		v[i] = t->lines[i].then;
	sum_then = round_to_sum(then, v, t->n, &t->unit);
	for (i = 0; i < t->n; i++)
		add_row(t, t->lines[i].row, then[i], now[i]);
	add_row(t, BRIDGE_RSS, sum_then, sum_now);
}

/* ---- what is from before ---- */

/* Of which the heap was asked: only where it is the first of the table. */
static const struct profile_stack *site_of(const struct profile *p, const struct bridge *b)
{
	const struct profile_stack **v, *first;
	size_t n;

	v = stacks_by_size(p, &(struct render_opts){ .metric = METRIC_LIVE_BYTES }, &n);
	first = n ? v[0] : NULL;
	free(v);
	return first && b->site_blocks && first->id == b->site_stack ? first : NULL;
}

static void add_size(struct buf *out, const struct profile *p, const struct bridge *b, const struct bridge_size *s)
{
	char bytes[16], n[32];
	const char *type = profile_str(p, s->type);

	buf_addf(out, "%10s  %s chunk%s of %llu B", units_format_size(bytes, s->chunk_bytes * s->blocks),
		 units_format_count(n, s->blocks), s->blocks == 1 ? "" : "s", (unsigned long long)s->chunk_bytes);
	if (s->knows_attach) {
		bool less = s->blocks < s->attach_blocks;

		buf_addf(out, ", %c%s since the attach", less ? '-' : '+',
			 units_format_count(n, less ? s->attach_blocks - s->blocks : s->blocks - s->attach_blocks));
	}
	if (site_of(p, b) && b->site_chunk_bytes == s->chunk_bytes)
		buf_adds(out, ", #1's size");
	if (s->type_blocks && s->blocks && *type) {
		buf_addf(out, "; %llu %% begin with the vtable of ",
			 (unsigned long long)(s->type_blocks * 100 / s->blocks));
		add_short_name(out, type);
	}
	buf_addc(out, '\n');
}

static void add_sizes(struct buf *out, const struct profile *p, const struct bridge *b, unsigned int most)
{
	uint64_t bytes = b->other_bytes, sizes = b->other_sizes, largest = b->largest_other_bytes, i;
	char sum[16], top[16], n[32], unread[32] = "";

	if (b->heap != BRIDGE_HEAP_GLIBC || !b->before_blocks || !most)
		return;
	if (b->unread > BRIDGE_MOST_UNREAD)
		snprintf(unread, sizeof(unread), "; %.1f %% unread", b->unread * 100);
	buf_addf(out, "\n%s (glibc's heap read from outside, no stop, approximate%s)\n",
		 !b->is_estimate	     ? "FROM BEFORE ATTACH, BY SIZE"
		 : b->sizes[0].knows_attach ? "IN USE, BY SIZE, MOST GROWTH FIRST"
					     : "IN USE, BY SIZE", unread);
	for (i = 0; i < b->n_sizes && i < BRIDGE_MAX_SIZES; i++) {
		uint64_t this = b->sizes[i].chunk_bytes * b->sizes[i].blocks;

		if (i < most && (b->sizes[i].knows_attach || this * 100 >= b->before_bytes * LEAST_SHARE_OF_SIZES)) {
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
			 units_format_size(top, largest));
}

/* "#1's rate times the uptime (...) is ...; in use of its size: ..."; false: it cannot be said. */
static bool add_history(struct buf *out, const struct profile *p, const struct bridge *b)
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

static void add_heading(const struct bridge_table *t)
{
	const struct profile *p = t->r->p;
	struct buf *out = t->out;
	size_t at;
	char rss[16];

	buf_addc(out, '\n');
	at = out->len;
	units_format_size(rss, (uint64_t)t->b->now[BRIDGE_RSS]);
	if (p->n_procs > 1 && t->b->proc < p->n_procs)
		buf_addf(out, "WHERE %s OF PID %d IS (%s)", rss, p->procs[t->b->proc].tgid, t->unit.name);
	else
		buf_addf(out, "WHERE %s OF RSS IS (%s)", rss, t->unit.name);
	if (out->len - at > t->label_columns) {
		out->data[out->len = at] = '\0';
		buf_addf(out, "WHERE IT IS (%s)", t->unit.name);
	}
	buf_pad(out, ' ', t->label_columns > out->len - at ? t->label_columns - (out->len - at) : 0);
	buf_addf(out, "%s   %s%s\n", t->b->has_attach ? " at attach" : "",
		 t->b->proc < p->n_procs && p->procs[t->b->proc].state != PROC_RUNNING ? "at exit" : "    now",
		 t->b->has_attach ? "    change" : "");
}

/* "  #1's rate times the uptime ...": the plainest sentence there is on the memory from before. */
static void add_history_line(struct buf *out, const struct report *r, const struct bridge *b)
{
	struct buf line = BUF_INIT;

	buf_adds(&line, "  ");
	if (add_history(&line, r->p, b)) {
		buf_addc(&line, '\n');
		text_fit(out, line.data, r->columns, 2);
	}
	buf_release(&line);
}

/* How many sizes. Where most of the memory is from before the attach the largest is there even where room is scarce. */
static unsigned int most_sizes(const struct report *r, const struct bridge *b)
{
	unsigned int most = r->o->all_frames ? BRIDGE_MAX_SIZES : MAX_SIZES >> r->terse;
	bool is_most = b->before_bytes * 2 >= (uint64_t)b->now[BRIDGE_RSS];

	return most ? most : r->room == REPORT_MORE_ROOM || (is_most && r->room != REPORT_NO_ROOM);
}

void report_bridge(struct buf *out, const struct report *r)
{
	const struct bridge *b = report_main_bridge(r->p);
	struct bridge_table t = { .out = out, .r = r, .b = b };
	bool may_grow = verdict_tells_growth(r->p) || !r->p->has_verdict || r->p->verdict.word == TREND_UNDECIDED;
	struct buf text = BUF_INIT;

	if (!b || !b->has_now || b->now[BRIDGE_RSS] <= 0)
		return;
	t.unit = unit_for((uint64_t)b->now[BRIDGE_RSS]);
	t.label_columns = r->columns - 30 < LABEL_COLUMNS ? r->columns - 30 : LABEL_COLUMNS;
	add_heading(&t);
	add_rows(&t);
	add_advice(&text, b);
	text_fit(out, text.data, r->columns, 3);
	buf_reset(&text);
	add_sizes(&text, r->p, b, most_sizes(r, b));
	text_fit(out, text.data, r->columns, 12);
	buf_release(&text);
	if (r->room != REPORT_NO_ROOM && (r->terse < 2 || may_grow))
		add_history_line(out, r, b);
}
