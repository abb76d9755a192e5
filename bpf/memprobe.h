/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The contract between the BPF programs and user space: map keys and values,
 * ring buffer records, allocator call shapes. Plain data, fixed widths, no
 * pointers, no padding that is not named. Included by both sides.
 *
 * One allocation, as the maps see it (process generation 7, 100 bytes at 0x5000):
 *
 *	blocks  {0x5000, 7}  -> {stack 0x9a.., size 100, birth 1200 ms}
 *	stacks  0x9a..       -> {gen 7, allocated 100 B / 1, freed 0 B / 0}
 *	live bytes of a stack = alloc_bytes - free_bytes
 */
#ifndef MEMPROBE_ABI_H
#define MEMPROBE_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif
#include "bpf/runtime_abi.h"

/* A deeper stack keeps its innermost and its outermost frames; what lies between is left out. */
#define MP_MAX_FRAMES 127
#define MP_INNER_FRAMES 95
#define MP_OUTER_FRAMES 32
#define MP_MAX_SHAPES 256

/* ---- call shapes: what one allocator function does with its arguments ---- */

enum mp_op {
	MP_OP_NONE = 0,
	MP_OP_ALLOC = 1,   /* a new block of arg[size] * arg[count] bytes */
	MP_OP_REALLOC = 2, /* arg[ptr] becomes a block of arg[size] * arg[count] bytes */
	MP_OP_FREE = 3,	   /* arg[ptr] ends; entry probe only */
	MP_OP_HEAP_END = 4, /* blocks end that the call does not name: a loss; entry probe only */
	MP_OP_BUMP = 5, /* a runtime has handed out arg[size] bytes of its own heap by moving a pointer; entry probe only */
};

#define MP_ARG_NONE 0xff /* no such argument (count: 1) */

enum mp_shape_flags {
	MP_SHAPE_PTR_IN_MEMORY = 1, /* result at *arg[ptr] when the function returns 0 */
	MP_SHAPE_MAY_THROW = 2,	    /* an exception may leave it: no return probe unless it cannot fail */
	/*
	 * The block stays at arg[ptr]; the result is its new size, at least arg[size] when that
	 * succeeded, and up to arg[more] bytes of the rest were asked for (xallocx).
	 */
	MP_SHAPE_IN_PLACE = 4,
	MP_SHAPE_FAILURE_FREES = 8, /* a realloc that ends the old block when it fails (reallocf) */
	MP_SHAPE_LABEL = 16, /* argument 0 says what the block is for: a runtime's reader may put that into the stack */
};

struct mp_shape {
	__u8 op;    /* enum mp_op */
	__u8 size;  /* argument numbers, 0 = first; MP_ARG_NONE */
	__u8 count;
	__u8 ptr;
	__u8 flags; /* enum mp_shape_flags */
	__u8 more;  /* MP_SHAPE_IN_PLACE */
	__u8 pad[2];
};

/*
 * Attach cookie: bits 0..15 the row of the allocator table (index into shapes[]), bits 16..23 the
 * number of 8-byte pushes between the function's entry and the probe, bits 24..31 flags,
 * bits 32..55 where the arguments are: see MP_MOVED.
 */
enum mp_site_flags {
	MP_SITE_GLIBC = 1, /* glibc's own: a size word lies before each block */
	MP_SITE_WIDE = 2,  /* of a link for every process that maps the object */
	MP_SITE_STEPPED = 4, /* the kernel single-steps the instruction there */
	MP_SITE_LIBC = 8, /* of glibc as a library: what lies near is its code, and not the program's */
};

#define MP_COOKIE(row, pushes, flags) ((__u64)(row) | (__u64)(pushes) << 16 | (__u64)(flags) << 24)
/*
 * A shifted probe may find argument n (0..5) in another register: four bits each, n ^ the number of
 * the register that holds it. 0..4: the registers of those arguments; 5: the result register.
 * Nothing moved is 0.
 */
#define MP_ARG_IN_RESULT 5
#define MP_MOVED(n, reg) ((__u32)((n) ^ (reg)) << 4 * (n))
#define MP_COOKIE_WITH_MOVED(c, moved) ((c) | (__u64)(moved) << 32)
#define MP_COOKIE_MOVED(c) ((__u32)((c) >> 32 & 0xffffff))
#define MP_COOKIE_ROW(c) ((__u32)((c) & 0xffff))
#define MP_COOKIE_PUSHES(c) ((__u32)((c) >> 16 & 0xff))
#define MP_COOKIE_FLAGS(c) ((__u32)((c) >> 24 & 0xff))

