/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The frames of managed runtimes: their names as they come, and their place among the native ones; see managed.h. */
#include "collect/managed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/managed_internal.h"

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
static uint32_t name_frame(struct collector *c, struct managed_process *p, const struct mp_rt_frame *f,
			   unsigned int inlined, bool came)
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
	managed_follow_moved(c, p);
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
static uint32_t name_frames(struct collector *c, struct managed_process *p, const struct mp_rt_frame *f, bool came,
			    uint32_t *out)
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

const struct profile_frame *managed_frame(struct collector *c, uint32_t gen, const struct mp_rt_frame *f)
{
	struct managed_process *p = managed_find_process(c->managed, gen);
	uint32_t frame = p && p->runtime ? name_frame(c, p, f, 0, false) : NO_FRAME;

	return frame == NO_FRAME ? NULL : &c->profile.frames[frame];
}

void managed_on_frames(struct collector *c, const struct mp_ev_runtime *e)
{
	struct managed *m = c->managed;
	struct managed_process *p = managed_find_process(m, e->gen);
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

	return r->ops->is_eval &&
	       r->ops->is_eval(r, profile_str(&c->profile, f->name), profile_str(&c->profile, f->module), f->vaddr);
}

uint32_t managed_n_native(struct collector *c, const struct raw_stack *r)
{
	struct managed_process *p = managed_find_process(c->managed, r->gen);
	uint32_t i = 0, n = r->n < MP_MAX_FRAMES ? r->n : MP_MAX_FRAMES;

	if (!p || !p->runtime || !p->runtime->ops->is_language || !r->n_runtime)
		return n;
	while (i < n && !p->runtime->ops->is_language(p->runtime, r->frames[i]))
		i++;
	return i;
}

/* Is native frame i where the collector moves what lives? */
static bool is_mover(const struct collector *c, const struct runtime *r, const uint32_t *frames, const uint32_t *first,
		     uint32_t i)
{
	const struct profile_frame *f = &c->profile.frames[frames[first[i + 1] - 1]];

	return r->ops->is_mover &&
	       r->ops->is_mover(profile_str(&c->profile, f->name), profile_str(&c->profile, f->module));
}

/* Does native frame i begin work of the runtime's own, whatever code it was called by? */
static bool is_own_work(const struct collector *c, const struct runtime *r, const uint32_t *frames,
			const uint32_t *first, uint32_t i)
{
	const struct profile_frame *f = &c->profile.frames[frames[first[i + 1] - 1]];

	return is_mover(c, r, frames, first, i) ||
	       (r->ops->is_own_work &&
		r->ops->is_own_work(profile_str(&c->profile, f->name), profile_str(&c->profile, f->module)));
}

/* Was the language's code run in native frame i? Where the runtime knows that code by address, that tells. */
static bool runs_language(const struct collector *c, const struct runtime *r, const struct raw_stack *raw,
			  const uint32_t *frames, const uint32_t *first, uint32_t i)
{
	if (r->ops->is_language)
		return r->ops->is_language(r, raw->frames[i]);
	return is_eval(c, r, frames, first[i + 1] - 1);
}

/* With a reason its frames are fewer than they should be. */
static bool can_tell(const struct runtime *r)
{
	return r && r->has_frames && !*r->reason && (r->ops->is_language || r->ops->is_eval);
}

bool managed_is_outside(struct collector *c, const struct raw_stack *r, const uint32_t *frames, const uint32_t *first)
{
	struct managed_process *p = managed_find_process(c->managed, r->gen);
	uint32_t i;

	if (!p || !can_tell(p->runtime) || r->end != MP_END_COMPLETE || r->has_gap)
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
static uint32_t n_moved(const struct collector *c, const struct runtime *r, const uint32_t *frames,
			const uint32_t *first, const bool *eval, uint32_t n_native)
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
	struct managed_process *p = managed_find_process(c->managed, r->gen);
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
