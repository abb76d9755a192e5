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
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"

struct closing {
	pthread_t thread;
	struct kern_link *links; /* those of hot sites first */
	size_t n, n_hot;
};

/* The hot ones get this lead: all links together would wait for the target's locks in turn. */
#define HOT_LEAD_NS (3 * NS_PER_MS)
/* While the gate turns, a busy target pays until we are done: be served first. */
#define TURNING_NICE -10

/* Calls in flight return within this time, or count as abandoned. */
#define DRAIN_NS (1 * NS_PER_MS)

bool gate_wants(const struct kern *k, const struct probe_set *s)
{
	return !s->gated || !k->gate_shut || (s->frees && !k->frees_shut);
}

int gate_add(struct kern *k, const struct probe_set *s)
{
	bool is_open = gate_wants(k, s);
	int err = is_open ? probe_set_open(k, s) : 0;

	if (err) {
		close(s->file_fd);
		free(s->sites);
		return err;
	}
	XGROW(k->sets, k->n_sets, k->sets_cap);
	k->sets[k->n_sets] = *s;
	k->sets[k->n_sets++].is_open = is_open;
	return 0;
}

static void *close_hot(void *arg)
{
	struct closing *c = arg;

	links_close(c->links, c->n_hot);
	return NULL;
}

static void *close_all(void *arg)
{
	const struct timespec lead = { .tv_nsec = HOT_LEAD_NS };
	struct closing *c = arg;
	pthread_t hot;

	if (pthread_create(&hot, NULL, close_hot, c)) {
		links_close(c->links, c->n);
		return NULL;
	}
	nanosleep(&lead, NULL);
	links_close(c->links + c->n_hot, c->n - c->n_hot);
	pthread_join(hot, NULL);
	return NULL;
}

/* Of the calling thread, and of those that it starts. Without the right to do so, nothing changes. */
static int set_nice(int nice)
{
	int before = getpriority(PRIO_PROCESS, 0);

	setpriority(PRIO_PROCESS, 0, nice);
	return before;
}

static void release_closing(struct kern *k)
{
	free(k->closing->links);
	free(k->closing);
	k->closing = NULL;
}

static void finish_closing(struct kern *k)
{
	if (!k->closing)
		return;
	pthread_join(k->closing->thread, NULL);
	release_closing(k);
}

static void take_links(struct kern *k, struct closing *c, bool hot)
{
	size_t i, kept = 0;

	for (i = 0; i < k->n_links; i++) {
		if (k->links[i].gated && k->links[i].hot == hot && (k->frees_shut || !k->links[i].frees))
			c->links[c->n++] = k->links[i];
		else
			k->links[kept++] = k->links[i];
	}
	k->n_links = kept;
}

/* The gated links, out of k->links. */
static struct closing *begin_closing(struct kern *k)
{
	struct closing *c = xcalloc(1, sizeof(*c));

	c->links = xcalloc(k->n_links + 1, sizeof(*c->links));
	take_links(k, c, true);
	c->n_hot = c->n;
	take_links(k, c, false);
	return c;
}

static uint32_t now_ms(const struct kern *k)
{
	return (uint32_t)((clock_monotonic_ns() - k->skel->bss->start_ns) / NS_PER_MS);
}

int kern_gate_shut(struct kern *k, bool frees_too)
{
	const struct timespec drain = { .tv_nsec = DRAIN_NS };
	size_t i;
	int nice;

	if (k->gate_shut && (k->frees_shut || !frees_too))
		return 0;
	finish_closing(k);
	nice = set_nice(TURNING_NICE);
	if (frees_too && k->skel->bss->start_ns)
		watched_end(&k->watched, now_ms(k));
	/* what still traps is counted, as it costs */
	__atomic_store_n(&k->skel->bss->armed, frees_too ? MP_COUNTING : MP_FREES_ONLY, __ATOMIC_SEQ_CST);
	nanosleep(&drain, NULL);
	k->gate_shut = true;
	k->frees_shut = frees_too;
	for (i = 0; i < k->n_sets; i++)
		k->sets[i].is_open = gate_wants(k, &k->sets[i]);
	k->closing = begin_closing(k);
	if (pthread_create(&k->closing->thread, NULL, close_all, k->closing)) {
		close_all(k->closing);
		release_closing(k);
	}
	set_nice(nice);
	return 0;
}

