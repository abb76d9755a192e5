/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Go: recognised, and its own memory profile read from outside where the program keeps one. No frames of a
 * reader's own: Go code has frame pointers and symbols, the native walk names it. No probe is placed in Go text.
 *
 * The profile is runtime.mbuckets: a list of buckets {next, allnext, type, hash, size, n} with n return addresses
 * behind it, then {allocations, frees, allocated bytes, freed bytes} (src/runtime/mprof.go, unchanged from 1.11 to
 * 1.24). It is drawn every MemProfileRate bytes, so figures are scaled as Go's own tools do, and one collection old.
 * The linker leaves it out of programs that do not read it; then the rate is 0 (disableMemoryProfiling). Goroutines are
 * counted either way.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/xalloc.h"
#include "runtime/go.h"
#include "runtime/runtimes.h"
#include "symbol/elf_symbols.h"

#define MOST_BUCKETS 1000000
#define MOST_FRAMES 1024
#define OF_MEMORY 1 /* bucket type: memProfile */

struct go {
	struct elf_symbols symbols;
	bool has_profile;
	uint64_t memstats, mheap; /* addresses; 0: not known */
};

struct go_bucket {
	uint64_t next, all_next, type, hash, size, n;
};

struct go_record {
	uint64_t allocs, frees, alloc_bytes, free_bytes;
};

static bool go_is_own_object(const char *module)
{
	(void)module;
	return false; /* it is linked into the program */
}

/* Of this moment: the objects are others after each runtime_process_refresh(). */
static struct runtime_object *program(struct runtime *r)
{
	return &r->process.objects[0];
}

/* A string {text, length} of the runtime. */
static void read_version(struct runtime *r, struct runtime_object *o)
{
	uint64_t at = runtime_symbol(&r->process, o, "runtime.buildVersion"), text[2];
	struct buf b = BUF_INIT;

	if (at && runtime_read(&r->process, at, text, sizeof(text)) && text[1] < sizeof(r->version) &&
	    runtime_text(&r->process, text[0], text[1], &b))
		snprintf(r->version, sizeof(r->version), "%s", strncmp(b.data, "go", 2) ? b.data : b.data + 2);
	buf_release(&b);
}

/*
 * runtime.main has, behind what settles the rate of its profile: schedinit (1.21 and later; it was 512 KiB before), or the
 * runtime package's own init (1.17 to 1.20; it was 0). One without symbols is not waited for.
 */
static bool has_begun(struct runtime *r, struct runtime_object *o)
{
	uint64_t at = runtime_symbol(&r->process, o, "runtime.runtimeInitTime");

	return !at || runtime_word(&r->process, at) || !runtime_is_young(r);
}

static int go_open(struct runtime *r)
{
	struct runtime_object *o = r->process.n_objects ? &r->process.objects[0] : NULL;
	uint64_t rate;
	struct go *g;

	if (!o || !runtime_object_open(&r->process, o) || !elf_file_is_go(o->elf))
		return -ENOENT;
	if (!has_begun(r, o))
		return -EAGAIN;
	g = xcalloc(1, sizeof(*g));
	r->state = g;
	read_version(r, o);
	rate = runtime_word(&r->process, runtime_symbol(&r->process, o, "runtime.MemProfileRate"));
	if (!runtime_symbol(&r->process, o, "runtime.mbuckets"))
		snprintf(r->reason, sizeof(r->reason), "no symbols in it: its own memory profile cannot be found");
	else if (!rate)
		snprintf(r->reason, sizeof(r->reason), "it keeps no memory profile (nothing in it imports net/http/pprof)");
	else
		g->has_profile = true;
	g->memstats = runtime_symbol(&r->process, o, "runtime.memstats");
	g->mheap = runtime_symbol(&r->process, o, "runtime.mheap_");
	r->has_census = g->has_profile || runtime_symbol(&r->process, o, "runtime.allgs");
	snprintf(r->hint, sizeof(r->hint), "%s%s",
		 g->has_profile ? "its own profile: memprobe census, or " : r->has_census ? "goroutines: memprobe census; " : "",
		 g->has_profile ? "go tool pprof http://HOST:PORT/debug/pprof/heap" :
				  "with net/http/pprof imported: go tool pprof http://HOST:PORT/debug/pprof/heap");
	return 0;
}

static int go_collections(struct runtime *r, uint64_t *full)
{
	struct go *g = r->state;

	return go_count_collections(r, g->memstats, full);
}

