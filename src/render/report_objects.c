/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Objects of managed languages by class and line, with --objects; part of the report, and their JSON lines.
 *
 *	OBJECTS MADE, BY CLASS AND LINE (every one counted)
 *	   OBJECTS  OBJECTS/s  CLASS             WHERE
 *	    12 345      411.5  Journal::Record   lib/journal.rb:14
 *	     1 200       40.0                    31 others
 *
 * "est. from bursts" where the budget took the probe away between them. Pure.
 */
#include "base/units.h"
#include "render/json_text.h"
#include "render/report_internal.h"

#define MOST_ROWS 6u

static double per_second(const struct profile *p, uint64_t n)
{
	return p->window_ns ? (double)n * (double)NS_PER_S / (double)p->window_ns : 0;
}

static void add_numbers(struct buf *out, const struct profile *p, uint64_t births)
{
	char n[32];

	buf_addf(out, "%12s %10.1f  ", units_format_count(n, births), per_second(p, births));
}

static void add_row(struct buf *out, const struct profile *p, const struct object_row *row)
{
	const char *type = profile_str(p, row->type);
	size_t at = out->len;

	add_numbers(out, p, row->births);
	at = out->len;
	buf_add_plain(out, *type ? type : "(class without a name)");
	if (out->len - at < 24)
		buf_pad(out, ' ', 24 - (out->len - at));
	buf_adds(out, "  ");
	buf_add_plain(out, *profile_str(p, row->file) ? profile_str(p, row->file) : "(no line)");
	if (row->line)
		buf_addf(out, ":%u", row->line);
	if (p->n_procs > 1)
		buf_addf(out, "  pid %d", (int)p->procs[row->proc].tgid);
	buf_addc(out, '\n');
}

void report_objects(struct buf *out, const struct report *r)
{
	const struct objects *o = &r->p->objects;
	size_t most = r->o->all_frames ? OBJECTS_ROWS : MOST_ROWS - r->terse, i;
	uint64_t shown = 0;

	if (!o->is_there)
		return;
	if (!o->n_probes) {
		buf_adds(out, "\nobjects no runtime here was built with a probe that tells of its objects (Ruby's object__create)\n");
		return;
	}
	buf_addf(out, "\nOBJECTS MADE, BY CLASS AND LINE (%s)\n%12s %10s  %-24s  WHERE\n",
		 o->is_share		      ? "seen in bursts: in proportion"
		 : r->p->watch.open_share < 1 ? "est. from bursts"
					      : "every one counted", "OBJECTS", "OBJECTS/s",
		 "CLASS");
	for (i = 0; i < o->n_rows && i < most; i++) {
		add_row(out, r->p, &o->rows[i]);
		shown += o->rows[i].births;
	}
	if (o->births > shown) {
		add_numbers(out, r->p, o->births - shown);
		buf_addf(out, "%-24s  %s\n", "", "elsewhere");
	}
}

void json_add_objects(struct buf *out, const struct profile *p)
{
	const struct objects *o = &p->objects;
	size_t i;

	for (i = 0; i < o->n_rows; i++) {
		const struct object_row *row = &o->rows[i];

		buf_adds(out, "{\"type\":\"objects\"");
		json_add_uint(out, "gen", p->procs[row->proc].gen);
		json_add_uint(out, "pid", (uint64_t)p->procs[row->proc].tgid);
		json_add_text(out, "class", profile_str(p, row->type));
		json_add_text(out, "file", profile_str(p, row->file));
		json_add_uint(out, "line", row->line);
		json_add_uint(out, "made", row->births);
		buf_adds(out, "}\n");
	}
}
