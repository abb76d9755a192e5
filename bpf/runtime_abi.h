/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Frames of managed runtimes, as the kernel side takes them: what a reader is told of a process, and what it sends.
 * Plain data, included by both sides (memprobe.h includes it). A runtime that has frames is one kind, one list of words
 * below, one reader (bpf/NAME.bpf.h, one line in runtime.bpf.h), and one file in src/runtime.
 *
 *	runtimes  gen 7 -> {CPYTHON, words: where the thread state lies, offsets of its fields}
 *	one stack of it: record MP_EV_RUNTIME {hash, frames {code, at} ...}, then MP_EV_STACK {hash, ips ...}
 */
#ifndef MEMPROBE_ABI_RUNTIME_H
#define MEMPROBE_ABI_RUNTIME_H

#define MP_RT_FRAMES 64
#define MP_RT_WORDS 30

enum mp_rt_kind {
	MP_RT_NONE = 0,
	MP_RT_CPYTHON = 1,
	MP_RT_RUBY = 2,
	MP_RT_BEAM = 3,
	MP_RT_V8 = 4,
};

/* runtimes: HASH, key __u32 gen. Meaning of the words: each runtime's own enum, below. */
struct mp_runtime {
	__u32 kind; /* enum mp_rt_kind */
	__u32 pad;
	__u64 w[MP_RT_WORDS];
};

/* MP_RT_V8: offsets from the frame pointer, as two's complement, and in objects; instance types */
enum mp_v8_word {
	MP_V8_FP_CONTEXT,
	MP_V8_FP_FUNCTION,
	MP_V8_FP_BYTECODE,
	MP_V8_FP_OFFSET,
	MP_V8_FUNCTION_SHARED,
	MP_V8_MAP_TYPE,
	MP_V8_SHARED_TYPE,
};

/* Where a thread's word lies: words of a runtime's list; see src/runtime/thread_local.h. */
enum mp_tls_how {
	MP_TLS_ADDRESS = 0, /* at this address, whichever the thread */
	MP_TLS_STATIC = 1,  /* at this distance from the thread pointer */
	MP_TLS_DYNAMIC = 2, /* at this offset in the module's block */
};

/* MP_RT_CPYTHON: where the thread state is, offsets in it and in frames */
enum mp_py_word {
	MP_PY_TLS_HOW,
	MP_PY_TLS_MODULE,
	MP_PY_TLS_AT,
	MP_PY_THREAD_ID,      /* of the thread state: the thread pointer of its thread */
	MP_PY_FRAME,	      /* of the thread state: current frame, or what leads to it: */
	MP_PY_CFRAME_FRAME,   /* then its offset there, + 1; 0: the frame itself */
	MP_PY_FRAME_CODE,     /* of the frame, and so on */
	MP_PY_FRAME_PREVIOUS,
	MP_PY_FRAME_INSTR,
	MP_PY_FRAME_MARK,     /* byte: */
	MP_PY_FRAME_IS_SHIM,  /* not 0: a frame with this mark is no code, and the one before it was entered from C; */
	MP_PY_FRAME_IS_ENTRY, /* a frame with this mark was entered from C */
	MP_PY_OWN_STATE,      /* not 0: so far behind the thread pointer each thread keeps its state, also while another one runs */
};

#define MP_PY_FRAME_BYTES 80 /* of a frame, that is all fields above are below */

/* MP_RT_RUBY: where the execution context is, and how long a frame */
enum mp_rb_word {
	MP_RB_TLS_HOW,
	MP_RB_TLS_MODULE,
	MP_RB_TLS_AT,
	MP_RB_FRAME_WORDS, /* 7 or 8 */
	MP_RB_THREAD,	   /* where the context has its thread, where that has its thread pointer: */
	MP_RB_THREAD_ID,   /* the context is this one only if it is. 0: it is anyway */
};

/*
 * MP_RT_BEAM: addresses of the schedulers' records and the bytes from one to the next; offsets in them and in a
 * process; the JIT's code (0 bytes: no processes and stacks, types of blocks only).
 */
enum mp_beam_word {
	MP_BEAM_SCHEDULERS,
	MP_BEAM_DIRTY_CPU,
	MP_BEAM_DIRTY_IO,
	MP_BEAM_STRIDE,
	MP_BEAM_CURRENT,
	MP_BEAM_HTOP,
	MP_BEAM_HEND,
	MP_BEAM_REG,
	MP_BEAM_REG_PROCESS,
	MP_BEAM_REG_NAME,
	MP_BEAM_INITIAL,
	MP_BEAM_CODE,
	MP_BEAM_CODE_BYTES,
	MP_BEAM_NOTES,	     /* atoms of proc_lib and init_p, module << 32: such a process has noted what it was started for */
	MP_BEAM_NOTED,	     /* under this atom */
	MP_BEAM_DICTIONARY,  /* of the process, */
	MP_BEAM_DICT_SLOTS,  /* in that */
	MP_BEAM_GOES_ON,     /* of the process: the code where it goes on when it runs again */
};

/* What the code word of its frames is: at, low byte */
enum mp_beam_frame {
	MP_BEAM_PC,
	MP_BEAM_TYPE,	    /* argument 0 of the allocator; the allocator's frame comes after it */
	MP_BEAM_REGISTERED, /* atom: the process's name */
	MP_BEAM_SPAWNED,    /* or started for by proc_lib: atoms of module and function; arity in the second byte of at */
};

/*
 * A frame: two words that the runtime's resolver understands, as they were in the target. With MP_RT_ENTRY the native
 * frame of the interpreter's loop was entered for this one: outer frames belong to an outer loop.
 */
struct mp_rt_frame {
	__u64 code;
	__u64 at; /* bit 63: MP_RT_ENTRY */
};

#define MP_RT_ENTRY (1ULL << 63)

/* Sent just before the stack that it belongs to. */
struct mp_ev_runtime {
	__u32 kind; /* MP_EV_RUNTIME */
	__u32 gen;
	__u64 hash; /* of the whole stack, as in the stack's record */
	__u32 n;    /* frames, innermost first; only these are sent */
	__u32 is_cut; /* there were more */
	struct mp_rt_frame frames[MP_RT_FRAMES];
};

#endif
