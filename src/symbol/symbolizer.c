/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Addresses of a process to names; see symbolizer.h.
 *
 * address -> mapping (sym_process.c) -> file (sym_file.c) -> linker name (elf_symbols.c) -> source
 * name (demangle.c); code in no file -> perf map (perf_map.c). Each result is kept: the next
 * look-up of the address is one of the per-process table. A result without a name is forgotten when
 * something new is learnt about the process. One of generated code is forgotten when the perf map has changed, with or
 * without a name: code moves, and other code comes to its place. What was given out before stays with those who have
 * it.
 *
 * Depends on base, proc and the files of this directory.
 */
#include "symbol/symbolizer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "symbol/demangle.h"
#include "symbol/sym_file.h"
#include "symbol/sym_process.h"
#include "symbol/vdso.h"

#define DEFAULT_MAX_BYTES (256 * MIB)
#define NO_FILE 0
#define MOST_ANCESTORS 8
#define DEFAULT_MAX_LINES_NS (3 * NS_PER_S)

struct symbolizer {
	char *proc_root, *debug_root;
	struct intern names;
	struct sym_files files;
	uint64_t vdso; /* number of its file + 1; NO_FILE: not read yet or not readable */
	bool vdso_tried;
	struct sym_process **procs;
	size_t n_procs, procs_cap;
	uint64_t n_begun;	/* processes so far */
	struct table by_gen;    /* -> index in procs */
	struct table by_pid;    /* -> the latest generation */
	struct table by_inode;  /* hash of device and inode -> file number + 1: for processes that
				   ended */
	struct symbol *results; /* by address: the inlined ones, then the function itself */
	size_t n_results, results_cap;
	struct spare_results { /* that were forgotten, by their number of symbols less 1 */
		size_t *v, n, cap;
	} spare[SYMBOLIZER_MAX_FRAMES];
};

/* What is at one address, innermost first. */
struct chain {
	struct symbol v[SYMBOLIZER_MAX_FRAMES];
	size_t n;
};

_Static_assert(SYMBOLIZER_MAX_FRAMES == LINES_MAX_FRAMES, "symbolizer.h does not show lines.h");

struct symbolizer *symbolizer_new(const struct symbolizer_opts *o)
{
	struct symbolizer *s = xcalloc(1, sizeof(*s));

	s->proc_root = xstrdup(o->proc_root ? o->proc_root : "/proc");
	s->debug_root = xstrdup(o->debug_root ? o->debug_root : "/usr/lib/debug");
	s->files = (struct sym_files){
		.proc_root = s->proc_root,
		.debug_root = s->debug_root,
		.with_lines = o->lines,
		.lines_left_ns = !o->lines ? 0 : o->max_lines_ns ? o->max_lines_ns : DEFAULT_MAX_LINES_NS,
		.fetch_debug = o->fetch_debug,
		.fetch_ctx = o->fetch_ctx,
		.max_bytes = o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES,
	};
	return s;
}

void symbolizer_free(struct symbolizer *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->n_procs; i++)
		sym_process_free(s->procs[i]);
	free(s->procs);
	free(s->results);
	for (i = 0; i < SYMBOLIZER_MAX_FRAMES; i++)
		free(s->spare[i].v);
	sym_files_release(&s->files);
	table_release(&s->by_gen);
	table_release(&s->by_pid);
	table_release(&s->by_inode);
	intern_release(&s->names);
	free(s->proc_root);
	free(s->debug_root);
	free(s);
}

static const char *keep(struct symbolizer *s, const char *text)
{
	return intern_str(&s->names, intern_id(&s->names, text));
}

/* ---- processes ---- */

static struct sym_process *find_process(const struct symbolizer *s, uint32_t gen)
{
	const uint64_t *at = table_get(&s->by_gen, gen);

	return at ? s->procs[*at] : NULL;
}

/* Of the generations of one PID only the latest is the living process. */
static void set_pid(struct symbolizer *s, struct sym_process *p, pid_t pid)
{
	uint64_t *latest = table_put(&s->by_pid, (uint64_t)pid, p->gen);
	struct sym_process *other = find_process(s, (uint32_t)*latest);

	if (p->pid <= 0)
		p->pid = p->ns_pid = pid;
	if (other->serial < p->serial) {
		other->is_superseded = true;
		*latest = p->gen;
	} else if (other->serial > p->serial) {
		p->is_superseded = true;
	}
}

/* pid 0: not known. */
static struct sym_process *find_or_add_process(struct symbolizer *s, uint32_t gen, pid_t pid)
{
	uint64_t index = *table_put(&s->by_gen, gen, s->n_procs);
	struct sym_process *p;

