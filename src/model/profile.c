/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* struct profile: interning, stacks, totals; see profile.h. Pure: no I/O, no clock, no globals. */
#include "model/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <math.h>
#include <string.h>

#include "base/xalloc.h"

void profile_init(struct profile *p)
{
	*p = (struct profile){ 0 };
	intern_id(&p->strings, ""); /* id 0 is the empty string */
}

void profile_release(struct profile *p)
{
	series_release(&p->heap);
	series_release(&p->memory);
	intern_release(&p->strings);
	free(p->frames);
	table_release(&p->frame_ids);
	free(p->stack_frames);
	free(p->renames);
	free(p->stacks);
	table_release(&p->stack_ids);
	free(p->procs);
	table_release(&p->proc_ids);
	*p = (struct profile){ 0 };
}

uint32_t profile_string(struct profile *p, const char *s)
{
	return intern_id(&p->strings, s);
}

const char *profile_str(const struct profile *p, uint32_t id)
{
	const char *s = intern_str(&p->strings, id);

	return s ? s : "";
}

static bool same_frame(const struct profile_frame *a, const struct profile_frame *b)
{
	return a->name == b->name && a->module == b->module && a->file == b->file && a->line == b->line &&
	       a->class == b->class && a->build_id == b->build_id && a->vaddr == b->vaddr && a->is_managed == b->is_managed &&
	       a->inlined == b->inlined;
}

uint32_t profile_frame(struct profile *p, const struct profile_frame *f)
{
	uint64_t h = hash_u64((uint64_t)f->name << 32 | f->module) ^
		     hash_u64((uint64_t)f->file << 32 | f->line) * 3 ^
		     hash_u64(f->vaddr ^ (uint64_t)f->build_id << 32 ^ f->inlined) * 5 ^ f->class;
	uint64_t *at;

	while ((at = table_get(&p->frame_ids, h))) {
		if (same_frame(&p->frames[*at], f))
			return (uint32_t)*at;
		h++;
	}
	XGROW(p->frames, p->n_frames, p->frames_cap);
	p->frames[p->n_frames] = *f;
	table_put(&p->frame_ids, h, p->n_frames);
	return (uint32_t)p->n_frames++;
}

uint32_t profile_proc(struct profile *p, uint32_t gen)
{
	const uint64_t *at = table_get(&p->proc_ids, gen);

	if (at)
		return (uint32_t)*at;
	XGROW(p->procs, p->n_procs, p->procs_cap);
	p->procs[p->n_procs] = (struct profile_proc){ .gen = gen, .parent = UINT32_MAX };
	table_put(&p->proc_ids, gen, p->n_procs);
	return (uint32_t)p->n_procs++;
}

bool profile_any_runs(const struct profile *p)
{
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].state == PROC_RUNNING)
			return true;
	return false;
}

bool proc_is_over(const struct profile_proc *proc)
{
	return proc->state != PROC_RUNNING && !proc->death.time_ns;
}

const struct bridge *profile_bridge(const struct profile *p, uint32_t proc)
{
	size_t i;

	for (i = 0; i < p->n_bridges; i++)
		if (p->bridges[i].proc == proc)
			return &p->bridges[i];
	return NULL;
}

uint32_t profile_find_stack(const struct profile *p, uint64_t id)
{
	const uint64_t *at = table_get(&p->stack_ids, id);

	return at ? (uint32_t)*at : UINT32_MAX;
}

uint32_t profile_add_stack(struct profile *p, uint64_t id, uint32_t proc, const uint32_t *frames,
			   uint32_t n_frames, enum mp_stack_end end)
{
	struct profile_stack *s;
	uint32_t i;

	XGROW(p->stacks, p->n_stacks, p->stacks_cap);
	s = &p->stacks[p->n_stacks];
	*s = (struct profile_stack){
		.id = id,
		.proc = proc,
		.first_frame = (uint32_t)p->n_stack_frames,
		.n_frames = n_frames,
		.end = end,
	};
	for (i = 0; i < n_frames; i++) {
		XGROW(p->stack_frames, p->n_stack_frames, p->stack_frames_cap);
		p->stack_frames[p->n_stack_frames++] = frames[i];
	}
	table_put(&p->stack_ids, id, p->n_stacks);
	return (uint32_t)p->n_stacks++;
}

