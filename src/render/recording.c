/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One snapshot as a recording (model/codec.h; doc/recording.md), for `memprobe report FILE@TIME -o SMALLER.memprobe`. A
 * run writes its recording as it goes on, with all of its snapshots (app/recorder.c). Whatever the options say,
 * everything is in it. Depends on base and model.
 */
#include "model/codec.h"
#include "render/formats.h"

static int add(void *ctx, const void *data, size_t len)
{
	buf_add(ctx, data, len);
	return 0;
}

void render_recording(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct codec_writer *w = codec_writer_new(add, out, p->run_id);

	(void)o;
	codec_write(w, p);
	codec_finish(w);
	codec_writer_free(w);
}
