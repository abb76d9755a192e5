/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Finds the allocators in a process and probes them; see attacher.h. */
#include "app/attacher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc/allocator.h"
#include "alloc/probe_point.h"
#include "base/log.h"
#include "base/table.h"
#include "base/xalloc.h"
#include "symbol/elf_file.h"

/* Enough of a function's code for the probe point decoder. */
#define MAX_CODE_BYTES 8192

/* ld.so calls it around each change of its list of objects, for debuggers and for us. */
#define LOADER_HOOK "_dl_debug_state"
/* Only glibc defines it, as a library or linked statically. */
#define GLIBC_MARK "gnu_get_libc_version"

struct attacher {
	struct attacher_opts o;
	struct table seen; /* object identity (and pid, when links are scoped) */
	unsigned int n_probes, n_objects;
};

struct attacher *attacher_new(const struct attacher_opts *o)
{
	struct attacher *a = xcalloc(1, sizeof(*a));

	a->o = *o;
	return a;
}

void attacher_free(struct attacher *a)
{
	if (!a)
		return;
	table_release(&a->seen);
	free(a);
}

void attacher_widen(struct attacher *a)
{
	if (!a->o.pid_scoped)
		return;
	a->o.pid_scoped = false;
	table_release(&a->seen);
}

unsigned int attacher_n_probes(const struct attacher *a)
{
	return a ? a->n_probes : 0;
}

unsigned int attacher_n_objects(const struct attacher *a)
{
	return a->n_objects;
}

/* ---- the sites of one object ---- */

struct scan {
	const struct attacher *a;
	struct elf_file *f;
	const char *path;
	bool calls_malloc; /* imports malloc: its operator new is shown by the stack, not probed */
	bool is_go;
	bool is_glibc;
	struct probe_site *sites;
	struct table by_offset; /* function's offset -> index in sites */
	uint64_t loader_hook;	/* offset of _dl_debug_state, 0: none */
	size_t n, cap;
};

static bool is_wanted(const struct scan *s, const struct alloc_function *f)
{
	if (f->flags & ALLOC_ONLY_IF_BYPASS && s->calls_malloc)
		return false;
	return !(s->is_go && f->shape.op != MP_OP_FREE);
}

static struct probe_site place_probe(const struct scan *s, const struct alloc_function *f, size_t row,
				     const struct elf_symbol *sym)
{
	bool entry_only = f->shape.op == MP_OP_FREE;
	struct probe_site site = { .offset = sym->offset, .entry_only = entry_only };
	struct probe_point pp = { 0 };
	uint8_t code[MAX_CODE_BYTES];

	if (!s->a->o.at_entry && sym->size_bytes && sym->size_bytes <= sizeof(code) &&
	    elf_file_read(s->f, sym->offset, code, sym->size_bytes) == (long)sym->size_bytes)
		probe_point_find(&pp, code, sym->size_bytes, alloc_argument_mask(&f->shape), !entry_only);
	site.offset += pp.offset;
	/* the flags follow when the object is known */
	site.cookie = MP_COOKIE(row, pp.pushes, 0);
	return site;
}

/* The first row of the table names a function that has several names. */
static void add_site(struct scan *s, size_t row, const struct elf_symbol *sym)
{
	const uint64_t *at = table_get(&s->by_offset, sym->offset);
	const struct alloc_function *table;
	size_t n, i = at ? *at : s->n;

	if (at && MP_COOKIE_ROW(s->sites[i].cookie) <= row)
		return;
	if (!at) {
		table_put(&s->by_offset, sym->offset, s->n);
		XGROW(s->sites, s->n, s->cap);
		s->n++;
	}
	table = alloc_functions(&n);
	s->sites[i] = place_probe(s, &table[row], row, sym);
	log_debug("%s: %s at 0x%llx, probe +%llu", s->path, sym->name, (unsigned long long)sym->offset,
		  (unsigned long long)(s->sites[i].offset - sym->offset));
}

