/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The words of a flame graph that compares two profiles, A and B. A frame is as wide as the sum of what changed in its
 * stacks, up or down, so that what is gone is in the picture and what stayed is not; its sign is that of the net
 * change:
 *
 *	+ SessionCache::insert: +27.7 MiB (+29 088 000 B), 93.1 % of all change, grew 27.7 MiB, gatewayd
 *	- Pool::get: -2.1 MiB (-2 202 009 B), 6.9 % of all change, shrank 2.4 MiB, grew 0.3 MiB, gatewayd
 *
 * Of two runs the figures are per second. Pure.
 */
#include <string.h>

#include "base/units.h"
#include "render/flamegraph_internal.h"

static const char *per(const struct flame *f)
{
	return f->diff->is_one_run ? "" : "/s";
}

static void add_amount(struct buf *out, const struct flame *f, uint64_t n)
{
	char size[16], count[32];

	if (flame_by_blocks(f))
		buf_addf(out, "%s block%s%s", units_format_count(count, n), n == 1 ? "" : "s", per(f));
	else
		buf_addf(out, "%s%s", units_format_size(size, n), per(f));
}

static void add_net(struct buf *out, const struct flame *f, const struct flame_node *n)
{
	static const char *const signs[] = { [FLAME_SAME] = "", [FLAME_GREW] = "+", [FLAME_SHRANK] = "-" };
	uint64_t fell = n->bytes - n->grown, net = n->grown > fell ? n->grown - fell : fell - n->grown;
	const char *sign = signs[flame_sign_of(n)];
	char count[32];

	buf_adds(out, sign);
	add_amount(out, f, net);
	if (!flame_by_blocks(f) && net >= 1024)
		buf_addf(out, " (%s%s B%s)", sign, units_format_count(count, net), per(f));
}

void flame_diff_add_details(struct buf *out, const struct flame *f, const struct flame_node *n)
{
	uint64_t all = f->nodes[0].bytes;
	char count[32];

	if (n->key == FLAME_NO_KEY)
		buf_addf(out, "%s smaller stacks", units_format_count(count, n->stacks));
	else
		buf_adds(out, flame_node_text(f, n));
	buf_adds(out, ": ");
	add_net(out, f, n);
	buf_addf(out, ", %.1f %% of all change", all ? (double)n->bytes * 100 / (double)all : 0.0);
	if (n->grown) {
		buf_adds(out, ", grew ");
		add_amount(out, f, n->grown);
	}
	if (n->bytes > n->grown) {
		buf_adds(out, ", shrank ");
		add_amount(out, f, n->bytes - n->grown);
	}
	if (n->key == FLAME_NO_KEY)
		return;
	if (*intern_str(&f->texts, f->keys[n->key].module))
		buf_addf(out, ", %s", intern_str(&f->texts, f->keys[n->key].module));
}

static void add_side(struct buf *out, const struct flame *f, enum diff_side side)
{
	char length[24];

	buf_addf(out, "%c (%s)", side == DIFF_A ? 'A' : 'B', units_format_duration(length, f->diff->facts[side].window_ns));
}

void flame_diff_add_title(struct buf *out, const struct flame *f)
{
	static const char *const what[METRIC_NR] = {
		[METRIC_LIVE_BYTES] = " of live heap", [METRIC_LIVE_BLOCKS] = " live",
		[METRIC_ALLOC_BYTES] = " allocated", [METRIC_ALLOC_BLOCKS] = " allocated",
		[METRIC_RSS_BYTES] = " first touched", [METRIC_PEAK_BYTES] = " live when most lived",
	};
	static const struct flame_node none = { 0 };
	const struct profile *p = f->profile;

	if (p->n_procs == 1)
		flame_add_clean(out, profile_str(p, p->procs[0].comm));
	else
		buf_addf(out, "%zu processes", p->n_procs);
	buf_adds(out, ": ");
	add_net(out, f, f->n_nodes ? &f->nodes[0] : &none);
	if (f->diff->is_one_run || f->metric == METRIC_ALLOC_BYTES || f->metric == METRIC_ALLOC_BLOCKS)
		buf_adds(out, what[f->metric]);
	else
		buf_adds(out, " kept");
	buf_adds(out, ", from ");
	add_side(out, f, DIFF_A);
	buf_adds(out, " to ");
	add_side(out, f, DIFF_B);
	buf_adds(out, f->diff->is_one_run ? " of one run" : " of two runs");
}

void flame_diff_add_width(struct buf *out, const struct flame *f)
{
	char size[16];

	buf_addf(out, "Width = what changed%s, up or down. + and plain: grew; - and striped: shrank. Not in the picture: stacks that "
		      "have the same figure on both sides",
		 f->diff->is_one_run ? "" : " per second");
	if (f->n_hidden)
		buf_addf(out, "; %zu stacks below --min-bytes (%s)", f->n_hidden, units_format_size(size, f->hidden_bytes));
	buf_addc(out, '.');
}

void flame_diff_add_trust(struct buf *out, const struct flame *f)
{
	int side;
	char n[32];

	for (side = DIFF_A; side <= DIFF_B; side++) {
		const struct diff_facts *facts = &f->diff->facts[side];

		buf_addf(out, "%s%s: %s, ", side == DIFF_A ? "" : " ", side == DIFF_A ? "A" : "B",
			 facts->is_exact ? "nothing sampled" : "sampled, small frames are uncertain");
		if (facts->lost_events)
			buf_addf(out, "%s events lost.", units_format_count(n, facts->lost_events));
		else
			buf_adds(out, "nothing lost.");
	}
}

void flame_diff_add_nothing(struct buf *out, const struct flame *f)
{
	buf_adds(out, f->n_hidden ? "Every change is below --min-bytes." : "Nothing changed between A and B.");
}
