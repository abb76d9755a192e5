/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* One function per system call; see mapping_calls.h. Values of flags: uapi/linux/mman.h, asm-generic/mman.h. */
#include "model/mapping_calls.h"

#define PROT_ANY 7 /* read, write, execute */
#define FLAG_FIXED 0x10
#define FLAG_FIXED_NOREPLACE 0x100000
#define FLAG_STACK 0x20000
#define FLAG_HUGETLB 0x40000
#define REMAP_FIXED 2
#define REMAP_DONTUNMAP 4

struct call {
	struct vm_space *s;
	const struct mp_ev_vm *e;
	struct vm_new new;
	struct vm_doubt doubt;
};

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + VM_PAGE - 1) & ~(uint64_t)(VM_PAGE - 1);
}

static unsigned int n_ranges(const struct mp_ev_vm *e)
{
	return e->n_ranges < MP_VM_RANGES ? e->n_ranges : MP_VM_RANGES;
}

static uint64_t range_start(const struct mp_ev_vm *e, unsigned int i)
{
	return e->range[i].start & ~(uint64_t)(VM_PAGE - 1);
}

/* Is it a file's? As the range says that it lies in. */
static bool is_file(const struct mp_ev_vm *e, uint64_t at)
{
	unsigned int i;

	for (i = n_ranges(e); i-- > 0;)
		if (at >= range_start(e, i) && at < e->range[i].end)
			return e->range[i].start & MP_VM_RANGE_FILE;
	return false;
}

/* The next part of the entered ranges, from range *i and address *at on, that was not known to be mapped. */
static bool next_fresh(const struct call *c, unsigned int *i, uint64_t *at, uint64_t *end)
{
	for (; *i < n_ranges(c->e); (*i)++, *at = 0) {
		if (*at < range_start(c->e, *i))
			*at = range_start(c->e, *i);
		if (*at < c->e->range[*i].end && vm_find_gap(c->s, at, c->e->range[*i].end, end))
			return true;
	}
	return false;
}

struct found {
	uint64_t start, end;
};

/* A part of that size; a range of that size; or the largest part, if it can hold as much. */
static bool find_fresh(const struct call *c, uint64_t bytes, struct found *f)
{
	uint64_t at = 0, end;
	unsigned int i = 0;

	*f = (struct found){ 0 };
	for (; next_fresh(c, &i, &at, &end); at = end) {
		if (end - at > f->end - f->start)
			*f = (struct found){ at, end };
		if (end - at != bytes)
			continue;
		*f = (struct found){ at, end };
		return true;
	}
	for (i = 0; i < n_ranges(c->e); i++) {
		if (c->e->range[i].end - range_start(c->e, i) != bytes)
			continue;
		*f = (struct found){ range_start(c->e, i), c->e->range[i].end };
		return true;
	}
	return f->end - f->start >= bytes && f->start < f->end;
}

/* What was there, and nobody was seen to unmap, has ended unseen. */
static void note_missed(struct call *c, uint64_t start, uint64_t end)
{
	const struct vm_interval *i;

	for (; start < end && (i = vm_find_next(c->s, start)) && i->start < end; start = i->end) {
		uint64_t from = i->start > start ? i->start : start, to = i->end < end ? i->end : end;

		if (i->mapping != VM_UNCOUNTED)
			c->doubt.missed_bytes += to - from;
	}
}

static void enter(struct call *c, uint64_t start, uint64_t end)
{
	if (is_file(c->e, start))
		c->new.hash = 0;
	vm_map(c->s, start, end, &c->new);
}

static void apply_mmap(struct call *c)
{
	const struct mp_ev_vm *e = c->e;
	uint64_t bytes = round_up(e->arg[1]);
	struct found f;

	c->new.is_reserved = !(e->arg[2] & PROT_ANY);
	c->new.is_thread_stack = e->arg[3] & FLAG_STACK;
	if (!e->n_ranges || !bytes)
		return;
	if (e->arg[3] & (FLAG_FIXED | FLAG_FIXED_NOREPLACE)) {
		enter(c, e->arg[0], e->arg[0] + bytes);
		return;
	}
	if (!find_fresh(c, bytes, &f)) {
		c->doubt.missed_bytes += bytes;
		return;
	}
	/* an unknown neighbour that it was merged with mostly lies above it */
	if (!(e->arg[3] & FLAG_HUGETLB)) /* rounded further up */
		f.end = f.start + bytes;
	note_missed(c, f.start, f.end);
	enter(c, f.start, f.end);
}

