/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The pages of V8's heap; see v8_pages.h. */
#include "runtime/v8_pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/xalloc.h"

#define CHUNK ((uint64_t)1 << V8_PAGE_SHIFT)
#define MOST_PAGE ((uint64_t)4 << 30)
#define MOST_HEADER 16384 /* from a page's begin to its first object */

struct header {
	uint64_t size, flags, heap, start, end;
};

/*
 * What a page begins with (src/heap/basic-memory-chunk.h; memory-chunk.h, memory-chunk-metadata.h). None looks like
 * another: flags are no multiple of a page, and where objects begin and end is within the page.
 *	V8 9 to 11	size, flags, heap, begin of objects, end
 *	V8 12.4		flags, the page, size, heap, begin of objects, end
 *	V8 13.6		flags, the address of: ... size (48), end, heap, begin of objects
 */
#define FIRST_WORDS 6
#define METADATA_WORDS 10

#define FLAG_FROM (1u << 3) /* the half of the new generation that was emptied last */
#define FLAG_TO (1u << 4)

static bool may_hold_objects(const struct proc_map *m)
{
	return !m->ino && m->read && !m->shared && !m->exec && m->path[0] != '[';
}

static bool is_header(const struct header *h, uint64_t at, uint64_t page_bytes)
{
	return h->size >= page_bytes && h->size < MOST_PAGE && !(h->size % page_bytes) && h->start > at &&
	       h->start - at <= MOST_HEADER && h->end > h->start && h->end <= at + h->size && !(h->start & 7) &&
	       !(h->heap & 7);
}

/* What is known of the page there; false: it is none. */
static bool read_header(const struct runtime_process *p, uint64_t at, struct header *h)
{
	uint64_t w[FIRST_WORDS], m[METADATA_WORDS];

	if (!runtime_read_resident(p, at, w, sizeof(w)))
		return false;
	*h = (struct header){ .size = w[0], .flags = w[1], .heap = w[2], .start = w[3], .end = w[4] };
	if (is_header(h, at, p->memory.page_bytes))
		return true;
	if (w[1] == at)
		*h = (struct header){ .flags = w[0], .size = w[2], .heap = w[3], .start = w[4], .end = w[5] };
	else if (w[1] && !(w[1] & 7) && runtime_read(p, w[1], m, sizeof(m)))
		*h = (struct header){ .flags = w[0], .size = m[6], .end = m[7], .heap = m[8], .start = m[9] };
	else
		return false;
	return is_header(h, at, p->memory.page_bytes);
}

static void add_page(struct v8_pages *out, uint64_t start, uint64_t end, bool is_young)
{
	XGROW(out->v, out->n, out->cap);
	out->v[out->n++] = (struct v8_page){ .start = start, .end = end, .is_young = is_young };
}

static void look_into(struct v8_pages *out, const struct runtime_process *p, const struct proc_map *m, struct table *heaps)
{
	uint64_t at;
	struct header h;

	for (at = (m->start + CHUNK - 1) & ~(CHUNK - 1); at < m->end; at += CHUNK) {
		if (!read_header(p, at, &h))
			continue;
		if (h.heap)
			++*table_put(heaps, h.heap, 0);
		runtime_ranges_add(&out->all, at, at + h.size);
		if (!(h.flags & FLAG_FROM)) {
			add_page(out, h.start, h.end, h.flags & FLAG_TO);
			out->v[out->n - 1].is_read_only = !h.heap;
		}
		if (h.size > CHUNK)
			at += (h.size - 1) & ~(CHUNK - 1);
	}
}

static uint64_t commonest(const struct table *heaps)
{
	uint64_t heap = 0, most = 1; /* one alone may be chance */
	size_t i;

	for (i = 0; i < heaps->cap; i++) {
		if (heaps->slots[i].used != 1 || heaps->slots[i].value <= most)
			continue;
		most = heaps->slots[i].value;
		heap = heaps->slots[i].key;
	}
	return heap;
}

int v8_pages_find(struct v8_pages *out, struct runtime_process *p)
{
	int err = runtime_process_refresh(p);
	struct table heaps = TABLE_INIT;
	size_t i;

	*out = (struct v8_pages){ 0 };
	if (err)
		return err;
	for (i = 0; i < p->maps.n; i++)
		if (may_hold_objects(&p->maps.v[i]))
			look_into(out, p, &p->maps.v[i], &heaps);
	out->heap = commonest(&heaps);
	table_release(&heaps);
	if (out->heap)
		return 0;
	for (i = 0, out->n = 0; i < p->maps.n; i++)
		if (may_hold_objects(&p->maps.v[i]))
			add_page(out, p->maps.v[i].start, p->maps.v[i].end, false);
	return 0;
}

void v8_pages_release(struct v8_pages *pages)
{
	free(pages->v);
	runtime_ranges_release(&pages->all);
	*pages = (struct v8_pages){ 0 };
}

const struct v8_page *v8_page_at(const struct v8_pages *pages, uint64_t addr)
{
	size_t low = 0, high = pages->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (pages->v[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < pages->n && addr >= pages->v[low].start ? &pages->v[low] : NULL;
}

bool v8_pages_changed(const struct v8_pages *pages, const struct runtime_process *p)
{
	struct header h;
	size_t i;

	for (i = 0; i < pages->n; i++) {
		if (!pages->v[i].is_young)
			continue;
		if (!read_header(p, pages->v[i].start & ~(CHUNK - 1), &h) || !(h.flags & FLAG_TO))
			return true;
	}
	return false;
}

/* ---- how often it was collected ---- */

#define MOST_CODE 16384
#define MOST_OFFSET 65536

/*
 * `addl $1, disp32(%reg)`: [41] 83 /0 [sib 24] disp32 01. Heap::MarkCompact has one (ms_count_++, src/heap/heap.cc);
 * found twice with different offsets, none is taken.
 */
uint32_t v8_count_offset_in(const uint8_t *code, size_t len)
{
	uint32_t found = 0, offset;
	size_t i, at;

	for (i = 0; i + 8 <= len; i++) {
		if (code[i] != 0x83 || (code[i + 1] & 0xf8) != 0x80 || (i && (code[i - 1] & 0xf8) == 0x48))
			continue; /* REX.W: a 64-bit sum */
		at = i + 2 + ((code[i + 1] & 7) == 4);
		if (at + 5 > len || code[at + 4] != 1)
			continue;
		memcpy(&offset, &code[at], sizeof(offset));
		if (offset >= MOST_OFFSET || offset & 3)
			continue;
		if (found && found != offset)
			return 0;
		found = offset;
	}
	return found;
}

uint32_t v8_count_offset(struct runtime_process *p, struct runtime_object *o)
{
	static const char *const name[1] = { "_ZN2v88internal4Heap11MarkCompactEv" };
	struct elf_symbol sym;
	uint32_t offset = 0;
	uint8_t *code;

#ifndef __x86_64__
	return 0;
#endif
	if (!runtime_object_open(p, o) || !elf_find_symbols(o->elf, name, 1, &sym) || !sym.size_bytes ||
	    sym.size_bytes > MOST_CODE)
		return 0;
	code = xmalloc(sym.size_bytes);
	if (runtime_read(p, sym.vaddr + o->bias, code, sym.size_bytes))
		offset = v8_count_offset_in(code, sym.size_bytes);
	free(code);
	return offset;
}
