/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Text on a screen: its width, lines that fit, colour. A line that is too long goes on in the next one, from its
 * section's own column on:
 *
 *	trust   lost 0; stacks complete 99.98 % (41 cut in
 *	        libvendor.so: no unwind info)
 *
 * Widths are of characters, not of bytes; those that are two columns wide count as one. Pure.
 */
#include <string.h>

#include "render/report_internal.h"

#define RED "\033[1;31m"
#define YELLOW "\033[33m"
#define BOLD "\033[1m"
#define NORMAL "\033[0m"

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

size_t text_width(const char *s, size_t len)
{
	size_t i, width = 0;

	for (i = 0; i < len; i++)
		width += !is_continuation(s[i]);
	return width;
}

size_t text_cut(const char *s, size_t len, size_t width)
{
	size_t i, used = 0;

	for (i = 0; i < len; i++)
		if (!is_continuation(s[i]) && used++ == width)
			break;
	return i;
}

unsigned int text_lines(const char *s)
{
	unsigned int n = 0;

	for (; (s = strchr(s, '\n')); s++)
		n++;
	return n;
}

/* Does the word that ends before `end` belong to the next one: a number to its unit, an option to its value? */
static bool is_bound(const char *line, size_t end)
{
	size_t begin = end, i;

	while (begin && line[begin - 1] != ' ')
		begin--;
	if (end - begin == 2 && line[begin] == '-' && line[begin + 1] >= 'a' && line[begin + 1] <= 'z')
		return true;
	for (i = begin; i < end; i++)
		if (!strchr("0123456789.(+-", line[i]))
			return false;
	return end - begin > 1 || (end > begin && line[begin] >= '0' && line[begin] <= '9');
}

/* Where a line is best broken: behind its last blank that leaves `width` characters at most; 0: nowhere. */
static size_t break_at(const char *line, size_t len, size_t width, size_t hang)
{
	size_t at = text_cut(line, len, width + 1), any = 0;

	for (; at > hang; at--) {
		if (line[at - 1] != ' ')
			continue;
		any = any ? any : at;
		if (!is_bound(line, at - 1))
			return at;
	}
	return any;
}

static void add_cut(struct buf *out, const char *line, size_t len, size_t width)
{
	size_t keep = text_cut(line, len, width > 3 ? width - 3 : 0);

	while (keep && line[keep - 1] == ' ')
		keep--;
	buf_add(out, line, keep);
	buf_adds(out, "...");
}

static void add_line(struct buf *out, const char *line, size_t len, size_t width, size_t hang)
{
	size_t pad = 0;

	while (hang && text_width(line, len) > width && strspn(line, " ") > hang) {
		line++; /* an indent that is deeper than the section's is for wide screens */
		len--;
	}
	while (text_width(line, len) > width - pad) {
		size_t at = hang ? break_at(line, len, width - pad, pad ? 0 : hang) : 0, end = at;

		buf_pad(out, ' ', pad);
		if (!at) { /* one word, or a row of a table */
			add_cut(out, line, len, width - pad);
			buf_addc(out, '\n');
			return;
		}
		while (end && line[end - 1] == ' ')
			end--;
		buf_add(out, line, end);
		buf_addc(out, '\n');
		line += at;
		len -= at;
		pad = hang;
	}
	buf_pad(out, ' ', len ? pad : 0);
	buf_add(out, line, len);
	buf_addc(out, '\n');
}

void text_fit(struct buf *out, const char *text, size_t width, size_t hang)
{
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		end = strchr(text, '\n');
		end = end ? end : text + strlen(text);
		add_line(out, text, (size_t)(end - text), width, hang);
	}
}

void text_keep_lines(struct buf *b, unsigned int lines)
{
	char *at = b->data;
	unsigned int i;

	for (i = 0; i < lines && at; i++)
		at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
	if (at && *at) {
		b->len = (size_t)(at - b->data);
		*at = '\0';
	}
}

