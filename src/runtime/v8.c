/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * V8 in node: names and lines of JavaScript frames from the heap's own metadata, without flags or perf maps.
 *
 * The line is that of the call in an interpreted frame and, with what was inlined, in the optimizing compiler's code,
 * from V8 11.3 on (v8_inlined.h); in other compiled code that of the function's beginning. A build without the v8dbg_
 * symbols, or with compressed pointers, has native stacks only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/xalloc.h"
#include "runtime/runtimes.h"
#include "runtime/v8_census.h"
#include "runtime/v8_chain.h"
#include "runtime/v8_inlined.h"

/* Sources are read as far as a position, up to this; what lies behind has no line. */
#define MOST_SOURCE (4u << 20)

#define VERSION_MAJOR "_ZN2v88internal7Version6major_E"

/* Where the lines of one source end, as far as they were needed. */
struct v8_source {
	uint64_t string;
	int64_t length;
	uint32_t *ends;
	size_t n, cap;
	uint32_t read; /* characters that were looked at */
};

struct v8 {
	struct v8_layout layout;
	struct v8_source *sources;
	size_t n_sources, sources_cap;
	uint64_t count; /* address of the number of full collections; 0: not found yet */
	uint32_t last_count;
	bool no_count; /* it cannot be found */
	/* the calls in progress in the frame that was asked for last */
	uint64_t calls_shared, calls_pc;
	struct v8_call calls[V8_MOST_INLINED];
	size_t n_calls;
};

/* "node", "nodejs", "node-20" (Fedora's), "libnode.so.108" */
static bool v8_is_own_object(const char *module)
{
	size_t len = !strncmp(module, "nodejs", 6) ? 6 : 4;

	if (!strncmp(module, "libnode.so", 10))
		return true;
	return !strncmp(module, "node", 4) &&
	       (!module[len] || (module[len] == '-' && strspn(module + len + 1, "0123456789") == strlen(module + len + 1)));
}

static bool is_v8(struct runtime *r, struct runtime_object *o)
{
	return runtime_symbol(&r->process, o, VERSION_MAJOR) ||
	       runtime_symbol(&r->process, o, "v8dbg_off_fp_context_or_frame_type");
}

static bool read_version(struct runtime *r, struct runtime_object *o)
{
	uint32_t v[3];
	static const char *const names[3] = { VERSION_MAJOR, "_ZN2v88internal7Version6minor_E",
					      "_ZN2v88internal7Version6build_E" };
	uint64_t addrs[3];
	size_t i;

	runtime_symbols(&r->process, o, names, 3, addrs);
	for (i = 0; i < 3; i++)
		if (!addrs[i] || !runtime_read(&r->process, addrs[i], &v[i], sizeof(v[i])))
			return false;
	snprintf(r->version, sizeof(r->version), "%u.%u.%u", v[0], v[1], v[2]);
	return true;
}

/* All that the kernel side reads of a frame lies within 40 bytes below the frame pointer. */
static bool frame_is_near(const struct v8_layout *l)
{
	return l->fp_context >= -40 && l->fp_function >= -40 && l->fp_bytecode >= -40 && l->fp_offset >= -40 &&
	       l->fp_context < 0 && l->fp_function < 0 && l->fp_bytecode < 0 && l->fp_offset < 0;
}

/*
 * V8 itself. Debian's node only starts libnode, which may not be mapped yet; other programs and modules have such names
 * too (node-problem-detector, node.cpython-311-x86_64-linux-gnu.so).
 */
static struct runtime_object *own_object(struct runtime *r)
{
	size_t i;

	for (i = 0; i < r->process.n_objects; i++) {
		struct runtime_object *o = &r->process.objects[i];

		if (v8_is_own_object(o->name) && is_v8(r, o))
			return o;
	}
	return NULL;
}

static int v8_open(struct runtime *r)
{
	struct runtime_object *o = own_object(r);
	const char *missing;
	struct v8 *v;

	if (!o)
		return -ENOENT;
	v = xcalloc(1, sizeof(*v));
	r->state = v;
	if (!read_version(r, o))
		snprintf(r->version, sizeof(r->version), "(unknown)");
	missing = v8_layout_read(&v->layout, &r->process, o);
	if (missing)
		snprintf(r->reason, sizeof(r->reason), "its binary does not export %s", missing);
	else if (!frame_is_near(&v->layout) || v->layout.fixed_array_data != 16)
		snprintf(r->reason, sizeof(r->reason), "its frames or objects are not laid out as known here");
	else if ((missing = v8_layout_check(&v->layout, &r->process)))
		snprintf(r->reason, sizeof(r->reason), "%s", missing);
	else
		r->has_frames = true;
	r->has_census = r->has_frames && v->layout.has_objects;
	if (r->has_census)
		snprintf(r->hint, sizeof(r->hint), "objects by constructor, and who holds what grew: memprobe census -p %d -i 30",
			 (int)r->process.pid);
	return 0;
}

