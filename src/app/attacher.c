/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Finds the allocators in a process and probes them; see attacher.h. */
#include "app/attacher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/alloc_sites.h"
#include "base/log.h"
#include "base/table.h"
#include "base/xalloc.h"
#include "symbol/elf_file.h"

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
	struct alloc_sites sites;
	int err = 0;

	a->n_objects++;
	alloc_sites_find(&sites, f, path, a->o.at_entry);
	if (sites.loader_hook)
		kern_attach_code_hook(a->o.kern, path, sites.loader_hook, scope);
	if (sites.n)
		err = kern_attach(a->o.kern, path, sites.v, sites.n, scope, &a->n_probes);
	alloc_sites_release(&sites);
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
