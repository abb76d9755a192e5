/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The last seconds of a process that ran out of memory; see blackbox.h. */
#include "collect/blackbox.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/managed.h"

/* Growth is told since a look that is so old at least, twice as old at most. */
#define LOOK_NS (5 * NS_PER_S)
/* With more processes than this it is not told what grew before one ended that was refused memory. */
#define FEW_PROCS 64
#define TYPE_SHIFT 7 /* ERTS: a type's index stands above its flags */

struct blackbox {
	struct lived {
		uint64_t window_ns;
		uint64_t *bytes; /* of each stack */
		size_t n;
	} older, newer;
};

static uint64_t live_bytes(const struct profile_stack *s)
{
	uint64_t live = totals_live_bytes(&s->t);

	return s->plane == STACK_VM && live > s->reserved_bytes ? live - s->reserved_bytes : live;
}

static int read_now(struct collector *c)
{
	int err = snapshot_read_stacks(c);

	if (!err)
		vm_plane_fill(c);
	return err;
}

void blackbox_look(struct collector *c)
{
	struct profile *p = &c->profile;
	struct blackbox *b = c->blackbox;
	struct lived now;
	size_t i;

	if (p->window_ns < (b ? b->newer.window_ns : 0) + LOOK_NS || read_now(c))
		return;
	if (!b)
		b = c->blackbox = xcalloc(1, sizeof(*b));
	now = (struct lived){ .window_ns = p->window_ns, .n = p->n_stacks };
	now.bytes = xcalloc(now.n + 1, sizeof(*now.bytes));
	for (i = 0; i < now.n; i++)
		now.bytes[i] = live_bytes(&p->stacks[i]);
	free(b->older.bytes);
	b->older = b->newer;
	b->newer = now;
}

void blackbox_release(struct collector *c)
{
	if (!c->blackbox)
		return;
	free(c->blackbox->older.bytes);
	free(c->blackbox->newer.bytes);
	free(c->blackbox);
}

/* What the growth is told from; NULL: the attach. */
static const struct lived *base_of(const struct collector *c)
{
	const struct blackbox *b = c->blackbox;

	if (!b)
		return NULL;
	if (c->profile.window_ns >= b->newer.window_ns + LOOK_NS)
		return &b->newer;
	return b->older.bytes ? &b->older : NULL;
}

static void add_site(struct profile_death *d, uint64_t stack, uint64_t bytes)
{
	size_t at = DEATH_SITES;

	while (at && bytes > d->site_bytes[at - 1])
		at--;
	if (at == DEATH_SITES)
		return;
	memmove(&d->site[at + 1], &d->site[at], (DEATH_SITES - 1 - at) * sizeof(d->site[0]));
	memmove(&d->site_bytes[at + 1], &d->site_bytes[at], (DEATH_SITES - 1 - at) * sizeof(d->site_bytes[0]));
	d->site[at] = stack;
	d->site_bytes[at] = bytes;
}

/* By stacks of one plane: mappings are what allocators live in too, and not added to their blocks. */
static void take_sites(const struct profile *p, uint32_t proc, const struct lived *base, enum stack_plane plane,
		       struct profile_death *d)
{
	size_t i;

	d->grown_bytes = 0;
	memset(d->site_bytes, 0, sizeof(d->site_bytes));
	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];
		uint64_t then = base && i < base->n ? base->bytes[i] : 0, now = live_bytes(s);

		if (s->proc != proc || s->plane != plane || now <= then)
			continue;
		d->grown_bytes += now - then;
		add_site(d, s->id, now - then);
	}
}

/* Once for each process: at the refusal, or at its end. */
static void take(struct collector *c, struct profile_proc *proc)
{
	struct profile *p = &c->profile;
	uint32_t at = (uint32_t)(proc - p->procs);
	struct profile_death *d = &proc->death, maps;
	const struct lived *base;

	if (d->grown_bytes)
		return;
	snapshot_fill_times(c);
	collector_resolve(c, UINT64_MAX);
	if (read_now(c))
		return;
	base = base_of(c);
	d->since_ns = base ? base->window_ns : 0;
	take_sites(p, at, base, STACK_HEAP, d);
	maps = *d;
	take_sites(p, at, base, STACK_VM, &maps);
	if (maps.grown_bytes > 2 * d->grown_bytes)
		*d = maps;
}

static void note_time(struct collector *c, struct profile_death *d, uint64_t time_ns)
{
	uint64_t armed = kern_armed_ns(c->kern);
	struct timespec mono, wall;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	d->time_ns = armed && time_ns > armed ? time_ns - armed : 0;
	d->wall_time_ns = (uint64_t)(wall.tv_sec - mono.tv_sec) * NS_PER_S + (uint64_t)(wall.tv_nsec - mono.tv_nsec) + time_ns;
}

static struct profile_proc *proc_of(struct collector *c, uint32_t gen)
{
	const uint64_t *at = table_get(&c->profile.proc_ids, gen);

	return at ? &c->profile.procs[*at] : NULL;
}

/* The type that its allocator had no memory for, while the process still lives to name it. */
static uint32_t type_of(struct collector *c, uint32_t gen, uint64_t label)
{
	struct runtime *r = managed_runtime(c, gen);
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
	uint32_t id;

	if (!r || r->ops->kind != MP_RT_BEAM || r->ops->resolve(r, label << TYPE_SHIFT, MP_BEAM_TYPE, &name))
		buf_adds(&name.function, "?");
	id = profile_string(&c->profile, name.function.data);
	runtime_name_release(&name);
	return id;
}

void collector_on_death(struct collector *c, const struct mp_ev_death *e)
{
	struct profile_proc *proc = proc_of(c, e->gen);
	struct profile_death *d;

	if (!proc)
		return;
	d = &proc->death;
	note_time(c, d, e->time_ns);
	if (e->what == MP_DEATH_MARKED) {
		d->anon_bytes = e->bytes;
		collector_resolve(c, UINT64_MAX); /* while there is something to read names from */
		return;
	}
	d->refusals++;
	d->refused_bytes = e->bytes;
	d->refused_type = type_of(c, e->gen, e->label);
	take(c, proc);
}

static void take_totals(void *ctx, uint32_t gen, const struct mp_proc_totals *t)
{
	struct profile_proc *proc = proc_of(ctx, gen);

	if (proc)
		proc->old = *t;
}

void blackbox_on_exit(struct collector *c, const struct mp_ev_proc *e)
{
	struct profile_proc *proc = proc_of(c, e->old_gen);
	struct profile_death *d;

	if (!proc)
		return;
	d = &proc->death;
	if (e->parent_tgid & MP_EXIT_OOM) {
		d->oom_killed = true;
		if (!d->anon_bytes) /* no mark was seen */
			note_time(c, d, e->time_ns);
		take(c, proc);
		log_warn("process %d %s was killed by the kernel: out of memory", (int)proc->tgid,
			 profile_str(&c->profile, proc->comm));
		return;
	}
	if (!(e->parent_tgid & MP_EXIT_REFUSED) && !d->refusals)
		return; /* what was refused to it, if anything, is not why it ended */
	if (c->profile.n_procs > FEW_PROCS || kern_read_procs(c->kern, take_totals, c))
		return;
	if (!d->refusals)
		note_time(c, d, e->time_ns);
	take(c, proc);
}
