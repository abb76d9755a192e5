/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where rendered bytes go: stdout, or the -o files.
 *
 * A file appears under its name only when it is complete (temporary name, fsync, rename), except
 * with -i, where snapshots are appended as they come, or, in a format that is one document, each takes
 * the place of the one before. A short write is an error, told once: the destination gets no more, the others
 * do. A reader that went away (EPIPE) ends the run quietly.
 */
#ifndef MEMPROBE_APP_OUTPUT_H
#define MEMPROBE_APP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/options.h"
#include "model/profile.h"

struct output;

/*
 * Opens the files, so that an unwritable one is an error before anything is attached. -ENOTTY: a
 * format that is not for a terminal would go to one (logged).
 */
int output_open(struct output **out, const struct options *o);
/*
 * Render one snapshot to every destination; in a run all but recordings, which are appended to.  0, -EPIPE, -errno
 * (logged).
 */
int output_write(struct output *out, const struct profile *p, const struct render_opts *r);
/* A comparison, to every destination. Each format there has a diff (-EINVAL, logged, when one has not). */
int output_write_diff(struct output *out, const struct diff *d, const struct render_opts *r);
/* Is there an -o FILE.memprobe that has not failed? */
bool output_has_recording(const struct output *out);
/* Is every format one that shows the whole machine's rows? Else stacks of all its processes are wanted. */
bool output_shows_machine(const struct output *out);
/* Is there anything left to write to? */
bool output_works(const struct output *out);
/* More of the recording that a run makes, to each of those. 0 or -errno of one that failed now (logged). */
int output_append(struct output *out, const void *data, size_t len);
/* The recording has its end: those that have not failed are whole. */
void output_end_recordings(struct output *out);
/* They get no more, and fail (logged). */
void output_drop_recordings(struct output *out, const char *why);
/*
 * Finish the files; commit false leaves nothing under their names but what is whole: another output's error costs only
 * that one.
 */
int output_close(struct output *out, bool commit);
/* The report's first lines to stderr, when no report goes to standard output; not with -q. */
void output_summary(const struct output *out, const struct profile *p, const struct render_opts *r);
/* What -m, -v, --min-bytes and the terminal's width say. */
void output_render_options(const struct options *o, struct render_opts *r);

#endif
