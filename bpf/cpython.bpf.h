/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Frames of CPython. They are mostly contiguous and callers lie below, so that one copy, which ends with the current
 * frame and begins within its page, serves many; a frame elsewhere (generators) costs one more.
 *
 * Sent per frame: code = the code object, at = its current instruction, from the code object on. The state found may be
 * of another thread (3.11: whoever holds the lock), or none: C code that was called runs without the lock. The thread's
 * own is where it keeps it for PyGILState_Ensure; else it has no frames.
 */
#ifndef MEMPROBE_CPYTHON_BPF_H
#define MEMPROBE_CPYTHON_BPF_H

#define PY_WINDOW 2048u
#define PY_CHUNK 8 /* frames at one call: the verifier walks each */
#define PY_CHUNKS 16
#define PY_FRAME 400 /* words of scratch->window, behind the copy: the next frame, */
#define PY_BASE 401  /* where the copy begins in the target, */
#define PY_LENGTH 402 /* and how long it is */

_Static_assert(PY_WINDOW / 8 < PY_FRAME && PY_LENGTH < UW_WINDOW / 8, "the walk's state lies behind the copy");

/* Offset of the frame in the copy; a new copy where it is not in it. Negative: unreadable. */
static __always_inline long py_window(struct mp_scratch *s, __u64 frame)
{
	__u64 at = frame - s->window[PY_BASE], back = frame & 4095, len;

	if (at < PY_WINDOW && at + MP_PY_FRAME_BYTES <= s->window[PY_LENGTH])
		return (long)at;
	if (back > PY_WINDOW - MP_PY_FRAME_BYTES)
		back = PY_WINDOW - MP_PY_FRAME_BYTES;
	len = back + MP_PY_FRAME_BYTES;
	asm volatile("" : "+r"(len));
	if (len > PY_WINDOW)
		return -1;
	s->window[PY_LENGTH] = 0;
	if (bpf_probe_read_user(s->window, len, (void *)(frame - back)))
		return -1;
	s->window[PY_BASE] = frame - back;
	s->window[PY_LENGTH] = len;
	return (long)back;
}

static __always_inline __u64 py_word(const struct mp_scratch *s, __u64 at)
{
	return s->window[at >> 3 & (UW_WINDOW / 8 - 1)];
}

/* The innermost frame that stays is the one that C code called. */
static __always_inline void py_entered(struct mp_scratch *s)
{
	__u32 last = s->rt.n - 1;

	if (last < MP_RT_FRAMES)
		s->rt.frames[last].at |= MP_RT_ENTRY;
}

/* Some frames; 0: it was the last. Global: verified once. */
__noinline int py_chunk(void)
{
	struct mp_scratch *s = scratch_get();
	const struct mp_runtime *r;
	int i;

	if (!s)
		return 0;
	r = rt_words(s);
	if (!r)
		return 0;
	for (i = 0; i < PY_CHUNK; i++) {
		__u64 frame = s->window[PY_FRAME], code, mark;
		long at;

		if (!frame || frame & 7)
			return 0;
		at = py_window(s, frame);
		if (at < 0)
			return 0;
		s->window[PY_FRAME] = py_word(s, at + r->w[MP_PY_FRAME_PREVIOUS]);
		mark = py_word(s, at + r->w[MP_PY_FRAME_MARK]) >> 8 * (r->w[MP_PY_FRAME_MARK] & 7) & 0xff;
		if (r->w[MP_PY_FRAME_IS_SHIM] && mark == r->w[MP_PY_FRAME_IS_SHIM]) {
			py_entered(s);
			continue;
		}
		code = py_word(s, at + r->w[MP_PY_FRAME_CODE]);
		if (!rt_put(s, code, (py_word(s, at + r->w[MP_PY_FRAME_INSTR]) - code) & ~MP_RT_ENTRY))
			return 0;
		if (r->w[MP_PY_FRAME_IS_ENTRY] && mark == r->w[MP_PY_FRAME_IS_ENTRY])
			py_entered(s);
	}
	return 1;
}

/* Of this thread; 0: none. */
static __always_inline __u64 py_state(const struct mp_runtime *r, __u64 thread)
{
	__u64 state = thread_local_word(&r->w[MP_PY_TLS_HOW], thread);

	if (state && user_word(state + r->w[MP_PY_THREAD_ID]) == thread)
		return state;
	if (!r->w[MP_PY_OWN_STATE])
		return 0;
	state = user_word(thread + r->w[MP_PY_OWN_STATE]);
	return state && user_word(state + r->w[MP_PY_THREAD_ID]) == thread ? state : 0;
}

__noinline int py_first(void)
{
	struct mp_scratch *s = scratch_get();
	__u64 thread = thread_pointer(), state, frame;
	const struct mp_runtime *r;

	if (!s)
		return 0;
	r = rt_words(s);
	if (!r)
		return 0;
	state = py_state(r, thread);
	if (!state)
		return 0;
	frame = user_word(state + r->w[MP_PY_FRAME]);
	if (frame && r->w[MP_PY_CFRAME_FRAME])
		frame = user_word(frame + r->w[MP_PY_CFRAME_FRAME] - 1);
	s->window[PY_FRAME] = frame;
	s->window[PY_LENGTH] = 0;
	return frame != 0;
}

static __always_inline void py_read(struct mp_scratch *s)
{
	int i;

	if (!py_first())
		return;
	for (i = 0; i < PY_CHUNKS; i++)
		if (!py_chunk())
			break;
}

#endif
