/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Stack walk by unwind tables (format: unwind.h; compiled from .eh_frame by src/unwind).
 *
 * Per frame: memo look-up of the return address -> rule, then one or two loads from a window
 * of the stack that was copied in bulk. Only a memo miss asks for the mapping (vma.bpf.h) and searches
 * its object's table, so fork, exec and dlopen need no bookkeeping.
 *
 *	pc 0x7f..1234 --memo--> rsp+48, rbp at cfa-16 --window--> next pc, rsp, rbp
 *	              --miss--> find_vma -> {dev, inode} -> block -> row --> memo
 *
 * Stacks deeper than MP_MAX_FRAMES keep the UW_INNER innermost frames and, in a ring, the
 * UW_OUTER outermost: frame i >= UW_INNER lies in slot UW_INNER + (i - UW_INNER) % UW_OUTER.
 */
#ifndef MEMPROBE_UNWIND_BPF_H
#define MEMPROBE_UNWIND_BPF_H

#include "unwind.h"
#include "vma.bpf.h"

#define UW_INNER MP_INNER_FRAMES
#define UW_OUTER MP_OUTER_FRAMES
#define UW_CHUNK 8		/* frames per call of the global function */
/*
 * 4096 frames walked at most: the far end of a deep recursion. Another global function around this one, for more,
 * does not fit: "combined stack size of 5 calls is 544. Too large" (6.1).
 */
#define UW_MAX_CHUNKS 512
#define UW_MEMO_BITS 16
#define UW_MEMO_MUL 0x9e3779b97f4a7c15ULL /* odd: the low 40 bits of the product tell those of pc ^ salt */
#define UW_MAX_FP_STEP (1ULL << 20)

/* A look-up that gave no rule: bit 31, and how the stack ends. */
#define UW_FAIL(end) (0x80000000u | (end))

__u64 uw_memo[1 << UW_MEMO_BITS]; /* low 40 bits of the key | rule; the slot: its high bits */
__u32 uw_epoch = 0;		  /* bumped when code was unmapped or a table replaced: forgets the memo */
__u64 uw_misses = 0;		  /* not exact: for the bench */

/* Words (rows and block indices) in chunks of 1 MiB, added as tables need them. */
struct uw_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, UW_CHUNK_PAGES);
	__uint(key_size, sizeof(__u32)); /* not __type: clang 14 emits struct uw_page as a forward only */
	__uint(value_size, sizeof(struct uw_page));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, UW_MAX_TABLE_CHUNKS);
	__type(key, __u32);
	__array(values, struct uw_chunk);
} uw_words SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, UW_MAX_OBJECTS);
	__type(key, struct uw_object_key);
	__type(value, struct uw_object);
} uw_objects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UW_MAX_EXOTIC);
	__type(key, __u32);
	__type(value, struct uw_exotic);
} uw_exotics SEC(".maps");

/* ---- table look-up: memo misses only ---- */

static __always_inline int uw_word(__u32 at, __u32 *out)
{
	__u32 chunk = at / (UW_CHUNK_PAGES * UW_PAGE_WORDS);
	__u32 page = at / UW_PAGE_WORDS % UW_CHUNK_PAGES;
	struct uw_page *p;
	void *words = bpf_map_lookup_elem(&uw_words, &chunk);

	if (!words)
		return -1;
	p = bpf_map_lookup_elem(words, &page);
	if (!p)
		return -1;
	*out = p->v[at % UW_PAGE_WORDS];
	return 0;
}

/*
 * Forgets what the verifier knows of v: without it each binary search step doubles the
 * states ("BPF program is too large. Processed 1000001 insn", clang 14, 6.18).
 */
static __always_inline __u32 uw_opaque(__u32 v, __u32 seed)
{
	__u64 x = v, y = seed;

	asm volatile("%0 += %1\n\t%0 -= %1" : "+r"(x) : "r"(y));
	return x;
}

