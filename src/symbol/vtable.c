/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* C++ classes by the address of their vtable; see vtable.h. Itanium C++ ABI 2.5: a vtable begins
 * with offset-to-top and the type's RTTI; objects point behind these two words. */
#include "symbol/vtable.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/search.h"
#include "base/table.h"
#include "base/xalloc.h"
#include "symbol/debug_file.h"
#include "symbol/demangle.h"
#include "symbol/elf_internal.h"

#define MAX_VTABLES_PER_FILE (1u << 20)

struct vtable {
	uint64_t vaddr, size_bytes;
	char *name; /* of the linker */
};

struct vtable_file {
	uint64_t ino;
	uint32_t dev;
	struct vtable *v; /* sorted by vaddr */
	size_t n, cap;
	struct elf_segment *segments;
	size_t n_segments;
};

struct vtables {
	const char *proc_root, *debug_root;
	pid_t pid;
	const struct proc_maps *maps;
	struct vtable_file *files;
	size_t n_files, cap;
	struct table names; /* word -> index in strings + 1, 0: none */
	char **strings;
	size_t n_strings, strings_cap;
};

struct vtables *vtables_new(const char *proc_root, const char *debug_root, pid_t pid,
			    const struct proc_maps *maps)
{
	struct vtables *v = xcalloc(1, sizeof(*v));

	v->proc_root = proc_root;
	v->debug_root = debug_root;
	v->pid = pid;
	v->maps = maps;
	return v;
}

void vtables_free(struct vtables *v)
{
	size_t i, k;

	if (!v)
		return;
	for (i = 0; i < v->n_files; i++) {
		for (k = 0; k < v->files[i].n; k++)
			free(v->files[i].v[k].name);
		free(v->files[i].v);
		free(v->files[i].segments);
	}
	for (i = 0; i < v->n_strings; i++)
		free(v->strings[i]);
	free(v->strings);
	free(v->files);
	table_release(&v->names);
	free(v);
}

static int by_vaddr(const void *a, const void *b)
{
	const struct vtable *x = a, *y = b;

	return x->vaddr < y->vaddr ? -1 : x->vaddr > y->vaddr;
}

static void take_table(struct vtable_file *file, const struct elf_table *t)
{
	size_t i;

	for (i = 0; i < t->n && file->n < MAX_VTABLES_PER_FILE; i++) {
		const Elf64_Sym *s = &t->v[i];
		const char *name = elf_symbol_name(t, s);

		if (strncmp(name, "_ZTV", 4) || ELF64_ST_TYPE(s->st_info) != STT_OBJECT ||
		    s->st_shndx == SHN_UNDEF || !s->st_size)
			continue;
		XGROW(file->v, file->n, file->cap);
		file->v[file->n++] = (struct vtable){ s->st_value, s->st_size, xstrdup(name) };
	}
}

static void load_tables(struct vtable_file *file, struct elf_file *f)
{
	struct elf_file *mini = elf_mini(f);
	int i;

	for (i = 0; i < ELF_N_TABLES; i++)
		take_table(file, elf_table(f, i));
	if (mini)
		take_table(file, elf_table(mini, ELF_SYMTAB));
}

static void load_file(struct vtables *v, struct vtable_file *file, const struct proc_map *m)
{
	struct debug_search where = { v->proc_root, v->debug_root, v->pid, m->path };
	int fd = proc_map_open(v->proc_root, v->pid, m);
	struct elf_file *f, *debug;

	if (fd < 0 || elf_file_open(&f, fd))
		return;
	file->n_segments = f->n_segments;
	file->segments = xcalloc(f->n_segments + 1, sizeof(*file->segments));
	if (f->n_segments)
		memcpy(file->segments, f->segments, f->n_segments * sizeof(*file->segments));
	load_tables(file, f);
	debug = elf_table(f, ELF_SYMTAB)->n ? NULL : debug_file_find(f, &where);
	if (debug) {
		load_tables(file, debug);
		elf_file_close(debug);
	}
	elf_file_close(f);
	if (file->n)
		qsort(file->v, file->n, sizeof(*file->v), by_vaddr);
}

static struct vtable_file *file_of(struct vtables *v, const struct proc_map *m)
{
	size_t i;

	for (i = 0; i < v->n_files; i++)
		if (v->files[i].ino == m->ino && v->files[i].dev == m->dev)
			return &v->files[i];
	XGROW(v->files, v->n_files, v->cap);
	v->files[v->n_files] = (struct vtable_file){ .ino = m->ino, .dev = m->dev };
	load_file(v, &v->files[v->n_files], m);
	return &v->files[v->n_files++];
}

static const struct vtable *find(const struct vtable_file *file, uint64_t offset)
{
	uint64_t vaddr = 0;
	size_t i;

	for (i = 0; i < file->n_segments; i++)
		if (offset - file->segments[i].offset < file->segments[i].file_bytes)
			vaddr = offset - file->segments[i].offset + file->segments[i].vaddr;
	i = FIRST_ABOVE(file->v, file->n, vaddr, vaddr);
	return i && vaddr - file->v[i - 1].vaddr < file->v[i - 1].size_bytes ? &file->v[i - 1] : NULL;
}

/* "vtable for shop::Order" without its first words */
static char *class_name(const char *linker_name)
{
	static const char prefix[] = "vtable for ";
	struct buf b = BUF_INIT;

	demangle_add(&b, linker_name);
	if (!strncmp(b.data, prefix, sizeof(prefix) - 1))
		memmove(b.data, b.data + sizeof(prefix) - 1, b.len - (sizeof(prefix) - 1) + 1);
	return buf_detach(&b);
}

const char *vtables_name(struct vtables *v, uint64_t word)
{
	uint64_t *at = table_get(&v->names, word);
	const struct vtable *vt = NULL;
	const struct proc_map *m;

	if (at)
		return *at ? v->strings[*at - 1] : NULL;
	m = proc_maps_find(v->maps, word);
	if (m && m->ino)
		vt = find(file_of(v, m), m->offset + (word - m->start));
	at = table_put(&v->names, word, 0);
	if (!vt)
		return NULL;
	XGROW(v->strings, v->n_strings, v->strings_cap);
	v->strings[v->n_strings++] = class_name(vt->name);
	*at = v->n_strings;
	return v->strings[v->n_strings - 1];
}
