/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The gate: heap probes that are taken away and put back, so that a target pays for them part of the time only.
 *
 * A disarmed probe still traps; only closing its link takes the breakpoint out of the target's text. The
 * breakpoints go first, then the kernel waits for its grace periods, which is left to a thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"

struct closing {
	pthread_t thread;
	struct kern_link *links;
	size_t n;
};

/* Calls in flight return within this time, or count as abandoned. */
#define DRAIN_NS (1 * NS_PER_MS)

int gate_add(struct kern *k, const struct probe_set *s)
{
	int err = s->gated && k->gate_shut ? 0 : probe_set_open(k, s);

	if (err) {
		close(s->file_fd);
		free(s->sites);
		return err;
	}
	XGROW(k->sets, k->n_sets, k->sets_cap);
	k->sets[k->n_sets++] = *s;
	return 0;
}

static void *close_all(void *arg)
{
	struct closing *c = arg;

	links_close(c->links, c->n);
	return NULL;
}

static void finish_closing(struct kern *k)
{
	if (!k->closing)
		return;
	pthread_join(k->closing->thread, NULL);
	free(k->closing->links);
	free(k->closing);
	k->closing = NULL;
}

/* The gated links, out of k->links. */
static struct closing *take_links(struct kern *k)
{
	struct closing *c = xcalloc(1, sizeof(*c));
	size_t i, kept = 0;

	c->links = xcalloc(k->n_links + 1, sizeof(*c->links));
	for (i = 0; i < k->n_links; i++) {
		if (k->links[i].gated)
			c->links[c->n++] = k->links[i];
		else
			k->links[kept++] = k->links[i];
	}
	k->n_links = kept;
	return c;
}

int kern_gate_shut(struct kern *k)
{
	const struct timespec drain = { .tv_nsec = DRAIN_NS };
	int err;

	if (k->gate_shut)
		return 0;
	finish_closing(k);
	/* what still traps is counted, as it costs */
	__atomic_store_n(&k->skel->bss->armed, MP_COUNTING, __ATOMIC_SEQ_CST);
	nanosleep(&drain, NULL);
	k->gate_shut = true;
	k->closing = take_links(k);
	err = pthread_create(&k->closing->thread, NULL, close_all, k->closing);
	if (!err)
		return 0;
	close_all(k->closing);
	free(k->closing->links);
	free(k->closing);
	k->closing = NULL;
	return 0;
}

int kern_gate_open(struct kern *k)
{
	size_t i;
	int err = 0;

	if (!k->gate_shut)
		return 0;
	finish_closing(k);
	k->gate_shut = false;
	__atomic_store_n(&k->skel->bss->armed, MP_COUNTING, __ATOMIC_SEQ_CST);
	for (i = 0; i < k->n_sets; i++) {
		if (!k->sets[i].gated)
			continue;
		err = probe_set_open(k, &k->sets[i]);
		/* the process of a pid-scoped set may have ended */
		if (err && err != -ESRCH)
			log_debug("gate: %s", strerror(-err));
	}
	__atomic_add_fetch(&k->skel->bss->gate_epoch, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&k->skel->bss->armed, MP_ARMED, __ATOMIC_SEQ_CST);
	return 0;
}

bool kern_gate_is_shut(const struct kern *k)
{
	return k->gate_shut;
}

void gate_release(struct kern *k)
{
	size_t i;

	finish_closing(k);
	for (i = 0; i < k->n_sets; i++) {
		close(k->sets[i].file_fd);
		free(k->sets[i].sites);
	}
	free(k->sets);
}

void kern_set_burst_weight(struct kern *k, uint32_t weight)
{
	k->skel->data->burst_weight = weight ? weight : 1;
}

void kern_set_sampling(struct kern *k, uint32_t interval_bytes)
{
	k->skel->bss->sample_bytes = interval_bytes;
}

void kern_set_costs(struct kern *k, uint32_t entry_ns, uint32_t return_ns, uint32_t stepped_ns)
{
	k->skel->data->cost_entry_ns = entry_ns;
	k->skel->data->cost_return_ns = return_ns;
	k->skel->data->cost_stepped_ns = stepped_ns;
}

void kern_count_calls(struct kern *k)
{
	__atomic_store_n(&k->skel->bss->armed, MP_COUNTING, __ATOMIC_SEQ_CST);
}

bool kern_gate_is_shut(const struct kern *k)
{
	return k->gate_shut;
}