	if (index == s->n_procs) {
		XGROW(s->procs, s->n_procs, s->procs_cap);
		s->procs[s->n_procs++] = sym_process_new(gen, s->n_begun++, pid);
	}
	p = s->procs[index];
	if (pid > 0)
		set_pid(s, p, pid);
	return p;
}

static bool is_generated(const struct symbol *s)
{
	return s->has_name && !*s->module;
}

static void spare_result(struct symbolizer *s, size_t first)
{
	struct spare_results *spare;
	size_t last = first;

	while (s->results[last].inlined)
		last++;
	spare = &s->spare[last - first];
	XGROW(spare->v, spare->n, spare->cap);
	spare->v[spare->n++] = first;
}

static void forget(struct symbolizer *s, struct sym_process *p, bool with_generated)
{
	size_t i;

	for (i = 0; i < p->cache.cap; i++) {
		const struct table_slot *slot = &p->cache.slots[i];
		const struct symbol *known = &s->results[slot->value];

		if (slot->used != 1 || (known->has_name && !(with_generated && is_generated(known))))
			continue;
		spare_result(s, slot->value);
		table_remove(&p->cache, slot->key);
	}
}

/* Addresses that had no name may have one now. */
static void forget_unnamed(struct symbolizer *s, struct sym_process *p)
{
	forget(s, p, false);
}

static void refresh_perf_map(struct symbolizer *s, struct sym_process *p)
{
	if (sym_process_refresh_perf_map(p, s->proc_root))
		forget(s, p, true);
}

int symbolizer_add_process(struct symbolizer *s, uint32_t gen, pid_t pid)
{
	struct sym_process *p = find_or_add_process(s, gen, pid);
	int err;

	if (p->is_superseded)
		return -ESRCH;
	err = sym_process_snapshot(p, s->proc_root);
	if (!err)
		forget_unnamed(s, p);
	return err;
}

void symbolizer_fork(struct symbolizer *s, uint32_t parent_gen, uint32_t gen, pid_t pid)
{
	const struct sym_process *parent = find_process(s, parent_gen);
	struct sym_process *p = find_or_add_process(s, gen, pid);

	if (parent && parent != p) {
		p->parent = parent_gen;
		sym_process_copy(p, parent);
	}
}

void symbolizer_add_map(struct symbolizer *s, uint32_t gen, const struct proc_map *m)
{
	struct sym_process *p = find_or_add_process(s, gen, 0);

	if (m->end <= m->start)
		return;
	sym_process_add_map(p, m);
	forget_unnamed(s, p);
}

/* Its children have their files by its own parent from now on; it has had none itself since it ended. */
void symbolizer_end_process(struct symbolizer *s, uint32_t gen)
{
	struct sym_process *p = find_process(s, gen);
	const uint64_t *latest;
	size_t i, at;

	if (!p)
		return;
	at = *table_get(&s->by_gen, gen);
	for (i = 0; i < s->n_procs; i++)
		if (s->procs[i]->parent == gen)
			s->procs[i]->parent = p->parent;
	for (i = 0; i < p->cache.cap; i++)
		if (p->cache.slots[i].used == 1)
			spare_result(s, p->cache.slots[i].value);
	latest = table_get(&s->by_pid, (uint64_t)p->pid);
	if (latest && *latest == gen)
		table_remove(&s->by_pid, (uint64_t)p->pid);
	table_remove(&s->by_gen, gen);
	sym_process_free(p);
	s->procs[at] = s->procs[--s->n_procs];
	if (at < s->n_procs)
		*table_put(&s->by_gen, s->procs[at]->gen, 0) = at;
}

bool symbolizer_knows(const struct symbolizer *s, uint32_t gen, uint64_t addr)
{
	const struct sym_process *p = find_process(s, gen);

	return p && proc_maps_find(&p->maps, addr);
}

/* ---- files ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static uint64_t hash_of_inode(const struct proc_map *m)
{
	return hash_u64(m->ino) * 31 + hash_u64(m->dev);
}

static uint64_t open_file(struct symbolizer *s, struct sym_process *p, const struct proc_map *m)
{
	struct sym_file *f = sym_files_get(&s->files, p->pid, m);
	const uint64_t *known;
	uint64_t number;

	if (f) {
		number = f->number;
		*table_put(&s->by_inode, hash_of_inode(m), 0) = number;
		return number;
	}
	known = table_get(&s->by_inode, hash_of_inode(m));
	return known ? *known : NO_FILE;
}

static uint64_t open_vdso(struct symbolizer *s, const struct sym_process *p,
			  const struct proc_map *m)
{
	size_t len;
	void *image;

	if (s->vdso_tried)
		return s->vdso;
	image = vdso_read(s->proc_root, p->pid, m, &len);
	s->vdso_tried = image != NULL;
	if (image)
		s->vdso = sym_files_add_image(&s->files, image, len)->number;
	return s->vdso;
}

/* A child that has ended has left its files with those that it was forked from. */
static uint64_t open_file_of_family(struct symbolizer *s, struct sym_process *p, const struct proc_map *m)
{
	uint64_t number = open_file(s, p, m);
	int left;

	for (left = MOST_ANCESTORS; left && p && number == NO_FILE; left--) {
		p = p->parent ? find_process(s, p->parent) : NULL;
		if (p)
			number = open_file(s, p, m);
	}
	return number;
}

