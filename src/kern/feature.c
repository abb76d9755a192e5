/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What this kernel can do, found by trying: a small program is loaded, linked to a function of
 * memprobe's own in a scratch process, and must be hit. Never by version number: distributions backport.
 *
 * The scratch process is sandboxed first. From 6.11 on x86-64 returns from a return probe through a
 * system call of its own (335), and until 6.14 and its stable updates seccomp filters that did not know
 * it killed the target. So the first program that returns through one of our probes is not the user's.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
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
	log_debug("trial: %s%s: %s", kind_names[kind], half == EMPTY_RETURN ? ", return" : "",
		  err ? strerror(-err) : "works");
	close(map);
	return err;
}

/* Entry and return of one kind. */
static int try_kind(struct kern *k, struct scratch *s, enum attach_kind kind)
{
	int err;

	if (kind == ATTACH_SESSION)
		return try_probe(k, s, kind, EMPTY_BOTH);
	err = try_probe(k, s, kind, EMPTY_ENTRY);
	return err ? err : try_probe(k, s, kind, EMPTY_RETURN);
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
