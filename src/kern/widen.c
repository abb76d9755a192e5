/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * From links of single processes to links for all, without a gap and without counting twice.
 *
 * Both are attached for a while: hit_is_taken in bpf/heap.bpf.h lets each hit count once. A link that is
 * closed no longer delivers the returns of calls that it saw begin, so the old ones stay until such calls
 * have come back. Closing waits for grace periods (a tenth of a second and more), hence a thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"
#include "proc/same_file.h"

/* A call that takes longer than this loses its return, which is counted (lost_return). */
#define CALLS_COME_BACK_NS (500 * NS_PER_MS)

struct scoped_closer {
	pthread_t thread;
	struct kern_link *links;
	size_t n;
	uint32_t *overlap; /* links_overlap of the kernel side */
};

/* The same probes on the same file */
static bool is_same_set(const struct probe_set *a, const struct probe_set *b)
{
	struct proc_file_id x, y;
	size_t i;

	if (a->prog != b->prog || a->n != b->n || proc_file_id(a->file_fd, &x) ||
	    proc_file_id(b->file_fd, &y) || !proc_is_same_file(&x, &y))
		return false;
	for (i = 0; i < a->n; i++)
		if (a->sites[i].offset != b->sites[i].offset)
			return false;
	return true;
}

static bool is_widened(const struct kern *k, size_t n, const struct probe_set *s)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!k->sets[i].pid && is_same_set(&k->sets[i], s))
			return true;
	return false;
}

/* One set for all in place of one per process; those of the other processes go. */
int kern_widen(struct kern *k)
{
	size_t i, n = 0;
	int err = 0, e;

	__atomic_store_n(&k->skel->bss->links_overlap, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < k->n_sets; i++) {
		struct probe_set *s = &k->sets[i];

		if (s->pid && is_widened(k, n, s)) {
			close(s->file_fd);
			free(s->sites);
			continue;
		}
		if (s->pid) {
			s->pid = 0;
			s->is_open = gate_wants(k, s);
			e = s->is_open ? probe_set_open(k, s) : 0;
			s->is_open = s->is_open && !e;
			k->n_unopened += e != 0;
			if (e && !err)
				err = explain_attach(k, "probes for every process", e);
		}
		k->sets[n++] = *s;
	}
	k->n_sets = n;
	k->close_scoped_ns = clock_monotonic_ns() + CALLS_COME_BACK_NS;
	return err;
}

void kern_detach_process(struct kern *k, pid_t pid)
{
	struct kern_link *links = xcalloc(k->n_links + 1, sizeof(*links));
	size_t i, n = 0, kept = 0;

	for (i = 0; i < k->n_sets; i++) {
		if (k->sets[i].pid != pid) {
			k->sets[kept++] = k->sets[i];
			continue;
		}
		close(k->sets[i].file_fd);
		free(k->sets[i].sites);
	}
	k->n_sets = kept;
	for (i = kept = 0; i < k->n_links; i++) {
		if (k->links[i].pid == pid)
			links[n++] = k->links[i];
		else
			k->links[kept++] = k->links[i];
	}
	k->n_links = kept;
	links_close(links, n);
	free(links);
}

static void *close_links(void *arg)
{
	struct scoped_closer *c = arg;

	links_close(c->links, c->n);
	__atomic_store_n(c->overlap, 0, __ATOMIC_SEQ_CST);
	return NULL;
}

/* The links of single processes, out of k->links. */
static struct scoped_closer *take_links(struct kern *k)
{
	struct scoped_closer *c = xcalloc(1, sizeof(*c));
	size_t i, kept = 0;

	c->overlap = &k->skel->bss->links_overlap;
	c->links = xcalloc(k->n_links + 1, sizeof(*c->links));
	for (i = 0; i < k->n_links; i++) {
		if (k->links[i].scoped)
			c->links[c->n++] = k->links[i];
		else
			k->links[kept++] = k->links[i];
	}
	k->n_links = kept;
	return c;
}

void widen_poll(struct kern *k)
{
	if (!k->close_scoped_ns || clock_monotonic_ns() < k->close_scoped_ns)
		return;
	k->close_scoped_ns = 0;
	k->scoped_closer = take_links(k);
	log_debug("links of single processes: closing %zu", k->scoped_closer->n);
	if (!pthread_create(&k->scoped_closer->thread, NULL, close_links, k->scoped_closer))
		return;
	close_links(k->scoped_closer);
	free(k->scoped_closer->links);
	free(k->scoped_closer);
	k->scoped_closer = NULL;
}

void widen_close(struct kern *k)
{
	if (!k->scoped_closer)
		return;
	pthread_join(k->scoped_closer->thread, NULL);
	free(k->scoped_closer->links);
	free(k->scoped_closer);
	k->scoped_closer = NULL;
}