/* Done when the lock was given back for reading. Else it may have failed, or there was nothing to do. */
static void apply_munmap(struct call *c)
{
	uint64_t start = c->e->arg[0], end = start + round_up(c->e->arg[1]);
	const struct vm_interval *i;

	if (start % VM_PAGE || end <= start)
		return;
	if (c->e->flags & MP_VM_DOWNGRADED) {
		vm_unmap(c->s, start, end);
		return;
	}
	i = vm_find_next(c->s, start);
	if (i && i->start < end)
		c->doubt = (struct vm_doubt){ .start = start, .end = end };
}

static void apply_mremap(struct call *c)
{
	const struct mp_ev_vm *e = c->e;
	uint64_t old = e->arg[0], old_bytes = round_up(e->arg[1]), bytes = round_up(e->arg[2]), at = old;
	bool keep = !old_bytes || e->arg[3] & REMAP_DONTUNMAP;
	struct found f;

	if (old % VM_PAGE || !bytes || (!e->n_ranges && !(e->flags & MP_VM_DOWNGRADED)))
		return;
	if (e->arg[3] & REMAP_FIXED) {
		at = e->arg[4];
	} else if (bytes > old_bytes || keep) {
		if (!find_fresh(c, bytes, &f)) {
			find_fresh(c, bytes - old_bytes, &f);
			if (f.start != old + old_bytes) { /* grown in place, else: where to? */
				c->doubt.missed_bytes += bytes;
				return;
			}
		} else {
			at = f.start;
		}
	}
	if (is_file(e, at))
		c->new.hash = 0;
	vm_move(c->s, old, old_bytes, at, bytes, keep, &c->new);
}

static void apply_mprotect(struct call *c)
{
	uint64_t start = c->e->arg[0], end = start + round_up(c->e->arg[1]);

	if (start % VM_PAGE == 0)
		vm_protect(c->s, start, end, !(c->e->arg[2] & PROT_ANY));
}

static void apply_brk(struct call *c)
{
	uint64_t was = round_up(c->s->brk), now = round_up(c->e->brk), at = 0, end;
	unsigned int i = 0;

	c->s->brk = c->e->brk;
	if (was && now > was)
		enter(c, was, now);
	else if (was)
		vm_unmap(c->s, now, was);
	else if (next_fresh(c, &i, &at, &end)) /* the first that is seen */
		enter(c, at, end);
}

static void apply_shmat(struct call *c)
{
	unsigned int i = 0;
	uint64_t at = 0, end;

	c->new.is_shm = true;
	for (; next_fresh(c, &i, &at, &end); at = end)
		enter(c, at, end);
}

static void apply_shmdt(struct call *c)
{
	const struct vm_interval *i = vm_find(c->s, c->e->arg[0]);
	uint64_t start = c->e->arg[0], end;

	if (!i || i->start != start || !i->is_shm)
		return;
	end = i->end;
	while ((i = vm_find(c->s, end)) && i->is_shm && i->mapping != VM_UNCOUNTED &&
	       i->mapping == vm_find(c->s, start)->mapping)
		end = i->end;
	vm_unmap(c->s, start, end);
}

static void apply_other(struct call *c)
{
	unsigned int i = 0;
	uint64_t at = 0, end;

	c->new.hash = 0;
	for (; next_fresh(c, &i, &at, &end); at = end)
		vm_map(c->s, at, end, &c->new);
}

struct vm_doubt vm_apply(struct vm_space *s, const struct mp_ev_vm *e, uint32_t birth_ms, bool is_counted)
{
	static void (*const by_op[])(struct call *) = {
		[MP_VM_OTHER] = apply_other,	   [MP_VM_MMAP] = apply_mmap,
		[MP_VM_MUNMAP] = apply_munmap,	   [MP_VM_MREMAP] = apply_mremap,
		[MP_VM_MPROTECT] = apply_mprotect, [MP_VM_BRK] = apply_brk,
		[MP_VM_SHMAT] = apply_shmat,	   [MP_VM_SHMDT] = apply_shmdt,
	};
	struct call c = { .s = s, .e = e, .new = { .birth_ms = birth_ms } };

	if (is_counted && !(e->flags & MP_VM_INNER))
		c.new.hash = e->hash;
	if (e->op < sizeof(by_op) / sizeof(by_op[0]) && by_op[e->op])
		by_op[e->op](&c);
	return c.doubt;
}
