/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The managed runtimes of the targets; see managed.h. */
#include "collect/managed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/class_growth.h"
#include "collect/holders_look.h"
#include "collect/managed_internal.h"

/*
 * An interpreter that starts is looked at again and again, as what it allocates until it is known has no line: at first
 * after 1 ms, later after a part of the time that it has taken, and never for more than a fifth of memprobe's own time.
 */
#define FIRST_WAIT_NS NS_PER_MS
#define TELL_AFTER_NS (25 * NS_PER_S)
/* A server that has Python inside may run some of it after hours. */
#define MOST_PAUSE_NS (2 * NS_PER_S)
/* Other work waits for one that starts with the run, as with COMMAND; not for those that come and go later. */
#define STARTS_WITHIN_NS (3 * NS_PER_S)

struct managed *managed_new(void)
{
	return xcalloc(1, sizeof(struct managed));
}

void managed_free(struct managed *m)
{
	size_t i;

	if (!m)
		return;
	for (i = 0; i < m->n_procs; i++) {
		runtime_close(m->procs[i].runtime);
		class_growth_free(m->procs[i].growth);
		table_release(&m->procs[i].names);
	}
	for (i = 0; i < m->n_waiting; i++)
		free(m->waiting[i].v);
	free(m->waiting);
	table_release(&m->waiting_at);
	free(m->procs);
	table_release(&m->by_gen);
	free(m);
}

/* ---- processes ---- */

struct managed_process *managed_find_process(struct managed *m, uint32_t gen)
{
	const uint64_t *at = table_get(&m->by_gen, gen);

	return at ? &m->procs[*at] : NULL;
}

/* Larger ranges are not looked through. */
#define MOST_HEAP (16 * GIB)

static uint64_t resident_in(const struct runtime *r, uint64_t start, uint64_t end)
{
	uint64_t page = r->process.memory.page_bytes, n, sum = 0, i;
	uint8_t state[4096];

	for (; start < end && end - start <= MOST_HEAP; start += n * page) {
		n = (end - start) / page < sizeof(state) ? (end - start) / page : sizeof(state);
		if (!n)
			break;
		proc_memory_pages(&r->process.memory, start, n, state);
		for (i = 0; i < n; i++)
			sum += state[i] == PROC_PAGE_RESIDENT;
	}
	return sum * page;
}

static uint64_t resident_heap(struct runtime *r)
{
	struct runtime_ranges heap = { 0 };
	uint64_t sum = 0;
	size_t i;

	if (r->ops->heap_ranges && !r->ops->heap_ranges(r, &heap))
		for (i = 0; i < heap.n; i++)
			sum += resident_in(r, heap.v[i].start, heap.v[i].end);
	runtime_ranges_release(&heap);
	return sum;
}

/* From now on its stacks carry its frames. */
static void begin_frames(struct collector *c, const struct managed_process *p)
{
	const struct runtime *r = p->runtime;
	struct mp_runtime words = { 0 };

	if (!r->has_frames || r->ops->kind == MP_RT_NONE)
		return;
	words.kind = r->ops->kind;
	r->ops->config(r, &words);
	if (kern_set_runtime(c->kern, p->gen, &words))
		log_warn("process %d: no room for its %s frames: native stacks only", (int)p->pid, r->ops->name);
}

void managed_follow_moved(struct collector *c, const struct managed_process *p)
{
	if (!p->runtime->is_moved)
		return;
	p->runtime->is_moved = false;
	begin_frames(c, p);
}

/* A first answer is what it had counted before; 0 where it was there from the begin on. */
static bool ask_for(struct managed_process *p, int (*count)(struct runtime *, uint64_t *), uint64_t *then)
{
	uint64_t now;

	if (!count || count(p->runtime, &now))
		return false;
	*then = p->begins ? 0 : now;
	return true;
}

/* What a runtime that has just begun cannot tell yet. A look through its memory that tells nothing takes up to 10 ms. */
static void ask(struct collector *c, struct managed_process *p)
{
	const struct runtime_ops *ops = p->runtime->ops;
	uint64_t now = clock_monotonic_ns();

	if (now < p->ask_ns)
		return;
	if (!p->growth && (p->begins || !p->ask_ns))
		p->growth = class_growth_begin(c, p->runtime);
	if (!p->has_all)
		p->has_all = ask_for(p, ops->all_collections, &p->all_then);
	p->ask_ns = now + (now - p->found_ns) / 16;
	if (p->has_collections)
		return;
	p->has_collections = ask_for(p, ops->collections, &p->collections_then);
	if (ops->object_counter)
		kern_set_object_counter(c->kern, p->gen, ops->object_counter(p->runtime));
}