/* What is not open is tried again at the next opening. */
static void open_set(struct kern *k, struct probe_set *s)
{
	int err = probe_set_open(k, s);

	s->is_open = !err;
	if (!err || err == -ESRCH) /* the process of a pid-scoped set may have ended */
		return;
	if (!k->n_unopened++)
		log_warn("probes that were taken away for a moment cannot be put back: %s: calls of theirs are not seen until the next time",
			 strerror(-err));
	else
		log_debug("gate: %s", strerror(-err));
}

static void open_sets(struct kern *k, bool hot)
{
	size_t i;

	for (i = 0; i < k->n_sets; i++)
		if (!k->sets[i].is_open && k->sets[i].sites[0].is_hot == hot)
			open_set(k, &k->sets[i]);
}

int kern_gate_open(struct kern *k)
{
	int nice;

	if (!k->gate_shut)
		return 0;
	finish_closing(k);
	nice = set_nice(TURNING_NICE);
	k->gate_shut = false;
	if (k->frees_shut)
		__atomic_store_n(&k->skel->bss->armed, MP_COUNTING, __ATOMIC_SEQ_CST);
	open_sets(k, false);
	open_sets(k, true);
	if (k->frees_shut && k->skel->bss->start_ns)
		watched_begin(&k->watched, now_ms(k));
	kern_gate_begin(k);
	__atomic_store_n(&k->skel->bss->armed, MP_ARMED, __ATOMIC_SEQ_CST);
	set_nice(nice);
	return 0;
}

void kern_pause(struct kern *k)
{
	k->before_pause.gate_shut = k->gate_shut;
	k->before_pause.frees_shut = k->frees_shut;
	k->before_pause.armed = k->skel->bss->armed;
	kern_gate_shut(k, true);
	finish_closing(k); /* its thread stands still, too */
	rss_pause(k);
	__atomic_store_n(&k->skel->bss->vm_on, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&k->skel->bss->bumps_on, 0, __ATOMIC_SEQ_CST);
}

void kern_resume(struct kern *k)
{
	kern_vm_begin(k);
	__atomic_store_n(&k->skel->bss->bumps_on, k->skel->bss->start_ns != 0, __ATOMIC_SEQ_CST);
	rss_resume(k);
	if (k->before_pause.gate_shut && k->before_pause.frees_shut)
		return;
	kern_gate_open(k);
	if (k->before_pause.gate_shut)
		kern_gate_shut(k, false);
	else
		__atomic_store_n(&k->skel->bss->armed, k->before_pause.armed, __ATOMIC_SEQ_CST);
}

bool kern_gate_is_shut(const struct kern *k)
{
	return k->gate_shut;
}

bool kern_gate_is_still(struct kern *k)
{
	if (k->closing && !pthread_tryjoin_np(k->closing->thread, NULL))
		release_closing(k);
	return k->gate_shut && !k->closing;
}

const struct watched_spans *kern_watched(const struct kern *k)
{
	return &k->watched;
}

void kern_watched_note(struct kern *k, double allocs)
{
	if (k->skel->bss->start_ns)
		watched_note(&k->watched, now_ms(k), allocs);
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
	watched_release(&k->watched);
}

void kern_set_burst_weight(struct kern *k, double weight)
{
	k->skel->data->burst_weight = weight > 1 ? (uint32_t)(weight * MP_WEIGHT_ONE + 0.5) : MP_WEIGHT_ONE;
}

double kern_burst_weight(const struct kern *k)
{
	return (double)k->skel->data->burst_weight / MP_WEIGHT_ONE;
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

void kern_gate_begin(struct kern *k)
{
	if (k->skel->bss->start_ns)
		k->skel->bss->burst_begin_ms = now_ms(k);
	__atomic_add_fetch(&k->skel->bss->gate_epoch, 1, __ATOMIC_SEQ_CST);
}

void kern_count_old_frees(struct kern *k, bool count)
{
	k->skel->data->count_old_frees = count;
}
