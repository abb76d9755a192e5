/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The program for heaps that hand out memory by moving a pointer (bpf/bump.bpf.c). Few processes have one, and to
 * verify the walk of a stack once more takes long, so it is loaded with the first probe that wants it: at the start, or
 * when such a process comes later. libbpf loads an object once only: it is opened a second time, for this program
 * alone, with all maps of the first, global variables too.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "kern/kern_internal.h"

static int share_maps(const struct bpf_object *from, const struct bpf_object *to)
{
	struct bpf_map *have = NULL, *want = NULL;
	int err = 0;

	while (!err && (have = bpf_object__next_map(from, have)) && (want = bpf_object__next_map(to, want)))
		err = bpf_map__fd(have) < 0 ? bpf_map__set_autocreate(want, false) : bpf_map__reuse_fd(want, bpf_map__fd(have));
	return err;
}

static int load(struct kern *k)
{
	struct memprobe_bpf *s = memprobe_bpf__open();
	struct bpf_program *prog, *wanted;
	int err;

	if (!s)
		return -errno;
	k->bumps = s;
	wanted = k->tables ? s->progs.heap_bump : s->progs.heap_bump_fp;
	bpf_object__for_each_program(prog, s->obj)
		bpf_program__set_autoload(prog, prog == wanted);
	if (k->kind != ATTACH_PERF)
		bpf_program__set_expected_attach_type(wanted, (enum bpf_attach_type)MP_TRACE_UPROBE_MULTI);
	err = share_maps(k->skel->obj, s->obj);
	if (!err)
		err = memprobe_bpf__load(s);
	if (err)
		return err;
	kern_log_verified(s->obj);
	others_add_own(k, wanted);
	return 0;
}

struct bpf_program *bump_program(struct kern *k)
{
	int err = k->bumps || k->bumps_err ? 0 : load(k);

	if (err) {
		log_warn("what V8 takes from its own heap is not counted: %s", strerror(-err));
		memprobe_bpf__destroy(k->bumps);
		k->bumps = NULL;
		k->bumps_err = err;
	}
	if (k->bumps_err)
		return NULL;
	return k->tables ? k->bumps->progs.heap_bump : k->bumps->progs.heap_bump_fp;
}

int kern_bumps_error(const struct kern *k)
{
	return k->bumps_err;
}
