/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A screen as a grid of cells, each one character with a style, so that a view can be tested without a terminal.
 *
 * Text that is too long is cut at its column's end; what does not fit on the screen is not drawn. Every character takes
 * one column: those of foreign names that may take none or two, and control characters, become '?'. Depends on base.
 */
#ifndef MEMPROBE_RENDER_TOP_CANVAS_H
#define MEMPROBE_RENDER_TOP_CANVAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/series.h"

enum top_style {
	TOP_PLAIN = 0,
	TOP_BOLD,
	TOP_DIM,
	TOP_BAR,    /* a heading */
	TOP_CURSOR, /* the chosen row */
	TOP_BAD,    /* grows */
	TOP_WARN,
	TOP_GOOD,
	TOP_STYLES
};

struct top_cell {
	uint32_t rune;
	enum top_style style;
};

struct top_canvas {
	unsigned int width, height;
	bool utf8; /* what the terminal can show */
	struct top_cell *cells; /* row by row */
};

#define TOP_CANVAS_INIT { 0 }

/* All cells blank. */
void top_canvas_clear(struct top_canvas *c, unsigned int width, unsigned int height);
void top_canvas_release(struct top_canvas *c);
/* From a column on, in at most `width` columns; the column after it. */
unsigned int top_put(struct top_canvas *c, unsigned int row, unsigned int column, unsigned int width,
		     enum top_style style, const char *text);
/* At the right end of `width` columns; what is too long is cut at its end. */
void top_put_right(struct top_canvas *c, unsigned int row, unsigned int column, unsigned int width,
		   enum top_style style, const char *text);
/* To the end of the row. */
unsigned int top_putf(struct top_canvas *c, unsigned int row, unsigned int column, enum top_style style,
		      const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* A whole row's style; its text stays. */
void top_style_row(struct top_canvas *c, unsigned int row, enum top_style style);
/* One row as text, without blanks at its end. */
void top_canvas_row(const struct top_canvas *c, unsigned int row, struct buf *out);

/*
 * A series between two moments as a line of `width` characters: ".,-=+*#", or eighths of blocks. The scale runs from
 * its lowest to its highest point, but never less than a hundredth of it: what hardly changes is a straight line.
 */
void top_spark(struct top_canvas *c, unsigned int row, unsigned int column, unsigned int width,
	       const struct series *s, double from_s, double to_s);

#endif
