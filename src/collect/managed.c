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

/*
 * An interpreter that starts is looked at again and again, as what it allocates until it is known has no line: at first after
 * 1 ms, later after a part of the time that it has taken, and never for more than a fifth of memprobe's own time.
 */
#define FIRST_WAIT_NS NS_PER_MS
#define MOST_WAIT_NS (25 * NS_PER_S)
/* Other work waits for one that starts with the run, as with COMMAND; not for those that come and go later. */
#define STARTS_WITHIN_NS (3 * NS_PER_S)

struct managed_process {
	uint32_t gen;
	pid_t pid;
	struct runtime *runtime; /* NULL: not known yet, or none */
	uint64_t look_ns;	 /* CLOCK_MONOTONIC; 0: not again */
	uint64_t awaited_ns;	 /* since then */
	bool is_starting;	 /* it is an interpreter, which is not ready yet */
	bool has_collections, has_all; /* it told them when it was found: */
	uint64_t collections_then, all_then, young_then;
	uint64_t heap_then; /* resident of its heap */
	uint64_t kept_then;
	struct class_growth *growth; /* of its objects, or NULL */
	struct table names; /* hash of a frame -> index in profile.frames + 1; 0: no name */
};

struct waiting_frames {
	uint64_t hash;
	uint32_t n;
	struct mp_rt_frame *v;
};

struct managed {
	struct managed_process *procs;
	size_t n_procs, procs_cap, n_waiting_looks;
	struct table by_gen; /* gen -> index in procs */
	struct waiting_frames *waiting; /* their stacks have not come yet */
	size_t n_waiting, waiting_cap;
	struct table waiting_at; /* hash -> index in waiting */
};

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

static struct managed_process *find_process(struct managed *m, uint32_t gen)
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

/* Tell the kernel side, the profile, and whoever watches the log. */
static void found(struct collector *c, struct managed_process *p)
{
	const struct runtime *r = p->runtime;
	struct profile_proc *proc = &c->profile.procs[profile_proc(&c->profile, p->gen)];
	char *name = xasprintf("%s %s", r->ops->name, r->version);
	struct runtime_heap heap;

	begin_frames(c, p); /* first: what follows may take longer than the allocations of a start */
	proc->runtime = profile_string(&c->profile, name);
	proc->runtime_reason = profile_string(&c->profile, r->reason);
	proc->runtime_hint = profile_string(&c->profile, r->hint);
	proc->runtime_has_frames = r->has_frames;
	p->has_collections = r->ops->collections && !r->ops->collections(p->runtime, &p->collections_then);
	p->has_all = r->ops->all_collections && !r->ops->all_collections(p->runtime, &p->all_then);
	if (r->ops->heap && !r->ops->heap(p->runtime, &heap)) {
		p->young_then = heap.young;
		p->kept_then = heap.kept_bytes;
		p->heap_then = resident_heap(p->runtime);
	}
	log_debug("process %d: %s%s%s", (int)p->pid, name, *r->reason ? ": " : "", r->reason);
	free(name);
	holders_at_attach(c, p->gen, p->runtime);
	p->growth = class_growth_begin(c, p->runtime);
	if (r->ops->object_counter)
		kern_set_object_counter(c->kern, p->gen, r->ops->object_counter(p->runtime));
}