/* ---- processes ---- */

/*
 * A generation is one address space of one process between two execs. Numbers
 * from the kernel side count up from 1, those from user space from MP_GEN_USER.
 */
#define MP_GEN_USER 0x80000001u

enum mp_proc_flags {
	MP_PROC_FOLLOW = 1, /* children are profiled too */
	MP_PROC_SHARED = 2, /* a CLONE_VM child (vfork): uses its parent's generation */
	MP_PROC_HELD = 4,   /* COMMAND before its exec: becomes a target there, and is stopped */
	MP_PROC_IGNORED = 8, /* never a target (memprobe itself) */
	MP_PROC_SELECTED = 16, /* by name or group: asked again at exec, and for each child */
};

/* ---- processes by name and control group ---- */

#define MP_COMM_BYTES 15 /* of a name, without its end */
#define MP_MAX_PATTERNS 8
#define MP_MAX_CGROUPS 8

/*
 * A glob pattern over names. State: bit i = the first i elements have been matched, at the start bit 0. A
 * byte c takes it to (state & accepts[c]) << 1 | (state & loops); a match ends with a bit of final.
 *
 *	"a*b"	accepts['a'] = 1, accepts['b'] = 2, loops = 2 (the star stands after one element), final = 4
 */
struct mp_comm_pattern {
	__u32 accepts[256];
	__u32 loops, final;
};

struct mp_cgroup {
	__u64 id;	 /* inode number of its directory */
	__u32 hierarchy; /* as in /proc/PID/cgroup; 0: version 2 */
	__u32 pad;
};

/* procs: HASH, key __u32 tgid */
struct mp_proc {
	__u32 gen; /* 0: not counted */
	__u32 flags;
	__u32 exec; /* which exec of its line this is: self_exec_id + 1; 0: not known yet */
	__u32 pad;
};

/* proc_totals: HASH, key __u32 gen. Frees of blocks that were allocated before attach. */
struct mp_proc_totals {
	__u64 old_free_blocks;
	__u64 old_free_bytes;	/* from the allocator's size word; blocks without one count in unsized */
	__u64 old_free_unsized;
	__u64 failed_calls;	/* allocation calls that returned no block */
	__u64 lost_bytes;	/* allocated but not entered in the ledger (see the losses) */
	__u64 lost_blocks;
	/* what the probes cost, by the calibrated cost of a trap and the time in our programs; comes in parts */
	__u64 spent_ns;
	__u64 alloc_calls, free_calls; /* seen by the probes, the uncounted ones too */
	__u64 capped_bytes; /* sum of min(size, MP_SAMPLE_LEAST) over the allocation calls */
	__u64 refused_maps; /* calls for a mapping that made none, for want of memory it seems; seen by the vm plane */
	__u64 own_heap_bytes; /* that a runtime's own heap handed out (MP_OP_BUMP): in bursts and between them */
};

/*
 * old_frees: HASH. The same by size class, so that a site that only replaces older blocks is told from one that
 * grows. Bounded; what finds no room is in the totals only.
 */
struct mp_old_key {
	__u32 gen;
	__u32 size_class; /* mp_size_class */
};

struct mp_old_free {
	__u64 blocks, bytes;
};

/*
 * Of a block of so many usable bytes, below 512: 16 bytes wide up to 1 KiB (as glibc's small bins are), then eighths of
 * a power of two.
 *
 *	24 -> 1, 40 -> 2, 1016 -> 63, 1032 -> 64, 1200 -> 65
 */
static inline __attribute__((always_inline)) __u32 mp_size_class(__u64 usable)
{
	__u32 power = 10, step;

	if (usable < 1024)
		return (__u32)(usable >> 4);
	for (step = 32; step; step /= 2)
		if (power + step < 64 && usable >> (power + step))
			power += step;
	return 64 + (power - 10) * 8 + ((usable >> (power - 3)) & 7);
}

/* Mean sampling intervals lie between these: the trap is what costs, and a coarse one hides leaks. */
#define MP_SAMPLE_LEAST 8192u
#define MP_SAMPLE_MOST 65536u

