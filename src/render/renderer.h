/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Renderers: profile -> bytes. One file per format, one row each in renderer.c.
 *
 * A renderer is a pure function: no clock, no files, no terminal; the same profile and
 * options give the same bytes. It appends to a buffer; the caller writes and checks. Formats of lines hand the
 * buffer over from time to time, so that 100 000 long stacks are never in memory as text.
 */
#ifndef MEMPROBE_RENDER_RENDERER_H
#define MEMPROBE_RENDER_RENDERER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "model/diff.h"
#include "model/profile.h"

struct render_opts {
	enum profile_metric metric;
	unsigned int columns;	 /* 0 = 100 */
	unsigned int max_stacks; /* report rows; 0 = 10 */
	bool all_frames;	 /* report: whole stacks (-v) */
	bool color, ascii;	 /* report: for a terminal; one that knows no UTF-8 */
	uint64_t min_bytes;	 /* --min-bytes: leave out smaller stacks (they go to the remainder) */
	void (*drain)(void *ctx, struct buf *b); /* takes what is in b and empties it; may be NULL: all stays in b */
	void *drain_ctx;
};

#define RENDER_DRAIN_BYTES 65536

/* Between two lines. */
static inline void render_drain(const struct render_opts *o, struct buf *b)
{
	if (o->drain && b->len >= RENDER_DRAIN_BYTES)
		o->drain(o->drain_ctx, b);
}

struct renderer {
	const char *name;     /* -f NAME */
	const char *suffixes; /* blank-separated, for -o: "folded collapsed"; may have dots: "pb.gz" */
	bool binary; /* for no person to read: refuse to write to a terminal */
	bool lines;  /* every line says what it is: no empty line between snapshots */
	bool recording; /* a run appends to it as it goes on */
	bool by_metric; /* shows one metric: first touches come in the place of allocations (profile_metric_view) */
	bool machine; /* shows the whole machine's rows: no stack of each process is asked for */
	bool single; /* one document: a later snapshot takes the place of an earlier one */
	void (*render)(struct buf *out, const struct profile *p, const struct render_opts *o);
	void (*diff)(struct buf *out, const struct diff *d, const struct render_opts *o); /* NULL: shows no comparison */
};

/* r->render with what o->metric asks for. */
void renderer_run(const struct renderer *r, struct buf *out, const struct profile *p, const struct render_opts *o);

/* By name, or by the suffix of a file name; NULL when there is none. */
const struct renderer *renderer_by_name(const char *name);
const struct renderer *renderer_by_file(const char *path);

/* What is known while the run goes on: one line, and the report's table of stacks. */
struct report_preliminary_opts {
	struct render_opts render;
	uint64_t end_ns; /* length of the run; 0: without end */
	unsigned int lines; /* at most */
};

void report_preliminary(struct buf *out, const struct profile *p, const struct report_preliminary_opts *o);

/*
 * The lines that go to stderr when the data go elsewhere: verdict (first line of the report), losses,
 * what could not be seen. Same wording as the report.
 */
void report_summary(struct buf *out, const struct profile *p, const struct render_opts *o);

#endif
