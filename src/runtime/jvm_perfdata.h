/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The counters that a JVM keeps in memory for its own tools (jstat, jcmd), as bytes: collections, and what its heap
 * holds. Pure; the bytes are another process's, and are not trusted: all that is out of bounds is not there.
 *
 *	CA FE C0 C0 | order 1, version 2.0 | used, entry_offset, num_entries | entries
 *	entry: length, name at, elements, type 'J' or 'B', ..., data at; then the name, then the data
 *
 * src/hotspot/share/runtime/perfMemory.hpp and perfData.hpp, version 2.0 since JDK 1.4.2; seen: 17.
 */
#ifndef MEMPROBE_RUNTIME_JVM_PERFDATA_H
#define MEMPROBE_RUNTIME_JVM_PERFDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JVM_PERFDATA_MOST (1u << 20) /* the JVM's own is 32 KiB */

struct jvm_counters {
	bool has_collections; /* of a collector that is known */
	uint64_t full;	      /* that looked through the old generation too */
	uint64_t young;
	bool has_heap;
	uint64_t used_bytes, committed_bytes, most_bytes;
	uint64_t kept_bytes; /* of those in use: what has outlived a collection, all but eden */
};

/* False: it is not such a record, or not complete. */
bool jvm_perfdata_parse(const uint8_t *data, size_t len, struct jvm_counters *out);

#endif
