/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See verdict_text.h. */
#include "render/verdict_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "model/blind.h"
#include "model/windows.h"
#include "render/report_internal.h"
#include "render/verdict_internal.h"

/* Without a verdict: net growth below both of these in the window is called flat. */
#define FLAT_BYTES (64 * KIB)
#define FLAT_SHARE_OF_ALLOCATED 100 /* 1 % */
/* One stack with more than this share of the net growth is named, percent. */
#define SINGLE_SITE_PERCENT 50
/* Fewer blocks than this from the early part of the window tell nothing of the rest. */
#define LEAST_EARLY 5
#define CHURN_ALIVE 0.5
/* "the 16 sites" */
#define SITES_NAME 32
#define MOST_NAME 72 /* characters */
/* A doubt asks for a window so long, seconds; for a longer one if this was as long. */
#define LOOK_AGAIN_S 300
/* With less room than this, a site has a line of its own. */
#define LEAST_SITE 32

/* ---- parts ---- */

static void add_who(struct buf *out, const struct profile *p)
{
	const char *comm;

	if (p->n_procs != 1) {
		buf_addf(out, "%zu processes", p->n_procs);
		return;
	}
	comm = profile_str(p, p->procs[0].comm);
	buf_add_printable(out, comm, strlen(comm));
	buf_addf(out, " (pid %d)", p->procs[0].tgid);
}

void verdict_add_size(struct buf *out, double bytes)
{
	char size[16];

	buf_addf(out, "%s%s", bytes < 0 ? "-" : "", units_format_size(size, (uint64_t)(bytes < 0 ? -bytes : bytes)));
}

void verdict_add_time(struct buf *out, double seconds)
{
	char text[24];

	buf_adds(out, units_format_duration(text, (uint64_t)(seconds * (double)NS_PER_S)));
}

void verdict_add_window(struct buf *out, double seconds)
{
	buf_addf(out, "%.0f%s", seconds < 3600 ? seconds / 60 : seconds / 3600, seconds < 3600 ? "m" : "h");
}

void verdict_add_brief(struct buf *out, double n)
{
	buf_addf(out, n < 9.95 ? "%.2g" : "%.0f", n);
}

/* "86.1 MiB/min (83.0 to 89.2)" */
static void add_rate(struct buf *out, const struct verdict *v)
{
	struct amount_unit u = unit_for((uint64_t)(v->rate * 60));
	double scale = 60 / (double)u.bytes;

	buf_addf(out, "%.1f %s/min (%.1f to %.1f)", v->rate * scale, u.name, v->low * scale, v->high * scale);
}

/* The head's first columns are as wide as its word. */
size_t verdict_add_head(struct buf *out, const char *word)
{
	size_t width = strlen(word) + 2 > VERDICT_COLUMN ? strlen(word) + 2 : VERDICT_COLUMN;

	buf_addf(out, "%-*s", (int)width, word);
	return width;
}

/* A name in a sentence: some of C++ have five thousand letters. The table and the formats have all of it. */
static void add_site_name(struct buf *out, const char *name)
{
	struct buf b = BUF_INIT;
	size_t keep;

	add_short_name(&b, name);
	keep = text_cut(b.data, b.len, MOST_NAME);
	buf_add(out, b.data, keep);
	buf_adds(out, keep < b.len ? "..." : "");
	buf_release(&b);
}

/* ---- without a verdict ---- */

static const char *growth_word(const struct heap_net *h)
{
	uint64_t size = (uint64_t)(h->bytes < 0 ? -h->bytes : h->bytes);

	if (size < FLAT_BYTES || size < h->alloc_bytes / FLAT_SHARE_OF_ALLOCATED)
		return "FLAT";
	return h->bytes > 0 ? "GROWING" : "SHRINKING";
}