/* The last row of an object's text block whose pc_low is at most low. Global: verified once. */
__noinline __u32 uw_search(__u32 groups, __u32 block, __u32 low)
{
	__u32 group, lo, hi, row = 0, mid;
	int i;

	if (uw_word(groups + block / UW_GROUP_BLOCKS, &group))
		return UW_RULE_NONE;
	if (group & UW_GROUP_ONE_ROW)
		return uw_word(group & ~UW_GROUP_ONE_ROW, &row) ? UW_RULE_NONE : row & 0xffffff;
	group += block % UW_GROUP_BLOCKS;
	if (uw_word(group, &lo) || uw_word(group + 1, &hi))
		return UW_RULE_NONE;
	for (i = 0; i < 9; i++) {
		if (hi - lo <= 1)
			break;
		mid = (lo + hi) >> 1;
		if (uw_word(mid, &row))
			return UW_RULE_NONE;
		if (row >> 24 <= low)
			lo = mid;
		else
			hi = mid;
		lo = uw_opaque(lo, low);
		hi = uw_opaque(hi, low);
	}
	if (uw_word(lo, &row))
		return UW_RULE_NONE;
	return row & 0xffffff;
}

/*
 * What a table entry starts as; not on the stack, whose 512 bytes all functions of a chain share before
 * 6.13 ("combined stack size of 3 calls is 672. Too large", 6.1 and 6.12).
 */
static const volatile struct uw_object uw_pending = { .state = UW_OBJECT_PENDING };

/* First hit of an object: a placeholder keeps the others quiet while user space builds its table. */
static __always_inline void uw_announce(const struct uw_vma *v)
{
	long err = bpf_map_update_elem(&uw_objects, &v->key, (void *)&uw_pending, BPF_NOEXIST);
	struct mp_ev_object *e;

	if (err) {
		if (err != -UW_EEXIST) /* else another CPU was first */
			lose(MP_LOSS_CODE_UNASKED, 0);
		return;
	}
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		bpf_map_delete_elem(&uw_objects, &v->key); /* the next hit tries again */
		lose(MP_LOSS_EVENT_UNSENT, 0);
		return;
	}
	e->kind = MP_EV_OBJECT;
	e->tgid = current_tgid();
	e->start = v->start;
	e->end = v->end;
	e->pgoff = v->pgoff;
	e->ino = v->key.ino;
	e->dev = v->key.dev;
	e->pad = 0;
	e->version = v->version;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

static __always_inline __u32 uw_object_rule(struct uw_object *o, __u64 file_off)
{
	__u64 off, block;
	int i;

	for (i = 0; i < UW_MAX_SEGMENTS; i++) {
		if (i >= o->n_seg)
			break;
		if (file_off - o->seg[i].file_off >= o->seg[i].size)
			continue;
		off = file_off - o->seg[i].file_off + o->seg[i].vaddr - o->lo;
		block = off >> UW_BLOCK_SHIFT;
		if (block >= o->n_blocks)
			break;
		return uw_search(o->groups, block, uw_pc_low(off));
	}
	return UW_RULE_NONE;
}

/* Rule for pc from the tables, or UW_FAIL. Global: verified once. */
__noinline __u32 uw_rule(__u64 pc)
{
	struct uw_object *o;
	struct uw_vma v = {};
	__u32 end = uw_find_vma(pc, &v);

	if (end)
		return UW_FAIL(end);
	if (!v.key.ino)
		return UW_RULE_FRAME_POINTER; /* anonymous: a JIT's code */
	o = bpf_map_lookup_elem(&uw_objects, &v.key);
	if (o && v.version && o->version && o->version != v.version) {
		bpf_map_delete_elem(&uw_objects, &v.key); /* overwritten, or another file with its inode number */
		o = NULL;
	}
	if (!o) {
		uw_announce(&v);
		return UW_FAIL(MP_END_NOT_READY);
	}
	if (o->state == UW_OBJECT_PENDING)
		return UW_FAIL(MP_END_NOT_READY);
	if (o->state == UW_OBJECT_FULL)
		return UW_RULE_NONE; /* a frame pointer, if it looks like one */
	o->last_use_ns = bpf_ktime_get_ns();
	return uw_object_rule(o, pc - v.start + (v.pgoff << 12));
}

/* ---- the walk ---- */

