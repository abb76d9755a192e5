/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The JVM's own counters; see jvm_perfdata.h. */
#include "runtime/jvm_perfdata.h"

#include <stdio.h>
#include <string.h>

#define HEADER_BYTES 32
#define ENTRY_BYTES 20
#define MOST_ENTRIES 4096
#define GENERATIONS 2
#define SPACES 4 /* of a generation, at most */
#define POLICY "sun.gc.policy.name"

struct perfdata {
	const uint8_t *p;
	size_t len;
	size_t first;
	uint32_t n;
};

static uint32_t u32_at(const struct perfdata *d, size_t at)
{
	uint32_t v = 0;

	if (at <= d->len && d->len - at >= sizeof(v))
		memcpy(&v, d->p + at, sizeof(v));
	return v;
}

static bool read_header(struct perfdata *d)
{
	static const uint8_t magic[] = { 0xca, 0xfe, 0xc0, 0xc0, 1 /* little endian */, 2 /* version */ };

	/* not accessible: it begins, and the counters are not all there */
	if (d->len < HEADER_BYTES || memcmp(d->p, magic, sizeof(magic)) != 0 || !d->p[7])
		return false;
	d->first = u32_at(d, 24);
	d->n = u32_at(d, 28);
	return d->first >= HEADER_BYTES && d->first < d->len && d->n <= MOST_ENTRIES;
}

/* All entries lie within the bytes: what is found later is there. */
static bool is_whole(const struct perfdata *d)
{
	size_t at = d->first, length;
	uint32_t i;

	for (i = 0; i < d->n; i++, at += length) {
		if (d->len - at < ENTRY_BYTES)
			return false;
		length = u32_at(d, at);
		if (length < ENTRY_BYTES || length > d->len - at)
			return false;
	}
	return true;
}

/* Is it a counter of that name? Then its data of `bytes` bytes are at the result; else 0. */
static size_t data_of(const struct perfdata *d, size_t entry, size_t length, const char *name, char type, size_t bytes)
{
	size_t name_at = u32_at(d, entry + 4), data_at = u32_at(d, entry + 16), n = strlen(name) + 1;

	if (d->p[entry + 12] != type || name_at < ENTRY_BYTES || name_at > length || length - name_at < n ||
	    data_at < ENTRY_BYTES || data_at > length || length - data_at < bytes)
		return 0;
	return memcmp(d->p + entry + name_at, name, n) ? 0 : entry + data_at;
}

static size_t find(const struct perfdata *d, const char *name, char type, size_t bytes)
{
	size_t entry = d->first, length, at;
	uint32_t i;

	for (i = 0; i < d->n; i++, entry += length) {
		length = u32_at(d, entry);
		at = data_of(d, entry, length, name, type, bytes);
		if (at)
			return at;
	}
	return 0;
}

static bool number(const struct perfdata *d, const char *name, uint64_t *v)
{
	size_t at = find(d, name, 'J', sizeof(*v));

	if (!at)
		return false;
	memcpy(v, d->p + at, sizeof(*v));
	return *v < 1ull << 56; /* one that is less than nothing, too, is none */
}

static bool has_text(const struct perfdata *d, const char *name, const char *text)
{
	size_t n = strlen(text) + 1, at = find(d, name, 'B', n);

	return at && !memcmp(d->p + at, text, n);
}

/*
 * Collector 0 is the young generation's, 1 the full one's. G1 frees old garbage after a concurrent cycle too, of which
 * collector 2 counts the two pauses (not in 8). Others (Z, Shenandoah, CMS) count pauses that are no collections.
 */
static void take_collections(const struct perfdata *d, struct jvm_counters *out)
{
	bool is_g1 = has_text(d, POLICY, "GarbageFirst");
	uint64_t pauses = 0;

	if (!is_g1 && !has_text(d, POLICY, "Copy:MSC") && !has_text(d, POLICY, "ParScav:MSC"))
		return;
	if (!number(d, "sun.gc.collector.0.invocations", &out->young) ||
	    !number(d, "sun.gc.collector.1.invocations", &out->full))
		return;
	if (is_g1 && number(d, "sun.gc.collector.2.invocations", &pauses))
		out->full += pauses / 2;
	out->has_collections = true;
}

static void take_spaces(const struct perfdata *d, int generation, struct jvm_counters *out)
{
	char name[64];
	uint64_t v;
	int i;

	for (i = 0; i < SPACES; i++) {
		snprintf(name, sizeof(name), "sun.gc.generation.%d.space.%d.used", generation, i);
		if (!number(d, name, &v))
			continue;
		out->used_bytes += v;
		out->kept_bytes += generation || i ? v : 0; /* the first of the young generation is eden */
	}
}

/* Where generations share one heap (G1), each may have all of it. */
static void take_heap(const struct perfdata *d, struct jvm_counters *out)
{
	bool is_shared = has_text(d, POLICY, "GarbageFirst");
	uint64_t committed, most;
	char name[64];
	int i;

	for (i = 0; i < GENERATIONS; i++) {
		snprintf(name, sizeof(name), "sun.gc.generation.%d.capacity", i);
		if (!number(d, name, &committed))
			return;
		snprintf(name, sizeof(name), "sun.gc.generation.%d.maxCapacity", i);
		if (!number(d, name, &most))
			return;
		out->committed_bytes += committed;
		out->most_bytes = is_shared ? (most > out->most_bytes ? most : out->most_bytes) : out->most_bytes + most;
		take_spaces(d, i, out);
	}
	out->has_heap = out->used_bytes <= out->committed_bytes;
}

bool jvm_perfdata_parse(const uint8_t *data, size_t len, struct jvm_counters *out)
{
	struct perfdata d = { .p = data, .len = len };

	*out = (struct jvm_counters){ 0 };
	if (!read_header(&d) || !is_whole(&d))
		return false;
	take_collections(&d, out);
	take_heap(&d, out);
	return out->has_collections || out->has_heap;
}