static void add_growth(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct heap_net h = heap_growth_of(p);
	struct render_opts live = *o;
	const struct profile_stack **s;
	uint64_t least, percent;
	char length[24];
	size_t n, i = 0;

	verdict_add_head(out, growth_word(&h));
	add_who(out, p);
	buf_addf(out, ": live heap %s", h.bytes > 0 ? "+" : "");
	if (h.bytes && !strcmp(growth_word(&h), "FLAT")) { /* times sixty it would not look flat */
		verdict_add_size(out, (double)h.bytes);
		buf_addf(out, " in %s", units_format_duration(length, p->window_ns));
	} else {
		verdict_add_size(out, (double)per_minute(p, h.bytes));
		buf_adds(out, "/min");
	}
	live.metric = METRIC_LIVE_BYTES;
	s = stacks_by_size(p, &live, &n);
	while (i < n && profile_any_runs(p) && proc_is_over(&p->procs[s[i]->proc]))
		i++; /* what others held that have ended is no growth */
	/* older blocks freed meanwhile may be what that site replaces: at worst all of them are */
	least = i < n && stack_is_heap(s[i]) && s[i]->live_bytes > h.old_bytes ? s[i]->live_bytes - h.old_bytes : 0;
	if (h.bytes > 0 && least * 100 >= (uint64_t)h.bytes * SINGLE_SITE_PERCENT && strcmp(growth_word(&h), "FLAT")) {
		percent = least < (uint64_t)h.bytes ? least * 100 / (uint64_t)h.bytes : 100; /* others shrink */
		buf_addf(out, "; %s%llu %% is one call site:\n%*s", h.old_bytes ? "at least " : "",
			 (unsigned long long)percent, VERDICT_COLUMN, "");
		if (o->metric == METRIC_LIVE_BYTES)
			buf_addf(out, "#%zu ", i + 1);
		add_site_name(out, own_frame_name(p, s[i]));
	}
	buf_addc(out, '\n');
	free(s);
}

/* ---- with one ---- */

/* One with its line and its callers, as far as there is room: its name alone may be that of a wrapper of malloc. */
static void add_sites(struct buf *out, const struct profile *p, size_t column, const struct profile_stack *first,
		      size_t n, const struct render_opts *o)
{
	unsigned int columns = o->columns ? o->columns : REPORT_COLUMNS;
	size_t begin = out->len;

	buf_addf(out, "%*s%.0f %% of it at ", (int)column, "", p->verdict.site_share * 100);
	if (n > 1) {
		buf_addf(out, "%zu call sites: ", n);
		add_site_name(out, own_frame_name(p, first));
		buf_adds(out, "...\n");
		return;
	}
	buf_adds(out, "one call site:");
	if (out->len - begin + LEAST_SITE > columns) {
		buf_addc(out, '\n');
		begin = out->len;
		buf_pad(out, ' ', VERDICT_COLUMN - 1);
	}
	buf_adds(out, o->metric == METRIC_LIVE_BYTES ? " #1 " : " ");
	report_add_where(out, p, first, out->len - begin, columns, 1);
}

/* Mappings of the program itself that make most of what the memory grows by; NULL. */
static const struct profile_stack *top_mapping(const struct profile *p)
{
	double grown = p->verdict.rate * (double)p->window_ns / (double)NS_PER_S;
	const struct profile_stack *top = NULL;
	size_t i;

	for (i = 0; i < p->n_stacks; i++)
		if (p->stacks[i].plane == STACK_VM && p->stacks[i].live_bytes > (top ? top->live_bytes : 0))
			top = &p->stacks[i];
	return top && (double)top->live_bytes * 100 >= grown * SINGLE_SITE_PERCENT ? top : NULL;
}

/* The class that is evidence, or NULL. */
static const struct profile_steady *steady_class(const struct profile *p)
{
	const struct profile_proc *proc = profile_objects_proc(p);

	return proc && p->verdict.why & WHY_CLASSES ? &proc->steady : NULL;
}

static const char *risen(char out[32], const struct class_rise *r)
{
	return r->unit_bytes ? units_format_size(out, r->objects * r->unit_bytes) : units_format_count(out, r->objects);
}

