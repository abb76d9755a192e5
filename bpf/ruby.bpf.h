/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Frames of Ruby 2.7, 3.1 and 3.3: control frames lie one behind the other, the innermost first, at the end of the
 * thread's own stack for them. Those of C functions (no pc) are passed over: the native stack has them.
 *
 * Sent per frame: code = instruction sequence, at = pc, which is behind the instruction. Whether C code entered it
 * stands in its environment (ep[0], VM_FRAME_FLAG_FINISH). Offsets: vm_core.h, as in
 * src/runtime/ruby_layout.c; a frame has eight words in 3.1, and seven in 2.7 and 3.3.
 */
#ifndef MEMPROBE_RUBY_BPF_H
#define MEMPROBE_RUBY_BPF_H

#define RB_FRAME_WORDS 8 /* at most */
#define RB_PC 0 /* words of a frame */
#define RB_ISEQ 2
#define RB_EP 4
#define RB_FINISH 0x20
#define RB_ARRAY 7 /* T_ARRAY */
#define RB_CHUNK 32 /* frames in a copy of 2 KiB */
#define RB_CHUNKS 8
#define RB_FRAME 400 /* words of scratch->window, behind the copy: next frame, */
#define RB_END 401   /* end of the frames, */
#define RB_SHORT 402 /* 1: a frame has one word less */

_Static_assert(RB_CHUNK * RB_FRAME_WORDS < RB_FRAME && RB_SHORT < UW_WINDOW / 8, "the walk's state lies behind the copy");

/* A frame of the copy. Its environment is read for the flag alone. */
static __always_inline bool rb_frame(struct mp_scratch *s, __u32 at)
{
	__u64 pc = s->window[at + RB_PC], flags;

	if (!pc)
		return true;
	flags = user_word(s->window[at + RB_EP]);
	return rt_put(s, s->window[at + RB_ISEQ], (pc & ~MP_RT_ENTRY) | (flags & RB_FINISH ? MP_RT_ENTRY : 0));
}

/* Some frames, as far as the page goes; 0: it was the last. Global: verified once. */
__noinline int rb_chunk(void)
{
	struct mp_scratch *s = scratch_get();
	__u64 frame, len;
	__u32 i, n, bytes, is_short;

	if (!s)
		return 0;
	is_short = s->window[RB_SHORT] & 1;
	bytes = (RB_FRAME_WORDS - is_short) * 8;
	frame = s->window[RB_FRAME];
	len = s->window[RB_END] - frame;
	if (frame >= s->window[RB_END])
		return 0;
	if (len > RB_CHUNK * bytes)
		len = RB_CHUNK * bytes;
	asm volatile("" : "+r"(len));
	if (len > RB_CHUNK * RB_FRAME_WORDS * 8 || bpf_probe_read_user(s->window, len, (void *)frame))
		return 0;
	n = len / bytes;
	s->window[RB_FRAME] = frame + len;
	for (i = 0; i < RB_CHUNK; i++)
		if (i < n && !rb_frame(s, i * (RB_FRAME_WORDS - is_short)))
			return 0;
	return 1;
}

/* Of the current thread; 0: none. In 2.7 one word holds that of the thread which has the lock, or had it last. */
static __always_inline __u64 rb_context(const struct mp_runtime *r)
{
	__u64 thread = thread_pointer(), context = thread_local_word(&r->w[MP_RB_TLS_HOW], thread);

	if (context && r->w[MP_RB_THREAD_ID] && user_word(user_word(context + r->w[MP_RB_THREAD]) + r->w[MP_RB_THREAD_ID]) != thread)
		return 0;
	return context;
}

/* vm_stack, its words, the current frame are the context's first three words; the outermost frame is no code. */
__noinline int rb_first(void)
{
	struct mp_scratch *s = scratch_get();
	const struct mp_runtime *r;
	__u64 context, end, bytes;

	if (!s)
		return 0;
	r = rt_words(s);
	if (!r)
		return 0;
	context = rb_context(r);
	if (!context || bpf_probe_read_user(s->window, 24, (void *)context))
		return 0;
	s->window[RB_SHORT] = r->w[MP_RB_FRAME_WORDS] != RB_FRAME_WORDS;
	bytes = (RB_FRAME_WORDS - s->window[RB_SHORT]) * 8;
	end = s->window[0] + 8 * s->window[1] - bytes;
	if (!s->window[0] || s->window[2] < s->window[0] || s->window[2] > end ||
	    (end - s->window[2]) % bytes)
		return 0;
	s->window[RB_FRAME] = s->window[2];
	s->window[RB_END] = end;
	return 1;
}

static __always_inline void rb_read(struct mp_scratch *s)
{
	int i;

	if (!rb_first())
		return;
	for (i = 0; i < RB_CHUNKS; i++)
		if (!rb_chunk())
			break;
}

#endif