/* Words go from the end of its last line until `width` has room for three dots. */
static void make_room_for_dots(struct buf *b, size_t begin, size_t width)
{
	size_t line = b->len;

	while (line > begin && b->data[line - 1] != '\n')
		line--;
	while (b->len > line && text_width(b->data + line, b->len - line) + 3 > width)
		do
			b->len--;
		while (b->len > line && b->data[b->len] != ' ');
}

/* What follows `begin` is the start of a sentence: it ends behind a whole part of it, or with "...". */
static void end_in_sense(struct buf *b, size_t begin, size_t width)
{
	size_t i, end = 0, comma = 0;
	int depth = 0;

	for (i = begin; i + 1 < b->len; i++) {
		char c = b->data[i], next = b->data[i + 1];

		depth += (c == '(') - (c == ')');
		if (depth || (next != ' ' && next != '\n'))
			continue;
		end = c == ';' ? i : end;
		comma = c == ',' ? i : comma;
	}
	end = end ? end : comma;
	b->len = end ? end : b->len - 1;
	if (!end)
		make_room_for_dots(b, begin, width);
	buf_adds(b, end ? "\n" : "...\n");
}

void text_fit_in(struct buf *out, const char *text, size_t width, size_t hang, unsigned int lines)
{
	struct buf one = BUF_INIT;
	const char *end;
	size_t begin;

	for (; *text && lines; text = end + 1) {
		end = strchr(text, '\n');
		buf_reset(&one);
		add_line(&one, text, (size_t)(end - text), width, hang);
		begin = out->len;
		if (text_lines(one.data) <= lines) {
			lines -= text_lines(one.data);
			buf_add(out, one.data, one.len);
			continue;
		}
		text_keep_lines(&one, lines);
		buf_add(out, one.data, one.len);
		end_in_sense(out, begin, width);
		break;
	}
	buf_release(&one);
}

/* ---- colour ---- */

static const struct paint {
	const char *word, *colour;
} paints[] = {
	{ "LEAK", RED }, { "GROWING", YELLOW }, { "SAW-TOOTH", BOLD }, { "LEVELS OFF", BOLD }, { "FLAT", BOLD },
	{ "SHRINKING", BOLD }, { "UNDECIDED", BOLD }, { "PRELIMINARY", BOLD }, { "Runs out in ", YELLOW },
};

static void add_painted(struct buf *out, const char *s, size_t len, const char *colour)
{
	buf_adds(out, colour);
	buf_add(out, s, len);
	buf_adds(out, NORMAL);
}

/* The word a line begins with. */
static size_t paint_begin(struct buf *out, const char *line)
{
	size_t i, n;

	for (i = 0; i < sizeof(paints) / sizeof(paints[0]); i++) {
		n = strlen(paints[i].word);
		if (strncmp(line, paints[i].word, n) != 0)
			continue;
		add_painted(out, line, n, paints[i].colour);
		return n;
	}
	return 0;
}

/* Of a row of the table: its KIND. kind: the column, 0: there is none. */
static size_t paint_kind(struct buf *out, const char *line, size_t len, size_t kind)
{
	if (!kind || len < kind + 4 || strncmp(line + kind, "leak", 4) != 0)
		return 0;
	buf_add(out, line, kind);
	add_painted(out, line + kind, 4, RED);
	return kind + 4;
}

void text_paint(struct buf *out, const char *text)
{
	size_t kind = 0, done, len;
	const char *end, *at;

	for (; *text; text = end + 1) {
		end = strchr(text, '\n');
		len = (size_t)(end - text);
		at = memmem(text, len, " KIND ", 6);
		if (at)
			kind = (size_t)(at - text) + 1;
		done = paint_begin(out, text);
		if (!done)
			done = paint_kind(out, text, len, kind);
		buf_add(out, text + done, len - done);
		buf_addc(out, '\n');
	}
}

void text_to_ascii(struct buf *b)
{
	size_t i, n = 0;

	for (i = 0; i < b->len; i++) {
		if (is_continuation(b->data[i]))
			continue;
		b->data[n++] = (unsigned char)b->data[i] < 0x80 ? b->data[i] : '?';
	}
	b->len = n;
	if (b->cap)
		b->data[n] = '\0';
}
