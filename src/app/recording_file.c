/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Loading recordings; see recording_file.h. The bytes are checked in model/codec_*.c. */
#include "app/recording_file.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/units.h"
#include "model/codec.h"

#define MAX_FILE_BYTES (512 * MIB)
/* A snapshot this near to the time that was asked for needs no remark. */
#define NEAR_NS (NS_PER_S / 2)

static void tell_time(const struct file_option *f, uint64_t window_ns)
{
	uint64_t away = window_ns > f->time_ns ? window_ns - f->time_ns : f->time_ns - window_ns;
	char asked[24], there[24];

	if (f->has_time && away > NEAR_NS)
		log_info("%s: no snapshot at %s: the nearest one, at %s, is shown", f->path,
			 units_format_duration(asked, f->time_ns), units_format_duration(there, window_ns));
}

/* The snapshot; an earlier one when what it says makes no sense. */
static int read_snapshot(struct codec_recording *r, const struct file_option *f, struct profile *p)
{
	int err = -ENODATA;
	size_t i;

	while (err && r->n) {
		i = f->has_time ? codec_find(r, f->time_ns) : r->n - 1;
		err = codec_read(r, i, p);
		if (!err)
			tell_time(f, r->snapshots[i].window_ns);
		else
			profile_release(p);
	}
	return err;
}

int recording_load(const struct file_option *f, struct profile *p, bool *is_whole)
{
	struct codec_recording r = { 0 };
	struct buf data = BUF_INIT;
	int err = buf_read_file(&data, f->path, MAX_FILE_BYTES);

	if (err) {
		log_error("%s: %s", f->path, strerror(-err));
		buf_release(&data);
		return err;
	}
	err = codec_open(&r, data.data, data.len);
	if (!err)
		err = read_snapshot(&r, f, p);
	if (r.problem.len)
		log_error("%s: %s", f->path, r.problem.data);
	*is_whole = r.is_complete;
	codec_close(&r);
	buf_release(&data);
	return err;
}