void profile_rename(struct profile *p, uint32_t at, uint32_t frame)
{
	XGROW(p->renames, p->n_renames, p->renames_cap);
	p->renames[p->n_renames++] = (struct profile_rename){ .at = at, .frame = frame };
	p->stack_frames[at] = frame;
}

static const struct {
	const char *name, *text;
} loss_kinds[MP_LOSS_NR] = {
#define LOSS(id, n, t) [MP_LOSS_##id] = { n, t },
#include "bpf/losses.h"
#undef LOSS
};

const char *loss_name(enum mp_loss kind)
{
	return loss_kinds[kind].name;
}

const char *loss_text(enum mp_loss kind)
{
	return loss_kinds[kind].text;
}

static const char *const end_texts[MP_END_NR] = {
	[MP_END_COMPLETE] = "",
	[MP_END_DEPTH] = "[truncated: too deep]",
	[MP_END_UNMAPPED] = "[truncated: code in no mapping]",
	[MP_END_NO_INFO] = "[truncated: no unwind info]",
	[MP_END_UNSUPPORTED] = "[truncated: unsupported unwind info]",
	[MP_END_UNREADABLE] = "[truncated: stack unreadable]",
	[MP_END_TRAMPOLINE] = "[truncated: another tracer's return probe]",
	[MP_END_BUSY] = "[truncated: mappings just changing]",
	[MP_END_NOT_READY] = "[truncated: code mapped just before]",
	[MP_END_FRAME_POINTER] = "", /* the kernel's walk does not say how it ended */
};

const char *stack_end_text(enum mp_stack_end end)
{
	return end < MP_END_NR && end_texts[end] ? end_texts[end] : "[truncated]";
}

/* Is it the outermost frame's object that ends the walk? */
static bool ends_by_object(enum mp_stack_end end)
{
	return end == MP_END_NO_INFO || end == MP_END_UNSUPPORTED || end == MP_END_NOT_READY;
}

const char *stack_mark(const struct profile *p, const struct profile_stack *s, struct buf *mark)
{
	const char *text = stack_end_text(s->end), *module = "";

	buf_reset(mark);
	if (s->n_frames && ends_by_object(s->end))
		module = profile_str(p, p->frames[p->stack_frames[s->first_frame + s->n_frames - 1]].module);
	if (*module)
		buf_addf(mark, "%.*s in %s]", (int)strlen(text) - 1, text, module);
	else
		buf_adds(mark, text);
	return mark->data;
}

uint64_t profile_lost_events(const struct profile *p)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < MP_LOSS_NR; i++)
		sum += p->losses[i].events;
	return sum;
}

static const char *const metric_names[METRIC_NR] = {
	[METRIC_LIVE_BYTES] = "live-bytes",
	[METRIC_LIVE_BLOCKS] = "live-blocks",
	[METRIC_ALLOC_BYTES] = "alloc-bytes",
	[METRIC_ALLOC_BLOCKS] = "alloc-blocks",
	[METRIC_RSS_BYTES] = "rss-bytes",
	[METRIC_PEAK_BYTES] = "peak-bytes",
};

const char *metric_name(enum profile_metric m)
{
	return metric_names[m];
}

int metric_parse(const char *name, enum profile_metric *m)
{
	int i;

	for (i = 0; i < METRIC_NR; i++) {
		if (strcmp(name, metric_names[i]) != 0)
			continue;
		*m = (enum profile_metric)i;
		return 0;
	}
	return -EINVAL;
}

uint64_t stack_metric(const struct profile_stack *s, enum profile_metric m)
{
	switch (m) {
	case METRIC_LIVE_BYTES:
		return s->live_bytes;
	case METRIC_LIVE_BLOCKS:
		return s->live_blocks;
	case METRIC_ALLOC_BYTES:
		return s->t.alloc_bytes;
	case METRIC_ALLOC_BLOCKS:
		return s->t.alloc_blocks;
	case METRIC_PEAK_BYTES:
		return s->peak_bytes;
	case METRIC_RSS_BYTES:
		return stack_touched_bytes(s);
	case METRIC_NR:
		break;
	}
	return 0;
}

const char *rss_release_name(enum mp_rss_release r)
{
	static const char *const names[MP_RSS_RELEASES] = {
		[MP_RSS_MUNMAP] = "munmap",   [MP_RSS_MADVISE] = "madvise",	[MP_RSS_BRK] = "brk",
		[MP_RSS_MREMAP] = "mremap",   [MP_RSS_MMAP] = "mmap",		[MP_RSS_EXIT] = "exit",
		[MP_RSS_BY_OTHERS] = "others", [MP_RSS_OTHER] = "other",
	};

	return names[r];
}