static void look(struct collector *c, struct managed_process *p)
{
	uint64_t begin = clock_monotonic_ns(), now, took, wait;
	int err = runtime_open(&p->runtime, c->proc_root, p->pid);

	now = clock_monotonic_ns();
	took = now - begin;
	log_debug("process %d: looked for a managed runtime in %llu us: %d", (int)p->pid, (unsigned long long)(took / NS_PER_US), err);
	p->look_ns = 0;
	p->is_starting = err == -EAGAIN;
	c->managed->n_waiting_looks--;
	if (!err)
		found(c, p);
	if (err != -EAGAIN || now - p->awaited_ns > MOST_WAIT_NS)
		return;
	wait = (now - p->awaited_ns) / 32;
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

void managed_add(struct collector *c, uint32_t gen, pid_t pid, bool now)
{
	struct managed *m = c->managed;

	if (find_process(m, gen))
		return;
	XGROW(m->procs, m->n_procs, m->procs_cap);
	m->procs[m->n_procs] = (struct managed_process){ .gen = gen, .pid = pid };
	*table_put(&m->by_gen, gen, 0) = m->n_procs;
	look_soon(m, &m->procs[m->n_procs++], 0);
	if (now)
		look(c, &m->procs[m->n_procs - 1]);
}

void managed_on_map(struct collector *c, uint32_t gen, pid_t pid, const char *path)
{
	struct managed_process *p = find_process(c->managed, gen);
	const char *slash = strrchr(path, '/');

	(void)pid;
	if (p && !p->runtime && slash && runtime_may_be(slash + 1))
		look_soon(c->managed, p, FIRST_WAIT_NS);
}

/* Its stacks have their names by now. What reads it holds files open and their symbols. */
void managed_end(struct collector *c, uint32_t gen)
{
	struct managed_process *p = find_process(c->managed, gen);

	if (!p)
		return;
	if (p->look_ns)
		c->managed->n_waiting_looks--;
	p->look_ns = 0;
	if (!p->runtime)
		return;
	kern_unset_runtime(c->kern, gen);
	runtime_close(p->runtime);
	p->runtime = NULL;
}

void managed_poll(struct collector *c)
{
	struct managed *m = c->managed;
	uint64_t now;
	size_t i;

	if (!m->n_waiting_looks)
		return;
	now = clock_monotonic_ns();
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
	return due;
}

struct runtime *managed_runtime(struct collector *c, uint32_t gen)
{
	struct managed_process *p = find_process(c->managed, gen);

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
		count_collections(p, proc);
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
	struct managed_process *p = find_process(c->managed, gen);

	return p && p->runtime ? runtime_word(&p->runtime->process, addr) : 0;
}

/* ---- frames ---- */

bool managed_take_frames(struct collector *c, uint64_t hash, uint32_t n, struct mp_rt_frame **v)
{
	struct managed *m = c->managed;
	const uint64_t *at = table_get(&m->waiting_at, hash);
	size_t i;

	*v = NULL;
	if (!n)
		return true;
	if (!at || m->waiting[*at].n != n)
		return false;
	i = *at;
	*v = m->waiting[i].v;
	m->waiting[i] = m->waiting[--m->n_waiting];
	*table_put(&m->waiting_at, m->waiting[i].hash, 0) = i; /* which may be the one that goes */
	table_remove(&m->waiting_at, hash);
	return true;
}

#define NO_FRAME UINT32_MAX

#define NAME_LASTS_MS 100

/*
 * What is loaded once (a module's or a file's own code, `<module>`, `<top (required)>`) is garbage when it has run, and
 * other code comes to its place: its name is not taken from before. Of other code, which lives longer, for a moment.
 */
static bool is_still_named(const struct collector *c, uint64_t known, uint32_t now_ms)
{
	uint32_t frame = (uint32_t)known;

	return frame < c->profile.n_frames && profile_str(&c->profile, c->profile.frames[frame].name)[0] != '<' &&
	       now_ms - (uint32_t)(known >> 32) < NAME_LASTS_MS;
}

/* Its function; or the one before inlined - 1 others of what is compiled into it. */
static int resolve(struct runtime *r, const struct mp_rt_frame *f, unsigned int inlined, struct runtime_name *name)
{
	uint64_t at = f->at & ~MP_RT_ENTRY;

	return inlined ? r->ops->inlined(r, f->code, at, inlined - 1, name) : r->ops->resolve(r, f->code, at, name);
}

/* NO_FRAME: it is none. inlined: as above. came: it has come just now, else the name is that of then. */
static uint32_t name_frame(struct collector *c, struct managed_process *p, const struct mp_rt_frame *f, unsigned int inlined,
			   bool came)
{
	uint32_t now_ms = came ? (uint32_t)(clock_monotonic_ns() / NS_PER_MS) : 0;
	uint64_t key = hash_u64(hash_u64(f->code + inlined) ^ (f->at & ~MP_RT_ENTRY));
	uint64_t *known = table_get(&p->names, key);
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
	struct profile_frame frame = { .is_managed = true };
	uint32_t at;
	int err;

	if (known && (!came || is_still_named(c, *known, now_ms)))
		return (uint32_t)*known;
	err = resolve(p->runtime, f, inlined, &name);
	if (known && err && err != -ENOENT) { /* it is gone, and no other code is there yet */
		runtime_name_release(&name);
		return (uint32_t)*known;
	}
	if (err == -ENOENT) {
		runtime_name_release(&name);
		at = NO_FRAME;
	} else if (err || !name.function.len) {
		runtime_name_release(&name);
		at = note_frame(c, "[frame without a name]");
	} else {
		frame.name = profile_string(&c->profile, name.function.data);
		frame.file = profile_string(&c->profile, name.file.data);
		frame.line = name.line;
		frame.module = frame.build_id = profile_string(&c->profile, "");
		frame.class = name.is_internal ? FRAME_RUNTIME : FRAME_APP;
		at = profile_frame(&c->profile, &frame);
		runtime_name_release(&name);
	}
	*table_put(&p->names, key, 0) = (uint64_t)now_ms << 32 | at;
	return at;
}

static uint32_t put_frame(uint32_t *out, uint32_t n, uint32_t frame)
{
	if (frame != NO_FRAME)
		out[n++] = frame;
	return n;
}

/* With what is compiled into it, innermost first into out, which has room. Returns how many. */
static uint32_t name_frames(struct collector *c, struct managed_process *p, const struct mp_rt_frame *f, bool came, uint32_t *out)
{
	unsigned int i, most = p->runtime->ops->inlined ? RUNTIME_MOST_INLINED : 0;
	uint32_t n = 0, own = name_frame(c, p, f, 0, came), frame;

	for (i = 1; i <= most; i++) {
		frame = name_frame(c, p, f, i, came);
		if (frame == NO_FRAME)
			break;
		out[n++] = frame;
	}
	return put_frame(out, n, own);
}

uint32_t managed_line(struct collector *c, uint32_t gen, const struct mp_rt_frame *f)
{
	struct managed_process *p = find_process(c->managed, gen);
	uint32_t frame = p && p->runtime ? name_frame(c, p, f, 0, false) : NO_FRAME;

	return frame == NO_FRAME ? 0 : c->profile.frames[frame].line;
}

void managed_on_frames(struct collector *c, const struct mp_ev_runtime *e)
{
	struct managed *m = c->managed;
	struct managed_process *p = find_process(m, e->gen);
	struct waiting_frames *w;
	const uint64_t *at;
	uint32_t names[1 + RUNTIME_MOST_INLINED];
	size_t i;

	/* at once: the code of a file that has been loaded is garbage soon after */
	for (i = 0; p && p->runtime && i < e->n && i < MP_RT_FRAMES; i++)
		name_frames(c, p, &e->frames[i], true, names);
	if (!e->hash)
		return;

	at = table_get(&m->waiting_at, e->hash);
	if (!at) {
		XGROW(m->waiting, m->n_waiting, m->waiting_cap);
		m->waiting[m->n_waiting] = (struct waiting_frames){ .hash = e->hash };
		at = table_put(&m->waiting_at, e->hash, m->n_waiting++);
	}
	w = &m->waiting[*at];
	free(w->v);
	w->n = e->n;
	w->v = xmalloc((e->n + 1) * sizeof(*w->v));
	memcpy(w->v, e->frames, e->n * sizeof(*w->v));
}

/* The outermost function of native frame i decides; what is inlined into it does not. */
static bool is_eval(const struct collector *c, const struct runtime *r, const uint32_t *frames, uint32_t last)
{
	const struct profile_frame *f = &c->profile.frames[frames[last]];

	return r->ops->is_eval && r->ops->is_eval(r, profile_str(&c->profile, f->name), profile_str(&c->profile, f->module), f->vaddr);
}

uint32_t managed_n_native(struct collector *c, const struct raw_stack *r)
{
	struct managed_process *p = find_process(c->managed, r->gen);
	uint32_t i = 0, n = r->n < MP_MAX_FRAMES ? r->n : MP_MAX_FRAMES;

	if (!p || !p->runtime || !p->runtime->ops->is_language || !r->n_runtime)
		return n;
	while (i < n && !p->runtime->ops->is_language(p->runtime, r->frames[i]))
		i++;
	return i;
}

/* Is native frame i where the collector moves what lives? */
static bool is_mover(const struct collector *c, const struct runtime *r, const uint32_t *frames, const uint32_t *first, uint32_t i)
{
	const struct profile_frame *f = &c->profile.frames[frames[first[i + 1] - 1]];

	return r->ops->is_mover && r->ops->is_mover(profile_str(&c->profile, f->name), profile_str(&c->profile, f->module));
}

/* Does native frame i begin work of the runtime's own, whatever code it was called by? */
static bool is_own_work(const struct collector *c, const struct runtime *r, const uint32_t *frames, const uint32_t *first,
			uint32_t i)
{
	const struct profile_frame *f = &c->profile.frames[frames[first[i + 1] - 1]];

	return is_mover(c, r, frames, first, i) ||
	       (r->ops->is_own_work && r->ops->is_own_work(profile_str(&c->profile, f->name), profile_str(&c->profile, f->module)));
}

/* Was the language's code run in native frame i? Where the runtime knows that code by address, that tells. */
static bool runs_language(const struct collector *c, const struct runtime *r, const struct raw_stack *raw,
			  const uint32_t *frames, const uint32_t *first, uint32_t i)
{
	if (r->ops->is_language)
		return r->ops->is_language(r, raw->frames[i]);
	return is_eval(c, r, frames, first[i + 1] - 1);
}

bool managed_is_outside(struct collector *c, const struct raw_stack *r, const uint32_t *frames, const uint32_t *first)
{
	struct managed_process *p = find_process(c->managed, r->gen);
	uint32_t i;

	if (!p || !p->runtime || r->end != MP_END_COMPLETE || r->has_gap)
		return false;
	for (i = 0; i < r->n && i < MP_MAX_FRAMES && !is_own_work(c, p->runtime, frames, first, i); i++)
		if (runs_language(c, p->runtime, r, frames, first, i))
			return false;
	return true;
}

/* Each frame of the runtime in the place of the native one at its address. */
static uint32_t replace(struct collector *c, struct managed_process *p, const struct raw_stack *r,
			const uint32_t *frames, const uint32_t *first, uint32_t n_native, uint32_t *out)
{
	uint32_t i, j, at = 0, n, n_out = 0;

	for (i = 0; i < n_native; i++) {
		for (j = at; j < r->n_runtime && (r->runtime[j].at & ~MP_RT_ENTRY) != r->frames[i]; j++)
			;
		if (j < r->n_runtime) {
			n_out += name_frames(c, p, &r->runtime[j], false, &out[n_out]);
			at = j + 1;
			continue;
		}
		n = first[i + 1] - first[i];
		memcpy(&out[n_out], &frames[first[i]], n * sizeof(*out));
		n_out += n;
	}
	return n_out;
}

/*
 * Frames of native ones up to that where the collector moves what lives; 0: none does. Finalizers, which run there too,
 * do not.
 */
static uint32_t n_moved(const struct collector *c, const struct runtime *r, const uint32_t *frames, const uint32_t *first,
			const bool *eval, uint32_t n_native)
{
	uint32_t i;

	for (i = 0; r->ops->is_mover && i < n_native && !eval[i]; i++)
		if (is_mover(c, r, frames, first, i))
			return first[i + 1];
	return 0;
}

uint32_t managed_merge(struct collector *c, const struct raw_stack *r, const uint32_t *frames, const uint32_t *first,
		       uint32_t n_native, uint32_t *out)
{
	struct managed_process *p = find_process(c->managed, r->gen);
	uint32_t before[MP_MAX_FRAMES + 1], i, j, at = 0, n_out = 0;
	bool eval[MP_MAX_FRAMES];

	if (!p || !p->runtime) {
		memcpy(out, frames, first[n_native] * sizeof(*out));
		return first[n_native];
	}
	if (p->runtime->ops->frames_are_native)
		return replace(c, p, r, frames, first, n_native, out);
	for (i = 0; i < n_native; i++)
		eval[i] = is_eval(c, p->runtime, frames, first[i + 1] - 1);
	n_out = n_moved(c, p->runtime, frames, first, eval, n_native);
	if (n_out) {
		memcpy(out, frames, n_out * sizeof(*out));
		out[n_out] = note_frame(c, RUNTIME_MOVED);
		return n_out + 1;
	}
	runtime_merge(eval, n_native, r->runtime, r->n_runtime, before);
	for (i = 0; i <= n_native; i++) {
		for (j = 0; j < before[i]; j++)
			n_out = put_frame(out, n_out, name_frame(c, p, &r->runtime[at++], 0, false));
		if (i == n_native)
			break;
		memcpy(&out[n_out], &frames[first[i]], (first[i + 1] - first[i]) * sizeof(*out));
		n_out += first[i + 1] - first[i];
	}
	return n_out;
}
