/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Recording a run; see recorder.h. */
#include "app/recorder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "app/store.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "model/codec.h"

#define LEAST_INTERVAL_NS NS_PER_S
#define INTERVALS 32	 /* at t the interval is t / 32 */
#define COST_FACTOR 50	 /* and so many times what one takes */
#define ENOUGH_BYTES (32 * MIB)

struct recorder {
	struct store *store; /* NULL: not saved, or given up */
	struct output *out;
	struct codec_writer *writer;
	int output_err; /* of the first -o FILE.memprobe that failed */
	bool is_over;	/* nothing is left to write to */
	uint64_t next_ns;
};

static void give_up_store(struct recorder *r, const char *why)
{
	if (r->store)
		log_warn("this run is not saved: %s", why);
	store_close(r->store);
	r->store = NULL;
}

/* An error ends the recording: not while one of its copies is well. */
static int write_parts(void *ctx, const void *data, size_t len)
{
	struct recorder *r = ctx;
	int err;

	if (r->store) {
		err = store_write(r->store, data, len);
		if (err)
			give_up_store(r, strerror(-err));
	}
	err = output_append(r->out, data, len);
	if (!r->output_err || r->output_err == -EPIPE)
		r->output_err = err ? err : r->output_err;
	return r->store || output_has_recording(r->out) ? 0 : -ECANCELED;
}

static void add_label(char *label, size_t size, const struct options *o)
{
	const char *slash;

	if (o->n_pids)
		snprintf(label, size, "%d", (int)o->pids[0]);
	else if (o->n_comms)
		snprintf(label, size, "%s", o->comms[0].text);
	else if (o->command)
		snprintf(label, size, "%s", (slash = strrchr(o->command[0], '/')) ? slash + 1 : o->command[0]);
	else if (gethostname(label, size))
		snprintf(label, size, "machine");
	label[size - 1] = '\0';
}

/* Different in each run: what has the same is one run. Never 0: not known. */
static uint64_t make_run_id(void)
{
	uint64_t id = 0;
	struct timespec t;

	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id)) {
		clock_gettime(CLOCK_REALTIME, &t);
		id = (uint64_t)t.tv_sec << 32 ^ (uint64_t)t.tv_nsec ^ (uint64_t)getpid() << 16;
	}
	return id ? id : 1;
}

struct recorder *recorder_new(const struct options *o, struct output *out, struct profile *p)
{
	struct recorder *r = xcalloc(1, sizeof(*r));
	char label[64] = "";

	p->run_id = make_run_id();
	add_label(label, sizeof(label), o);
	r->out = out;
	r->store = o->no_save ? NULL : store_create(label);
	if (!r->store && !output_has_recording(out)) {
		free(r);
		return NULL;
	}
	r->writer = codec_writer_new(write_parts, r, p->run_id);
	r->next_ns = clock_ns(CLOCK_MONOTONIC) + LEAST_INTERVAL_NS;
	return r;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	codec_writer_free(r->writer);
	store_close(r->store);
	free(r);
}

uint64_t recorder_due_ns(const struct recorder *r)
{
	return r ? r->next_ns : UINT64_MAX;
}

static uint64_t interval_ns(uint64_t window_ns, uint64_t cost_ns)
{
	uint64_t interval = window_ns / INTERVALS;

	if (interval < LEAST_INTERVAL_NS)
		interval = LEAST_INTERVAL_NS;
	return cost_ns > interval / COST_FACTOR ? cost_ns * COST_FACTOR : interval;
}

bool recorder_works(const struct recorder *r)
{
	return r && !r->is_over;
}

int recorder_add(struct recorder *r, const struct profile *p, uint64_t now_ns, uint64_t cost_ns)
{
	const char *too_much = "it has more than a recording can hold";
	uint64_t begin;
	int err;

	if (!recorder_works(r) || (!p->final && codec_written_bytes(r->writer) > ENOUGH_BYTES))
		return 0;
	begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	err = codec_write(r->writer, p);
	r->next_ns = now_ns + interval_ns(p->window_ns, cost_ns + clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin);
	r->is_over = err;
	if (codec_written_bytes(r->writer) > ENOUGH_BYTES || err)
		r->next_ns = UINT64_MAX;
	if (err == -EOVERFLOW) {
		give_up_store(r, too_much);
		if (output_has_recording(r->out))
			r->output_err = err;
		output_drop_recordings(r->out, too_much);
	}
	return r->output_err;
}

int recorder_finish(struct recorder *r)
{
	char *path = NULL;
	int err;

	if (!r)
		return 0;
	err = codec_finish(r->writer);
	if (!err)
		output_end_recordings(r->out);
	if (r->store && !err)
		path = store_commit(r->store);
	if (path)
		log_info("saved: %s (memprobe report --flamegraph FILE > out.svg)", path);
	free(path);
	return r->output_err == -EPIPE ? 0 : r->output_err;
}
