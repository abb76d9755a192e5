/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* From kernel events and tables to struct profile; see collector.h. Figures are in snapshot.c. */
#include "collect/collector.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc/allocator.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/roots.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/blackbox.h"
#include "collect/collector_internal.h"
#include "collect/debuginfod.h"
#include "collect/holders_look.h"
#include "collect/managed.h"
#include "collect/workers_look.h"
#include "proc/process.h"

struct collector *collector_new(const struct collector_opts *o)
{
	struct collector *c = xcalloc(1, sizeof(*c));
	struct symbolizer_opts so = {
		.proc_root = o->proc_root,
		.debug_root = DEBUG_ROOT,
		.lines = !o->options->no_lines,
		.fetch_debug = o->debuginfod ? debuginfod_fetch : NULL,
		.fetch_ctx = o->debuginfod,
		.max_bytes = 256 * MIB,
	};

	c->kern = o->kern;
	c->poll = o->poll;
	c->is_over = o->is_over;
	c->poll_ctx = o->poll_ctx;
	c->options = o->options;
	c->proc_root = o->proc_root;
	c->symbolizer = symbolizer_new(&so);
	c->managed = managed_new();
	profile_init(&c->profile);
	bystanders_begin(c);
	return c;
}

static void free_raw(struct raw_stack *r)
{
	free(r->runtime);
	free(r);
}

void collector_free(struct collector *c)
{
	size_t i;

	if (!c)
		return;
	for (i = c->first_raw; i < c->n_raw; i++)
		free_raw(c->raw[i]);
	free(c->raw);
	free(c->unsent);
	table_release(&c->unsent_at);
	generated_release(&c->generated);
	for (i = 0; i < c->n_recent; i++)
		proc_maps_release(&c->recent[i].maps);
	free(c->recent);
	table_release(&c->recent_of_pid);
	table_release(&c->gen_of_pid);
	symbolizer_free(c->symbolizer);
	blackbox_release(c);
	holders_release(c);
	managed_free(c->managed);
	evidence_release(c);
	ended_release(c);
	vm_plane_release(&c->vm);
	profile_release(&c->profile);
	free(c);
}

struct profile *collector_profile(struct collector *c)
{
	return &c->profile;
}

uint32_t collector_gen_of(const struct collector *c, pid_t pid)
{
	const uint64_t *gen = table_get(&c->gen_of_pid, (uint64_t)pid);

	return gen ? (uint32_t)*gen : 0;
}

size_t collector_n_running(const struct collector *c)
{
	size_t i, n = 0;

	for (i = 0; i < c->profile.n_procs; i++)
		n += c->profile.procs[i].state == PROC_RUNNING;
	return n;
}

/* Window time of a CLOCK_MONOTONIC moment; 0 for what was before arming. */
static uint64_t window_time(const struct collector *c, uint64_t ns)
{
	uint64_t armed = kern_armed_ns(c->kern);

	return armed && ns > armed ? ns - armed : 0;
}

static struct profile_proc *begin_process(struct collector *c, uint32_t gen, pid_t pid,
					  const char *comm, uint64_t time_ns)
{
	uint32_t at = profile_proc(&c->profile, gen); /* may move the array */
	struct profile_proc *p = &c->profile.procs[at];

	p->tgid = pid;
	p->comm = profile_string(&c->profile, comm);
	p->begin_ns = window_time(c, time_ns);
	*table_put(&c->gen_of_pid, (uint64_t)pid, 0) = gen;
	return p;
}

void collector_add_process(struct collector *c, uint32_t gen, pid_t pid)
{
	struct proc_status st;
	struct profile_proc *p;

	if (proc_status_read(&st, c->proc_root, pid))
		return;
	p = begin_process(c, gen, pid, st.comm, 0);
	symbolizer_add_process(c->symbolizer, gen, pid);
	managed_add(c, gen, pid, false, !options_whole_machine(c->options));
	vm_plane_seed(c, gen, pid);
	facts_read(c, p, &p->at_attach);
	p->now = p->at_attach;
	workers_begin(c, (uint32_t)(p - c->profile.procs));
	if (!options_whole_machine(c->options))
		bridge_at_attach(c, (uint32_t)(p - c->profile.procs));
}

static void end_process(struct collector *c, uint32_t gen, enum proc_state state, uint64_t time_ns)
{
	uint64_t *at = table_get(&c->profile.proc_ids, gen);
	struct profile_proc *p;

	if (!at)
		return;
	p = &c->profile.procs[*at];
	p->state = state;
	managed_end(c, gen, state == PROC_EXECED ? time_ns : 0);
	vm_plane_end(c, gen);
	c->n_ended++;
	ended_note(c, gen);
	p->end_ns = window_time(c, time_ns);
	if (collector_gen_of(c, p->tgid) == gen)
		table_remove(&c->gen_of_pid, (uint64_t)p->tgid);
}