/*
 * Copy the stack from addr to the end of its page, UW_WINDOW bytes at most. Never further: the first bytes are
 * needed and so are mapped, the next page may not be, and a read that faults costs microseconds.
 */
static __always_inline int uw_fill(struct mp_scratch *s, __u64 addr, __u64 *len)
{
	__u64 n = 4096 - (addr & 4095);

	if (n > UW_WINDOW)
		n = UW_WINDOW;
	*len = n;
	asm volatile("" : "+r"(n)); /* else clang forgets the bound: "R2 unbounded memory access" */
	if (n > UW_WINDOW)
		return -1;
	return bpf_probe_read_user(s->window, n, (void *)addr);
}

static __always_inline int uw_read(struct mp_scratch *s, struct uw_regs *u, __u64 addr, __u64 *out)
{
	__u64 off = addr - u->window_base, len;

	if (addr & 7)
		return bpf_probe_read_user(out, 8, (void *)addr);
	if (off >= u->window_len) {
		u->window_len = 0;
		if (uw_fill(s, addr, &len))
			return -1;
		u->window_base = addr;
		u->window_len = len;
		off = 0;
	}
	*out = s->window[(off >> 3) & (UW_WINDOW / 8 - 1)];
	return 0;
}

static __always_inline void uw_store(struct mp_scratch *s, struct uw_regs *u)
{
	__u64 at = u->n;

	u->prev_hash = u->hash;
	if (at < UW_INNER)
		u->hash = mp_hash_step(u->hash, u->pc);
	else
		at = UW_INNER + ((at - UW_INNER) & (UW_OUTER - 1));
	asm volatile("%0 &= 127" : "+r"(at)); /* clang hoists a mask in C */
	s->ev.ips[at] = u->pc;
	u->n++;
}

#include "unwind_arch.bpf.h"

/* Rule of the frame at u->pc; return addresses are looked up one byte back, inside the call. */
static __always_inline __u32 uw_memo_rule(struct uw_regs *u)
{
	__u64 pc = u->pc - (u->exact ? 0 : 1), key = (pc ^ u->salt) * UW_MEMO_MUL;
	__u64 *slot = &uw_memo[key >> (64 - UW_MEMO_BITS)];
	__u64 word = *slot;
	__u32 rule;

	key <<= 24;
	if (!((word ^ key) >> 24))
		return word & 0xffffff;
	/* the page before the trampoline may hold anything: ask before pc - 1 is looked up */
	rule = u->pc == trampoline() ? UW_FAIL(MP_END_TRAMPOLINE) : uw_rule(pc);
	if (!(rule & 0x80000000u))
		*slot = key | rule;
	uw_misses++;
	return rule;
}

/*
 * No rule. Our own pending return probe is undone, and the frame stored again; all else ends the walk. The
 * kernel's trampoline is no frame (in a ring that has wrapped it has taken another's place, and stays).
 */
static __always_inline int uw_no_rule(struct uw_regs *u, __u32 fail)
{
	__u32 end = fail & 0xff;
	bool own = u->own_ra && u->sp - ARCH_RETURN_SP_ADJUST == u->own_sp;

	if (end != MP_END_TRAMPOLINE || (!own && u->n > MP_MAX_FRAMES))
		return 1 + end;
	u->hash = u->prev_hash;
	u->n--;
	if (!own)
		return 1 + end;
	u->pc = u->own_ra;
	u->own_ra = 0;
	return 0;
}

/* One frame outwards. 0: go on, else 1 + enum mp_stack_end. */
static __always_inline int uw_step(struct mp_scratch *s, struct uw_regs *u)
{
	__u32 rule, kind;
	int r;

	rule = uw_memo_rule(u);
	if (rule & 0x80000000u)
		return uw_no_rule(u, rule);
	u->exact = 0;
	kind = UW_RULE_KIND(rule);
	if (kind < UW_KIND_SPECIAL) {
		r = uw_step_plain(s, u, rule);
	} else if (kind == UW_KIND_SPECIAL) {
		s->regs = *u;
		r = uw_step_special(rule & 0x3fffff);
		*u = s->regs;
	} else {
		if (!s->jit_pc) {
			s->jit_fp = u->fp;
			s->jit_pc = u->pc;
		}
		r = uw_step_frame_pointer(s, u);
	}
	if (!r && !u->pc)
		return 1 + MP_END_COMPLETE;
	return r;
}

