/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files of the live view share. Not for others. */
#ifndef MEMPROBE_RENDER_TOP_INTERNAL_H
#define MEMPROBE_RENDER_TOP_INTERNAL_H

#include "render/top_rows.h"
#include "render/top_view.h"

/* Rows [row, row + height) of the canvas. */
struct top_area {
	unsigned int row, height;
};

/* One column of a table: shown from this screen width on. The last one takes what is left. */
struct top_column {
	const char *title;
	unsigned int width, least;
	bool is_left; /* else its text stands at the right */
	void (*add)(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r);
	bool is_spark, is_trend;
};

/* A table with a heading; rows from `first` on. cursor: index of the chosen row, or SIZE_MAX. */
void top_table(struct top_canvas *c, struct top_area a, const struct top_data *d, const struct top_state *st,
	       const struct top_column *columns, const struct top_rows *r, size_t first, size_t cursor);
/* Without a heading. */
void top_table_rows(struct top_canvas *c, struct top_area a, const struct top_data *d, const struct top_state *st,
		    const struct top_column *columns, const struct top_rows *r, size_t first, size_t cursor);

extern const struct top_column top_process_columns[], top_stack_columns[], top_machine_columns[];

/* Columns of all tables. */
void top_column_rate(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r);
void top_column_bytes(struct buf *out, const struct top_data *d, const struct top_state *st, const struct top_row *r);

/* The caller's own frame: neither allocator, libc nor C++ library, and of a mapping not the note on its kind. */
uint32_t top_own_frame(const struct profile *p, const struct profile_stack *s);
/* "+86.0", in MiB per minute */
void top_add_rate(struct buf *out, double bytes_per_s);
/* "41.6 MiB"; with a sign: "+41.6 MiB" */
void top_add_size(struct buf *out, double bytes, bool with_sign);
/* "4.1 s", "62 s", "76 min", "6 h", "12 d": at most 7 characters */
void top_add_time(struct buf *out, double seconds);
/* Until a process meets its limit, seconds; negative: not so. */
double top_full_in(const struct history *h, uint32_t proc);

/* top_machine.c: the heading of a whole machine; what is said of a row without heap probes */
void top_machine_title(struct buf *b, const struct history *h);
void top_machine_summary(struct buf *b, const struct history *h, enum history_base base, unsigned int width);
void top_add_row_name(struct buf *out, const struct profile *p, const struct top_row *r);

/* top_frames.c: one stack, frame by frame; the help. */
void top_frames(struct top_canvas *c, struct top_area a, const struct top_data *d, struct top_state *st);
void top_help(struct top_canvas *c, struct top_area a);

#endif
