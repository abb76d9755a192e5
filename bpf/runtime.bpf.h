/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The frames of a managed runtime beside the native ones: which reader a process needs, their part of the
 * stack's identity, their record. What user space tells of a process is in `runtimes`; as long as no process has a
 * row there, a stack costs nothing more.
 *
 * A reader is a global function without arguments: it finds the process's words by rt_words(), puts frames into
 * scratch->rt by rt_put(), and may use scratch->window as its buffer, since the native walk is over. It runs
 * in the target's thread, which stands still: what it reads of that thread is consistent. Whatever does not look
 * as it should ends the list; never a guess.
 */
#ifndef MEMPROBE_RUNTIME_BPF_H
#define MEMPROBE_RUNTIME_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct mp_runtime);
} runtimes SEC(".maps");

__u32 n_runtimes = 0; /* rows in runtimes, or more */

/* What user space told of the process of the stack that is being put together. */
static __always_inline const struct mp_runtime *rt_words(const struct mp_scratch *s)
{
	__u32 gen = s->ev.gen;

	return bpf_map_lookup_elem(&runtimes, &gen);
}

/* Add a frame; false when there is no room. */
static __always_inline bool rt_put(struct mp_scratch *s, __u64 code, __u64 at)
{
	__u32 n = s->rt.n;

	if (n >= MP_RT_FRAMES) {
		s->rt.is_cut = 1;
		return false;
	}
	s->rt.frames[n].code = code;
	s->rt.frames[n].at = at;
	s->rt.n = n + 1;
	return true;
}

/* The readers: a file, and a line below, for each kind. */
#include "thread_local.bpf.h"
#include "cpython.bpf.h"
#include "ruby.bpf.h"
#include "v8.bpf.h"
#include "beam.bpf.h"

static __always_inline void rt_read(struct mp_scratch *s, __u32 kind)
{
	switch (kind) {
	case MP_RT_CPYTHON: py_read(s); break;
	case MP_RT_RUBY: rb_read(s); break;
	case MP_RT_V8: v8_read(s); break;
	case MP_RT_BEAM: beam_read(s); break;
	}
}

/* The hash with the frames of the runtime, which are in scratch->rt then. Global: verified once. */
__noinline __u64 rt_frames(__u64 hash)
{
	struct mp_scratch *s = scratch_get();
	const struct mp_runtime *r;
	__u32 i;

	if (!s)
		return hash;
	s->rt.n = 0;
	s->rt.is_cut = 0;
	r = rt_words(s);
	if (!r)
		return hash;
	rt_read(s, r->kind);
	for (i = 0; i < MP_RT_FRAMES; i++) {
		if (i >= s->rt.n)
			break;
		hash = mp_hash_step(mp_hash_step(hash, s->rt.frames[i].code), s->rt.frames[i].at);
	}
	s->ev.n_runtime = s->rt.n;
	return s->rt.n ? mp_mix(hash) : hash;
}

/* Before the stack's own record. Not 0: no room. */
static __always_inline long rt_send(struct mp_scratch *s)
{
	__u64 len = __builtin_offsetof(struct mp_ev_runtime, frames) + (__u64)s->rt.n * sizeof(s->rt.frames[0]);

	if (!s->ev.n_runtime)
		return 0;
	s->rt.kind = MP_EV_RUNTIME;
	s->rt.gen = s->ev.gen;
	s->rt.hash = s->ev.hash;
	asm volatile("" : "+r"(len));
	if (len > sizeof(s->rt))
		len = sizeof(s->rt);
	return bpf_ringbuf_output(&events, &s->rt, len, BPF_RB_NO_WAKEUP);
}

#endif