/* As before an exec: what waits for a name gets it while its mappings are told. */
void collector_drop(struct collector *c, uint32_t gen)
{
	collector_resolve(c, UINT64_MAX);
	end_process(c, gen, PROC_DROPPED, clock_monotonic_ns());
}

/* An exit event can be missed (task.bpf.c), and nobody would ever end the run. */
void collector_reap(struct collector *c, void (*ended)(void *ctx, pid_t pid), void *ctx)
{
	size_t i;

	for (i = 0; i < c->profile.n_procs; i++) {
		struct profile_proc *p = &c->profile.procs[i];

		if ((p->state != PROC_RUNNING && p->state != PROC_DROPPED) || !kill(p->tgid, 0) || errno != ESRCH)
			continue;
		if (p->state == PROC_DROPPED) { /* what it was watched for had its end before */
			p->state = PROC_EXITED;
			continue;
		}
		log_debug("process %d ended without an event", (int)p->tgid);
		kern_ended(c->kern, p->tgid, p->gen);
		end_process(c, p->gen, PROC_EXITED, clock_monotonic_ns());
		ended(ctx, p->tgid);
	}
}

/*
 * Mapping events and the kernel side's process events come by two ways. What was mapped since
 * the last exec of a process is kept, so that a process that has ended before its exec event is
 * handled still has names.
 */
static struct recent_maps *recent_maps(struct collector *c, pid_t pid, bool create)
{
	uint64_t *at = table_get(&c->recent_of_pid, (uint64_t)pid);

	if (at || !create)
		return at ? &c->recent[*at] : NULL;
	XGROW(c->recent, c->n_recent, c->recent_cap);
	c->recent[c->n_recent] = (struct recent_maps){ .pid = pid };
	table_put(&c->recent_of_pid, (uint64_t)pid, c->n_recent);
	return &c->recent[c->n_recent++];
}

void collector_forget_recent(struct collector *c)
{
	size_t i, n = 0;

	for (i = 0; i < c->n_recent; i++) {
		struct recent_maps *r = &c->recent[i];

		if (r->is_old && !collector_gen_of(c, r->pid)) {
			proc_maps_release(&r->maps);
			table_remove(&c->recent_of_pid, (uint64_t)r->pid);
			continue;
		}
		r->is_old = true;
		*table_put(&c->recent_of_pid, (uint64_t)r->pid, 0) = n;
		c->recent[n++] = *r;
	}
	c->n_recent = n;
}

static void add_mappings(struct collector *c, uint32_t gen, pid_t pid)
{
	struct recent_maps *r = recent_maps(c, pid, false);
	size_t i;

	if (!symbolizer_add_process(c->symbolizer, gen, pid) || !r)
		return;
	for (i = 0; i < r->maps.n; i++)
		symbolizer_add_map(c->symbolizer, gen, &r->maps.v[i]);
}

/* comm of a process that has just begun: the kernel's, since /proc may be too late. */
static void add_from_event(struct collector *c, const struct mp_ev_proc *e)
{
	char comm[sizeof(e->comm) + 1];
	struct profile_proc *p;

	memcpy(comm, e->comm, sizeof(e->comm));
	comm[sizeof(e->comm)] = '\0';
	p = begin_process(c, e->gen, (pid_t)e->tgid, comm, e->time_ns);
	if (e->what == MP_PROC_FORK && e->old_gen)
		vm_plane_fork(c, e->old_gen, e->gen, (pid_t)e->tgid);
	if (e->what == MP_PROC_FORK && e->old_gen)
		symbolizer_fork(c->symbolizer, e->old_gen, e->gen, (pid_t)e->tgid);
	else
		add_mappings(c, e->gen, (pid_t)e->tgid);
	managed_add(c, e->gen, (pid_t)e->tgid, e->what == MP_PROC_EXEC, false);
	facts_read(c, p, &p->at_attach);
	p->now = p->at_attach;
	workers_begin(c, (uint32_t)(p - c->profile.procs));
}

void collector_on_proc(struct collector *c, const struct mp_ev_proc *e)
{
	/* what came before belongs to the old image: name it while we know its mappings */
	if (e->what == MP_PROC_EXEC || e->what == MP_PROC_EXIT)
		collector_resolve(c, UINT64_MAX);
	switch (e->what) {
	case MP_PROC_NEW:
	case MP_PROC_FORK:
		add_from_event(c, e);
		break;
	case MP_PROC_EXEC:
		if (e->old_gen)
			end_process(c, e->old_gen, PROC_EXECED, e->time_ns);
		if (e->gen)
			add_from_event(c, e);
		break;
	case MP_PROC_EXIT:
		blackbox_on_exit(c, e);
		end_process(c, e->old_gen, PROC_EXITED, e->time_ns);
		break;
	}
}