/* The file of a mapping with its symbols, or NULL. */
static struct sym_file *file_of(struct symbolizer *s, struct sym_process *p,
				const struct proc_map *m)
{
	uint64_t *number;
	struct sym_file *f;

	if (!m->ino) {
		uint64_t vdso = open_vdso(s, p, m);

		return vdso ? s->files.v[vdso - 1] : NULL;
	}
	number = table_get(&p->files, hash_of_inode(m));
	if (!number) {
		uint64_t opened = open_file_of_family(s, p, m);

		number = table_put(&p->files, hash_of_inode(m), opened);
	}
	if (*number == NO_FILE)
		return NULL;
	f = s->files.v[*number - 1];
	if (!f->is_loaded) /* put out by the memory bound: once more */
		open_file(s, p, m);
	sym_files_touch(&s->files, f);
	return f;
}

/* ---- names ---- */

static struct symbol unnamed(struct symbolizer *s, const char *name)
{
	const char *none = keep(s, "");

	return (struct symbol){ .name = keep(s, name), .module = none, .build_id = none, .file = none };
}

static const char *source_name(struct symbolizer *s, struct sym_file *f, const char *linker_name)
{
	uint64_t offset = (uint64_t)(linker_name - f->symbols.names);
	uint64_t *known = table_get(&f->demangled, offset);
	struct buf name = BUF_INIT;
	uint32_t id;

	if (known)
		return intern_str(&s->names, (uint32_t)*known);
	demangle_add(&name, linker_name);
	id = intern_id(&s->names, name.data);
	buf_release(&name);
	table_put(&f->demangled, offset, id);
	return intern_str(&s->names, id);
}

static const char *printable(struct symbolizer *s, const char *text)
{
	struct buf b = BUF_INIT;
	const char *kept;

	name_add(&b, text);
	kept = keep(s, b.data);
	buf_release(&b);
	return kept;
}

static const char *inlined_name(struct symbolizer *s, const char *linker_name)
{
	struct buf name = BUF_INIT;
	const char *kept;

	demangle_add(&name, linker_name);
	kept = keep(s, name.data);
	buf_release(&name);
	return kept;
}

static const char *offset_name(struct symbolizer *s, const char *module, uint64_t vaddr)
{
	/* "[vdso+0x..]", not "[[vdso]+0x..]" */
	size_t inner = strlen(module), skip = *module == '[';
	char *text;
	const char *kept;

	if (skip && inner > 1 && module[inner - 1] == ']')
		inner -= 2;
	text = xasprintf("[%.*s+0x%" PRIx64 "]", (int)inner, module + skip, vaddr);
	kept = keep(s, text);
	free(text);
	return kept;
}

/* Lines and inlined functions around the symbol that is there, the last one. */
static void add_lines(struct symbolizer *s, struct sym_file *f, struct chain *out)
{
	struct line_frame frames[LINES_MAX_FRAMES];
	struct symbol self = out->v[0];
	size_t n = sym_file_lines(&s->files, f, self.vaddr, frames), i;

	for (i = 0; i < n; i++) {
		out->v[i] = self;
		out->v[i].file = printable(s, frames[i].file);
		out->v[i].line = frames[i].line;
		if (i + 1 == n)
			break;
		out->v[i].name = inlined_name(s, frames[i].function);
		out->v[i].has_name = out->v[i].inlined = true;
	}
	out->n = n ? n : 1;
}

static void name_in_file(struct symbolizer *s, struct sym_process *p, const struct proc_map *m, uint64_t addr,
			 struct chain *chain)
{
	char build_id[2 * ELF_MAX_BUILD_ID + 1];
	struct sym_file *f = file_of(s, p, m);
	struct symbol out = unnamed(s, "");
	uint64_t offset = addr - m->start + m->offset;
	const char *name;

	out.module = printable(s, base_name(m->path));
	out.vaddr = f ? sym_file_vaddr(f, offset) : offset;
	if (f) {
		sym_identity_build_id(&f->identity, build_id);
		out.build_id = keep(s, build_id);
	}
	name = f ? elf_symbols_find(&f->symbols, out.vaddr) : NULL;
	out.has_name = name != NULL;
	out.name = name ? source_name(s, f, name) : offset_name(s, out.module, out.vaddr);
	*chain = (struct chain){ .v = { out }, .n = 1 };
	if (f)
		add_lines(s, f, chain);
}

