/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* memprobe report FILE[@TIME]: the same bytes as the run itself wrote, in the same formats; see replay.h. */
#include "app/replay.h"

#include <errno.h>
#include <signal.h>

#include "app/output.h"
#include "app/recording_file.h"
#include "app/session.h"

int replay_run(const struct options *o)
{
	struct output *out = NULL;
	struct render_opts r;
	struct profile p;
	bool is_whole;
	int err;

	signal(SIGPIPE, SIG_IGN);
	if (recording_load(&o->files[0], &p, &is_whole))
		return STATUS_FAILED;
	err = output_open(&out, o);
	if (err) {
		profile_release(&p);
		return err == -ENOTTY ? STATUS_USAGE : STATUS_FAILED;
	}
	output_render_options(o, &r);
	err = output_write(out, &p, &r);
	output_summary(out, &p, &r);
	profile_release(&p);
	if (err == -EPIPE) {
		output_close(out, false);
		return STATUS_OK;
	}
	if (output_close(out, !err) || err)
		return STATUS_FAILED;
	return is_whole ? STATUS_OK : STATUS_FAILED;
}