/* UW_CHUNK frames. Global, so that the verifier looks at it once; state goes through the scratch. */
__noinline int uw_chunk_walk(void)
{
	struct mp_scratch *s = scratch_get();
	struct uw_regs u;
	int i, end = 0;

	if (!s)
		return 1 + MP_END_UNREADABLE;
	u = s->regs;
	for (i = 0; i < UW_CHUNK; i++) {
		uw_store(s, &u);
		end = uw_step(s, &u);
		if (end)
			break;
	}
	s->regs = u;
	return end;
}

/* Hash over the outer frames of a deep stack, outermost last, then over the end. Global: verified once. */
__noinline __u64 uw_finish_hash(void)
{
	struct mp_scratch *s = scratch_get();
	__u32 n, i, stored, start = 0;
	__u64 h, at;

	if (!s)
		return 0;
	n = s->regs.n;
	h = s->regs.hash;
	stored = n > MP_MAX_FRAMES ? MP_MAX_FRAMES : n;
	s->ev.n_frames = stored;
	s->ev.left_out = n - stored;
	if (n > MP_MAX_FRAMES)
		start = (n - MP_MAX_FRAMES) & (UW_OUTER - 1);
	for (i = 0; i < UW_OUTER; i++) {
		if (UW_INNER + i >= stored)
			break;
		at = UW_INNER + ((start + i) & (UW_OUTER - 1));
		asm volatile("%0 &= 127" : "+r"(at));
		h = mp_hash_step(h, s->ev.ips[at]);
	}
	return mp_mix(mp_hash_step(h, s->ev.end));
}

static __always_inline void uw_walk(struct mp_scratch *s)
{
	int i, end = 0;

	for (i = 0; i < UW_MAX_CHUNKS; i++) {
		end = uw_chunk_walk();
		if (end)
			break;
	}
	s->ev.end = end ? end - 1 : MP_END_DEPTH;
	/*
	 * Nor is there a rule while a mapping is not known yet (the first stack through a memory file of code, as the
	 * BEAM has), or was being changed: a reader knows by the address whether this is code of its own.
	 */
	if (end && !s->jit_pc)
		s->jit_pc = s->regs.pc;
}

/*
 * The walk from a function's entry: frame 0 is the probed function, frame 1 its caller, whose
 * return address is read here (into c->ra) before the return probe replaces it.
 */
static __always_inline void capture_tables(struct call *c, struct mp_scratch *s, __u32 gen)
{
	s->regs = (struct uw_regs){
		.pc = c->ip,
		.sp = c->sp,
		.fp = c->fp,
		.hash = mp_hash_start(gen),
		.salt = mp_mix((__u64)gen << 32 | uw_epoch),
	};
	s->jit_fp = 0;
	s->jit_pc = 0;
	uw_store(s, &s->regs);
	if (uw_entry_frame(c, s, &s->regs)) {
		s->ev.end = MP_END_UNREADABLE;
		return;
	}
	uw_walk(s);
}

/*
 * The walk from any instruction, with the row for that very address. When it lies inside an allocator call whose
 * return we have probed, that call's return address is the kernel's trampoline by now: own_sp is where
 * it lay, own_ra what it was (0: none is pending).
 */
static __always_inline void capture_tables_at(const struct call *c, struct mp_scratch *s, __u32 gen,
					      __u64 own_sp, __u64 own_ra)
{
	s->regs = (struct uw_regs){
		.pc = c->ip,
		.sp = c->sp,
		.fp = c->fp,
		.lr = c->ra,
		.hash = mp_hash_start(gen),
		.salt = mp_mix((__u64)gen << 32 | uw_epoch),
		.own_sp = own_sp,
		.own_ra = own_ra,
		.exact = 1,
	};
	s->jit_fp = 0;
	s->jit_pc = 0;
	uw_walk(s);
}

#endif
