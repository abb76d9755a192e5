/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The verdict as a line of JSON; see doc/json-lines.md. Pure. */
#include "render/json_text.h"
#include "render/report_internal.h"

struct named_bit {
	unsigned int bit;
	const char *name;
};

static const struct named_bit whys[] = {
	{ WHY_STRAIGHT, "straight" }, { WHY_COHORT, "cohort" }, { WHY_HISTORY, "history" },
	{ WHY_WINDOWS, "windows" },   { WHY_CLASSES, "classes" }, { WHY_OBJECTS, "objects" },
	{ 0, NULL },
};

static const struct named_bit buts[] = {
	{ BUT_YOUNG, "young" }, { BUT_RECENT, "recent" },   { BUT_REPLACES, "replaces" },
	{ BUT_LOST, "lost" },	{ BUT_NO_SITE, "no_site" }, { BUT_SLOWS, "slows" },
	{ BUT_MEMORY_SLOWS, "memory_slows" },
	{ 0, NULL },
};

static void add_bits(struct buf *out, const char *key, const struct named_bit *names, unsigned int bits)
{
	const char *comma = "";

	buf_addf(out, ",\"%s\":[", key);
	for (; names->name; names++) {
		if (!(bits & names->bit))
			continue;
		buf_adds(out, comma);
		json_add_string(out, names->name);
		comma = ",";
	}
	buf_addc(out, ']');
}

static void add_rate(struct buf *out, const char *key, double bytes_per_s)
{
	buf_addf(out, ",\"%s\":%.0f", key, bytes_per_s);
}

static const char *doubt_name(enum trend_doubt d)
{
	static const char *const names[] = { "none", "short", "noise", "collected", "held", "hidden" };

	return names[d];
}

void json_add_verdict(struct buf *out, const struct profile *p)
{
	const struct verdict *v = &p->verdict;

	if (!p->has_verdict)
		return;
	buf_adds(out, "{\"type\":\"verdict\"");
	json_add_text(out, "word", trend_name(v->word));
	json_add_text(out, "doubt", doubt_name(v->doubt));
	json_add_bool(out, "strong", v->is_strong);
	json_add_text(out, "by", v->by_classes ? "objects" : v->by_heap ? "heap" : "memory");
	add_rate(out, "rate", v->rate);
	add_rate(out, "rate_low", v->low);
	add_rate(out, "rate_high", v->high);
	if (v->word == TREND_LEVELS_OFF) {
		add_rate(out, "level_bytes", v->level);
		json_add_uint(out, "level_in_ms", (uint64_t)(v->seconds * 1000));
	}
	if (v->need_s > 0)
		json_add_uint(out, "need_ms", (uint64_t)(v->need_s * 1000));
	buf_addf(out, ",\"site_share\":%.3f", v->site_share);
	add_bits(out, "why", whys, v->why);
	add_bits(out, "but", buts, v->but);
	buf_adds(out, "}\n");
}