void collector_on_exec(struct collector *c, pid_t pid)
{
	struct recent_maps *r;

	if (c->options->no_follow && !collector_gen_of(c, pid))
		return;
	r = recent_maps(c, pid, true);
	proc_maps_release(&r->maps);
	r->is_old = false;
}

void collector_on_map(struct collector *c, pid_t pid, const struct proc_map *m)
{
	struct recent_maps *r = recent_maps(c, pid, false);
	uint32_t gen = collector_gen_of(c, pid);

	if (r)
		proc_maps_add(&r->maps, m);
	if (!gen)
		return;
	symbolizer_add_map(c->symbolizer, gen, m);
	if (m->exec)
		managed_on_map(c, gen, pid, m->path);
}

void collector_on_runtime(void *ctx, const struct mp_ev_runtime *e)
{
	managed_on_frames(ctx, e);
}

/* As the kernel side made it. */
static uint64_t hash_of_stack(const struct mp_ev_stack *e, const __u64 *frames, uint32_t n,
			      const struct mp_rt_frame *runtime)
{
	uint64_t h = mp_hash_start(e->gen);
	uint32_t i;

	for (i = 0; i < n; i++)
		h = mp_hash_step(h, frames[i]);
	h = mp_hash_runtime(mp_mix(mp_hash_step(h, e->end)), runtime, e->n_runtime);
	return mp_hash_thread(h, e->thread);
}

/* Two CPUs that meet a new stack at once may both send it; what of its runtime frames came twice was taken once. */
static bool has_stack(const struct collector *c, uint64_t hash)
{
	size_t i;

	for (i = c->first_raw; i < c->n_raw; i++)
		if (c->raw[i]->hash == hash)
			return true;
	return profile_find_stack(&c->profile, hash) != UINT32_MAX;
}

void collector_on_stack(void *ctx, const struct mp_ev_stack *e, const __u64 *frames, uint32_t n)
{
	struct collector *c = ctx;
	struct mp_rt_frame *runtime;
	struct raw_stack *r;

	if (!managed_take_frames(c, e->hash, e->n_runtime, &runtime) ||
	    hash_of_stack(e, frames, n, runtime) != e->hash) {
		free(runtime);
		if (has_stack(c, e->hash))
			return;
		c->hash_mismatches++;
		kern_resend_stack(c->kern, e->hash);
		return;
	}
	r = xmalloc(sizeof(*r) + n * sizeof(r->frames[0]));
	*r = (struct raw_stack){ .hash = e->hash, .gen = e->gen, .n = n, .end = e->end,
				   .has_gap = e->left_out != 0, .runtime = runtime, .n_runtime = e->n_runtime };
	memcpy(r->thread, e->thread, sizeof(r->thread));
	memcpy(r->frames, frames, n * sizeof(r->frames[0]));
	XGROW(c->raw, c->n_raw, c->raw_cap);
	c->raw[c->n_raw++] = r;
}

/* "std::vector<int>::reserve(unsigned long)", "void std::sort<int*>(int*, int*)", but not "std::string f<int>()" */
static bool is_of_cxx_library(const char *name)
{
	const char *start = name;
	int depth = 0;

	for (; *name && strncmp(name, "operator", 8) && !(*name == '(' && !depth); name++) {
		if (*name == '<')
			depth++;
		else if (*name == '>')
			depth--;
		else if (*name == ' ' && !depth)
			start = name + 1; /* behind the type of what it returns */
	}
	return !strncmp(start, "std::", 5) || !strncmp(start, "__gnu_cxx::", 11);
}

static enum frame_class classify(const struct symbol *s, const struct runtime *runtime)
{
	if (runtime && runtime->ops->is_own_object(s->module) && !alloc_is_entry_name(s->name))
		return FRAME_RUNTIME;
	if (!s->has_name)
		return FRAME_UNKNOWN;
	if (alloc_is_entry_name(s->name) || alloc_is_allocator_library(s->module))
		return FRAME_ALLOCATOR;
	if (alloc_is_libc(s->module))
		return FRAME_LIBC;
	if (alloc_is_cxx_library(s->module) || is_of_cxx_library(s->name))
		return FRAME_CXX;
	return FRAME_APP;
}

