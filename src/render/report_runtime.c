/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The managed runtimes of the processes that were watched: which, how many of their allocations have a line of the
 * language, why not where there is none, and what their own tools would tell. Part of the report.
 */
#include "base/units.h"
#include "base/xalloc.h"
#include "render/report_internal.h"

#include <stdlib.h>
#include <string.h>

/* Blocks allocated in a process: all, and those with a frame of the language. */
struct shares {
	uint64_t all, named;
};

static bool has_line(const struct profile *p, const struct profile_stack *s)
{
	uint32_t i;

	for (i = 0; i < s->n_frames; i++)
		if (p->frames[p->stack_frames[s->first_frame + i]].is_managed)
			return true;
	return false;
}

static struct shares *shares_of(const struct profile *p)
{
	struct shares *v = xcalloc(p->n_procs + 1, sizeof(*v));
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		v[s->proc].all += s->t.alloc_blocks;
		if (has_line(p, s))
			v[s->proc].named += s->t.alloc_blocks;
	}
	return v;
}

/* Which objects are more than at the attach, whoever made them: the table's lines made the memory. */
static void add_grown(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	char n[32], all[32];
	size_t i;

	for (i = 0; i < PROFILE_GROWN && proc->grown[i].objects; i++) {
		buf_adds(out, i ? ", " : "        grew by count: ");
		buf_add_plain(out, profile_str(p, proc->grown[i].type));
		buf_addf(out, " +%s (%s)", units_format_count(n, proc->grown[i].objects), units_format_count(all, proc->grown[i].now));
	}
	if (i)
		buf_addc(out, '\n');
}

static void add_heap(struct buf *out, const struct profile *p, const struct profile_managed_heap *h)
{
	char used[16], committed[16], most[16];

	if (!*profile_str(p, h->name))
		return;
	buf_addf(out, "        %s: %s in use when last counted, %s committed, %s at most", profile_str(p, h->name),
		 units_format_size(used, h->used_bytes), units_format_size(committed, h->committed_bytes),
		 units_format_size(most, h->most_bytes));
	if (h->now_bytes)
		buf_addf(out, "; %s resident (%s at attach)", units_format_size(used, h->now_bytes),
			 units_format_size(committed, h->then_bytes));
	if (h->kept_bytes)
		buf_addf(out, "; %s had outlived a collection (%s at attach)", units_format_size(used, h->kept_bytes),
			 units_format_size(committed, h->kept_then_bytes));
	buf_addc(out, '\n');
}

/* Where each of its processes has a heap of its own, the figure is of those that hold half of what is in all of them. */
static void add_collections(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	bool each = !strncmp(profile_str(p, proc->runtime), "BEAM ", 5);
	char all[32];

	buf_addf(out, "; %llu full GC%s%s", (unsigned long long)proc->collections, proc->collections == 1 ? "" : "s",
		 each ? " or more of the processes that hold half of the heaps" : "");
	if (proc->all_collections)
		buf_addf(out, ", %s of any kind", units_format_count(all, proc->all_collections));
}

static void add_process(struct buf *out, const struct profile *p, const struct profile_proc *proc,
			const struct shares *s)
{
	const char *reason = profile_str(p, proc->runtime_reason), *hint = profile_str(p, proc->runtime_hint);
	const char *heap_reason = profile_str(p, proc->runtime_heap_reason);

	buf_adds(out, "runtime ");
	buf_add_plain(out, profile_str(p, proc->runtime));
	if (p->n_procs > 1)
		buf_addf(out, " (pid %d)", (int)proc->tgid);
	if (*reason)
		buf_addf(out, ": %s", reason);
	else if (proc->runtime_has_frames && s->all)
		buf_addf(out, ": %.1f %% of the allocations have a line of it, others are its own",
			 100.0 * (double)s->named / (double)s->all);
	if (proc->has_collections)
		add_collections(out, p, proc);
	if (*profile_str(p, proc->managed_heap.name) && proc->managed_heap.young)
		buf_addf(out, ", %llu young", (unsigned long long)proc->managed_heap.young);
	buf_addc(out, '\n');
	add_grown(out, p, proc);
	if (*heap_reason)
		buf_addf(out, "        what it takes from its own heap is not counted: %s\n", heap_reason);
	if (*hint)
		buf_addf(out, "        => %s\n", hint);
	add_heap(out, p, &proc->managed_heap);
}

/* Of many processes with the same runtime, as of workers, the first speaks. */
static bool was_said(const struct profile *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p->procs[i].runtime == p->procs[n].runtime)
			return true;
	return false;
}

void report_runtimes(struct buf *out, const struct report *r)
{
	struct shares *shares = shares_of(r->p);
	size_t i;

	for (i = 0; i < r->p->n_procs; i++)
		if (*profile_str(r->p, r->p->procs[i].runtime) && !was_said(r->p, i))
			add_process(out, r->p, &r->p->procs[i], &shares[i]);
	free(shares);
}
