/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The vm plane's programs (bpf/vm.bpf.c): are their tracepoints here, with which arguments, and on.
 *
 * From the kernel's BTF, not its version: before 6.14 the mmap_lock tracepoints pass a path between mm and write. Where
 * one is missing, or a program is refused, those of system calls take their place (bpf/vm_calls.bpf.c), which every
 * process pays for: what that is is measured. Where these fail too, the run goes on without the plane, and says so.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "kern/kern_internal.h"

/* 3 ms in all. */
#define TAX_ROUNDS 8
#define TAX_CALLS 2000

/* Arguments of a tracepoint, its own context included; 0: there is no such tracepoint. */
static int n_arguments(const struct btf *btf, const char *typedef_name)
{
	int id = btf__find_by_name_kind(btf, typedef_name, BTF_KIND_TYPEDEF);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	while (t && (btf_is_typedef(t) || btf_is_ptr(t)))
		t = btf__type_by_id(btf, t->type);
	return t && btf_is_func_proto(t) ? (int)btf_vlen(t) : 0;
}

static bool has_calls(void)
{
	return libbpf_find_vmlinux_btf_id("sys_enter", BPF_TRACE_RAW_TP) > 0 &&
	       libbpf_find_vmlinux_btf_id("sys_exit", BPF_TRACE_RAW_TP) > 0;
}

static bool has_events(struct kern *k)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int lock, unlock, write;

	if (!btf)
		return false;
	lock = n_arguments(btf, "btf_trace_mmap_lock_start_locking");
	unlock = n_arguments(btf, "btf_trace_mmap_lock_released");
	write = n_arguments(btf, "btf_trace_ma_write");
	btf__free(btf);
	k->vm_lock_path = lock == 4;
	return lock == unlock && (lock == 3 || lock == 4) && write == 5;
}

void vm_plane_find(struct kern *k, bool by_calls)
{
	k->vm_by_calls = by_calls || !has_events(k);
	k->vm = !k->vm_by_calls || has_calls();
}

void vm_plane_lessen(struct kern *k)
{
	k->vm = !k->vm_by_calls && has_calls();
	k->vm_by_calls = k->vm;
}

void vm_choose(struct kern *k)
{
	bool events = k->vm && k->tables && !k->vm_by_calls, calls = k->vm && k->tables && k->vm_by_calls;
	struct memprobe_bpf *s = k->skel;

	bpf_program__set_autoload(s->progs.vm_lock, events);
	bpf_program__set_autoload(s->progs.vm_write, events);
	bpf_program__set_autoload(s->progs.vm_unlock, events);
	bpf_program__set_autoload(s->progs.vm_call_begins, calls);
	bpf_program__set_autoload(s->progs.vm_call_ends, calls);
	bpf_map__set_autocreate(s->maps.vm_calls, events || calls);
	s->rodata->cfg_lock_path = k->vm_lock_path;
}

/* The least of several rounds: what others do in between counts for nothing. */
static uint64_t system_call_ns(void)
{
	uint64_t least = UINT64_MAX, begin, took;
	int round, i;

	for (round = 0; round < TAX_ROUNDS; round++) {
		begin = clock_monotonic_ns();
		for (i = 0; i < TAX_CALLS; i++)
			syscall(SYS_getppid);
		took = clock_monotonic_ns() - begin;
		least = took < least ? took : least;
	}
	return least / TAX_CALLS;
}

/* vm_on is set: as it will be. */
static int attach_calls(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;
	uint64_t before = system_call_ns(), after;

	s->links.vm_call_ends = bpf_program__attach(s->progs.vm_call_ends);
	s->links.vm_call_begins = s->links.vm_call_ends ? bpf_program__attach(s->progs.vm_call_begins) : NULL;
	if (!s->links.vm_call_begins)
		return -errno;
	__atomic_store_n(&s->bss->vm_on, 1, __ATOMIC_SEQ_CST);
	after = system_call_ns();
	__atomic_store_n(&s->bss->vm_on, 0, __ATOMIC_SEQ_CST);
	k->vm_call_ns = after > before ? (uint32_t)(after - before) : 1;
	log_warn("mappings are seen by system calls, as this kernel lacks what tells of them alone (tracepoints mmap_lock, "
		 "ma_write): each call of every process takes %u ns more", k->vm_call_ns);
	return 0;
}

/* The end first: a call that is seen to begin is seen to end. */
int vm_attach(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;

	if (k->vm_by_calls)
		return attach_calls(k);
	s->links.vm_unlock = bpf_program__attach(s->progs.vm_unlock);
	s->links.vm_write = s->links.vm_unlock ? bpf_program__attach(s->progs.vm_write) : NULL;
	s->links.vm_lock = s->links.vm_write ? bpf_program__attach(s->progs.vm_lock) : NULL;
	return s->links.vm_lock ? 0 : -errno;
}

uint32_t kern_vm_call_ns(const struct kern *k)
{
	return k->vm_call_ns;
}

bool kern_has_vm(const struct kern *k)
{
	return k->vm;
}

void kern_vm_begin(struct kern *k)
{
	__atomic_store_n(&k->skel->bss->vm_on, k->vm, __ATOMIC_SEQ_CST);
}