static bool is_file(const struct proc_map *m)
{
	return m->ino && m->path[0] == '/';
}

/*
 * Code in shared memory objects is mostly generated; the object may still be an ELF file (fexecve).
 */
static bool is_memory_object(const struct proc_map *m)
{
	return !strncmp(m->path, "/memfd:", 7) || !strncmp(m->path, "/dev/zero", 9) ||
	       !strncmp(m->path, "/dev/shm/", 9) || !strncmp(m->path, "/SYSV", 5);
}

/* By the perf map as it was read last. False: out stays. */
static bool name_by_perf_map(struct symbolizer *s, const struct sym_process *p, uint64_t addr, struct symbol *out)
{
	const char *name = perf_map_find(&p->perf_map, addr);

	if (name) {
		*out = unnamed(s, "");
		out->name = printable(s, name);
		out->has_name = true;
	}
	return name;
}

static struct symbol name_generated(struct symbolizer *s, struct sym_process *p,
				    const struct proc_map *m, uint64_t addr)
{
	struct symbol out = unnamed(s, m && m->exec ? SYMBOLIZER_JIT : "[unknown]");

	refresh_perf_map(s, p);
	name_by_perf_map(s, p, addr, &out);
	return out;
}

static struct chain alone(struct symbol symbol)
{
	return (struct chain){ .v = { symbol }, .n = 1 };
}

static void resolve(struct symbolizer *s, struct sym_process *p, uint64_t addr, struct chain *out)
{
	const struct proc_map *m = proc_maps_find(&p->maps, addr);
	struct chain in_file;

	if (!m && sym_process_refresh(p, s->proc_root, addr)) {
		forget_unnamed(s, p);
		m = proc_maps_find(&p->maps, addr);
	}
	if (m && (!strcmp(m->path, "[vdso]") || (is_file(m) && !is_memory_object(m)))) {
		name_in_file(s, p, m, addr, out);
		return;
	}
	if (m && (!strcmp(m->path, "[vsyscall]") || !strcmp(m->path, "[uprobes]"))) {
		*out = alone(unnamed(s, m->path));
		return;
	}
	*out = alone(name_generated(s, p, m, addr));
	if (!out->v[0].has_name && m && is_file(m)) {
		name_in_file(s, p, m, addr, &in_file);
		if (in_file.v[in_file.n - 1].has_name)
			*out = in_file;
	}
}

/* Room for the results of an address; the first of it. */
static size_t room_for(struct symbolizer *s, size_t n)
{
	struct spare_results *spare = &s->spare[n - 1];
	size_t first = s->n_results;

	if (spare->n)
		return spare->v[--spare->n];
	while (s->n_results < first + n) {
		XGROW(s->results, s->n_results, s->results_cap);
		s->n_results++;
	}
	return first;
}

/* Index of the first of its results. */
static size_t look_up(struct symbolizer *s, struct sym_process *p, uint64_t addr)
{
	const uint64_t *at = table_get(&p->cache, addr);
	struct chain found;
	size_t first;

	if (at)
		return *at;
	resolve(s, p, addr, &found);
	first = room_for(s, found.n);
	memcpy(&s->results[first], found.v, found.n * sizeof(found.v[0]));
	table_put(&p->cache, addr, first);
	return first;
}

size_t symbolizer_frames(struct symbolizer *s, uint32_t gen, uint64_t addr, bool is_return_address,
			 struct symbol out[SYMBOLIZER_MAX_FRAMES])
{
	struct sym_process *p = find_process(s, gen);
	size_t at, n = 0;

	if (!p) {
		out[0] = unnamed(s, "[unknown]");
		return 1;
	}
	at = look_up(s, p, addr - (is_return_address && addr));
	do
		out[n] = s->results[at + n];
	while (out[n++].inlined);
	return n;
}

void symbolizer_name(struct symbolizer *s, uint32_t gen, uint64_t addr, bool is_return_address, struct symbol *out)
{
	struct symbol frames[SYMBOLIZER_MAX_FRAMES];

	*out = frames[symbolizer_frames(s, gen, addr, is_return_address, frames) - 1];
}

uint32_t symbolizer_perf_maps(struct symbolizer *s, uint32_t gen)
{
	struct sym_process *p = find_process(s, gen);

	if (p)
		refresh_perf_map(s, p);
	return p ? p->n_perf_maps : 0;
}

bool symbolizer_name_generated(struct symbolizer *s, uint32_t gen, uint64_t addr, struct symbol *out)
{
	const struct sym_process *p = find_process(s, gen);

	return p && name_by_perf_map(s, p, addr, out);
}

bool symbolizer_lines_stopped(const struct symbolizer *s)
{
	return s->files.with_lines && !s->files.lines_left_ns;
}
