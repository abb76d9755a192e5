/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzing perf maps: spans must be sorted, disjoint and carry names that end inside the text; each
 * name, taken as a mangled one too, must come out within its limit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "symbol/demangle.h"
#include "symbol/perf_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
	struct buf out = BUF_INIT;

	demangle_add(&out, name);
	if (out.len > SYMBOL_MAX_NAME_BYTES || strlen(out.data) != out.len)
		abort();
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct perf_map map = { 0 };
	char *text = malloc(size + 1);
	size_t i;

	memcpy(text, data, size);
	text[size] = '\0';
	perf_map_parse(&map, text, size);
	for (i = 0; i < map.n; i++) {
		const struct span *s = &map.v[i];

		if (!s->size_bytes || (i && s->start - s[-1].start < s[-1].size_bytes))
			abort();
		if (s->name >= map.text_bytes ||
		    perf_map_find(&map, s->start) != map.text + s->name)
			abort();
		if (i < 64)
			check_name(map.text + s->name);
	}
	perf_map_release(&map);
	return 0;
}
