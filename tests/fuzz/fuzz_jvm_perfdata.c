/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzing a JVM's counters: no figure that cannot be, and no read outside of the bytes (the copy ends where they end).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/jvm_perfdata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jvm_counters c;
	uint8_t *copy = malloc(size ? size : 1);

	memcpy(copy, data, size);
	if (jvm_perfdata_parse(copy, size, &c) && !c.has_heap && !c.has_collections)
		abort();
	if (c.has_heap && c.used_bytes > c.committed_bytes)
		abort();
	free(copy);
	return 0;
}