static void add_not_heap(struct buf *out, const struct profile *p, size_t column)
{
	const struct profile_steady *class = steady_class(p);
	const struct profile_stack *s = top_mapping(p);
	char n[32];

	if (class && !(p->verdict.but & BUT_NO_SITE)) {
		buf_addf(out, "%*sobjects that outlive collections, ", (int)column, "");
		buf_add_plain(out, profile_str(p, class->type));
		buf_addf(out, " +%s%s\n", risen(n, &class->rise), class->rise.unit_bytes ? "" : " the most of them");
		return;
	}
	buf_addf(out, "%*snot in the heap that was watched", (int)column, "");
	if (s) {
		buf_adds(out, ": mapped by ");
		add_site_name(out, own_frame_name(p, s));
		buf_adds(out, ", ");
		verdict_add_size(out, (double)per_minute(p, (int64_t)s->live_bytes));
		buf_adds(out, "/min");
	}
	buf_addc(out, '\n');
}

static void add_grows(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	const struct profile_stack *sites[VERDICT_SITES];
	const struct verdict *v = &p->verdict;
	size_t column = verdict_add_head(out, v->is_strong ? "LEAK, strong evidence" : trend_name(v->word));
	size_t n = profile_verdict_sites(p, sites);

	add_who(out, p);
	buf_addf(out, ": %s grows ", v->by_classes ? "memory of its objects" : v->by_heap ? "heap" : "memory");
	add_rate(out, v);
	buf_addc(out, '\n');
	if (n && stack_is_heap(sites[0]))
		add_sites(out, p, column, sites[0], n, o);
	else if (!v->by_heap)
		add_not_heap(out, p, column);
}

static void add_levels_off(struct buf *out, const struct profile *p)
{
	const struct verdict *v = &p->verdict;
	double now = v->by_heap ? (double)heap_growth_of(p).bytes : verdict_series_now(p);

	verdict_add_head(out, trend_name(v->word));
	add_who(out, p);
	if (!v->seconds) {
		buf_addf(out, ": its %s grew, and has stopped\n", v->by_heap ? "heap" : "memory");
		return;
	}
	if (v->by_heap) {
		buf_adds(out, ": growth of its heap dies out; about ");
		verdict_add_size(out, v->level > now ? v->level - now : 0);
		buf_adds(out, " more in ");
	} else {
		buf_adds(out, ": ends near ");
		verdict_add_size(out, v->level);
		buf_adds(out, " in ");
	}
	verdict_add_time(out, v->seconds);
	if (!v->by_heap) {
		buf_adds(out, "; now ");
		verdict_add_size(out, now);
		buf_adds(out, ", files left out");
	}
	buf_addc(out, '\n');
	verdict_add_room(out, p, v->level > now ? v->level - now : 0);
}

static void add_doubt(struct buf *out, const struct profile *p)
{
	static const char *const texts[] = {
		[DOUBT_NONE] = "the window was too short",
		[DOUBT_SHORT] = "the window was too short",
		[DOUBT_NOISE] = "its ups and downs are larger than a growth that matters",
		[DOUBT_HELD] = "it looks uncollected, not leaked: large binaries of idle Erlang processes",
		[DOUBT_HIDDEN] = "its memory stands, but its heap is resident: what it keeps may grow beneath",
		[DOUBT_COLLECTED] = "fewer than 3 collections of garbage were seen: growth may be garbage",
	};
	const struct verdict *v = &p->verdict;
	uint64_t n;

	if (v->doubt == DOUBT_COLLECTED && profile_collections(p, &n))
		buf_addf(out, ": growth may be garbage: %u full collection%s seen, 3 are needed", (unsigned int)n,
			 n == 1 ? "" : "s");
	else
		buf_addf(out, ": %s", texts[v->doubt]);
	if (v->doubt == DOUBT_HIDDEN && profile_collections(p, &n))
		buf_addf(out, ": %u full collection%s seen, 6 over the window are needed", (unsigned int)n, n == 1 ? "" : "s");
	if (v->need_s > 0)
		buf_addf(out, ": -d %.0f%s", v->need_s < 120 ? v->need_s : v->need_s / 60,
		 v->need_s < 120 ? "" : "m");
}