static int go_heap_ranges(struct runtime *r, struct runtime_ranges *out)
{
	struct go *g = r->state;

	return go_find_arenas(r, g->mheap, out);
}

static void go_close(struct runtime *r)
{
	struct go *g = r->state;

	elf_symbols_release(&g->symbols);
	free(g);
}

/* "main.keep < main.handle": the innermost functions that are not the runtime's. */
static void name_of(struct runtime *r, const uint64_t *stack, size_t n, struct buf *name)
{
	const struct go *g = r->state;
	const char *symbol, *last = "";
	size_t i, shown = 0;

	for (i = 0; i < n && shown < 2; i++) {
		symbol = elf_symbols_find(&g->symbols, stack[i] - 1 - program(r)->bias);
		if (!symbol || !strncmp(symbol, "runtime.", 8) || !strcmp(symbol, last))
			continue; /* what was inlined has its caller's name */
		buf_addf(name, "%s%s", shown++ ? " < " : "", symbol);
		last = symbol;
	}
	if (!shown)
		buf_adds(name, "(runtime)");
}

/* What one drawn object of that size stands for. */
static double scale_of(double size, double rate)
{
	return rate <= 1 ? 1 : 1 / (1 - exp(-size / rate));
}

static bool add_bucket(struct runtime *r, uint64_t at, const struct go_bucket *b, double rate, struct table *rows,
		       struct intern *names, struct runtime_census *out)
{
	uint64_t stack[MOST_FRAMES], *row;
	struct go_record m;
	struct buf name = BUF_INIT;
	double scale;

	if (b->n > MOST_FRAMES || !runtime_read(&r->process, at + sizeof(*b), stack, b->n * 8) ||
	    !runtime_read(&r->process, at + sizeof(*b) + b->n * 8, &m, sizeof(m)))
		return false;
	if (b->type != OF_MEMORY || m.allocs <= m.frees || m.alloc_bytes <= m.free_bytes)
		return true;
	name_of(r, stack, b->n, &name);
	row = table_put(rows, intern_id(names, name.data), out->n);
	if (*row == out->n)
		runtime_census_add(out, name.data, 0, 0);
	scale = scale_of((double)b->size, rate);
	out->v[*row].objects += (uint64_t)((double)(m.allocs - m.frees) * scale);
	out->v[*row].bytes += (uint64_t)((double)(m.alloc_bytes - m.free_bytes) * scale);
	buf_release(&name);
	return true;
}

static void add_profile(struct runtime *r, struct runtime_census *out)
{
	double rate = (double)runtime_word(&r->process, runtime_symbol(&r->process, program(r), "runtime.MemProfileRate"));
	uint64_t at = runtime_word(&r->process, runtime_symbol(&r->process, program(r), "runtime.mbuckets"));
	struct intern names = INTERN_INIT;
	struct table rows = TABLE_INIT;
	struct go_bucket b;
	size_t i;

	for (i = 0; at && i < MOST_BUCKETS; i++, at = b.all_next) {
		if (!runtime_read(&r->process, at, &b, sizeof(b)) || !add_bucket(r, at, &b, rate, &rows, &names, out)) {
			out->is_partial = true;
			break;
		}
	}
	intern_release(&names);
	table_release(&rows);
}

static int go_census(struct runtime *r, struct runtime_census *out)
{
	struct go *g = r->state;
	bool has_goroutines;

	if (!r->has_census || !runtime_object_open(&r->process, program(r)))
		return -ENOTSUP;
	if (!g->symbols.n)
		elf_symbols_load(&g->symbols, program(r)->elf, NULL);
	if (g->has_profile)
		add_profile(r, out);
	has_goroutines = go_goroutines(r, program(r), &g->symbols, out);
	if (!g->has_profile && !has_goroutines)
		return -ENOENT;
	if (!g->has_profile)
		out->what = "goroutines and their stacks only: it keeps no memory profile";
	else
		out->what = has_goroutines ?
			    "in use by where it was allocated, by Go's own profile (estimated, as of the last collection), and goroutines" :
			    "in use by where it was allocated, by Go's own profile (estimated, as of the last collection)";
	return 0;
}

const struct runtime_ops go_runtime = {
	.name = "Go",
	.kind = MP_RT_NONE,
	.open = go_open,
	.close = go_close,
	.is_own_object = go_is_own_object,
	.census = go_census,
	.collections = go_collections,
	.heap_ranges = go_heap_ranges,
	.heap_name = "Go's heap and goroutine stacks",
};