struct v8_layout *v8_layout_of(struct runtime *r)
{
	return &((struct v8 *)r->state)->layout;
}

static void v8_close(struct runtime *r)
{
	struct v8 *v = r->state;
	size_t i;

	for (i = 0; i < v->n_sources; i++)
		free(v->sources[i].ends);
	free(v->sources);
	free(v);
}

static void v8_config(const struct runtime *r, struct mp_runtime *words)
{
	const struct v8 *v = r->state;

	words->w[MP_V8_FP_CONTEXT] = (uint64_t)(int64_t)v->layout.fp_context;
	words->w[MP_V8_FP_FUNCTION] = (uint64_t)(int64_t)v->layout.fp_function;
	words->w[MP_V8_FP_BYTECODE] = (uint64_t)(int64_t)v->layout.fp_bytecode;
	words->w[MP_V8_FP_OFFSET] = (uint64_t)(int64_t)v->layout.fp_offset;
	words->w[MP_V8_FUNCTION_SHARED] = (uint64_t)v->layout.function_shared;
	words->w[MP_V8_MAP_TYPE] = (uint64_t)v->layout.map_type;
	words->w[MP_V8_SHARED_TYPE] = (uint64_t)v->layout.type_shared;
}

/* ---- lines ---- */

static struct v8_source *source_of(struct v8 *v, uint64_t string, int64_t length)
{
	size_t i;

	for (i = 0; i < v->n_sources; i++)
		if (v->sources[i].string == string && v->sources[i].length == length)
			return &v->sources[i];
	XGROW(v->sources, v->n_sources, v->sources_cap);
	v->sources[v->n_sources] = (struct v8_source){ .string = string, .length = length };
	return &v->sources[v->n_sources++];
}

/* Read on to the position. */
static bool source_read(struct runtime *r, struct v8_source *s, uint32_t position)
{
	struct v8 *v = r->state;
	struct buf text = BUF_INIT;
	bool ok = true;
	size_t i;

	if (position < s->read)
		return true;
	ok = v8_text(&r->process, &v->layout, s->string, s->read, position - s->read + 1, &text);
	for (i = 0; ok && i < text.len; i++) {
		if (text.data[i] != '\n')
			continue;
		XGROW(s->ends, s->n, s->cap);
		s->ends[s->n++] = s->read + (uint32_t)i;
	}
	if (ok)
		s->read += (uint32_t)text.len;
	buf_release(&text);
	return ok && position < s->read;
}

/* The line of a position, from 1; 0 unknown. */
static uint32_t line_of(struct runtime *r, uint64_t string, int64_t position)
{
	struct v8 *v = r->state;
	int64_t length = v8_length(&r->process, &v->layout, string);
	struct v8_source *s;
	size_t low = 0, high;

	if (position < 0 || length <= 0 || position >= length || position >= MOST_SOURCE)
		return 0;
	s = source_of(v, string, length);
	if (!source_read(r, s, (uint32_t)position))
		return 0;
	for (high = s->n; low < high;) {
		size_t middle = (low + high) / 2;

		if (s->ends[middle] < position)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)low + 1;
}

#define NO_OFFSET 0xffff /* compiled code has none in its frame */

/* The function, and the line of a position in it; position -1: of the slot `offset`, or where it begins. */
static int name_function(struct runtime *r, uint64_t shared, uint32_t offset, int64_t position, struct runtime_name *name)
{
	struct v8 *v = r->state;
	struct v8_function f = { .name = BUF_INIT, .script = BUF_INIT };
	const char *file;

	if (!v8_function_read(&r->process, &v->layout, shared, offset, &f)) {
		buf_release(&f.name);
		buf_release(&f.script);
		return -ESTALE;
	}
	if (position >= 0)
		f.position = position;
	file = f.script.data;
	if (!strncmp(file, "file://", 7))
		file += 7;
	if (f.name.len)
		buf_add_plain(&name->function, f.name.data);
	else
		buf_adds(&name->function, "(anonymous)");
	buf_add_plain(&name->file, file);
	name->is_internal = !strncmp(file, "node:", 5) || !*file;
	if (f.source)
		name->line = line_of(r, f.source, f.position);
	buf_release(&f.name);
	buf_release(&f.script);
	return 0;
}

