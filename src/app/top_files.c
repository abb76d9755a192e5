/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Files of `memprobe top`; see top_files.h. */
#include "app/top_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "model/codec.h"
#include "render/renderer.h"

#define MOST_TRIES 100

/* "memprobe-4242-031241.svg", "memprobe-4242-031241-2.svg"... in name; -errno. */
static int create(char name[96], const struct profile *p, const char *suffix)
{
	time_t t = (time_t)(p->wall_time_ns / NS_PER_S);
	char clock[16], who[24] = "run";
	struct tm tm;
	int i, fd = -EEXIST;

	gmtime_r(&t, &tm);
	strftime(clock, sizeof(clock), "%H%M%S", &tm);
	if (p->n_procs)
		snprintf(who, sizeof(who), "%d", p->procs[0].tgid);
	for (i = 1; i < MOST_TRIES && fd == -EEXIST; i++) {
		if (i == 1)
			snprintf(name, 96, "memprobe-%s-%s.%s", who, clock, suffix);
		else
			snprintf(name, 96, "memprobe-%s-%s-%d.%s", who, clock, i, suffix);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		fd = fd < 0 ? -errno : fd;
	}
	return fd;
}

static int write_all(void *ctx, const void *data, size_t len)
{
	const char *at = data;
	ssize_t n;

	while (len) {
		n = write(*(const int *)ctx, at, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int write_flame(int *fd, const struct profile *p)
{
	const struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	struct buf b = BUF_INIT;
	int err;

	renderer_by_name("flamegraph")->render(&b, p, &o);
	err = write_all(fd, b.data, b.len);
	buf_release(&b);
	return err;
}

static int write_recording(int *fd, const struct profile *p)
{
	struct codec_writer *w = codec_writer_new(write_all, fd, p->run_id ? p->run_id : 1);
	int err = codec_write(w, p);

	if (!err)
		err = codec_finish(w);
	codec_writer_free(w);
	return err;
}

static void save(const struct profile *p, const char *suffix, int (*write_it)(int *fd, const struct profile *p),
		 struct buf *said)
{
	char name[96], where[512] = "";
	int fd = create(name, p, suffix), err = fd < 0 ? fd : write_it(&fd, p);

	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	if (err && fd >= 0)
		unlink(name);
	if (!getcwd(where, sizeof(where)))
		where[0] = '\0';
	if (err)
		buf_addf(said, "cannot write %s/%s: %s", where, name, strerror(-err));
	else
		buf_addf(said, "written: %s/%s", where, name);
}

void top_save_flame(const struct profile *p, struct buf *said)
{
	save(p, "svg", write_flame, said);
}

void top_save_recording(const struct profile *p, struct buf *said)
{
	save(p, "memprobe", write_recording, said);
	buf_adds(said, " (memprobe report FILE)");
}
