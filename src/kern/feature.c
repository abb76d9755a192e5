/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What this kernel can do, found by trying: a small program is loaded, linked to a function of
 * memprobe's own in a scratch process, and must be hit. Never by version number: distributions backport.
 *
 * The scratch process is sandboxed first. From 6.11 on x86-64 returns from a return probe through a
 * system call of its own (335), and until 6.14 and its stable updates seccomp filters that did not know
 * it killed the target. So the first program that returns through one of our probes is not the user's.
 *
 * Before 6.6.35 and 6.9.5 (46ba0e49b642) the PID of a uprobe_multi link is compared with that of the thread, so that
 * other threads than the first are not seen. So a second thread of the scratch process calls the function, too.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "kern/empty_probe.h"
#include "kern/scratch.h"

#define CALLS 3
#define TIMEOUT_MS 500

static const char *const kind_names[] = { "uprobe session", "uprobe multi", "perf uprobe" };

const char *kern_attach_kind(const struct kern *k)
{
	return kind_names[k->kind];
}

/*
 * Known only to those who have read the manual: with MEMPROBE_PID_FILTER=threads the second thread is none of the
 * scratch process, so that its calls are not seen, as on those kernels.
 */
static bool wants_thread_filter(void)
{
	const char *filter = getenv("MEMPROBE_PID_FILTER");

	return filter && !strcmp(filter, "threads");
}

/* Is a second thread seen as well? wanted: how much it is to add to *hits. 0 or -ECHILD, -ETIMEDOUT: no trial. */
static int try_thread(struct kern *k, struct scratch *s, int map, uint64_t *hits, uint64_t wanted)
{
	uint64_t before = *hits;
	uint32_t zero = 0;
	int err = scratch_run_other(s, SCRATCH_PAIR, CALLS, TIMEOUT_MS, wants_thread_filter());

	if (err == -ECHILD || err == -ETIMEDOUT)
		return err;
	if (err || bpf_map_lookup_elem(map, &zero, hits) || *hits - before < wanted)
		k->sees_one_thread = true;
	return 0;
}

/* 0: it was hit by every call. -ENODATA: it was not; -ECHILD: the process died of it. */
static int try_probe(struct kern *k, struct scratch *s, enum attach_kind kind, enum empty_half half)
{
	unsigned long offset = scratch_offset(SCRATCH_PAIR);
	uint64_t hits = 0, wanted = half == EMPTY_BOTH ? 2 * CALLS : CALLS, cpu_ns;
	uint32_t zero = 0;
	int map, err;

	if (!offset)
		return -ENOENT;
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "mp_hits", sizeof(zero), sizeof(hits), 1, NULL);
	if (map < 0)
		return map;
	err = empty_probe(k, kind, half, &offset, 1, s->pid, map);
	if (!err)
		err = scratch_run(s, SCRATCH_PAIR, CALLS, TIMEOUT_MS, &cpu_ns);
	if (!err)
		err = bpf_map_lookup_elem(map, &zero, &hits);
	if (!err && hits < wanted)
		err = -ENODATA;
	if (!err)
		err = try_thread(k, s, map, &hits, wanted);
	log_debug("trial: %s%s: %s", kind_names[kind], half == EMPTY_RETURN ? ", return" : "",
		  err ? strerror(-err) : k->sees_one_thread ? "works, of one process in its first thread only" : "works");
	close(map);
	return err;
}

/* Entry and return of one kind. */
static int try_kind(struct kern *k, struct scratch *s, enum attach_kind kind)
{
	int err;

	k->sees_one_thread = false;
	if (kind == ATTACH_SESSION)
		return try_probe(k, s, kind, EMPTY_BOTH);
	err = try_probe(k, s, kind, EMPTY_ENTRY);
	return err ? err : try_probe(k, s, kind, EMPTY_RETURN);
}

bool kern_sees_threads(const struct kern *k)
{
	return !k->sees_one_thread;
}

int feature_try_kind(struct kern *k, enum attach_kind kind)
{
	struct scratch s;
	int err = scratch_start(&s);

	if (err)
		return err;
	err = try_kind(k, &s, kind);
	scratch_stop(&s);
	return err;
}

/* Whoever else killed it (SIGKILL) proves nothing. */
static bool died_of_return(const struct scratch *s)
{
	return WIFSIGNALED(s->status) && WTERMSIG(s->status) != SIGKILL;
}

int feature_find_links(struct kern *k, uint32_t first_killed)
{
	struct scratch s;
	int err;

	err = scratch_start(&s);
	if (err)
		return err;
	err = scratch_lock_up(&s, first_killed, TIMEOUT_MS);
	if (err)
		log_debug("trial: no seccomp filter: %s", strerror(-err));
	for (k->kind = ATTACH_SESSION;; k->kind++) {
		err = try_kind(k, &s, k->kind);
		if (!err || err == -ECHILD || k->kind == ATTACH_PERF)
			break;
	}
	scratch_stop(&s);
	if (err == -ECHILD && died_of_return(&s))
		return -EOPNOTSUPP;
	return err;
}
