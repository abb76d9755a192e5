/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which mapping of the current process holds a code address? Asked on memo misses only.
 *
 * From the kernel where it has bpf_find_vma (5.17): always right, and needs no bookkeeping. It refuses (EBUSY)
 * while another thread changes the mappings, and, with interrupts off (page faults), from the second time
 * on, as its unlocking of the first is still to be done. Then, and on older kernels, from a sorted
 * array of the process's executable mappings, which user space fills when it is asked to: the first
 * miss in a process leaves a head that says "asked for" and sends MP_EV_MAPS. dlopen, dlclose, exec and exit
 * drop the head, so that what lay there before is never used again.
 */
#ifndef MEMPROBE_VMA_BPF_H
#define MEMPROBE_VMA_BPF_H

#include "unwind.h"

#define MP_EBUSY 16
#define UW_EEXIST 17

const volatile __u32 cfg_find_vma = 1; /* 0: the kernel has none, or a test says so */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, UW_MAX_RANGES);
	__type(key, struct uw_range_key);
	__type(value, struct uw_range);
} uw_ranges SEC(".maps");

/* Small: it lies on the stack of the longest chain of calls (test_bpf_stack.sh). */
struct uw_vma {
	__u64 start, end, pgoff; /* end 0: none */
	__u64 version;		 /* mp_file_version, 0 unknown */
	struct uw_object_key key; /* ino 0: anonymous */
};

/* Time of change, as struct inode has had it: 6.11, 6.6, before. */
struct uw_timespec {
	__s64 tv_sec;
	long tv_nsec;
} __attribute__((preserve_access_index));

struct inode___seconds {
	__s64 i_ctime_sec;
	__u32 i_ctime_nsec;
	loff_t i_size;
} __attribute__((preserve_access_index));

struct inode___hidden {
	struct uw_timespec __i_ctime;
} __attribute__((preserve_access_index));

struct inode___open {
	struct uw_timespec i_ctime;
} __attribute__((preserve_access_index));

static __always_inline __u64 uw_inode_version(struct inode *inode)
{
	struct inode___seconds *i = (void *)inode;
	struct inode___hidden *hidden = (void *)inode;
	struct inode___open *open = (void *)inode;
	__u64 size = BPF_CORE_READ(i, i_size);

	if (bpf_core_field_exists(i->i_ctime_sec))
		return mp_file_version(BPF_CORE_READ(i, i_ctime_sec), BPF_CORE_READ(i, i_ctime_nsec), size);
	if (bpf_core_field_exists(hidden->__i_ctime))
		return mp_file_version(BPF_CORE_READ(hidden, __i_ctime.tv_sec),
				       BPF_CORE_READ(hidden, __i_ctime.tv_nsec), size);
	if (bpf_core_field_exists(open->i_ctime))
		return mp_file_version(BPF_CORE_READ(open, i_ctime.tv_sec),
				       BPF_CORE_READ(open, i_ctime.tv_nsec), size);
	return 0;
}

static long uw_vma_callback(struct task_struct *task, struct vm_area_struct *vma, struct uw_vma *v)
{
	struct file *file = vma->vm_file;

	v->start = vma->vm_start;
	v->end = vma->vm_end;
	v->pgoff = vma->vm_pgoff;
	if (file) {
		v->key.ino = BPF_CORE_READ(file, f_inode, i_ino);
		v->key.dev = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
		v->version = uw_inode_version(file->f_inode);
	}
	return 0;
}

static const volatile struct uw_range uw_asked = {}; /* not on the stack: see uw_pending */

/* Have user space fill the current process's array. Once: the head keeps the others quiet. */
static __always_inline void uw_ask_for_ranges(const struct uw_range_key *head)
{
	long err = bpf_map_update_elem(&uw_ranges, head, (void *)&uw_asked, BPF_NOEXIST);
	struct mp_ev_object *e;

	if (err) {
		if (err != -UW_EEXIST)
			lose(MP_LOSS_CODE_UNASKED, 0);
		return;
	}
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		bpf_map_delete_elem(&uw_ranges, head); /* the next miss tries again */
		lose(MP_LOSS_EVENT_UNSENT, 0);
		return;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = MP_EV_MAPS;
	e->tgid = head->tgid;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

/* Binary search of entries first..first+n; *out is the last that starts at or below pc. */
static __always_inline struct uw_range *uw_range_search(struct uw_range_key key, __u32 first, __u32 n,
							__u64 pc)
{
	struct uw_range *r, *best = NULL;
	__u32 lo = 0, hi = n;
	int i;

	for (i = 0; i < UW_RANGE_BITS && lo < hi; i++) {
		key.at = first + ((lo + hi) >> 1);
		r = bpf_map_lookup_elem(&uw_ranges, &key);
		if (!r)
			return NULL; /* being written anew */
		if (r->start <= pc) {
			best = r;
			lo = key.at - first + 1;
		} else {
			hi = key.at - first;
		}
	}
	return best;
}

/* 0, or how the stack ends. */
static __always_inline __u32 uw_vma_from_ranges(__u64 pc, struct uw_vma *v)
{
	struct uw_range_key key = { .tgid = current_tgid(), .at = UW_RANGE_HEAD };
	struct uw_range *r = bpf_map_lookup_elem(&uw_ranges, &key);

	if (!r) {
		uw_ask_for_ranges(&key);
		return MP_END_NOT_READY;
	}
	if (!r->end)
		return MP_END_NOT_READY;
	r = uw_range_search(key, r->start, r->end, pc);
	if (!r || pc >= r->end)
		return MP_END_UNMAPPED;
	v->start = r->start;
	v->end = r->end;
	v->pgoff = r->pgoff;
	v->key.ino = r->ino;
	v->key.dev = r->dev;
	v->version = r->version;
	return 0;
}

static __always_inline void uw_forget_ranges(__u32 tgid)
{
	struct uw_range_key head = { .tgid = tgid, .at = UW_RANGE_HEAD };

	bpf_map_delete_elem(&uw_ranges, &head);
}

/* The mapping of pc. 0, or how the stack ends. */
static __always_inline __u32 uw_find_vma(__u64 pc, struct uw_vma *v)
{
	long err;

	if (!cfg_find_vma)
		return uw_vma_from_ranges(pc, v);
	err = bpf_find_vma(bpf_get_current_task_btf(), pc, uw_vma_callback, v, 0);
	if (err == -MP_EBUSY)
		return uw_vma_from_ranges(pc, v) ? MP_END_BUSY : 0;
	return v->end && pc >= v->start ? 0 : MP_END_UNMAPPED;
}

__u64 real_at = 0, real_ino = 0, real_version = 0;
__u32 real_dev = 0;

/*
 * Run by user space in its own context, with a file mapped at real_at: which one is it to the walk? Below overlayfs and
 * FUSE lies another file, and since 6.8 /proc/PID/maps shows theirs, as stat does.
 */
SEC("?raw_tp")
int find_real_file(void *ctx)
{
	struct uw_vma v = {};

	bpf_find_vma(bpf_get_current_task_btf(), real_at, uw_vma_callback, &v, 0);
	real_version = v.version;
	real_dev = v.key.dev;
	real_ino = v.key.ino;
	return 0;
}

#endif