enum mp_armed {
	MP_DISARMED = 0, /* probes return at once */
	MP_ARMED = 1,
	MP_COUNTING = 2, /* calls are counted, nothing else */
	MP_FREES_ONLY = 3, /* between two bursts: the end of known blocks */
};

/* ---- the ledger ---- */

/* blocks: HASH, no preallocation */
struct mp_block_key {
	__u64 addr;
	__u32 gen;
	__u32 pad;
};

enum mp_block_flags {
	MP_BLOCK_AGE_UNKNOWN = 1, /* grew out of a block from before attach */
};

/*
 * A block that was drawn with probability p stands for weight = 1/p blocks of its size, so that
 * sums over the drawn ones estimate sums over all, without bias. Exact: weight 1.
 */
struct mp_block {
	__u64 stack; /* key in stacks */
	__u64 size_bytes;
	__u32 birth_ms; /* since session start; realloc keeps it */
	__u32 flags : 4;
	__u32 weight : 28; /* 0 is read as 1 */
};

#define MP_WEIGHT_ONE 256u /* parts of one, in which a burst's weight is given */

/*
 * stacks: HASH, no preallocation, key __u64 hash (seeded by the generation).
 * All counters only grow, except birth_sum_ms: the sum of birth_ms of the live blocks. Each block counts
 * by its weight. The variance of the estimated bytes is alloc_var - free_var for the live ones, in units of
 * MP_VAR_UNIT bytes squared: size^2 * weight * (weight - 1) for each block drawn (Horvitz-Thompson).
 */
#define MP_VAR_SHIFT 8
#define MP_VAR_UNIT (1u << MP_VAR_SHIFT)

struct mp_stack {
	__u64 alloc_bytes;
	__u64 alloc_blocks;
	__u64 free_bytes;
	__u64 free_blocks;
	__u64 birth_sum_ms;
	__u64 alloc_var, free_var;
	__u64 met_blocks; /* of the freed ones: ended unseen, another block was seen in their place */
	__u32 gen;
	__u32 sent; /* whether its frames went through the ring buffer: see stack_enter */
};

/*
 * young: HASH, key as stacks; only in bursts. What the current burst has added to a stack's live figures. A block that
 * was born in it has not yet outlived a time without probes, so it stands for itself, and for
 * no other: those of its kind that were not seen have mostly ended.
 */
struct mp_young {
	__u64 bytes, blocks; /* weighted, as in mp_stack */
	__u32 burst;	     /* gate_epoch; of another burst: over, all is as mp_stack says */
	__u32 pad;
};

/*
 * bumps: HASH, key as in stacks. Bytes of a runtime's own heap (MP_OP_BUMP), put down to the stack at which the runtime
 * took up its next piece: a sample. All counters only grow.
 */
struct mp_bump {
	__u64 bytes;   /* exact, over all stacks */
	__u64 draws;   /* samples that they come from */
	__u64 squares; /* sum of the samples' bytes squared, in units of MP_VAR_UNIT bytes squared */
	__u32 gen;
	__u32 pad;
};

/*
 * Bytes of a thread from one sample to the next, at least: a page of V8's heap is 256 KiB. More where samples come
 * fast.
 */
#define MP_BUMP_STEP (128u << 10)
#define MP_BUMP_MOST (16u << 20)

/* ---- resident memory (rss.bpf.c); in pages ---- */

/*
 * As the kernel counts it: enum { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES } of mm_types_task.h, since
 * 4.5.
 */
enum mp_rss_member {
	MP_RSS_FILE = 0,
	MP_RSS_ANON = 1,
	MP_RSS_SWAP = 2,
	MP_RSS_SHMEM = 3,
	MP_RSS_MEMBERS = 4,
};

/* What gave memory back. */
enum mp_rss_release {
	MP_RSS_MUNMAP = 0,
	MP_RSS_MADVISE, /* process_madvise of its own too */
	MP_RSS_BRK,
	MP_RSS_MREMAP,
	MP_RSS_MMAP,	/* over other mappings */
	MP_RSS_EXIT,	/* and exec */
	MP_RSS_BY_OTHERS, /* reclaim, another process's process_madvise, ptrace... */
	MP_RSS_OTHER,
	MP_RSS_RELEASES,
};