static void add_other(struct buf *out, const struct profile *p)
{
	const struct verdict *v = &p->verdict;

	verdict_add_head(out, trend_name(v->word));
	add_who(out, p);
	switch (v->word) {
	case TREND_FLAT:
		buf_adds(out, ": no growth; one above ");
		verdict_add_size(out, v->high > 4096 ? v->high * 60 : 4096 * 60);
		buf_adds(out, "/min would have shown");
		break;
	case TREND_SAW_TOOTH:
		buf_addf(out, ": its %s rises and falls, and its floor stands", v->by_heap ? "heap" : "memory");
		break;
	case TREND_SHRINKING:
		buf_addf(out, ": its %s shrinks ", v->by_heap ? "heap" : "memory");
		verdict_add_size(out, -v->rate * 60);
		buf_adds(out, "/min");
		break;
	default:
		add_doubt(out, p);
		break;
	}
	buf_addc(out, '\n');
}

void verdict_add(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	const struct verdict *v = &p->verdict;

	/* where bursts tell proportions only, the sum is no growth */
	if (!p->has_verdict || (v->word == TREND_UNDECIDED && v->doubt == DOUBT_SHORT && p->watch.too_much <= 0)) {
		add_growth(out, p, o);
		return;
	}
	if (v->word == TREND_GROWING || v->word == TREND_LEAK) {
		add_grows(out, p, o);
		verdict_add_end(out, p);
	} else if (v->word == TREND_LEVELS_OFF) {
		add_levels_off(out, p);
	} else {
		add_other(out, p);
	}
}

/* ---- why, and but ---- */

struct reasons {
	struct buf *out;
	const char *first; /* name of the first site: its number in the table, if that is sorted by what it keeps */
	const char *label; /* of the next line */
	char sign;
};

static struct buf *reason(struct reasons *r)
{
	buf_addf(r->out, "%-4s %c ", r->label, r->sign);
	r->label = "";
	return r->out;
}

static double early_share(uint64_t alive, uint64_t all)
{
	return all ? (double)alive * 100 / (double)all : 0;
}

/* What the verdict is about: "#1", "the 8 sites", "the mappings". */
static const char *sites_name(char text[SITES_NAME], const struct reasons *r, const struct profile_stack *const *sites,
			      size_t n)
{
	if (n == 1)
		return stack_is_heap(sites[0]) ? r->first : "the mappings";
	snprintf(text, SITES_NAME, "the %zu sites", n);
	return text;
}

static void add_cohort(struct reasons *r, const struct profile *p, const struct profile_stack *const *sites, size_t n)
{
	uint64_t others = 0, alive = 0, early = 0, early_alive = 0;
	char blocks[32], name[SITES_NAME];
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		others += p->stacks[i].t.alloc_blocks;
		alive += totals_live_blocks(&p->stacks[i].t);
	}
	for (i = 0; i < n; i++) {
		others -= sites[i]->t.alloc_blocks;
		alive -= totals_live_blocks(&sites[i]->t);
		early += sites[i]->early_blocks;
		early_alive += sites[i]->early_alive;
	}
	buf_addf(reason(r), "of %s blocks of %s from early in the window %.0f %% still live",
		 units_format_count(blocks, early), sites_name(name, r, sites, n), early_share(early_alive, early));
	if (others) {
		buf_adds(r->out, "; of those made elsewhere ");
		verdict_add_brief(r->out, early_share(alive, others));
		buf_adds(r->out, " %");
	}
	buf_addc(r->out, '\n');
}