/* Tell the kernel side, the profile, and whoever watches the log. */
static void found(struct collector *c, struct managed_process *p)
{
	const struct runtime *r = p->runtime;
	struct profile_proc *proc = &c->profile.procs[profile_proc(&c->profile, p->gen)];
	char *name = xasprintf("%s %s", r->ops->name, r->version);
	struct runtime_heap heap;

	p->found_ns = clock_monotonic_ns();
	begin_frames(c, p); /* first: what follows may take longer than the allocations of a start */
	proc->runtime = profile_string(&c->profile, name);
	proc->runtime_reason = profile_string(&c->profile, r->reason);
	proc->runtime_hint = profile_string(&c->profile, r->hint);
	proc->runtime_has_frames = r->has_frames;
	if (r->ops->heap && !r->ops->heap(p->runtime, &heap)) {
		p->young_then = p->begins ? 0 : heap.young;
		p->kept_then = heap.kept_bytes;
		p->heap_then = resident_heap(p->runtime);
	}
	log_debug("process %d: %s%s%s", (int)p->pid, name, *r->reason ? ": " : "", r->reason);
	free(name);
	holders_at_attach(c, p->gen, p->runtime);
	ask(c, p);
}

static void look(struct collector *c, struct managed_process *p)
{
	uint64_t begin = clock_monotonic_ns(), now, took, wait;
	int err = runtime_open(&p->runtime, c->proc_root, p->pid);

	now = clock_monotonic_ns();
	took = now - begin;
	log_debug("process %d: looked for a managed runtime in %llu us: %d", (int)p->pid,
		  (unsigned long long)(took / NS_PER_US), err);
	p->look_ns = 0;
	c->managed->next_ns = now + took; /* looks take half of memprobe's time at most */
	p->is_starting = err == -EAGAIN;
	c->managed->n_waiting_looks--;
	if (!err)
		found(c, p);
	if (err != -EAGAIN)
		return;
	if (!p->is_told && now - p->awaited_ns > TELL_AFTER_NS) {
		log_warn("process %d: its runtime has not begun, or runs none of its language's code: native stacks until it does",
			 (int)p->pid);
		p->is_told = true;
	}
	wait = (now - p->awaited_ns) / 32;
	if (wait > MOST_PAUSE_NS)
		wait = MOST_PAUSE_NS;
	if (wait < 4 * took)
		wait = 4 * took;
	p->look_ns = now + (wait > FIRST_WAIT_NS ? wait : FIRST_WAIT_NS);
	c->managed->n_waiting_looks++;
}

static void look_soon(struct managed *m, struct managed_process *p, uint64_t wait_ns)
{
	if (!p->look_ns)
		m->n_waiting_looks++;
	p->awaited_ns = clock_monotonic_ns();
	p->look_ns = p->awaited_ns + wait_ns;
}

void managed_add(struct collector *c, uint32_t gen, pid_t pid, bool begins, bool now)
{
	struct managed *m = c->managed;

	if (managed_find_process(m, gen))
		return;
	XGROW(m->procs, m->n_procs, m->procs_cap);
	m->procs[m->n_procs] = (struct managed_process){ .gen = gen, .pid = pid, .begins = begins };
	*table_put(&m->by_gen, gen, 0) = m->n_procs;
	look_soon(m, &m->procs[m->n_procs++], 0);
	if (now)
		look(c, &m->procs[m->n_procs - 1]);
}

void managed_on_map(struct collector *c, uint32_t gen, pid_t pid, const char *path)
{
	struct managed_process *p = managed_find_process(c->managed, gen);
	const char *slash = strrchr(path, '/');

	(void)pid;
	if (p && !p->runtime && slash && runtime_may_be(slash + 1))
		look_soon(c->managed, p, FIRST_WAIT_NS);
}

/* It was the next image's, whose exec had not been told yet. */
static void forget(struct profile *p, uint32_t gen)
{
	struct profile_proc *proc = &p->procs[profile_proc(p, gen)];

	proc->runtime = proc->runtime_reason = proc->runtime_hint = profile_string(p, "");
	proc->runtime_has_frames = false;
}

/* Its stacks have their names by now. What reads it holds files open and their symbols. */
void managed_end(struct collector *c, uint32_t gen, uint64_t exec_ns)
{
	struct managed_process *p = managed_find_process(c->managed, gen);

	if (!p)
		return;
	if (p->look_ns)
		c->managed->n_waiting_looks--;
	p->look_ns = 0;
	if (!p->runtime)
		return;
	if (exec_ns && p->found_ns > exec_ns)
		forget(&c->profile, gen);
	kern_unset_runtime(c->kern, gen);
	runtime_close(p->runtime);
	p->runtime = NULL;
	class_growth_free(p->growth);
	p->growth = NULL;
	table_release(&p->names);
}

void managed_poll(struct collector *c)
{
	struct managed *m = c->managed;
	uint64_t now;
	size_t i;

	if (!m->n_waiting_looks)
		return;
	now = clock_monotonic_ns();
	if (now < m->next_ns)
		return;
	/* one at a time: a look takes up to 50 ms, and the events wait */
	for (i = 0; i < m->n_procs; i++) {
		if (!m->procs[i].look_ns || m->procs[i].look_ns > now)
			continue;
		look(c, &m->procs[i]);
		break;
	}
}

