/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where a JVM's heap is: libjvm.so exports a description of its own structures for debuggers (gHotSpotVMStructs;
 * vmStructs.hpp, the same since JDK 6), by which Universe::_collectedHeap->_reserved is found. Nothing is assumed where
 * an entry is missing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "runtime/jvm_heap.h"

#define MOST_ENTRIES 8192
#define MOST_BYTES (1ull << 46)

/* VMStructEntry */
struct entry {
	uint64_t type, field, kind;
	uint32_t is_static, pad;
	uint64_t offset, address;
};

struct wanted {
	const char *type, *field;
	uint64_t value; /* offset, or address of a static one */
	bool found;
};

static bool is_text(const struct runtime_process *p, uint64_t at, const char *text)
{
	char found[32];
	size_t n = strlen(text) + 1;

	return n <= sizeof(found) && runtime_read(p, at, found, n) && !memcmp(found, text, n);
}

static void take(const struct runtime_process *p, const struct entry *e, struct wanted *w, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (w[i].found || !is_text(p, e->field, w[i].field) || !is_text(p, e->type, w[i].type))
			continue;
		w[i].found = true;
		w[i].value = e->is_static ? e->address : e->offset;
	}
}

static bool read_entries(const struct runtime_process *p, uint64_t at, struct wanted *w, size_t n)
{
	size_t i, k, missing = n;
	struct entry e;

	for (i = 0; i < MOST_ENTRIES && missing; i++, at += sizeof(e)) {
		if (!runtime_read(p, at, &e, sizeof(e)) || !e.type)
			return false; /* an empty one is the last */
		take(p, &e, w, n);
		for (missing = 0, k = 0; k < n; k++)
			missing += !w[k].found;
	}
	return !missing;
}

int jvm_heap_range(struct runtime *r, struct runtime_object *o, uint64_t *start, uint64_t *end)
{
	struct wanted w[] = { { .type = "Universe", .field = "_collectedHeap" }, { .type = "CollectedHeap", .field = "_reserved" },
			      { .type = "MemRegion", .field = "_start" }, { .type = "MemRegion", .field = "_word_size" } };
	const struct runtime_process *p = &r->process;
	uint64_t heap, words;

	if (runtime_word(p, runtime_symbol(&r->process, o, "gHotSpotVMStructEntryArrayStride")) != sizeof(struct entry) ||
	    !read_entries(p, runtime_word(p, runtime_symbol(&r->process, o, "gHotSpotVMStructs")), w, 4))
		return -ENOTSUP;
	heap = runtime_word(p, w[0].value);
	if (!heap)
		return -EAGAIN;
	*start = runtime_word(p, heap + w[1].value + w[2].value);
	words = runtime_word(p, heap + w[1].value + w[3].value);
	*end = *start + words * 8;
	return *start && words && words < MOST_BYTES / 8 && !(*start & 4095) ? 0 : -ESTALE;
}