static void add_class(struct reasons *r, const struct profile *p)
{
	const struct profile_steady *class = steady_class(p);
	char n[32];

	if (!class)
		return;
	buf_add_plain(reason(r), profile_str(p, class->type));
	buf_addf(r->out, " +%s over %llu full collections that left %s, straight: second half / first half %.2f\n", risen(n, &class->rise),
		 (unsigned long long)class->rise.full, class->rise.unit_bytes ? "it" : "them", class->rise.ratio);
}

static void add_staying(struct reasons *r, const struct profile *p)
{
	const struct profile_proc *proc = profile_objects_proc(p);
	const struct class_stay *s;
	char n[32];

	if (!proc || !(p->verdict.why & WHY_OBJECTS))
		return;
	s = &proc->staying.stay;
	buf_addf(reason(r), "of %s ", units_format_count(n, s->early));
	buf_add_plain(r->out, profile_str(p, proc->staying.type));
	buf_addf(r->out, " that came in the first half of the window and outlived full collections %.0f %% stay; of later ones as many\n",
		 early_share(s->alive, s->early));
}

static void add_evidence(struct reasons *r, const struct profile *p)
{
	const struct profile_stack *sites[VERDICT_SITES];
	const struct verdict *v = &p->verdict;
	size_t i, n = profile_verdict_sites(p, sites);
	char name[SITES_NAME];
	double before = 0;

	if (v->why & WHY_STRAIGHT)
		buf_addf(reason(r), "the growth is straight: second half of the window / first half %.2f\n", v->ratio);
	if (v->why & WHY_WINDOWS && n)
		buf_addf(reason(r), "%s grew in each of %d separate parts of the window\n",
			 sites_name(name, r, sites, n), WINDOWS_NR);
	if (v->why & WHY_COHORT && n)
		add_cohort(r, p, sites, n);
	add_class(r, p);
	add_staying(r, p);
	if (!(v->why & WHY_HISTORY))
		return;
	for (i = 0; i < p->n_procs; i++)
		if (!p->procs[i].begin_ns)
			before += (double)(p->procs[i].at_attach.rss_anon_bytes + p->procs[i].at_attach.swap_bytes +
					   p->procs[i].at_attach.rss_shmem_bytes);
	buf_adds(reason(r), "at this rate since its start (");
	verdict_add_time(r->out, v->uptime_s);
	buf_adds(r->out, ") it would hold ");
	verdict_add_size(r->out, v->history_bytes);
	buf_adds(r->out, "; it held ");
	verdict_add_size(r->out, before);
	buf_adds(r->out, " at the attach\n");
}

/* The window that would tell more, behind a doubt: five minutes, or longer than this one was. */
static void add_longer(struct reasons *r, const struct profile *p)
{
	double window_s = (double)p->window_ns / (double)NS_PER_S;

	buf_adds(r->out, "; -d ");
	verdict_add_window(r->out, window_s < LOOK_AGAIN_S ? LOOK_AGAIN_S : blind_longer(window_s));
	buf_addc(r->out, '\n');
}

