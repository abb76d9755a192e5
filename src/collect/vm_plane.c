/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Mappings of the targets; see vm_plane.h. */
#include "collect/vm_plane.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc/allocator.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"
#include "model/mapping_calls.h"

/* A process that maps all the time is compared with its /proc/PID/maps in one of so many tries. */
#define TRIES 3
#define VM_STACK_SALT 0x766d5f706c616e65ULL /* else it would have the number of a heap stack */

struct vm_process {
	struct vm_space space;
	pid_t pid; /* 0: ended */
	uint64_t seed_ns; /* CLOCK_MONOTONIC: calls from before are in the space already */
	uint64_t last_ns; /* the last record's */
};

void vm_plane_release(struct vm_plane *vm)
{
	size_t i;

	for (i = 0; i < vm->n; i++)
		vm_space_release(&vm->procs[i].space);
	free(vm->procs);
	table_release(&vm->index_of);
	table_release(&vm->allocators);
	vm_ledger_release(&vm->ledger);
	*vm = (struct vm_plane){ 0 };
}

static struct vm_process *find(struct vm_plane *vm, uint32_t gen)
{
	const uint64_t *at = table_get(&vm->index_of, gen);

	return at ? &vm->procs[*at] : NULL;
}

/* May move the others. */
static struct vm_process *find_or_add(struct vm_plane *vm, uint32_t gen, pid_t pid)
{
	struct vm_process *p = find(vm, gen);

	if (p)
		return p;
	XGROW(vm->procs, vm->n, vm->cap);
	p = &vm->procs[vm->n];
	*p = (struct vm_process){ .pid = pid };
	vm_space_init(&p->space, &vm->ledger, gen);
	table_put(&vm->index_of, gen, vm->n++);
	return p;
}

/* ---- what /proc says ---- */

static void enter_map(struct vm_space *s, const struct proc_map *m)
{
	const struct vm_new new = {
		.is_reserved = !m->read && !m->write && !m->exec,
		.is_shm = !strncmp(m->path, "/SYSV", 5),
	};

	vm_map(s, m->start, m->end, &new);
	if (!strcmp(m->path, "[heap]"))
		s->brk = m->end;
}

void vm_plane_seed(struct collector *c, uint32_t gen, pid_t pid)
{
	struct proc_maps maps = { 0 };
	struct vm_process *p;
	size_t i;

	if (!kern_has_vm(c->kern))
		return;
	p = find_or_add(&c->vm, gen, pid);
	p->seed_ns = clock_monotonic_ns();
	if (!proc_maps_read(&maps, c->proc_root, pid))
		for (i = 0; i < maps.n; i++)
			enter_map(&p->space, &maps.v[i]);
	proc_maps_release(&maps);
}

/* What is counted and not there any more has ended unseen. */
static void end_unseen(struct vm_plane *vm, struct vm_space *s, uint64_t start, uint64_t end)
{
	const struct vm_interval *i = vm_find_next(s, start);
	bool missed = false;

	if (start >= end) /* one mapping may have become several (madvise): nothing lies between those */
		return;
	for (; i && i->start < end; i = vm_find_next(s, i->end))
		missed |= i->mapping != VM_UNCOUNTED;
	vm->n_missed += missed;
	vm_unmap(s, start, end);
}

static void compare(struct vm_plane *vm, struct vm_space *s, const struct proc_maps *maps)
{
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < maps->n; i++) {
		end_unseen(vm, s, at, maps->v[i].start);
		vm_fill(s, maps->v[i].start, maps->v[i].end);
		at = maps->v[i].end;
	}
	if (maps->n)
		end_unseen(vm, s, at, UINT64_MAX);
}

/* As of one moment only: no record may come between reading the one and the other. */
static void correct(struct collector *c, size_t at)
{
	struct proc_maps maps = { 0 };
	uint64_t begin;
	int tries, err = 0;

	for (tries = 0; tries < TRIES && !err && c->vm.procs[at].pid; tries++) {
		begin = clock_monotonic_ns();
		err = proc_maps_read(&maps, c->proc_root, c->vm.procs[at].pid);
		if (err)
			break;
		if (c->poll)
			c->poll(c->poll_ctx);
		if (c->vm.procs[at].last_ns >= begin)
			continue;
		compare(&c->vm, &c->vm.procs[at].space, &maps);
		break;
	}
	proc_maps_release(&maps);
}

