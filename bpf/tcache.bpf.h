/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Frees that glibc makes when a thread ends (malloc.c, tcache_thread_shutdown, 2.26 to 2.42): blocks that the program
 * has freed before and that lay in the thread's cache go through free once more, and then the cache itself, which no
 * allocator call made. Counted as blocks from before the attach, they made a program that starts a thread per request
 * "shrink" by 69 MiB a minute, of the 1.3 MiB that it had.
 *
 * Known by the two places in libc that they return to, which are learned in each process:
 *
 *	2.34 on	   the second word of a cached block is tcache_key: random, the same in all of the process's. Two frees
 *		   of blocks with the same such word, one after the other, from one place in libc: it is the loop.
 *	2.29-2.33  that word is the cache's address, and the cache is what is freed next.
 *
 * A block or two of the first thread that ends are counted, until it is learned. 2.26 to 2.28 leave no such word: there
 * all are, as before. The program's own frees do not return into libc.
 */
#ifndef MEMPROBE_TCACHE_BPF_H
#define MEMPROBE_TCACHE_BPF_H

/* libc's code is smaller; what is farther from free than this is not in it. */
#define LIBC_CODE_BYTES (1u << 20)
/* Both places are in one function. */
#define TCACHE_END_BYTES 1024
/* sizeof(tcache_perthread_struct) is 576 to 2.29, 640 on; 2.42 has more, smaller bins. */
#define TCACHE_LEAST 560
#define TCACHE_MOST 1024

struct mp_tcache {
	__u64 word, ra;	       /* of the last free of an unknown block that libc made */
	__u64 loop_ra, end_ra; /* 0: not known yet */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536); /* as proc_totals; where it is full, they are counted as before */
	__type(key, __u32);
	__type(value, struct mp_tcache);
} tcaches SEC(".maps");

static __always_inline bool is_within(__u64 a, __u64 b, __u64 bytes)
{
	return a - b < bytes || b - a < bytes;
}

/* No pointer, no small number, positive or not. */
static __always_inline bool is_random(__u64 word)
{
	return word >> 47 && word >> 47 != 0x1ffff;
}

static __always_inline bool tcache_learn(struct mp_tcache *t, __u64 ptr, __u64 ra)
{
	__u64 word = 0, last = t->word, last_ra = t->ra;

	bpf_probe_read_user(&word, sizeof(word), (void *)(ptr + 8));
	t->word = word;
	t->ra = ra;
	if (is_random(word) && word == last && ra == last_ra) {
		t->loop_ra = ra;
		return true;
	}
	if (last && ptr == last && is_within(ra, last_ra, TCACHE_END_BYTES)) {
		t->loop_ra = last_ra;
		t->end_ra = ra;
		return true;
	}
	return false;
}

/* Is this free of an unknown block one of them? bytes: its usable size. */
static __always_inline bool tcache_ends(__u32 gen, const struct call *c, __u64 ptr, __u64 bytes)
{
	__u64 ra = c->ra ? c->ra : arch_return_slot(c->sp);
	struct mp_tcache fresh = {}, *t;

	if (!(c->flags & MP_SITE_LIBC) || !is_within(ra, c->ip, LIBC_CODE_BYTES))
		return false;
	t = bpf_map_lookup_elem(&tcaches, &gen);
	if (!t) {
		map_update(&tcaches, &gen, &fresh, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&tcaches, &gen);
	}
	if (!t)
		return false;
	if (t->loop_ra && (ra == t->loop_ra || ra == t->end_ra))
		return true;
	if (!t->loop_ra)
		return tcache_learn(t, ptr, ra);
	if (t->end_ra || !is_within(ra, t->loop_ra, TCACHE_END_BYTES) || bytes < TCACHE_LEAST || bytes > TCACHE_MOST)
		return false;
	t->end_ra = ra;
	return true;
}

#endif