static int take_symbol(void *ctx, const struct elf_symbol *sym)
{
	struct scan *s = ctx;
	const struct alloc_function *table;
	size_t n;
	int row = alloc_find(sym->name);

	table = alloc_functions(&n);
	if (row >= 0 && is_wanted(s, &table[row]))
		add_site(s, (size_t)row, sym);
	else if (!strcmp(sym->name, LOADER_HOOK))
		s->loader_hook = sym->offset;
	else if (!strcmp(sym->name, GLIBC_MARK))
		s->is_glibc = true;
	return 0;
}

/* ---- objects ---- */

/* Two mounts of one file (overlay) have one inode number and one build id, but different devices. */
static uint64_t object_identity(struct elf_file *f, const struct proc_map *m, pid_t scope)
{
	uint8_t id[64];
	size_t n = elf_file_build_id(f, id, sizeof(id));
	uint64_t h = hash_u64(m->ino) ^ hash_u64((uint64_t)scope << 32);

	return n ? h ^ hash_bytes(id, n) : h ^ hash_u64((uint64_t)m->dev << 8 | 1);
}

static int attach_object(struct attacher *a, struct elf_file *f, const char *path, pid_t scope)
{
	struct scan s = { .a = a, .f = f, .path = path };
	size_t i;
	int err = 0;

	s.calls_malloc = elf_file_imports(f, "malloc");
	s.is_go = elf_file_is_go(f);
	a->n_objects++;
	elf_file_each_function(f, take_symbol, &s);
	for (i = 0; i < s.n && s.is_glibc; i++)
		s.sites[i].cookie |= MP_COOKIE(0, 0, MP_SITE_GLIBC);
	if (s.loader_hook)
		kern_attach_code_hook(a->o.kern, path, s.loader_hook, scope);
	if (s.n)
		err = kern_attach(a->o.kern, path, s.sites, s.n, scope, &a->n_probes);
	free(s.sites);
	table_release(&s.by_offset);
	return err;
}

/* Cheap identity before the file is opened: mapping's device and inode. */
static bool is_known(struct attacher *a, const struct proc_map *m, pid_t scope)
{
	uint64_t key = hash_u64(m->ino) * 3 + hash_u64((uint64_t)m->dev << 32 | (uint32_t)scope);

	if (table_get(&a->seen, key))
		return true;
	table_put(&a->seen, key, 1);
	return false;
}

int attacher_add_map(struct attacher *a, pid_t pid, const struct proc_map *m)
{
	pid_t scope = a->o.pid_scoped ? pid : 0;
	struct elf_file *f;
	uint64_t identity;
	char *path;
	int fd, err;

	if (!m->exec || !m->ino || is_known(a, m, scope))
		return 0;
	kern_unwind_add(a->o.kern, pid, m); /* before arming, or as soon as the code is mapped */
	fd = proc_map_open(a->o.proc_root, pid, m);
	if (fd < 0)
		return fd;
	err = elf_file_open(&f, fd);
	if (err)
		return err;
	identity = object_identity(f, m, scope);
	path = table_get(&a->seen, identity) ? NULL : proc_map_attach_path(a->o.proc_root, pid, m);
	if (path) {
		table_put(&a->seen, identity, 1);
		err = attach_object(a, f, path, scope);
	}
	free(path);
	elf_file_close(f);
	return err;
}

int attacher_add_process(struct attacher *a, pid_t pid)
{
	struct proc_maps maps = { 0 };
	size_t i;
	int err;

	err = proc_maps_read(&maps, a->o.proc_root, pid);
	if (err)
		return err;
	for (i = 0; i < maps.n; i++) {
		err = attacher_add_map(a, pid, &maps.v[i]);
		if (err && err != -ENOEXEC)
			log_debug("%s: %s: skipped", maps.v[i].path, strerror(-err));
	}
	proc_maps_release(&maps);
	return 0;
}