/* Is what a munmap may have failed on still mapped? */
static void settle(struct collector *c, struct vm_process *p, const struct vm_doubt *d)
{
	struct proc_maps maps = { 0 };
	uint64_t at = d->start;
	size_t i;

	if (p->pid && !proc_maps_read(&maps, c->proc_root, p->pid) && maps.n) {
		for (i = 0; i < maps.n && at < d->end; i++) {
			if (maps.v[i].end <= at)
				continue;
			if (maps.v[i].start > at)
				vm_unmap(&p->space, at, maps.v[i].start < d->end ? maps.v[i].start : d->end);
			at = maps.v[i].end;
		}
		vm_unmap(&p->space, at, d->end);
	}
	proc_maps_release(&maps);
}

/* ---- events ---- */

void collector_on_vm(struct collector *c, const struct mp_ev_vm *e)
{
	uint64_t armed = kern_armed_ns(c->kern);
	bool counts = armed && e->time_ns >= armed;
	struct vm_process *p = find_or_add(&c->vm, e->gen, 0);
	struct vm_doubt doubt;

	if (!p->pid) {
		const uint64_t *at = table_get(&c->profile.proc_ids, e->gen);

		p->pid = at && c->profile.procs[*at].state == PROC_RUNNING ? c->profile.procs[*at].tgid : 0;
	}
	if (e->time_ns < p->seed_ns)
		return;
	p->last_ns = e->time_ns;
	doubt = vm_apply(&p->space, e, counts ? (uint32_t)((e->time_ns - armed) / NS_PER_MS) : 0, counts);
	if (counts && doubt.missed_bytes)
		c->vm.n_missed++;
	if (doubt.start < doubt.end)
		settle(c, p, &doubt);
}

void vm_plane_fork(struct collector *c, uint32_t parent_gen, uint32_t gen, pid_t pid)
{
	struct vm_process *parent, *p;

	if (!kern_has_vm(c->kern))
		return;
	p = find_or_add(&c->vm, gen, pid);
	parent = find(&c->vm, parent_gen);
	if (parent)
		vm_space_fork(&p->space, &parent->space);
}

void vm_plane_end(struct collector *c, uint32_t gen)
{
	struct vm_process *p = find(&c->vm, gen);

	if (!p)
		return;
	vm_space_freeze(&p->space);
	p->pid = 0;
}

/* ---- into the profile ---- */

/* Most of an allocator's own functions have no name in a stripped library. */
static bool is_by_allocator(const struct profile *p, const struct profile_stack *s)
{
	uint32_t i;

	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];

		if (f->class == FRAME_ALLOCATOR || alloc_is_allocator_library(profile_str(p, f->module)))
			return true;
	}
	return false;
}

static bool makes_thread(const struct profile *p, const struct profile_stack *s)
{
	uint32_t i;

	for (i = 0; i < s->n_frames; i++)
		if (strstr(profile_str(p, p->frames[p->stack_frames[s->first_frame + i]].name), "pthread_create"))
			return true;
	return false;
}

/* The same frames below a word of ours. */
static uint32_t add_stack(struct collector *c, uint64_t id, const struct vm_stack *v, uint32_t base)
{
	struct profile *p = &c->profile;
	uint32_t n = p->stacks[base].n_frames, at, *frames = xcalloc(n + 1, sizeof(*frames));
	bool is_thread = v->is_thread_stack || makes_thread(p, &p->stacks[base]);

	frames[0] = note_frame(c, is_thread ? PROFILE_THREAD_STACK_FRAME : PROFILE_MMAP_FRAME);
	memcpy(frames + 1, p->stack_frames + p->stacks[base].first_frame, n * sizeof(*frames));
	at = profile_add_stack(p, id, p->stacks[base].proc, frames, n + 1, p->stacks[base].end);
	p->stacks[at].is_outside_language = p->stacks[base].is_outside_language;
	p->stacks[at].plane = STACK_VM;
	generated_keep_copy(c, base, at, 1);
	free(frames);
	return at;
}

