/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * JavaScript frames of V8 (node): whose code runs in each frame between the native ones. V8 keeps frame pointers
 * throughout, and each JavaScript frame has its JSFunction below the frame pointer, an interpreted one its bytecode
 * array and the offset in it too. The walk begins where the native walk met the first code without unwind
 * information, and follows the frame pointers; a frame that holds no function is passed over (stubs, entries).
 *
 * Sent per frame: code = SharedFunctionInfo (which collections hardly ever move; a JSFunction they do) and in bits
 * 48..63 the bytecode offset as the frame holds it, 0xffff where there is none; at = the native address there, so that
 * user space finds the native frame that it stands for.
 */
#ifndef MEMPROBE_V8_BPF_H
#define MEMPROBE_V8_BPF_H

#define V8_FRAMES 48 /* native ones that are looked at */
#define V8_BELOW 40  /* bytes below the frame pointer that are read: checked in user space to be all that is needed */
#define V8_FP 8	     /* words of scratch->window: the walk's state, behind the copy of a frame */
#define V8_PC 9
#define V8_SFI 10 /* and what lies at its start */

static __always_inline bool v8_is_object(__u64 word)
{
	return (word & 3) == 1 && !(word >> 47);
}

static __always_inline __u64 v8_slot(const struct mp_scratch *s, __u64 offset)
{
	/* of -40 .. 8, from the frame pointer on */
	return s->window[(offset + V8_BELOW) >> 3 & 7];
}

/* The bytecode offset of an interpreted frame. */
static __always_inline __u64 v8_offset(const struct mp_scratch *s, const struct mp_runtime *r, __u64 function_data)
{
	__u64 at = v8_slot(s, r->w[MP_V8_FP_OFFSET]);

	if (v8_slot(s, r->w[MP_V8_FP_BYTECODE]) != function_data || (__u32)at || at >> 32 >= 0xffff)
		return 0xffff;
	return at >> 32;
}

/* The frame whose frame pointer is window[V8_FP]; then the next one's. 0: there is none. Global: verified once. */
__noinline int v8_frame(void)
{
	struct mp_scratch *s = scratch_get();
	const struct mp_runtime *r;
	__u64 fp, pc, function, sfi, map = 0;
	__u16 type = 0;

	if (!s)
		return 0;
	r = rt_words(s);
	if (!r)
		return 0;
	fp = s->window[V8_FP];
	pc = s->window[V8_PC];
	if (bpf_probe_read_user(s->window, V8_BELOW + 16, (void *)(fp - V8_BELOW)))
		return 0;
	s->window[V8_PC] = s->window[V8_BELOW / 8 + 1];
	s->window[V8_FP] = s->window[V8_BELOW / 8];
	function = v8_slot(s, r->w[MP_V8_FP_FUNCTION]);
	if (!v8_is_object(v8_slot(s, r->w[MP_V8_FP_CONTEXT])) || !v8_is_object(function))
		goto next;
	if (bpf_probe_read_user(&sfi, 8, (void *)(function - 1 + r->w[MP_V8_FUNCTION_SHARED])) || !v8_is_object(sfi))
		goto next;
	/* the map, and function_data behind it */
	if (bpf_probe_read_user(&s->window[V8_SFI], 16, (void *)(sfi - 1)))
		goto next;
	map = s->window[V8_SFI];
	if (!v8_is_object(map) ||
	    bpf_probe_read_user(&type, sizeof(type), (void *)(map - 1 + r->w[MP_V8_MAP_TYPE])) ||
	    type != r->w[MP_V8_SHARED_TYPE])
		goto next;
	if (!rt_put(s, sfi | v8_offset(s, r, s->window[V8_SFI + 1]) << 48, (pc & ~MP_RT_ENTRY) | MP_RT_ENTRY))
		return 0;
next:
	return s->window[V8_FP] > fp && s->window[V8_FP] - fp < 1 << 20 && !(s->window[V8_FP] & 7);
}

static __always_inline void v8_read(struct mp_scratch *s)
{
	int i;

	s->window[V8_FP] = s->jit_fp;
	s->window[V8_PC] = s->jit_pc;
	for (i = 0; i < V8_FRAMES && s->jit_fp; i++)
		if (!v8_frame())
			break;
}

#endif
