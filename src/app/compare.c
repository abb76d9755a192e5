/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* memprobe diff A[@TIME] B[@TIME]: two moments of one run, or two runs; see replay.h and model/diff.h. */
#include <errno.h>
#include <signal.h>

#include "app/output.h"
#include "app/recording_file.h"
#include "app/replay.h"
#include "app/session.h"
#include "base/log.h"
#include "model/diff.h"

/* What would be nonsense to print. */
static int check(const struct options *o, const struct diff *d)
{
	bool is_level = o->metric == METRIC_LIVE_BYTES || o->metric == METRIC_LIVE_BLOCKS || o->metric == METRIC_RSS_BYTES;

	if (o->has_metric && o->metric == METRIC_PEAK_BYTES) {
		log_error("-m %s: a run has one peak, and no two that could be compared; memprobe report -m %s FILE shows it",
			  metric_name(o->metric), metric_name(o->metric));
		return STATUS_USAGE;
	}
	if (!d->is_one_run && o->has_metric && is_level) {
		log_error("%s and %s are two runs: their levels (-m %s) are never subtracted; without -m, what they allocate, "
			  "free and keep per second is compared", o->files[0].path, o->files[1].path, metric_name(o->metric));
		return STATUS_USAGE;
	}
	if (d->is_one_run && d->facts[DIFF_A].window_ns == d->facts[DIFF_B].window_ns) {
		log_error("A and B are the same snapshot of one run: give two times, as in %s@10s %s@30s", o->files[0].path,
			  o->files[1].path);
		return STATUS_USAGE;
	}
	return STATUS_OK;
}

static int write_diff(const struct options *o, const struct diff *d)
{
	struct output *out = NULL;
	struct render_opts r;
	int err = output_open(&out, o);

	if (err)
		return err == -ENOTTY ? STATUS_USAGE : STATUS_FAILED;
	output_render_options(o, &r);
	err = output_write_diff(out, d, &r);
	if (err == -EPIPE) {
		output_close(out, false);
		return STATUS_OK;
	}
	if (output_close(out, !err) || err)
		return err == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	return STATUS_OK;
}

int compare_run(const struct options *o)
{
	bool is_whole[2] = { true, true };
	struct profile a, b;
	struct diff d;
	int status;

	signal(SIGPIPE, SIG_IGN);
	if (recording_load(&o->files[0], &a, &is_whole[0]))
		return STATUS_FAILED;
	if (recording_load(&o->files[1], &b, &is_whole[1])) {
		profile_release(&a);
		return STATUS_FAILED;
	}
	diff_make(&d, &a, &b);
	profile_release(&a);
	profile_release(&b);
	status = check(o, &d);
	if (!status)
		status = write_diff(o, &d);
	diff_release(&d);
	return status || (is_whole[0] && is_whole[1]) ? status : STATUS_FAILED;
}