/*
 * rss_mms: HASH, key __u64 address of the struct mm_struct. Its counters as last seen: what an event changed is the
 * difference. Sums telescope, whichever of two threads comes first.
 */
struct mp_rss_mm {
	__u32 gen;
	__u32 pad;
	__s64 pages[MP_RSS_MEMBERS];
};

/* rss_stacks: HASH, key as in stacks. What became resident at that stack; only grows. */
struct mp_rss_stack {
	__u64 pages[MP_RSS_MEMBERS]; /* SWAP: read back from swap there, also part of ANON and SHMEM */
	__u32 gen;
	__u32 pad;
	__u64 placed; /* of pages: their addresses are known, or those of some that stand for them */
	__u64 noted;  /* pages that were entered in rss_places for it */
};

/*
 * rss_places: HASH. Who touched a page first, the last time that it was. A huge page is one entry at its start. Where
 * pages are told of by the batch or stacks are sampled, a page stands for others.
 */
struct mp_rss_place {
	__u64 addr;
	__u32 gen;
	__u32 pad;
};

struct mp_rss_toucher {
	__u64 stack; /* key in rss_stacks */
	__u32 pages; /* from addr on */
	__u32 pad;
};

/* rss_totals: HASH, key __u32 gen */
struct mp_rss_totals {
	__u64 grown[MP_RSS_MEMBERS], shrunk[MP_RSS_MEMBERS];
	__u64 released[MP_RSS_RELEASES]; /* of shrunk: anonymous, shared and swapped */
};

#define MP_MAX_CPUS 512

/* losses: PERCPU_ARRAY, index enum mp_loss */
struct mp_loss_count {
	__u64 events;
	__u64 bytes;
};

enum mp_loss {
#define LOSS(id, name, text) MP_LOSS_##id,
#include "losses.h"
#undef LOSS
	MP_LOSS_NR
};

/* ---- ring buffer records ---- */

enum mp_event_kind {
	MP_EV_STACK = 1, /* struct mp_ev_stack, first hit of a stack */
	MP_EV_PROC = 2,	 /* struct mp_ev_proc */
	MP_EV_OBJECT = 3, /* struct mp_ev_object, code without an unwind table */
	MP_EV_MAPS = 4,	  /* struct mp_ev_object with tgid only: its mappings are wanted (vma.bpf.h) */
	MP_EV_RUNTIME = 5, /* struct mp_ev_runtime, before its stack */
	MP_EV_VM = 6,	   /* struct mp_ev_vm, a call that changed mappings */
	MP_EV_DEATH = 7,   /* struct mp_ev_death, memory was refused */
};

/* How a stack ended; everything but END is shown as a root frame. */
enum mp_stack_end {
	MP_END_COMPLETE = 0,
	MP_END_DEPTH = 1,      /* MP_MAX_FRAMES reached */
	MP_END_UNMAPPED = 2,   /* pc in no mapping */
	MP_END_NO_INFO = 3,    /* no unwind info for the pc */
	MP_END_UNSUPPORTED = 4, /* a rule that cannot be expressed */
	MP_END_UNREADABLE = 5, /* stack memory unreadable, or the CFA does not grow */
	MP_END_TRAMPOLINE = 6, /* another tracer's return probe */
	MP_END_NOT_READY = 7,  /* the object's table was not built yet */
	MP_END_FRAME_POINTER = 8, /* kernel's frame-pointer walk: the end is not known */
	MP_END_BUSY = 9,       /* the process was changing its mappings at this instant */
	MP_END_NR
};

struct mp_ev_stack {
	__u32 kind;
	__u32 gen;
	__u64 hash;
	__u32 tgid;
	__u32 tid;
	__u16 n_frames;
	__u8 end; /* enum mp_stack_end */
	__u8 first; /* ips[first] is frame 0 */
	/*
	 * Frames left out between the inner and the outer ones. The outer ones then lie in a ring
	 * that begins at ips[MP_INNER_FRAMES + left_out % MP_OUTER_FRAMES]. Not part of the hash, so
	 * that a recursion has one stack at every depth.
	 */
	__u32 left_out;
	__u32 n_runtime; /* frames in the mp_ev_runtime before this; part of the hash (mp_hash_runtime) */
	__u32 pad;
	__u64 thread[2]; /* its name, with --threads; then part of the identity (mp_hash_thread) */
	__u64 ips[MP_MAX_FRAMES]; /* innermost first; only n_frames are sent */
};

