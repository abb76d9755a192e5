/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The vm plane's programs (bpf/vm.bpf.c): are their tracepoints here, with which arguments, and on.
 *
 * From the kernel's BTF, not its version: before 6.14 the mmap_lock tracepoints pass a path between mm and write. Where
 * one is missing, or a program is refused, the run goes on without the plane, and says so.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "kern/kern_internal.h"

/* Arguments of a tracepoint, its own context included; 0: there is no such tracepoint. */
static int n_arguments(const struct btf *btf, const char *typedef_name)
{
	int id = btf__find_by_name_kind(btf, typedef_name, BTF_KIND_TYPEDEF);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	while (t && (btf_is_typedef(t) || btf_is_ptr(t)))
		t = btf__type_by_id(btf, t->type);
	return t && btf_is_func_proto(t) ? (int)btf_vlen(t) : 0;
}

int vm_plane_find(struct kern *k)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int lock, unlock, write;

	if (!btf)
		return -errno;
	lock = n_arguments(btf, "btf_trace_mmap_lock_start_locking");
	unlock = n_arguments(btf, "btf_trace_mmap_lock_released");
	write = n_arguments(btf, "btf_trace_ma_write");
	btf__free(btf);
	if (lock != unlock || (lock != 3 && lock != 4) || write != 5)
		return -EOPNOTSUPP;
	k->vm_lock_path = lock == 4;
	return 0;
}

void vm_choose(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;

	bpf_program__set_autoload(s->progs.vm_lock, k->vm && k->tables);
	bpf_program__set_autoload(s->progs.vm_write, k->vm && k->tables);
	bpf_program__set_autoload(s->progs.vm_unlock, k->vm && k->tables);
	bpf_map__set_autocreate(s->maps.vm_calls, k->vm && k->tables);
	s->rodata->cfg_lock_path = k->vm_lock_path;
}

/* The end first: a call that is seen to begin is seen to end. */
int vm_attach(struct kern *k)
{
	struct memprobe_bpf *s = k->skel;

	s->links.vm_unlock = bpf_program__attach(s->progs.vm_unlock);
	s->links.vm_write = s->links.vm_unlock ? bpf_program__attach(s->progs.vm_write) : NULL;
	s->links.vm_lock = s->links.vm_write ? bpf_program__attach(s->progs.vm_lock) : NULL;
	return s->links.vm_lock ? 0 : -errno;
}

bool kern_has_vm(const struct kern *k)
{
	return k->vm;
}

void kern_vm_begin(struct kern *k)
{
	__atomic_store_n(&k->skel->bss->vm_on, k->vm, __ATOMIC_SEQ_CST);
}