uint32_t frame_of_symbol(struct collector *c, uint32_t gen, const struct symbol *s)
{
	struct profile_frame f = {
		.name = profile_string(&c->profile, s->name),
		.module = profile_string(&c->profile, s->module),
		.file = profile_string(&c->profile, s->file),
		.line = s->line,
		.build_id = profile_string(&c->profile, s->build_id),
		.inlined = s->inlined,
		.vaddr = s->has_name ? 0 : s->vaddr,
		.class = classify(s, managed_runtime(c, gen)),
	};

	return profile_frame(&c->profile, &f);
}

/* The function at addr and what was inlined there; how many. */
static uint32_t add_frames(struct collector *c, uint32_t gen, uint64_t addr, bool is_return, uint32_t *frames)
{
	struct symbol s[SYMBOLIZER_MAX_FRAMES];
	size_t n = symbolizer_frames(c->symbolizer, gen, addr, is_return, s), i;

	for (i = 0; i < n; i++)
		frames[i] = frame_of_symbol(c, gen, &s[i]);
	if (!c->told_of_lines && symbolizer_lines_stopped(c->symbolizer)) {
		log_warn("source lines: so much to read in the debug information that the rest has names only (--no-lines: none)");
		c->told_of_lines = true;
	}
	return (uint32_t)n;
}

uint32_t note_frame(struct collector *c, const char *text)
{
	struct profile_frame f = {
		.name = profile_string(&c->profile, text),
		.module = profile_string(&c->profile, ""),
		.file = profile_string(&c->profile, ""),
		.build_id = profile_string(&c->profile, ""),
		.class = FRAME_NOTE,
	};

	return profile_frame(&c->profile, &f);
}

static uint32_t thread_frame(struct collector *c, const struct raw_stack *r)
{
	char name[sizeof(PROFILE_THREAD_FRAME) + sizeof(r->thread) + 1];

	snprintf(name, sizeof(name), PROFILE_THREAD_FRAME "%.*s]", (int)sizeof(r->thread), r->thread);
	return note_frame(c, name);
}

/* The names of its native frames, and where those of each begin. Their number. */
static uint32_t name_native(struct collector *c, const struct raw_stack *r, uint32_t *frames, uint32_t *first)
{
	uint32_t i, n = 0;

	for (i = 0; i < r->n && i < MP_MAX_FRAMES; i++) {
		first[i] = n;
		if (r->has_gap && i == MP_INNER_FRAMES)
			frames[n++] = note_frame(c, "[frames left out]");
		n += add_frames(c, r->gen, r->frames[i], i > 0, &frames[n]);
	}
	first[i] = n;
	return n;
}

/* Stacks whose names may wait for an interpreter that starts. */
#define MOST_WAITING 32768

#define MAX_NAMES (MP_MAX_FRAMES * SYMBOLIZER_MAX_FRAMES + 2)

static void resolve_one(struct collector *c, const struct raw_stack *r)
{
	uint32_t frames[MAX_NAMES], merged[MAX_NAMES + MANAGED_MOST_FRAMES], first[MP_MAX_FRAMES + 1], n;
	uint32_t *all = frames, n_native, at;
	enum mp_stack_end end = r->end;
	bool is_outside;

	if (profile_find_stack(&c->profile, r->hash) != UINT32_MAX)
		return; /* sent twice */
	n = name_native(c, r, frames, first);
	is_outside = managed_is_outside(c, r, frames, first);
	if (r->n_runtime) {
		n_native = managed_n_native(c, r);
		if (n_native < r->n && n_native < MP_MAX_FRAMES)
			end = MP_END_COMPLETE;
		n = managed_merge(c, r, frames, first, n_native, merged);
		all = merged;
	}
	if (r->thread[0])
		all[n++] = thread_frame(c, r);
	at = profile_add_stack(&c->profile, r->hash, profile_proc(&c->profile, r->gen), all, n, end);
	generated_keep(c, r, frames, first, at);
	c->profile.stacks[at].is_outside_language = is_outside;
}

uint64_t collector_poll_runtimes(struct collector *c)
{
	managed_poll(c);
	return managed_due_ns(c);
}

bool collector_resolve(struct collector *c, uint64_t budget_ns)
{
	uint64_t start = clock_monotonic_ns();

	/* the first names of an object take up to 0.1 s, in which an interpreter is up and has allocated */
	if (budget_ns != UINT64_MAX && c->n_raw - c->first_raw < MOST_WAITING && managed_is_starting(c))
		return true;
	while (c->first_raw < c->n_raw) {
		resolve_one(c, c->raw[c->first_raw]);
		free_raw(c->raw[c->first_raw++]);
		if (budget_ns != UINT64_MAX && clock_monotonic_ns() - start > budget_ns)
			return false;
	}
	c->first_raw = c->n_raw = 0;
	return true;
}
