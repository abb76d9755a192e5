/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Two profiles in one table of stacks; see diff.h. */
#include "model/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

/* While one side is merged in. */
struct merger {
	struct diff *d;
	const struct profile *from;
	enum diff_side side;
	struct table *stack_ids; /* hash of process, frames, end -> index in d->profile.stacks */
	struct table *proc_ids;	 /* generation or name -> index in d->profile.procs */
	uint32_t *frames;	 /* of `from` -> index in d->profile.frames */
	uint32_t *keys;		 /* the same, but for what may differ between two builds: line, build id, address */
	uint32_t *procs;
	size_t *cap;
	const struct merger *later; /* of the same run, or NULL: frames of its stacks may have got a name since */
};

static uint32_t string_of(struct merger *m, uint32_t id)
{
	return profile_string(&m->d->profile, profile_str(m->from, id));
}

static void take_frames(struct merger *m)
{
	size_t i;

	m->frames = xcalloc(m->from->n_frames + 1, sizeof(*m->frames));
	m->keys = xcalloc(m->from->n_frames + 1, sizeof(*m->keys));
	for (i = 0; i < m->from->n_frames; i++) {
		struct profile_frame f = m->from->frames[i], key;

		f.name = string_of(m, f.name);
		f.module = string_of(m, f.module);
		f.file = string_of(m, f.file);
		f.build_id = string_of(m, f.build_id);
		m->frames[i] = profile_frame(&m->d->profile, &f);
		key = (struct profile_frame){ .name = f.name, .module = f.module };
		if (m->d->is_one_run)
			key = f;
		m->keys[i] = profile_frame(&m->d->profile, &key);
	}
}

static void take_procs(struct merger *m)
{
	struct profile *p = &m->d->profile;
	size_t i;

	m->procs = xcalloc(m->from->n_procs + 1, sizeof(*m->procs));
	for (i = 0; i < m->from->n_procs; i++) {
		const struct profile_proc *from = &m->from->procs[i];
		uint32_t comm = string_of(m, from->comm), at;
		uint64_t *id = table_put(m->proc_ids, m->d->is_one_run ? from->gen : comm, UINT32_MAX);

		if (*id == UINT32_MAX)
			*id = profile_proc(p, (uint32_t)p->n_procs + 1);
		at = (uint32_t)*id;
		m->procs[i] = at;
		p->procs[at].comm = comm;
		if (!m->d->is_one_run)
			continue;
		p->procs[at].tgid = from->tgid;
		p->procs[at].ns_tgid = from->ns_tgid;
		p->procs[at].state = from->state;
	}
}

static bool is_same(const struct merger *m, uint32_t at, const uint32_t *keys, const struct profile_stack *s)
{
	const struct profile *p = &m->d->profile;
	const struct profile_stack *o = &p->stacks[at];
	uint32_t i;

	if (o->proc != m->procs[s->proc] || o->n_frames != s->n_frames || o->end != s->end)
		return false;
	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *a = &p->frames[p->stack_frames[o->first_frame + i]], *b = &p->frames[keys[i]];

		if (a->name != b->name || a->module != b->module)
			return false;
		if (m->d->is_one_run && p->stack_frames[o->first_frame + i] != keys[i])
			return false;
	}
	return true;
}

static uint32_t add_stack(struct merger *m, const struct profile_stack *s, const uint32_t *frames)
{
	struct diff *d = m->d;
	uint32_t at =
		profile_add_stack(&d->profile, d->profile.n_stacks + 1, m->procs[s->proc], frames, s->n_frames, s->end);

	if (at >= *m->cap) {
		*m->cap = *m->cap ? *m->cap * 2 : 1024;
		d->figures[0] = xreallocarray(d->figures[0], *m->cap, sizeof(**d->figures));
		d->figures[1] = xreallocarray(d->figures[1], *m->cap, sizeof(**d->figures));
	}
	d->figures[0][at] = d->figures[1][at] = (struct diff_figures){ 0 };
	return at;
}

/* Its frames in the table of both, as ids (m->frames) or as what may be compared (m->keys): by the later names. */
static void frames_of(const struct merger *m, const struct profile_stack *s, bool as_keys, uint32_t *out)
{
	uint32_t at = m->later ? profile_find_stack(m->later->from, s->id) : UINT32_MAX, i;

	if (at != UINT32_MAX && m->later->from->stacks[at].n_frames == s->n_frames) {
		m = m->later;
		s = &m->from->stacks[at];
	}
	for (i = 0; i < s->n_frames; i++)
		out[i] = (as_keys ? m->keys : m->frames)[m->from->stack_frames[s->first_frame + i]];
}

static uint32_t stack_of(struct merger *m, const struct profile_stack *s, uint32_t *scratch)
{
	uint64_t h, *id;

	frames_of(m, s, true, scratch);
	h = hash_bytes(scratch, s->n_frames * sizeof(*scratch)) ^ hash_u64((uint64_t)m->procs[s->proc] << 8 | s->end);
	for (;; h++) {
		id = table_put(m->stack_ids, h, UINT32_MAX);
		if (*id == UINT32_MAX) {
			frames_of(m, s, false, scratch);
			return (uint32_t)(*id = add_stack(m, s, scratch));
		}
		if (is_same(m, (uint32_t)*id, scratch, s))
			return (uint32_t)*id;
	}
}

