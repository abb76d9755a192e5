/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzing the text of /proc/PID/maps: the parser must stay inside its input, the result must be
 * sorted, and mappings that are added one by one must not overlap.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc_maps maps = { 0 }, added = { 0 };
	size_t bad = 0, i;

	proc_maps_parse(&maps, (const char *)data, size, &bad);
	for (i = 0; i < maps.n; i++) {
		if (maps.v[i].end <= maps.v[i].start ||
		    (i && maps.v[i].start < maps.v[i - 1].start))
			abort();
		if (i < 200)
			proc_maps_add(&added, &maps.v[i]);
	}
	for (i = 0; i < added.n; i++) {
		const struct proc_map *m = &added.v[i];

		if (m->end <= m->start || (i && m->start < added.v[i - 1].end))
			abort();
		if (proc_maps_find(&added, m->start) != m ||
		    proc_maps_find(&added, m->end - 1) != m)
			abort();
	}
	proc_maps_release(&maps);
	proc_maps_release(&added);
	return 0;
}