uint64_t rss_released_bytes(const struct profile_rss *r)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < MP_RSS_RELEASES; i++)
		sum += r->released_bytes[i];
	return sum;
}

#define VIEW_PAGE_BYTES 4096

void profile_metric_view(struct profile *view, const struct profile *p, enum profile_metric m)
{
	size_t i;

	*view = *p;
	view->stacks = xcalloc(p->n_stacks + 1, sizeof(*view->stacks));
	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &view->stacks[i];

		*s = p->stacks[i];
		s->live_bytes = m == METRIC_PEAK_BYTES ? s->peak_bytes : stack_touched_bytes(s);
		s->live_blocks = m == METRIC_PEAK_BYTES ? s->peak_blocks :
							  (s->live_bytes + VIEW_PAGE_BYTES - 1) / VIEW_PAGE_BYTES;
		s->t = (struct profile_totals){ .alloc_bytes = s->live_bytes, .alloc_blocks = s->live_blocks };
		s->early_blocks = s->early_alive = s->old_bytes = s->old_blocks = 0;
	}
}

double totals_deviation(const struct profile_totals *t, enum profile_metric m)
{
	bool live = m == METRIC_LIVE_BYTES || m == METRIC_LIVE_BLOCKS;
	uint64_t freed = live ? t->free_var : 0;

	return t->alloc_var > freed ? sqrt((double)(t->alloc_var - freed) * MP_VAR_UNIT) : 0;
}

void totals_scale(struct profile_totals *t, double by)
{
	uint64_t *amounts[] = { &t->alloc_bytes, &t->alloc_blocks, &t->free_bytes, &t->free_blocks, &t->birth_sum_ms };
	size_t i;

	for (i = 0; i < sizeof(amounts) / sizeof(*amounts); i++)
		*amounts[i] = (uint64_t)((double)*amounts[i] * by);
	t->alloc_var = (uint64_t)((double)t->alloc_var * by * by);
	t->free_var = (uint64_t)((double)t->free_var * by * by);
}

/* More live: frees that were not, and where these are too few, allocations that were not seen. Less: more frees. */
static void add_live(uint64_t *allocated, uint64_t *freed, int64_t more)
{
	uint64_t wanted = more > 0 ? (uint64_t)more : 0, unfreed = wanted < *freed ? wanted : *freed;

	*freed -= unfreed;
	*allocated += wanted - unfreed;
	*freed += more < 0 ? (uint64_t)-more : 0;
}

void totals_add_live(struct profile_totals *t, int64_t bytes, int64_t blocks)
{
	uint64_t live = totals_live_blocks(t);

	add_live(&t->alloc_bytes, &t->free_bytes, bytes);
	add_live(&t->alloc_blocks, &t->free_blocks, blocks);
	if (live)
		t->birth_sum_ms = (uint64_t)((double)t->birth_sum_ms / (double)live * (double)totals_live_blocks(t));
}

void totals_limit_live(struct profile_totals *t, double part)
{
	uint64_t var = t->alloc_var > t->free_var ? t->alloc_var - t->free_var : 0;

	t->free_bytes = t->alloc_bytes - (uint64_t)((double)totals_live_bytes(t) * part);
	t->free_blocks = t->alloc_blocks - (uint64_t)((double)totals_live_blocks(t) * part);
	t->birth_sum_ms = (uint64_t)((double)t->birth_sum_ms * part);
	t->free_var = t->alloc_var - (uint64_t)((double)var * part);
}

void totals_doubt(struct profile_totals *t, double deviation)
{
	uint64_t var = (uint64_t)(deviation * deviation / MP_VAR_UNIT), less = var < t->free_var ? var : t->free_var;

	t->free_var -= less;
	t->alloc_var += var - less;
}

static double sure_net_bytes(const struct profile_stack *s)
{
	double sure = (double)stack_net_bytes(s) - 2 * totals_deviation(&s->t, METRIC_LIVE_BYTES);

	return sure > 0 ? sure : 0;
}

bool stack_grew_more(const struct profile_stack *a, const struct profile_stack *b)
{
	double x = sure_net_bytes(a), y = sure_net_bytes(b);

	return x > y || (x >= y && stack_net_bytes(a) > stack_net_bytes(b));
}