enum mp_proc_event {
	MP_PROC_NEW = 1,  /* first seen */
	MP_PROC_FORK = 2, /* child `gen` of `old_gen` */
	MP_PROC_EXEC = 3, /* old_gen ended (0: it was no target), gen begins (0: not followed) */
	MP_PROC_EXIT = 4, /* old_gen ended */
	MP_PROC_STOPPED = 5, /* COMMAND was stopped by memprobe (exec, its libraries are mapped, or it exits) */
	MP_PROC_VFORK = 6, /* a child that shares old_gen until its exec or exit; gen 0 */
};

struct mp_ev_proc {
	__u32 kind;
	__u32 what; /* enum mp_proc_event */
	__u32 tgid;
	__u32 gen;
	__u32 old_gen;
	__u32 parent_tgid; /* fork: the parent; exec: tgid, or the other thread that called it; exit: enum mp_exit, or 0 */
	__u64 time_ns; /* CLOCK_MONOTONIC */
	char comm[16];
};

enum mp_exit { MP_EXIT_OOM = 1, MP_EXIT_REFUSED = 2 }; /* chosen by the kernel; it was refused memory (task.bpf.c) */

enum mp_death {
	MP_DEATH_MARKED = 1,  /* by the kernel, to be killed: bytes of anonymous memory, 0 where it does not tell */
	MP_DEATH_REFUSED = 2, /* its allocator gives up: bytes that were asked for; label: index of the type */
};

struct mp_ev_death {
	__u32 kind;
	__u32 what; /* enum mp_death */
	__u32 tgid; /* MP_DEATH_MARKED */
	__u32 gen;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 bytes, label;
};

struct mp_ev_object {
	__u32 kind;
	__u32 tgid;
	__u64 start, end; /* the mapping */
	__u64 pgoff;	  /* in pages */
	__u64 ino;
	__u32 dev; /* s_dev, kernel encoding: major << 20 | minor */
	__u32 pad;
	__u64 version; /* mp_file_version, 0 unknown */
};

enum mp_vm_op {
	MP_VM_OTHER = 1, /* no call that maps: the kernel's own doing, as when a stack grows */
	MP_VM_MMAP,
	MP_VM_MUNMAP,
	MP_VM_MREMAP,
	MP_VM_MPROTECT,
	MP_VM_BRK,
	MP_VM_SHMAT,
	MP_VM_SHMDT,
};

enum mp_vm_flags {
	MP_VM_INNER = 1, /* made by an allocator, in a call that is counted */
	MP_VM_DOWNGRADED = 2, /* the lock was held for reading at the end: something was unmapped */
};

#define MP_VM_RANGES 8	   /* more are counted only; a power of two */
#define MP_VM_RANGE_FILE 1 /* in start: of a file that is no shared memory */

/* In the order in which the process's mmap lock was held. */
struct mp_ev_vm {
	__u32 kind;
	__u32 gen;
	__u8 op;    /* enum mp_vm_op */
	__u8 flags; /* enum mp_vm_flags */
	__u16 n_ranges;
	__u32 pad;
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 hash;    /* of the stack, 0: none was taken */
	__u64 arg[5];  /* of the system call */
	__u64 brk;     /* the heap's end, afterwards */
	struct {
		__u64 start, end;
	} range[MP_VM_RANGES]; /* as the kernel entered them: merged with their neighbours */
};

/* Seed and step of the stack hash; user space recomputes it over the record's frames. */
#define MP_HASH_SEED 0x9e3779b97f4a7c15ULL
#define MP_HASH_MUL 0x9fb21c651e98df25ULL

static inline __attribute__((always_inline)) __u64 mp_mix(__u64 x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	return x;
}

/*
 * Which content an inode has: its last change and size. Inode numbers are used again, and a file can be
 * overwritten in place; nobody can set the time of change. Never 0.
 */
static inline __attribute__((always_inline)) __u64 mp_file_version(__s64 ctime_s, __u32 ctime_ns,
								   __u64 size_bytes)
{
	/* the kernel keeps a flag in bit 31 (multigrain timestamps, 6.13) */
	return mp_mix((__u64)ctime_s << 30 ^ (ctime_ns & 0x7fffffff) ^ size_bytes << 40) | 1;
}

