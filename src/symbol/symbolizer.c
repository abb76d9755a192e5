/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Addresses of a process to names; see symbolizer.h.
 *
 * address -> mapping (sym_process.c) -> file (sym_file.c) -> linker name (elf_symbols.c) -> source
 * name (demangle.c); code in no file -> perf map (perf_map.c). Each result is kept: the next
 * look-up of the address is one of the per-process table. A result without a name is forgotten when
 * something new is learnt about the process.
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

struct symbolizer {
	char *proc_root, *debug_root;
	struct intern names;
	struct sym_files files;
	uint64_t vdso; /* number of its file + 1; NO_FILE: not read yet or not readable */
	bool vdso_tried;
	struct sym_process **procs;
	size_t n_procs, procs_cap;
	struct table by_gen;    /* -> index in procs */
	struct table by_pid;    /* -> index of the latest generation */
	struct table by_inode;  /* hash of device and inode -> file number + 1: for processes that
				   ended */
	struct symbol *results; /* what symbolizer_name returned */
	size_t n_results, results_cap;
};

struct symbolizer *symbolizer_new(const struct symbolizer_opts *o)
{
	struct symbolizer *s = xcalloc(1, sizeof(*s));

	s->proc_root = xstrdup(o->proc_root ? o->proc_root : "/proc");
	s->debug_root = xstrdup(o->debug_root ? o->debug_root : "/usr/lib/debug");
	s->files = (struct sym_files){
		.proc_root = s->proc_root,
		.debug_root = s->debug_root,
		.with_lines = o->lines,
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
static void set_pid(struct symbolizer *s, struct sym_process *p, uint64_t index, pid_t pid)
{
	uint64_t *latest = table_put(&s->by_pid, (uint64_t)pid, index);

	if (p->pid <= 0)
		p->pid = p->ns_pid = pid;
	if (*latest < index) {
		s->procs[*latest]->is_superseded = true;
		*latest = index;
	} else if (*latest > index) {
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
		s->procs[s->n_procs++] = sym_process_new(gen, pid);
	}
	p = s->procs[index];
	if (pid > 0)
		set_pid(s, p, index, pid);
	return p;
}

/* Addresses that had no name may have one now. */
static void forget_unnamed(struct symbolizer *s, struct sym_process *p)
{
	size_t i;

	for (i = 0; i < p->cache.cap; i++) {
		const struct table_slot *slot = &p->cache.slots[i];

		if (slot->used == 1 && !s->results[slot->value].has_name)
			table_remove(&p->cache, slot->key);
	}
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

	if (parent && parent != p)
		sym_process_copy(p, parent);
}

void symbolizer_add_map(struct symbolizer *s, uint32_t gen, const struct proc_map *m)
{
	struct sym_process *p = find_or_add_process(s, gen, 0);

	if (m->end <= m->start)
		return;
	sym_process_add_map(p, m);
	forget_unnamed(s, p);
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
		uint64_t opened = open_file(s, p, m);

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

static const char *build_id_text(struct symbolizer *s, const struct sym_file *f)
{
	char hex[2 * ELF_MAX_BUILD_ID + 1] = "";
	size_t i;

	for (i = 0; i < f->identity.build_id_bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", f->identity.build_id[i]);
	return keep(s, hex);
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

static struct symbol name_in_file(struct symbolizer *s, struct sym_process *p,
				  const struct proc_map *m, uint64_t addr)
{
	struct sym_file *f = file_of(s, p, m);
	struct symbol out = unnamed(s, "");
	uint64_t offset = addr - m->start + m->offset;
	const char *name, *file;

	out.module = printable(s, base_name(m->path));
	out.vaddr = f ? sym_file_vaddr(f, offset) : offset;
	if (f)
		out.build_id = build_id_text(s, f);
	name = f ? elf_symbols_find(&f->symbols, out.vaddr) : NULL;
	out.has_name = name != NULL;
	out.name = name ? source_name(s, f, name) : offset_name(s, out.module, out.vaddr);
	if (f && f->lines && lines_find(f->lines, out.vaddr, &file, &out.line))
		out.file = printable(s, file);
	return out;
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

static struct symbol name_generated(struct symbolizer *s, struct sym_process *p,
				    const struct proc_map *m, uint64_t addr)
{
	struct symbol out = unnamed(s, m && m->exec ? "[jit]" : "[unknown]");
	const char *name;

	if (sym_process_refresh_perf_map(p, s->proc_root))
		forget_unnamed(s, p);
	name = perf_map_find(&p->perf_map, addr);
	if (name) {
		out.name = printable(s, name);
		out.has_name = true;
	}
	return out;
}

static struct symbol resolve(struct symbolizer *s, struct sym_process *p, uint64_t addr)
{
	const struct proc_map *m = proc_maps_find(&p->maps, addr);
	struct symbol out;

	if (!m && sym_process_refresh(p, s->proc_root, addr)) {
		forget_unnamed(s, p);
		m = proc_maps_find(&p->maps, addr);
	}
	if (m && (!strcmp(m->path, "[vdso]") || (is_file(m) && !is_memory_object(m))))
		return name_in_file(s, p, m, addr);
	if (m && !strcmp(m->path, "[vsyscall]"))
		return unnamed(s, "[vsyscall]");
	if (m && !strcmp(m->path, "[uprobes]"))
		return unnamed(s, "[uprobes]");
	out = name_generated(s, p, m, addr);
	if (!out.has_name && m && is_file(m)) {
		struct symbol in_file = name_in_file(s, p, m, addr);

		if (in_file.has_name)
			return in_file;
	}
	return out;
}

void symbolizer_name(struct symbolizer *s, uint32_t gen, uint64_t addr, bool is_return_address,
		     struct symbol *out)
{
	struct sym_process *p = find_process(s, gen);
	uint64_t lookup = addr - (is_return_address && addr);
	const uint64_t *at;

	if (!p) {
		*out = unnamed(s, "[unknown]");
		return;
	}
	at = table_get(&p->cache, lookup);
	if (!at) {
		*out = resolve(s, p, lookup);
		XGROW(s->results, s->n_results, s->results_cap);
		s->results[s->n_results] = *out;
		table_put(&p->cache, lookup, s->n_results++);
		return;
	}
	*out = s->results[*at];
}
