/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A process as the readers of managed runtimes see it; see runtime_process.h. */
#include "runtime/runtime_process.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "symbol/elf_find.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The files with an executable mapping, each once; the first mapping of a file is not the executable one. */
static void find_objects(struct runtime_process *p)
{
	const struct proc_map *first = NULL;
	size_t i, cap = 0;

	for (i = 0; i < p->maps.n; i++) {
		const struct proc_map *m = &p->maps.v[i];

		if (!m->ino || m->path[0] != '/')
			continue;
		if (!first || first->ino != m->ino || first->dev != m->dev)
			first = m;
		if (!m->exec || (p->n_objects && p->objects[p->n_objects - 1].map == first))
			continue;
		XGROW(p->objects, p->n_objects, cap);
		p->objects[p->n_objects++] = (struct runtime_object){ .name = base_name(m->path), .map = first };
	}
}

int runtime_process_open(struct runtime_process *p, const char *proc_root, pid_t pid)
{
	int err;

	*p = (struct runtime_process){ .proc_root = proc_root, .pid = pid };
	err = proc_maps_read(&p->maps, proc_root, pid);
	if (err)
		return err;
	err = proc_memory_open(&p->memory, proc_root, pid);
	if (err) {
		proc_maps_release(&p->maps);
		return err;
	}
	find_objects(p);
	return 0;
}

void runtime_process_close(struct runtime_process *p)
{
	size_t i;

	for (i = 0; i < p->n_objects; i++)
		elf_file_close(p->objects[i].elf);
	free(p->objects);
	proc_maps_release(&p->maps);
	proc_memory_close(&p->memory);
	*p = (struct runtime_process){ 0 };
}

/* Files that are open already stay open. */
static void keep_open(struct runtime_process *p, struct runtime_object *old)
{
	struct runtime_object *o = runtime_find_object(p, old->name);

	if (!o || o->elf || o->map->ino != old->map->ino || o->map->start != old->map->start) {
		elf_file_close(old->elf);
		return;
	}
	o->elf = old->elf;
	o->bias = old->bias;
	o->tried = old->tried;
}

int runtime_process_refresh(struct runtime_process *p)
{
	struct runtime_process old = *p;
	struct proc_maps fresh = { 0 };
	int err = proc_maps_read(&fresh, p->proc_root, p->pid);
	size_t i;

	if (err)
		return err;
	p->maps = fresh;
	p->objects = NULL;
	p->n_objects = 0;
	find_objects(p);
	for (i = 0; i < old.n_objects; i++)
		keep_open(p, &old.objects[i]);
	proc_maps_release(&old.maps);
	free(old.objects);
	return 0;
}

struct runtime_object *runtime_find_object(struct runtime_process *p, const char *prefix)
{
	size_t i, len = strlen(prefix);

	for (i = 0; i < p->n_objects; i++) {
		const char *name = p->objects[i].name;

		if (!strncmp(name, prefix, len) &&
		    (!name[len] || isdigit((unsigned char)name[len]) || strchr(".- ", name[len])))
			return &p->objects[i];
	}
	return NULL;
}

bool runtime_object_open(struct runtime_process *p, struct runtime_object *o)
{
	int fd;

	if (o->tried)
		return o->elf;
	o->tried = true;
	fd = proc_map_open(p->proc_root, p->pid, o->map);
	if (fd < 0 || elf_file_open(&o->elf, fd)) {
		o->elf = NULL;
		return false;
	}
	if (elf_load_bias(o->elf, o->map->start, o->map->offset, &o->bias))
		return true;
	elf_file_close(o->elf);
	o->elf = NULL;
	return false;
}

uint64_t runtime_symbol(struct runtime_process *p, struct runtime_object *o, const char *name)
{
	struct elf_symbol sym;

	if (!runtime_object_open(p, o) || !elf_find_symbol(o->elf, name, &sym))
		return 0;
	return sym.vaddr + o->bias;
}

void runtime_symbols(struct runtime_process *p, struct runtime_object *o, const char *const *names, size_t n, uint64_t *addrs)
{
	struct elf_symbol *found;
	size_t i;

	memset(addrs, 0, n * sizeof(*addrs));
	if (!runtime_object_open(p, o))
		return;
	found = xcalloc(n, sizeof(*found));
	elf_find_symbols(o->elf, names, n, found);
	for (i = 0; i < n; i++)
		addrs[i] = found[i].name ? found[i].vaddr + o->bias : 0;
	free(found);
}

bool runtime_read(const struct runtime_process *p, uint64_t addr, void *out, size_t len)
{
	return proc_memory_read(&p->memory, addr, out, len) == len;
}

uint64_t runtime_word(const struct runtime_process *p, uint64_t addr)
{
	uint64_t word;

	return runtime_read(p, addr, &word, sizeof(word)) ? word : 0;
}

bool runtime_read_resident(const struct runtime_process *p, uint64_t addr, void *out, size_t len)
{
	uint64_t page = p->memory.page_bytes, first = addr & ~(page - 1);
	uint64_t n = len ? (addr + len - 1) / page - addr / page + 1 : 0, i, part;
	uint8_t state[64];

	for (i = 0; i < n; i += part) {
		uint64_t j;

		part = n - i < sizeof(state) ? n - i : sizeof(state);
		proc_memory_pages(&p->memory, first + i * page, part, state);
		for (j = 0; j < part; j++)
			if (state[j] != PROC_PAGE_RESIDENT)
				return false;
	}
	return runtime_read(p, addr, out, len);
}

bool runtime_text(const struct runtime_process *p, uint64_t addr, size_t max, struct buf *out)
{
	char text[1024];
	size_t len = proc_memory_read(&p->memory, addr, text, max < sizeof(text) ? max : sizeof(text));

	if (!len)
		return false;
	buf_add_printable(out, text, strnlen(text, len));
	return true;
}
