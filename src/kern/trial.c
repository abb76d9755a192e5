/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Each thing that a kernel may have, by trying; see trial.h. Programs are bpf/trial.bpf.c. */
#include "kern/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"
#include "kern/mapwatch.h"
#include "kern/scratch.h"

static const struct kern_trial trials[KERN_TRIAL_NR] = {
	[KERN_TRIAL_SESSION] = { "uprobe session", "6.13", "two links, entry and return, instead of one" },
	[KERN_TRIAL_MULTI] = { "uprobe multi", "6.6", "a perf event per probe: slow to detach, needs root" },
	[KERN_TRIAL_PERF] = { "perf uprobe", NULL, "not needed where uprobe multi works" },
	[KERN_TRIAL_SANDBOX] = { "return under seccomp", NULL, "no return probes: memprobe refuses to run" },
	[KERN_TRIAL_THREADS] = { "all threads with -p", "6.10",
				 "-p probes every process that maps the same objects" },
	[KERN_TRIAL_FIND_VMA] = { "bpf_find_vma", "5.17", "mappings are sent from user space" },
	[KERN_TRIAL_PREEMPT] = { "preemption guard", "6.10", "working memory per thread instead of per CPU" },
	[KERN_TRIAL_PREEMPT_CALLS] = { "guarded calls", "6.15", "working memory per thread instead of per CPU" },
	[KERN_TRIAL_TASK_STORAGE] = { "task storage", "5.11", "memprobe cannot run" },
	[KERN_TRIAL_RING_BUFFER] = { "ring buffer", "5.8", "memprobe cannot run" },
	[KERN_TRIAL_TRACEPOINT] = { "BTF tracepoints", "5.5", "memprobe cannot run" },
	[KERN_TRIAL_MMAP_EVENTS] = { "mapping events", NULL,
				     "libraries loaded later are found late; short-lived processes have no names" },
};

/* One program of the object, without the others. */
static int try_program(const char *name)
{
	struct memprobe_bpf *skel = memprobe_bpf__open();
	struct bpf_program *prog;
	int err = -errno;

	if (!skel)
		return err;
	bpf_object__for_each_program(prog, skel->obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name));
	err = memprobe_bpf__load(skel);
	log_debug("trial: program %s: %s", name, err ? strerror(-err) : "loads");
	memprobe_bpf__destroy(skel);
	return err;
}

static void try_links(struct kern_trial *out)
{
	static const enum kern_trial_what of_kind[] = { KERN_TRIAL_SESSION, KERN_TRIAL_MULTI, KERN_TRIAL_PERF };
	struct kern *k = xcalloc(1, sizeof(*k));
	int err;

	for (k->kind = ATTACH_SESSION; k->kind <= ATTACH_PERF; k->kind++)
		out[of_kind[k->kind]].err = feature_try_kind(k, k->kind);
	/* in a sandbox, with the best kind */
	err = feature_find_links(k, SCRATCH_UNKNOWN_SYSCALLS);
	out[KERN_TRIAL_SANDBOX].err = err;
	out[KERN_TRIAL_THREADS].err = err ? err : kern_sees_threads(k) ? 0 : -ENODATA;
	links_close(k->links, k->n_links);
	free(k->links);
	free(k);
}

static int try_mmap_events(void)
{
	struct mapwatch *w;
	int err = mapwatch_open(&w);

	if (!err)
		mapwatch_close(w);
	return err;
}

void kern_trials(struct kern_trial out[KERN_TRIAL_NR])
{
	kern_quiet_libbpf();
	memcpy(out, trials, sizeof(trials));
	try_links(out);
	out[KERN_TRIAL_FIND_VMA].err = try_program("trial_find_vma");
	out[KERN_TRIAL_PREEMPT].err = try_program("trial_preempt");
	out[KERN_TRIAL_PREEMPT_CALLS].err = try_program("trial_preempt_calls");
	out[KERN_TRIAL_TASK_STORAGE].err = try_program("trial_task_storage");
	out[KERN_TRIAL_RING_BUFFER].err = try_program("trial_ring_buffer");
	out[KERN_TRIAL_TRACEPOINT].err = try_program("trial_tracepoint");
	out[KERN_TRIAL_MMAP_EVENTS].err = try_mmap_events();
}