bool managed_is_starting(const struct collector *c)
{
	const struct managed *m = c->managed;
	uint64_t armed = kern_armed_ns(c->kern), now = m->n_waiting_looks ? clock_monotonic_ns() : 0;
	size_t i;

	if (!m->n_waiting_looks || (armed && now - armed > STARTS_WITHIN_NS))
		return false;
	for (i = 0; i < m->n_procs; i++)
		if (m->procs[i].look_ns && m->procs[i].is_starting && now - m->procs[i].awaited_ns < NS_PER_S)
			return true;
	return false;
}

uint64_t managed_due_ns(const struct collector *c)
{
	const struct managed *m = c->managed;
	uint64_t due = UINT64_MAX;
	size_t i;

	for (i = 0; m->n_waiting_looks && i < m->n_procs; i++)
		if (m->procs[i].look_ns && m->procs[i].look_ns < due)
			due = m->procs[i].look_ns;
	return due > m->next_ns ? due : m->next_ns;
}

struct runtime *managed_runtime(struct collector *c, uint32_t gen)
{
	struct managed_process *p = managed_find_process(c->managed, gen);

	return p ? p->runtime : NULL;
}

static void count_heap(struct collector *c, struct managed_process *p, struct profile_proc *proc)
{
	struct profile_managed_heap *h = &proc->managed_heap;
	struct runtime_heap heap;

	if (!p->runtime || !p->runtime->ops->heap || p->runtime->ops->heap(p->runtime, &heap) || heap.young < p->young_then)
		return;
	h->name = profile_string(&c->profile, p->runtime->ops->heap_name);
	h->used_bytes = heap.used_bytes;
	h->committed_bytes = heap.committed_bytes;
	h->most_bytes = heap.most_bytes;
	h->young = heap.young - p->young_then;
	h->then_bytes = p->heap_then;
	h->now_bytes = resident_heap(p->runtime);
	h->kept_then_bytes = p->kept_then;
	h->kept_bytes = heap.kept_bytes;
}

static void count_collections(struct managed_process *p, struct profile_proc *proc)
{
	uint64_t now;

	if (p->has_collections && !p->runtime->ops->collections(p->runtime, &now) && now >= p->collections_then) {
		proc->has_collections = true;
		proc->collections = now - p->collections_then;
	}
	if (p->has_all && !p->runtime->ops->all_collections(p->runtime, &now) && now >= p->all_then)
		proc->all_collections = now - p->all_then;
}

/*
 * Its objects would be counted as its heap hands them out, but the program for it is refused: it is tried when it is
 * first wanted.
 */
static void note_bumps(struct collector *c, const struct managed_process *p, struct profile_proc *proc)
{
	int err = kern_bumps_error(c->kern);

	if (err && p->runtime->ops->kind == MP_RT_V8)
		proc->runtime_heap_reason = profile_string(&c->profile, strerror(-err));
}

void managed_count_collections(struct collector *c)
{
	struct managed *m = c->managed;
	size_t i;

	for (i = 0; i < m->n_procs; i++) {
		struct managed_process *p = &m->procs[i];
		struct profile_proc *proc;

		if (!p->runtime)
			continue;
		proc = &c->profile.procs[profile_proc(&c->profile, p->gen)];
		if (proc->state != PROC_RUNNING)
			continue;
		count_heap(c, p, proc);
		ask(c, p);
		count_collections(p, proc);
		managed_follow_moved(c, p);
		note_bumps(c, p, proc);
	}
}

/* Its process, where the classes of a living one are followed; else NULL. */
static struct profile_proc *followed(struct collector *c, const struct managed_process *p)
{
	struct profile_proc *proc = &c->profile.procs[profile_proc(&c->profile, p->gen)];

	return p->runtime && p->growth && proc->state == PROC_RUNNING ? proc : NULL;
}

void managed_find_growth(struct collector *c)
{
	struct managed *m = c->managed;
	size_t i;

	for (i = 0; i < m->n_procs; i++) {
		struct profile_proc *proc = followed(c, &m->procs[i]);

		if (proc)
			class_growth_end(c, proc, m->procs[i].runtime, m->procs[i].growth);
	}
}

void managed_look_at_classes(struct collector *c, double t_s)
{
	struct managed *m = c->managed;
	size_t i;

	for (i = 0; i < m->n_procs; i++) {
		const struct profile_proc *proc = followed(c, &m->procs[i]);

		if (proc)
			class_growth_look(m->procs[i].growth, m->procs[i].runtime, t_s, proc->collections);
	}
}

uint64_t managed_word(struct collector *c, uint32_t gen, uint64_t addr)
{
	struct managed_process *p = managed_find_process(c->managed, gen);

	return p && p->runtime ? runtime_word(&p->runtime->process, addr) : 0;
}