/* The calls in progress at an address of compiled code; none of interpreted code. */
static void find_calls(struct runtime *r, uint64_t code, uint64_t at)
{
	struct v8 *v = r->state;

	v->calls_shared = code & 0xffffffffffff;
	v->calls_pc = at;
	v->n_calls = code >> 48 == NO_OFFSET ? v8_calls_at(&r->process, &v->layout, v->calls_shared, at, v->calls) : 0;
}

static int v8_resolve(struct runtime *r, uint64_t code, uint64_t at, struct runtime_name *name)
{
	struct v8 *v = r->state;
	int64_t position;

	find_calls(r, code, at);
	position = v->n_calls ? v->calls[v->n_calls - 1].position : -1;
	return name_function(r, v->calls_shared, (uint32_t)(code >> 48), position, name);
}

static int v8_inlined(struct runtime *r, uint64_t code, uint64_t at, unsigned int i, struct runtime_name *name)
{
	struct v8 *v = r->state;

	if (v->calls_shared != (code & 0xffffffffffff) || v->calls_pc != at)
		find_calls(r, code, at);
	if (i + 1 >= v->n_calls)
		return -ENOENT;
	return name_function(r, v->calls[i].shared, NO_OFFSET, v->calls[i].position, name);
}

static int v8_count(struct runtime *r, struct runtime_census *out)
{
	struct v8 *v = r->state;

	return r->has_census ? v8_census(r, &v->layout, out) : -ENOTSUP;
}

static int v8_held_by(struct runtime *r, const char *type, uint64_t deadline_ns, struct buf *out)
{
	struct v8 *v = r->state;

	return r->has_census ? v8_chain(r, &v->layout, type, deadline_ns, out) : -ENOTSUP;
}

/*
 * Full mark-compacts, as V8's own Heap counts them: that of the isolate with most pages (others are worker threads').
 * Found once; a count that ever falls is none.
 */
static int v8_collections(struct runtime *r, uint64_t *full)
{
	struct v8 *v = r->state;
	struct v8_pages pages;
	struct runtime_object *o;
	uint32_t count;

	if (!v->count && !v->no_count) {
		o = own_object(r);
		count = o ? v8_count_offset(&r->process, o) : 0;
		if (count && !v8_pages_find(&pages, &r->process)) {
			v->count = pages.heap ? pages.heap + count : 0;
			v8_pages_release(&pages);
		}
		v->no_count = !count; /* else it begins, and has no pages yet */
	}
	if (!v->count || !runtime_read(&r->process, v->count, &count, sizeof(count)) || count < v->last_count)
		return -ENOTSUP;
	v->last_count = count;
	*full = count;
	return 0;
}

/* Compiled code is not among it: it has executable mappings. */
static int v8_heap_ranges(struct runtime *r, struct runtime_ranges *out)
{
	struct v8_pages pages;
	int err = v8_pages_find(&pages, &r->process);

	if (err)
		return err;
	if (pages.heap) {
		*out = pages.all;
		pages.all = (struct runtime_ranges){ 0 };
	}
	err = pages.heap ? 0 : -ENOTSUP;
	v8_pages_release(&pages);
	return err;
}

/* Its ways into JavaScript: its own code for that, and what calls it (of a stripped V8 only the latter have names). */
static bool v8_is_eval(const struct runtime *r, const char *symbol, const char *module, uint64_t vaddr)
{
	(void)r;
	(void)vaddr;
	return v8_is_own_object(module) && (!strncmp(symbol, "Builtins_JS", 11) || !strncmp(symbol, "v8::internal::Execution::", 25));
}

const struct runtime_ops v8_runtime = {
	.name = "V8",
	.kind = MP_RT_V8,
	.frames_are_native = true,
	.open = v8_open,
	.close = v8_close,
	.config = v8_config,
	.resolve = v8_resolve,
	.inlined = v8_inlined,
	.is_eval = v8_is_eval,
	.is_own_object = v8_is_own_object,
	.census = v8_count,
	.census_is_quick = true,
	.held_by = v8_held_by,
	.collections = v8_collections,
	.heap_ranges = v8_heap_ranges,
	.heap_name = "V8's heap",
};