static void add_figures(struct diff_figures *f, const struct profile_stack *s)
{
	f->live_bytes += s->live_bytes;
	f->touched_bytes += s->touched_bytes;
	f->live_blocks += s->live_blocks;
	totals_add(&f->t, &s->t);
}

static void take_stacks(struct merger *m)
{
	uint32_t deepest = 1, *scratch, at;
	size_t i;

	for (i = 0; i < m->from->n_stacks; i++)
		if (m->from->stacks[i].n_frames > deepest)
			deepest = m->from->stacks[i].n_frames;
	scratch = xcalloc(deepest, sizeof(*scratch));
	for (i = 0; i < m->from->n_stacks; i++) {
		at = stack_of(m, &m->from->stacks[i], scratch);
		add_figures(&m->d->figures[m->side][at], &m->from->stacks[i]);
		add_figures(&m->d->sum[m->side], &m->from->stacks[i]);
	}
	free(scratch);
}

static void take_facts(struct merger *m)
{
	struct profile *p = &m->d->profile;

	memcpy(p->losses, m->from->losses, sizeof(p->losses));
	p->watch = m->from->watch;
	p->cost = m->from->cost;
	p->cost.attach_kind = string_of(m, m->from->cost.attach_kind);
	p->cost.unwinder = string_of(m, m->from->cost.unwinder);
	p->window_ns = m->from->window_ns;
	p->wall_time_ns = m->from->wall_time_ns;
	p->host = string_of(m, m->from->host);
	p->kernel = string_of(m, m->from->kernel);
	p->command_line = string_of(m, m->from->command_line);
	p->final = m->from->final;
	p->run_id = m->from->run_id;
	m->d->facts[m->side] = (struct diff_facts){
		.window_ns = p->window_ns,
		.wall_time_ns = p->wall_time_ns,
		.lost_events = profile_lost_events(m->from),
		.command_line = p->command_line,
		.host = p->host,
		.is_exact = watch_is_exact(m->from),
	};
}

static void give_b_to_profile(struct diff *d)
{
	size_t i;

	for (i = 0; i < d->profile.n_stacks; i++) {
		struct profile_stack *s = &d->profile.stacks[i];

		s->t = d->figures[DIFF_B][i].t;
		s->live_bytes = d->figures[DIFF_B][i].live_bytes;
		s->touched_bytes = d->figures[DIFF_B][i].touched_bytes;
		s->live_blocks = d->figures[DIFF_B][i].live_blocks;
	}
}

void diff_make(struct diff *d, const struct profile *a, const struct profile *b)
{
	const struct profile *const from[2] = { a, b };
	struct table stack_ids = TABLE_INIT, proc_ids = TABLE_INIT;
	struct merger m[2];
	size_t cap = 0;
	int side;

	*d = (struct diff){ .is_one_run = a->run_id && a->run_id == b->run_id };
	profile_init(&d->profile);
	for (side = 0; side < 2; side++) {
		m[side] = (struct merger){ .d = d,
					   .from = from[side],
					   .side = (enum diff_side)side,
					   .stack_ids = &stack_ids,
					   .proc_ids = &proc_ids,
					   .cap = &cap };
		take_frames(&m[side]);
	}
	if (d->is_one_run)
		m[DIFF_A].later = &m[DIFF_B];
	for (side = 0; side < 2; side++) {
		take_procs(&m[side]);
		take_stacks(&m[side]);
		take_facts(&m[side]);
		free(m[side].procs);
	}
	for (side = 0; side < 2; side++) {
		free(m[side].frames);
		free(m[side].keys);
	}
	give_b_to_profile(d);
	table_release(&stack_ids);
	table_release(&proc_ids);
}

void diff_release(struct diff *d)
{
	profile_release(&d->profile);
	free(d->figures[0]);
	free(d->figures[1]);
	*d = (struct diff){ 0 };
}

uint64_t diff_level(const struct diff_figures *f, enum profile_metric m)
{
	const struct profile_stack s = { .t = f->t, .live_bytes = f->live_bytes, .live_blocks = f->live_blocks,
					 .touched_bytes = f->touched_bytes };

	return stack_metric(&s, m);
}

double diff_rate(const struct diff *d, enum diff_side side, uint64_t n)
{
	uint64_t window_ns = d->facts[side].window_ns;

	return window_ns ? (double)n * 1e9 / (double)window_ns : 0;
}

uint64_t diff_value(const struct diff *d, enum diff_side side, size_t stack, enum profile_metric m)
{
	uint64_t level = diff_level(&d->figures[side][stack], m);

	return d->is_one_run ? level : (uint64_t)(diff_rate(d, side, level) + 0.5);
}

int64_t diff_change(const struct diff *d, size_t stack, enum profile_metric m)
{
	return (int64_t)diff_value(d, DIFF_B, stack, m) - (int64_t)diff_value(d, DIFF_A, stack, m);
}