static void add_doubts(struct reasons *r, const struct profile *p)
{
	const struct verdict *v = &p->verdict;

	if (v->but & BUT_YOUNG) {
		buf_adds(reason(r), "it was started ");
		verdict_add_time(r->out, v->uptime_s);
		buf_adds(r->out, " before the attach: it may still be filling; look again later\n");
	}
	if (v->but & BUT_RECENT) {
		buf_adds(reason(r), "at this rate since its start it would hold ");
		verdict_add_size(r->out, v->history_bytes);
		buf_adds(r->out, ", far more than it does: the growth is young");
		add_longer(r, p);
	}
	if (v->but & BUT_REPLACES)
		buf_addf(reason(r), "older blocks of the same sizes were freed meanwhile: %s may only replace them\n", r->first);
	if (v->but & BUT_LOST)
		buf_adds(reason(r), "more was lost (see trust) than such an evidence bears\n");
	if (v->but & BUT_NO_SITE && (v->by_heap || !top_mapping(p)))
		buf_addf(reason(r), v->by_heap ? "no few call sites make half of it: many things grow, as in a start-up\n" :
						 "which code makes it grow was not seen\n");
	if (v->but & (BUT_SLOWS | BUT_MEMORY_SLOWS)) {
		buf_addf(reason(r), "%s slows down: second half of the window / first half %.2f",
			 v->but & BUT_MEMORY_SLOWS ? "the memory itself" : "it", v->ratio);
		add_longer(r, p);
	} else if (!(v->why & WHY_STRAIGHT) && !v->by_classes) { /* brief bursts have no series of the heap: only its two ends */
		if (v->by_heap && p->watch.rung == RUNG_BRIEF) {
			buf_adds(reason(r), "whether it came straight was not seen");
			add_longer(r, p);
		} else {
			buf_adds(reason(r), "it does not grow straight\n");
		}
	}
	if (v->word == TREND_LEAK)
		buf_adds(reason(r), "a cache that is not full yet would look the same until it is\n");
	if (v->word != TREND_LEAK && !v->but && v->why & (WHY_STRAIGHT | WHY_CLASSES)) {
		buf_adds(reason(r), "nothing else speaks for a leak yet: its blocks may end later");
		add_longer(r, p);
	}
}

/* What growth that ends does not rule out. */
static void add_hidden(struct buf *out, const struct profile *p)
{
	struct reasons r = { .out = out, .label = "but", .sign = '-' };
	uint64_t n;

	buf_addc(out, '\n');
	if (profile_collections(p, &n) && n < 3)
		buf_addf(reason(&r), "%u full collection%s seen, 3 are needed to tell what stays: a leak may fill what is "
				     "resident already\n", (unsigned int)n, n == 1 ? "" : "s");
	buf_adds(reason(&r), "a slower leak would hide under this curve; to look for it: -d ");
	verdict_add_window(out, blind_longer((double)p->window_ns / NS_PER_S));
	buf_addc(out, '\n');
}

void verdict_add_why(struct buf *out, const struct profile *p, const struct render_opts *o, unsigned int most_why,
		     unsigned int most_but)
{
	const char *first = o->metric == METRIC_LIVE_BYTES ? "#1" : "that site";
	const struct verdict *v = &p->verdict;
	struct buf why = BUF_INIT, but = BUF_INIT;
	struct reasons r = { .out = &why, .first = first, .label = "why", .sign = '+' };

	if (p->has_verdict && v->word == TREND_LEVELS_OFF)
		add_hidden(out, p);
	if (!verdict_tells_growth(p))
		return;
	add_evidence(&r, p);
	text_keep_lines(&why, most_why);
	r = (struct reasons){ .out = &but, .first = first, .label = "but", .sign = '-' };
	add_doubts(&r, p);
	text_keep_lines(&but, most_but);
	buf_addf(out, "\n%s%s", why.data, but.data);
	buf_release(&why);
	buf_release(&but);
}

/* ---- stacks ---- */

double verdict_alive(const struct profile *p, const struct profile_stack *s)
{
	if (!p->has_verdict || s->early_blocks < LEAST_EARLY)
		return -1;
	return (double)s->early_alive / (double)s->early_blocks;
}

/* One of those that make the growth that the verdict tells of. */
static bool is_blamed(const struct profile *p, const struct profile_stack *s)
{
	const struct profile_stack *sites[VERDICT_SITES];
	size_t i, n = profile_verdict_sites(p, sites);

	for (i = 0; i < n && sites[i] != s; i++)
		;
	return i < n;
}

const char *verdict_kind(const struct profile *p, const struct profile_stack *s)
{
	double alive = verdict_alive(p, s);
	bool blamed;

	if (!p->has_verdict)
		return "";
	blamed = is_blamed(p, s);
	if (blamed && p->verdict.word == TREND_LEAK)
		return "leak";
	if (s->old_bytes > s->live_bytes / 2)
		return "bounded";
	if (!blamed && alive >= 0 && alive < CHURN_ALIVE)
		return "churn"; /* what grows among garbage of its own site is open */
	return "open";
}
