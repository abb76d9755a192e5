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

/*
 * Blocks allocated in a process: all, those with a frame of the language, and those made outside of it; with generated
 * code, and of these, with some that no perf map has.
 */
struct shares {
	uint64_t all, named, outside;
	uint64_t generated, unnamed;
	bool has_map; /* any generated code has a name */
};

static bool has_line(const struct profile *p, const struct profile_stack *s)
{
	uint32_t i;

	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];

		if (f->is_managed && *profile_str(p, f->name) != '[') /* [ets_data], [process mailer]: not yet a function */
			return true;
	}
	return false;
}

/* Code of no object, by a perf map or without a name; not what a runtime's own frames tell. */
static void add_generated(struct shares *sum, const struct profile *p, const struct profile_stack *s)
{
	bool is_generated = false, is_unnamed = false;
	uint32_t i;

	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];
		bool has_name = f->class != FRAME_UNKNOWN;

		if (f->is_managed || f->class == FRAME_NOTE || *profile_str(p, f->module))
			continue;
		if (!has_name && strcmp(profile_str(p, f->name), "[jit]") != 0)
			continue;
		is_generated = true;
		is_unnamed |= !has_name;
		sum->has_map |= has_name;
	}
	if (is_generated)
		sum->generated += s->t.alloc_blocks;
	if (is_unnamed)
		sum->unnamed += s->t.alloc_blocks;
}

static struct shares *shares_of(const struct profile *p)
{
	struct shares *v = xcalloc(p->n_procs + 1, sizeof(*v));
	size_t i;

	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];

		if (!stack_is_heap(s))
			continue;
		v[s->proc].all += s->t.alloc_blocks;
		if (has_line(p, s))
			v[s->proc].named += s->t.alloc_blocks;
		else if (s->is_outside_language)
			v[s->proc].outside += s->t.alloc_blocks;
		add_generated(&v[s->proc], p, s);
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

/* A JVM writes its map when it is told to; what it compiles later is not in it. Worth a word from 1 in 1000 on. */
static bool lacks_names(const struct profile *p, const struct profile_proc *proc, const struct shares *s)
{
	return s->unnamed && s->unnamed * 1000 >= s->generated && !strncmp(profile_str(p, proc->runtime), "JVM ", 4);
}

static void add_reason(struct buf *out, const struct shares *s, const char *reason, bool lacks)
{
	if (lacks)
		buf_addf(out, ": %.1f %% of the allocations in Java code pass [jit], %s",
			 100.0 * (double)s->unnamed / (double)s->generated,
			 s->has_map ? "code newer than the perf map" : "code that no perf map has");
	else
		buf_addf(out, ": %s", reason);
}

static void add_share(struct buf *out, const struct shares *s)
{
	uint64_t in_code = s->all - s->outside;

	if (!in_code)
		buf_adds(out, ": all allocations are outside its code");
	else
		buf_addf(out, ": %.1f %% of allocations%s have a line", 100.0 * (double)s->named / (double)in_code,
			 s->outside ? " in its code" : "");
	if (in_code && s->outside)
		buf_addf(out, " (%.1f %% are outside)", 100.0 * (double)s->outside / (double)s->all);
}

static void add_process(struct buf *out, const struct profile *p, const struct profile_proc *proc,
			const struct shares *s)
{
	const char *reason = profile_str(p, proc->runtime_reason), *hint = profile_str(p, proc->runtime_hint);
	const char *heap_reason = profile_str(p, proc->runtime_heap_reason);
	bool lacks = lacks_names(p, proc, s);

	buf_adds(out, "runtime ");
	buf_add_plain(out, profile_str(p, proc->runtime));
	if (p->n_procs > 1)
		buf_addf(out, " (pid %d)", (int)proc->tgid);
	if (lacks || *reason)
		add_reason(out, s, reason, lacks);
	else if (proc->runtime_has_frames && s->all)
		add_share(out, s);
	if (proc->has_collections)
		add_collections(out, p, proc);
	if (*profile_str(p, proc->managed_heap.name) && proc->managed_heap.young)
		buf_addf(out, ", %llu young", (unsigned long long)proc->managed_heap.young);
	buf_addc(out, '\n');
	add_grown(out, p, proc);
	if (*heap_reason)
		buf_addf(out, "        what it takes from its own heap is not counted: %s\n", heap_reason);
	if (*hint)
		buf_addf(out, "        => %s%s\n", lacks && s->has_map ? "again for " : "", hint);
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
