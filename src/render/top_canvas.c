/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A grid of cells; see top_canvas.h. Pure. */
#include "render/top_canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/xalloc.h"

void top_canvas_clear(struct top_canvas *c, unsigned int width, unsigned int height)
{
	size_t i, n = (size_t)width * height;

	c->cells = xreallocarray(c->cells, n + 1, sizeof(*c->cells));
	c->width = width;
	c->height = height;
	for (i = 0; i < n; i++)
		c->cells[i] = (struct top_cell){ ' ', TOP_PLAIN };
}

void top_canvas_release(struct top_canvas *c)
{
	free(c->cells);
	*c = (struct top_canvas)TOP_CANVAS_INIT;
}

/* The next character of valid UTF-8 (others as '?'); *at goes behind it. */
static uint32_t next_rune(const unsigned char **at)
{
	const unsigned char *s = *at;
	uint32_t rune = *s;
	int more = rune >= 0xf0 ? 3 : rune >= 0xe0 ? 2 : rune >= 0xc2 ? 1 : 0, i;

	*at = s + 1;
	if (rune < 0x80)
		return rune < 0x20 || rune == 0x7f ? (rune == '\t' ? ' ' : '?') : rune;
	rune &= more == 3 ? 0x07 : more == 2 ? 0x0f : 0x1f;
	for (i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return '?';
		rune = rune << 6 | (s[i] & 0x3f);
	}
	*at = s + 1 + more;
	return more ? rune : '?';
}

/* Scripts whose characters take one column in every terminal, and our own blocks. */
static bool is_narrow(uint32_t rune)
{
	return rune < 0x7f || (rune >= 0xa1 && rune < 0x300 && rune != 0xad) || (rune >= 0x370 && rune < 0x483) ||
	       (rune >= 0x48a && rune < 0x530) || (rune >= 0x2581 && rune <= 0x2588);
}

unsigned int top_put(struct top_canvas *c, unsigned int row, unsigned int column, unsigned int width,
		     enum top_style style, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	unsigned int end = width < c->width - (column < c->width ? column : c->width) ? column + width : c->width;

	while (*at && row < c->height && column < end) {
		uint32_t rune = next_rune(&at);

		if (!is_narrow(rune) || (!c->utf8 && rune > 0x7e))
			rune = '?';
		c->cells[(size_t)row * c->width + column++] = (struct top_cell){ rune, style };
	}
	return column;
}

static unsigned int columns_of(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	unsigned int n = 0;

	while (*at) {
		next_rune(&at);
		n++;
	}
	return n;
}

void top_put_right(struct top_canvas *c, unsigned int row, unsigned int column, unsigned int width,
		   enum top_style style, const char *text)
{
	unsigned int n = columns_of(text), blanks = n < width ? width - n : 0;

	top_put(c, row, column + blanks, width - blanks, style, text);
}

unsigned int top_putf(struct top_canvas *c, unsigned int row, unsigned int column, enum top_style style,
		      const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	column = top_put(c, row, column, c->width, style, b.data);
	buf_release(&b);
	return column;
}

void top_style_row(struct top_canvas *c, unsigned int row, enum top_style style)
{
	unsigned int i;

	for (i = 0; i < c->width && row < c->height; i++)
		c->cells[(size_t)row * c->width + i].style = style;
}

static void add_rune(struct buf *out, uint32_t rune)
{
	if (rune < 0x80) {
		buf_addc(out, (char)rune);
	} else if (rune < 0x800) {
		buf_addc(out, (char)(0xc0 | rune >> 6));
		buf_addc(out, (char)(0x80 | (rune & 0x3f)));
	} else {
		buf_addc(out, (char)(0xe0 | rune >> 12));
		buf_addc(out, (char)(0x80 | (rune >> 6 & 0x3f)));
		buf_addc(out, (char)(0x80 | (rune & 0x3f)));
	}
}

void top_canvas_row(const struct top_canvas *c, unsigned int row, struct buf *out)
{
	unsigned int n = c->width, i;

	while (n && c->cells[(size_t)row * c->width + n - 1].rune == ' ')
		n--;
	for (i = 0; i < n; i++)
		add_rune(out, c->cells[(size_t)row * c->width + i].rune);
}

static const char *const ascii_levels[] = { ".", ",", "-", "=", "+", "*", "#" };
static const char *const block_levels[] = { "\u2581", "\u2582", "\u2583", "\u2584",
					    "\u2585", "\u2586", "\u2587", "\u2588" };

void top_spark(struct top_canvas *c, unsigned int row, unsigned int column, unsigned int width,
	       const struct series *s, double from_s, double to_s)
{
	const char *const *levels = c->utf8 ? block_levels : ascii_levels;
	int n = c->utf8 ? 8 : 7, level;
	double low, high, least, part = (to_s - from_s) / (width ? width : 1);
	unsigned int i;

	series_range(s, from_s, to_s, &low, &high);
	least = fmax(fmax(fabs(high) / 100, fabs(low) / 100), 64 * (double)KIB);
	if (high - low < least) { /* a straight line in the middle */
		low = (low + high - least) / 2;
		high = low + least;
	}
	for (i = 0; i < width && s->n; i++) {
		double t = from_s + part * (i + 1);

		if (t < s->v[0].t_s)
			continue;
		level = (int)floor((series_at(s, t) - low) / (high - low) * n);
		level = level < 0 ? 0 : level >= n ? n - 1 : level;
		top_put(c, row, column + i, 1, TOP_PLAIN, levels[level]);
	}
}
