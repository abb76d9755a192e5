/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Erlang processes by memory; see holders_text.h. */
#include "render/holders_text.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

#define IN_MIB (10 * MIB) /* from here on */

struct unit {
	const char *name;
	double bytes;
};

static struct unit unit_of(const struct holders *h)
{
	const struct holder_row *largest = h->n_rows ? &h->rows[0] : &h->all;

	return holder_row_bytes(largest, 1) >= IN_MIB ? (struct unit){ "MiB", (double)MIB } : (struct unit){ "KiB", (double)KIB };
}

/* "+1.2", "0.0"; "-" without a first look */
static const char *growth(char out[24], const struct holders *h, const struct holder_row *r, const struct unit *u)
{
	if (!h->has_first)
		return "-";
	snprintf(out, 24, "%+.1f", ((double)holder_row_bytes(r, 1) - (double)holder_row_bytes(r, 0)) / u->bytes);
	return !strcmp(out, "+0.0") || !strcmp(out, "-0.0") ? "0.0" : out;
}

void holders_add_sum(struct buf *out, const struct holders *h)
{
	const struct holder_row *a = &h->all;
	int64_t grown = (int64_t)(holder_row_bytes(a, 1) - holder_row_bytes(a, 0));
	char count[32], heap[16], old[16], binary[16], change[16];

	buf_addf(out, "%s Erlang process%s: heaps %s, old heaps %s, binaries %s", units_format_count(count, a->holders[1]),
		 a->holders[1] == 1 ? "" : "es", units_format_size(heap, a->heap_bytes[1]),
		 units_format_size(old, a->old_heap_bytes[1]), units_format_size(binary, a->binary_bytes[1]));
	if (h->has_first)
		buf_addf(out, "; %s%s in the window, of %s processes before", grown < 0 ? "-" : "+",
			 units_format_size(change, (uint64_t)(grown < 0 ? -grown : grown)),
			 units_format_count(count, a->holders[0]));
}

void holders_add_rows(struct buf *out, const struct holders *h, const struct intern *names, size_t most)
{
	const struct unit u = unit_of(h);
	char grown[24];
	size_t i;

	buf_addf(out, "%9s %9s %9s %9s %9s %6s  ERLANG PROCESS\n", u.name, "GROWTH", "HEAP", "OLD HEAP", "BINARIES", "COUNT");
	for (i = 0; i < h->n_rows && i < most; i++) {
		const struct holder_row *r = &h->rows[i];

		buf_addf(out, "%9.1f %9s %9.1f %9.1f %9.1f %6llu  <0.%llu.%llu> ", (double)holder_row_bytes(r, 1) / u.bytes,
			 growth(grown, h, r, &u), (double)r->heap_bytes[1] / u.bytes,
			 (double)r->old_heap_bytes[1] / u.bytes, (double)r->binary_bytes[1] / u.bytes,
			 (unsigned long long)r->binaries[1], (unsigned long long)(r->id & ((1 << HOLDER_NUMBER_BITS) - 1)),
			 (unsigned long long)(r->id >> HOLDER_NUMBER_BITS));
		buf_add_plain(out, intern_str(names, r->name));
		buf_addc(out, '\n');
	}
}

static double each(const struct holder_row *r, int look)
{
	return r->holders[look] ? (double)r->binaries[look] / (double)r->holders[look] : 0;
}

static void add_name(struct buf *out, const struct holders *h, const struct intern *names, const struct holder_row *r,
		     const struct unit *u)
{
	char grown[24], before[24] = "-", count[32], binaries[32];

	if (h->has_first)
		snprintf(before, sizeof(before), "%.2f", each(r, 0));
	buf_addf(out, "%9.1f %9s %7s %9s %9.2f %7s  ", (double)holder_row_bytes(r, 1) / u->bytes, growth(grown, h, r, u),
		 units_format_count(count, r->holders[1]), units_format_count(binaries, r->binaries[1]), each(r, 1), before);
	buf_add_plain(out, intern_str(names, r->name));
	buf_addc(out, '\n');
}

void holders_add_names(struct buf *out, const struct holders *h, const struct intern *names, size_t most)
{
	const struct unit u = unit_of(h);
	size_t i, n = 0;

	for (i = 0; i < h->n_names && n < most; i++) {
		if (h->names[i].holders[1] < 2)
			continue;
		if (!n++)
			buf_addf(out, "%9s %9s %7s %9s %9s %7s  OF ONE NAME\n", u.name, "GROWTH", "PROCS", "BINARIES", "BIN/PROC",
				 "BEFORE");
		add_name(out, h, names, &h->names[i], &u);
	}
}

const char *holder_advice_text(enum holder_advice a)
{
	switch (a) {
	case HOLDER_UNCOLLECTED:
		return "large binaries held by idle long-lived processes: answer from a short-lived process, hibernate, or collect "
		       "after the reply";
	case HOLDER_KEEPS:
		return "the same processes hold more and more of them: a part that is kept holds the whole binary; keep a copy of "
		       "the part (binary:copy/1)";
	default:
		return "";
	}
}