static inline __attribute__((always_inline)) __u64 mp_hash_step(__u64 h, __u64 pc)
{
	h = (h ^ pc) * MP_HASH_MUL;
	return h ^ h >> 29;
}

/* hash = mp_mix(steps over all frames, then over end) started from this. */
static inline __attribute__((always_inline)) __u64 mp_hash_start(__u32 gen)
{
	return MP_HASH_SEED ^ gen;
}

/* The identity of a stack with frames of a managed runtime; none: as it was. */
static inline __attribute__((always_inline)) __u64 mp_hash_runtime(__u64 hash, const struct mp_rt_frame *v, __u32 n)
{
	__u32 i;

	for (i = 0; i < n; i++)
		hash = mp_hash_step(mp_hash_step(hash, v[i].code), v[i].at);
	return n ? mp_mix(hash) : hash;
}

/* The identity of a stack of a thread of that name; no name: as it was. */
static inline __attribute__((always_inline)) __u64 mp_hash_thread(__u64 hash, const __u64 thread[2])
{
	if (!thread[0])
		return hash;
	return mp_mix(mp_hash_step(mp_hash_step(hash, thread[0]), thread[1]));
}

#ifdef __cplusplus
#define MP_STATIC_ASSERT static_assert
#else
#define MP_STATIC_ASSERT _Static_assert
#endif
MP_STATIC_ASSERT(MP_INNER_FRAMES + MP_OUTER_FRAMES == MP_MAX_FRAMES, "every slot is used");
MP_STATIC_ASSERT((MP_OUTER_FRAMES & (MP_OUTER_FRAMES - 1)) == 0, "the ring is a power of two");
MP_STATIC_ASSERT(sizeof(struct mp_block_key) == 16, "ABI");
MP_STATIC_ASSERT(sizeof(struct mp_block) == 24, "ABI");
MP_STATIC_ASSERT(sizeof(struct mp_stack) == 72, "ABI");
MP_STATIC_ASSERT(sizeof(struct mp_shape) == 8, "ABI");
MP_STATIC_ASSERT(sizeof(struct mp_bump) == 32, "ABI");
MP_STATIC_ASSERT(sizeof(struct mp_rss_stack) == 56, "ABI");
MP_STATIC_ASSERT(sizeof(struct mp_rss_place) == 16, "ABI");
MP_STATIC_ASSERT(sizeof(struct mp_rss_totals) == 128, "ABI");

/* ---- objects of a managed language (--objects) ---- */

#define MP_OBJECT_FORMS 128 /* such probes */
#define MP_OBJECT_ARGS 3   /* class or length, file, line */
#define MP_OBJECT_KINDS 8192 /* class and line together */

/* Where a built-in probe finds an argument. */
struct mp_usdt_arg {
	__u8 reg;	/* offset in struct pt_regs */
	__u8 size;	/* 4 or 8 */
	__u8 in_memory; /* at what the register holds, plus: */
	__u8 pad;
	__s16 distance;
	__u16 pad_2;
};

struct mp_object_form {
	struct mp_usdt_arg args[MP_OBJECT_ARGS];
	char class_name[8]; /* "": the first argument tells it */
	__u64 type;	    /* Ruby's; 0: not of a literal */
};

/*
 * object_paces: HASH, key __u32 gen. The runtime's own count of all objects that it ever made, whatever they are,
 * beside the births that were seen. Between two births of one burst it goes on as it does outside: births / made is the
 * scale, however much the probe slows the program. A runtime with a lock around its interpreter: one thread at a time.
 */
struct mp_object_pace {
	__u64 counter; /* its address */
	__u64 first, last; /* what it was at the first birth, and at the last */
	__u64 births, made; /* sums over all but the first birth of each burst, and from each to the next */
	__u32 burst;   /* of gate_epoch, at the last */
	__u32 is_begun;
};

/* objects: HASH, value __u64 births that were seen. Texts end with NUL, and are cut when they are longer. */
struct mp_object_key {
	__u32 gen;
	__u32 line;
	struct mp_rt_frame literal; /* which instruction; it tells the line better. 0: none */
	char class_name[64]; /* "": one without a name */
	char file[184];
};

#endif