/* The profile's stack for v; UINT32_MAX: an allocator's, or its frames have not come. */
static uint32_t stack_for(struct collector *c, const struct vm_stack *v)
{
	uint64_t id = hash_u64(v->hash ^ VM_STACK_SALT);
	uint32_t at = profile_find_stack(&c->profile, id), base;

	if (at != UINT32_MAX || table_get(&c->vm.allocators, v->hash))
		return at;
	base = profile_find_stack(&c->profile, v->hash);
	if (base == UINT32_MAX)
		return base;
	if (is_by_allocator(&c->profile, &c->profile.stacks[base])) {
		table_put(&c->vm.allocators, v->hash, 1);
		return UINT32_MAX;
	}
	return add_stack(c, id, v, base);
}

/* Of what lives, with filters on blocks. */
static void filter_space(struct collector *c, const struct vm_space *s)
{
	uint64_t now_ms = c->profile.window_ns / NS_PER_MS;
	size_t i;

	for (i = 1; i < s->n_mappings; i++) {
		const struct vm_mapping *m = &s->mappings[i];
		struct mp_block b = { .size_bytes = m->bytes, .birth_ms = m->birth_ms };
		uint32_t at;

		if ((!m->bytes && !m->reserved_bytes) || !snapshot_block_passes(c->options, &b, now_ms))
			continue;
		at = profile_find_stack(&c->profile, hash_u64(s->ledger->stacks[m->stack].hash ^ VM_STACK_SALT));
		if (at == UINT32_MAX)
			continue;
		c->profile.stacks[at].live_bytes += m->bytes;
		c->profile.stacks[at].live_blocks++;
	}
}

void vm_plane_correct(struct collector *c)
{
	size_t i;

	for (i = 0; i < c->vm.n; i++)
		correct(c, i);
}

void vm_plane_fill(struct collector *c)
{
	bool filtered = snapshot_is_filtered(c->options);
	size_t i;

	if (c->vm.ledger.n)
		collector_resolve(c, UINT64_MAX);
	for (i = 0; i < c->vm.ledger.n; i++) {
		const struct vm_stack *v = &c->vm.ledger.stacks[i];
		uint32_t at = stack_for(c, v);
		struct profile_stack *s;

		if (at == UINT32_MAX)
			continue;
		s = &c->profile.stacks[at];
		s->t = (struct profile_totals){ .alloc_bytes = v->alloc_bytes, .alloc_blocks = v->alloc_blocks,
						.free_bytes = v->free_bytes, .free_blocks = v->free_blocks,
						.birth_sum_ms = v->birth_sum_ms };
		s->reserved_bytes = v->reserved_bytes;
		s->live_bytes = filtered ? 0 : totals_live_bytes(&s->t);
		s->live_blocks = filtered ? 0 : totals_live_blocks(&s->t);
	}
	for (i = 0; i < c->vm.n && filtered; i++)
		filter_space(c, &c->vm.procs[i].space);
}

void vm_plane_each(const struct collector *c, vm_range_fn fn, void *ctx)
{
	size_t i, k;

	for (i = 0; i < c->vm.n; i++) {
		const struct vm_space *s = &c->vm.procs[i].space;

		for (k = 0; k < s->n && c->vm.procs[i].pid; k++) {
			const struct vm_interval *v = &s->v[k];
			uint32_t at = UINT32_MAX;
			uint64_t hash;

			if (v->mapping != VM_UNCOUNTED && !v->is_reserved) {
				hash = s->ledger->stacks[s->mappings[v->mapping].stack].hash;
				at = profile_find_stack(&c->profile, hash_u64(hash ^ VM_STACK_SALT));
			}
			if (at != UINT32_MAX)
				fn(ctx, at, v->start, v->end);
		}
	}
}

void vm_plane_fill_early(struct collector *c, uint64_t before_ms)
{
	size_t i, k;

	for (i = 0; i < c->vm.n; i++) {
		const struct vm_space *s = &c->vm.procs[i].space;

		for (k = 1; k < s->n_mappings; k++) {
			const struct vm_mapping *m = &s->mappings[k];
			uint64_t id = hash_u64(s->ledger->stacks[m->stack].hash ^ VM_STACK_SALT);
			uint32_t at = profile_find_stack(&c->profile, id);

			if (at != UINT32_MAX && (m->bytes || m->reserved_bytes) && m->birth_ms < before_ms)
				c->profile.stacks[at].early_alive++;
		}
	}
}
