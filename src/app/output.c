/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Where rendered bytes go; see output.h. */
#include "app/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

struct sink {
	int fd;
	const char *path; /* NULL: stdout */
	char *temp;	  /* renamed to path at the end; NULL: written in place */
	const struct renderer *renderer;
	bool started;
	bool is_whole; /* the last document of the run is in it */
	bool failed;   /* told already; no more is written to it */
};

struct output {
	struct sink *sinks;
	size_t n;
	bool is_run; /* recordings come in parts */
};

/* Beside the file, by a name that nobody can foresee: links that lie in wait there are not followed. */
static int open_temp(struct sink *s)
{
	mode_t mask = umask(0);

	umask(mask);
	free(s->temp);
	s->temp = xasprintf("%s.tmp-XXXXXX", s->path);
	s->fd = mkostemp(s->temp, O_CLOEXEC);
	if (s->fd >= 0 && !fchmod(s->fd, 0644 & ~mask))
		return 0;
	return -errno;
}

static int open_file(struct sink *s, const char *path, bool in_place)
{
	struct stat st;
	int err = 0;

	s->path = path;
	/* a device or a pipe must not be replaced by a file */
	if (!in_place && stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		in_place = !S_ISDIR(st.st_mode);
	if (!in_place && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		err = -EISDIR;
	} else if (!in_place) {
		err = open_temp(s);
	} else {
		s->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		err = s->fd < 0 ? -errno : 0;
	}
	if (err)
		log_error("cannot write %s: %s", path, strerror(-err));
	return err;
}

static const struct renderer *stdout_renderer(const struct options *o)
{
	if (o->renderer)
		return o->renderer;
	return renderer_by_name(isatty(STDOUT_FILENO) ? "report" : "folded");
}

int output_open(struct output **res, const struct options *o)
{
	struct output *out = xcalloc(1, sizeof(*out));
	bool wants_stdout = !o->n_outputs || (o->renderer && !(o->interval_ns && o->renderer->single));
	size_t i;
	int err = 0;

	out->is_run = o->verb == VERB_PROFILE || o->verb == VERB_TOP;
	out->n = o->n_outputs + wants_stdout;
	out->sinks = xcalloc(out->n, sizeof(*out->sinks));
	for (i = 0; i < out->n; i++)
		out->sinks[i].fd = -1;
	if (wants_stdout)
		out->sinks[o->n_outputs] = (struct sink){ .fd = STDOUT_FILENO, .renderer = stdout_renderer(o) };
	for (i = 0; i < o->n_outputs && !err; i++) {
		out->sinks[i].renderer = o->outputs[i].renderer;
		err = open_file(&out->sinks[i], o->outputs[i].path,
				o->interval_ns != 0 && !o->outputs[i].renderer->single);
	}
	if (!err && wants_stdout && out->sinks[o->n_outputs].renderer->binary && isatty(STDOUT_FILENO)) {
		log_error("format %s is not for a terminal: use -o FILE, or redirect standard output",
			  out->sinks[o->n_outputs].renderer->name);
		err = -ENOTTY;
	}
	if (err) {
		output_close(out, false);
		return err;
	}
	*res = out;
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* One document appears under its name; the next one gets a new file. */
static int publish(struct sink *s)
{
	int err = fsync(s->fd) && errno != EINVAL && errno != EROFS ? -errno : 0;

	if (close(s->fd) && !err)
		err = -errno;
	s->fd = -1;
	if (!err && rename(s->temp, s->path))
		err = -errno;
	if (err)
		unlink(s->temp);
	return err;
}

struct draining {
	int fd, err;
};

static void drain(void *ctx, struct buf *b)
{
	struct draining *d = ctx;

	if (!d->err)
		d->err = write_all(d->fd, b->data, b->len);
	buf_reset(b);
}

/* What is appended to a file is there as a whole or not at all. b: what comes before. */
static int append(const struct sink *s, struct buf *b, const struct profile *p, const struct render_opts *r)
{
	off_t before = s->path && !s->temp ? lseek(s->fd, 0, SEEK_CUR) : -1;
	struct draining d = { .fd = s->fd };
	struct render_opts with = *r;

	if (s->path) { /* no screen's */
		with.columns = 0;
		with.color = with.ascii = false;
	}
	with.drain = drain;
	with.drain_ctx = &d;
	renderer_run(s->renderer, b, p, &with);
	drain(&d, b);
	if (d.err && before >= 0 && !ftruncate(s->fd, before))
		lseek(s->fd, before, SEEK_SET);
	return d.err;
}

static const char *sink_name(const struct sink *s)
{
	return s->path ? s->path : "standard output";
}

static void tell_error(struct sink *s, int err)
{
	s->failed = s->failed || err;
	if (err && err != -EPIPE)
		log_error("cannot write %s: %s", sink_name(s), strerror(-err));
}

static int write_sink(struct sink *s, const struct profile *p, const struct render_opts *r, bool is_run)
{
	bool single = s->renderer->single;
	struct buf b = BUF_INIT;
	int err = 0;

	if (s->failed)
		return 0;
	if (single && !s->temp && !p->final && is_run) {
		log_warn("%s: written once, at the end: for snapshots use -o FILE", s->renderer->name);
		return 0;
	}
	if (s->started && !single && !s->renderer->lines) /* snapshots are separated by one empty line */
		buf_addc(&b, '\n');
	s->started = true;
	if (s->fd < 0)
		err = open_temp(s);
	if (!err)
		err = append(s, &b, p, r);
	if (!err && single && !p->final)
		err = publish(s);
	s->is_whole = !err && p->final;
	buf_release(&b);
	tell_error(s, err);
	return err;
}

int output_write_diff(struct output *out, const struct diff *d, const struct render_opts *r)
{
	int err = 0, e;
	size_t i;

	for (i = 0; i < out->n; i++) {
		if (out->sinks[i].renderer->diff)
			continue;
		log_error("format %s shows no comparison: report, folded and flamegraph do", out->sinks[i].renderer->name);
		return -EINVAL;
	}
	for (i = 0; i < out->n; i++) {
		struct buf b = BUF_INIT;

		out->sinks[i].renderer->diff(&b, d, r);
		e = write_all(out->sinks[i].fd, b.data, b.len);
		tell_error(&out->sinks[i], e);
		err = err ? err : e;
		buf_release(&b);
	}
	return err;
}

static bool is_appended(const struct output *out, size_t i)
{
	return out->is_run && out->sinks[i].renderer->recording;
}

bool output_shows_machine(const struct output *out)
{
	size_t i;

	for (i = 0; i < out->n; i++)
		if (!out->sinks[i].renderer->machine)
			return false;
	return true;
}

bool output_has_recording(const struct output *out)
{
	size_t i;

	for (i = 0; i < out->n && (!is_appended(out, i) || out->sinks[i].failed); i++)
		;
	return i < out->n;
}

bool output_works(const struct output *out)
{
	size_t i;

	for (i = 0; i < out->n && out->sinks[i].failed; i++)
		;
	return i < out->n;
}

void output_end_recordings(struct output *out)
{
	size_t i;

	for (i = 0; i < out->n; i++)
		if (is_appended(out, i))
			out->sinks[i].is_whole = !out->sinks[i].failed;
}

void output_drop_recordings(struct output *out, const char *why)
{
	size_t i;

	for (i = 0; i < out->n; i++) {
		if (!is_appended(out, i) || out->sinks[i].failed)
			continue;
		out->sinks[i].failed = true;
		log_error("cannot write %s: %s", sink_name(&out->sinks[i]), why);
	}
}

int output_append(struct output *out, const void *data, size_t len)
{
	int err = 0, e;
	size_t i;

	for (i = 0; i < out->n; i++) {
		if (!is_appended(out, i) || out->sinks[i].failed)
			continue;
		e = write_all(out->sinks[i].fd, data, len);
		tell_error(&out->sinks[i], e);
		err = err ? err : e;
	}
	return err;
}

int output_write(struct output *out, const struct profile *p, const struct render_opts *r)
{
	int err = 0, e;
	size_t i;

	for (i = 0; i < out->n; i++) {
		if (is_appended(out, i))
			continue;
		e = write_sink(&out->sinks[i], p, r, out->is_run);
		if (e && !err)
			err = e;
	}
	return err;
}

static int finish_sink(struct sink *s, bool commit)
{
	int err = 0;

	commit = (commit || s->is_whole) && !s->failed;
	if (s->fd < 0 || !s->path) {
		free(s->temp);
		return 0;
	}
	if (commit && fsync(s->fd) && errno != EINVAL && errno != EROFS)
		err = -errno;
	if (close(s->fd) && !err)
		err = -errno;
	if (s->temp && commit && !err && rename(s->temp, s->path))
		err = -errno;
	if (s->temp && (!commit || err))
		unlink(s->temp);
	if (err)
		log_error("cannot write %s: %s", s->path, strerror(-err));
	free(s->temp);
	return err;
}

int output_close(struct output *out, bool commit)
{
	int err = 0, e;
	size_t i;

	if (!out)
		return 0;
	for (i = 0; i < out->n; i++) {
		e = finish_sink(&out->sinks[i], commit);
		if (e && !err)
			err = e;
	}
	free(out->sinks);
	free(out);
	return err;
}

static bool shows_report(const struct output *out)
{
	size_t i;

	for (i = 0; i < out->n; i++)
		if (!out->sinks[i].path && !strcmp(out->sinks[i].renderer->name, "report"))
			return true;
	return false;
}

void output_summary(const struct output *out, const struct profile *p, const struct render_opts *r)
{
	struct buf b = BUF_INIT;

	if (shows_report(out) || log_level < LOG_NORMAL)
		return;
	report_summary(&b, p, r);
	fwrite(b.data, 1, b.len, stderr);
	buf_release(&b);
}

static unsigned int terminal_columns(void)
{
	struct winsize w;

	if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col)
		return w.ws_col;
	return 0;
}

static bool has_value(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

/* no-color.org; a dumb terminal has none. */
static bool wants_color(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !has_value("NO_COLOR") && term && *term && strcmp(term, "dumb") != 0;
}

/* The first of the three that is set counts, as in setlocale(3). */
static bool is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (has_value(names[i]))
			return strcasestr(getenv(names[i]), "UTF-8") || strcasestr(getenv(names[i]), "utf8");
	return false;
}

void output_render_options(const struct options *o, struct render_opts *r)
{
	*r = (struct render_opts){
		.metric = o->metric,
		.columns = terminal_columns(),
		.color = wants_color(),
		.ascii = isatty(STDOUT_FILENO) && !is_utf8(),
		.all_frames = o->verbose,
		.min_bytes = o->min_bytes,
	};
}
