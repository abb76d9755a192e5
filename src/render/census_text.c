/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What `memprobe census` prints; see census_text.h. */
#include "render/census_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

static int64_t growth(const uint64_t v[2])
{
	return (int64_t)(v[1] - v[0]);
}

static int descending(int64_t a, int64_t b)
{
	return a > b ? -1 : a < b;
}

/* Growth in bytes, in objects, then what there is most of. */
static int by_growth(const void *a, const void *b)
{
	const struct census_row *x = a, *y = b;
	int c = descending(growth(x->bytes), growth(y->bytes));

	c = c ? c : descending(growth(x->objects), growth(y->objects));
	c = c ? c : descending((int64_t)x->bytes[1], (int64_t)y->bytes[1]);
	c = c ? c : descending((int64_t)x->objects[1], (int64_t)y->objects[1]);
	return c ? c : strcmp(x->name, y->name);
}

/* "+1 234", "-3", "0" */
static const char *signed_count(char out[40], int64_t n)
{
	char digits[32];

	snprintf(out, 40, "%s%s", n > 0 ? "+" : n < 0 ? "-" : "",
		 units_format_count(digits, (uint64_t)(n < 0 ? -n : n)));
	return out;
}

static const char *signed_mib(char out[32], int64_t bytes)
{
	snprintf(out, 32, "%+.1f", (double)bytes / (double)MIB);
	return !strcmp(out, "+0.0") || !strcmp(out, "-0.0") ? "0.0" : out;
}

static void add_row(struct buf *out, const struct census_row *r)
{
	char grown[40], count[32], mib[32];

	buf_addf(out, "%12s %12s %11s %9.1f  ", signed_count(grown, growth(r->objects)),
		 units_format_count(count, r->objects[1]), signed_mib(mib, growth(r->bytes)),
		 (double)r->bytes[1] / (double)MIB);
	buf_add_plain(out, r->name);
	buf_addc(out, '\n');
}

static void add_rest(struct buf *out, const struct census_text *c)
{
	uint64_t bytes = 0;
	size_t i;

	if (c->n <= CENSUS_ROWS)
		return;
	for (i = CENSUS_ROWS; i < c->n; i++)
		bytes += c->rows[i].bytes[1];
	buf_addf(out, "%49sand %zu type%s more: %.1f MiB\n", "", c->n - CENSUS_ROWS, c->n == CENSUS_ROWS + 1 ? "" : "s",
		 (double)bytes / (double)MIB);
}

/* The node's own processes, by memory and by name. */
static void add_holders(struct buf *out, const struct census_text *c)
{
	struct buf names = BUF_INIT;

	buf_addc(out, '\n');
	holders_add_rows(out, c->holders, c->holder_names, HOLDERS_ROWS);
	holders_add_names(&names, c->holders, c->holder_names, HOLDERS_NAMES);
	if (names.len)
		buf_addf(out, "\n%s", names.data);
	buf_release(&names);
}

static void add_held_by(struct buf *out, const struct census_text *c)
{
	const char *head = "\nheld by, as far as it can be told from outside:\n";
	size_t i;

	for (i = 0; i < c->n; i++) {
		if (!c->rows[i].held_by)
			continue;
		buf_addf(out, "%s  ", head);
		buf_add_plain(out, c->rows[i].name);
		buf_adds(out, ": ");
		buf_add_plain(out, c->rows[i].held_by);
		buf_addc(out, '\n');
		head = "";
	}
}

void census_sort(struct census_text *c)
{
	qsort(c->rows, c->n, sizeof(*c->rows), by_growth);
}

void census_text(struct buf *out, struct census_text *c)
{
	char between[24];
	size_t i;

	census_sort(c);
	buf_add_plain(out, c->comm);
	buf_addf(out, " (pid %d), %s: %s; approximate: read while it ran\n", (int)c->pid, c->kind, c->what);
	buf_addf(out, "two looks, %s between; they took %.0f ms and %.0f ms\n",
		 units_format_duration(between, c->between_ns), (double)c->took_ns[0] / (double)NS_PER_MS,
		 (double)c->took_ns[1] / (double)NS_PER_MS);
	if (c->is_partial)
		buf_adds(out, "partial: it changed faster than it was read, a part was left out\n");
	buf_addf(out, "\n%12s %12s %11s %9s  TYPE\n", "GROWTH", "OBJECTS", "MiB GROWTH", "MiB");
	for (i = 0; i < c->n && i < CENSUS_ROWS; i++)
		add_row(out, &c->rows[i]);
	add_rest(out, c);
	add_held_by(out, c);
	if (c->holders)
		add_holders(out, c);
}
