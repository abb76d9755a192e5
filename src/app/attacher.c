/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Finds the allocators in a process and probes them; see attacher.h. */
#include "app/attacher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/alloc_sites.h"
#include "app/attach_lock.h"
#include "base/log.h"
#include "base/table.h"
#include "base/xalloc.h"
#include "bpf/memprobe.h"
#include "collect/births.h"
#include "model/profile.h"
#include "proc/process.h"
#include "proc/same_file.h"
#include "symbol/elf_file.h"

/* Where a probe must be, to be looked for in the memory of a process; scope as below. */
struct placed {
	uint64_t ino, offset;
	uint32_t dev;
	pid_t scope;
	uint8_t first_bytes[PROBE_BYTES]; /* of the file, there */
};

/* A file that was looked at, for one process or (scope 0) for all. */
struct object {
	struct proc_file_id id;
	pid_t scope;
	uint64_t map_key; /* for all */
	unsigned int n_sites;
	bool failed;
	bool is_held; /* by probes: its inode is not used again */
};

struct attacher {
	struct attacher_opts o;
	struct table seen; /* map_key -> scope */
	struct object *objects;
	size_t n_objs, objs_cap;
	struct placed *placed;
	size_t n_placed, placed_cap;
	unsigned int n_probes, n_objects, n_births;
	unsigned int n_denied; /* objects that we may not read */
	char *denied;	       /* the first of them */
	int attach_err;	       /* of the first object that could not be probed */
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
	free(a->objects);
	free(a->placed);
	free(a->denied);
	free(a);
}

static const struct object *find_object(const struct attacher *a, size_t n,
					const struct proc_file_id *id, pid_t scope)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const struct object *o = &a->objects[i];

		if (o->scope == scope && proc_is_same_file(&o->id, id) && (o->is_held || o->id.content == id->content))
			return o;
	}
	return NULL;
}

int attacher_widen(struct attacher *a)
{
	size_t i, n = 0;

	if (!a->o.pid_scoped)
		return 0;
	a->o.pid_scoped = false;
	a->n_probes = 0;
	table_release(&a->seen);
	for (i = 0; i < a->n_objs; i++) {
		struct object o = a->objects[i];

		if (o.failed)
			continue;
		table_put(&a->seen, o.map_key, 0);
		if (find_object(a, n, &o.id, 0))
			continue;
		a->n_probes += o.n_sites;
		o.scope = 0;
		a->objects[n++] = o;
	}
	a->n_objs = n;
	for (i = 0; i < a->n_placed; i++)
		a->placed[i].scope = 0;
	return kern_widen(a->o.kern);
}

bool attacher_is_wide(const struct attacher *a)
{
	return !a->o.pid_scoped;
}

unsigned int attacher_n_births(const struct attacher *a)
{
	return a ? a->n_births : 0;
}

unsigned int attacher_n_probes(const struct attacher *a)
{
	return a ? a->n_probes : 0;
}

unsigned int attacher_n_objects(const struct attacher *a)
{
	return a->n_objects;
}

unsigned int attacher_n_denied(const struct attacher *a, const char **first)
{
	*first = a->denied;
	return a->n_denied;
}

int attacher_error(const struct attacher *a)
{
	return a->attach_err;
}

/* ---- objects ---- */

/* mp_file_version of what lies in m, 0: not to be had. */
static uint64_t version_of(const struct attacher *a, pid_t pid, const struct proc_map *m)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%d/map_files/%llx-%llx", a->o.proc_root, (int)pid, (unsigned long long)m->start,
		 (unsigned long long)m->end);
	if (stat(path, &st))
		return 0;
	return mp_file_version(st.st_ctim.tv_sec, (uint32_t)st.st_ctim.tv_nsec, (uint64_t)st.st_size);
}

/*
 * Cheap identity before the file is opened: mapping's device and inode, which a later file may have again, and so what is
 * known of its content. Aliases are told later.
 */
static uint64_t map_key(const struct proc_map *m, uint64_t version, pid_t scope)
{
	return hash_u64(m->ino) * 3 + hash_u64((uint64_t)m->dev << 32 | (uint32_t)scope) + version * 5;
}

/* The process had ended before its file was opened, or we were short: nothing is known of the file. */
static void forget(struct attacher *a, const struct proc_map *m, uint64_t version, pid_t scope)
{
	table_remove(&a->seen, map_key(m, version, scope));
}

static bool is_known(struct attacher *a, const struct proc_map *m, uint64_t version, pid_t scope)
{
	uint64_t key = map_key(m, version, scope);

	if (table_get(&a->seen, key))
		return true;
	table_put(&a->seen, key, (uint64_t)scope);
	return false;
}

static void remember(struct attacher *a, const struct alloc_sites *sites, const struct proc_map *m, pid_t scope)
{
	struct placed *at;
	size_t i;

	for (i = 0; i < sites->n; i++) {
		XGROW(a->placed, a->n_placed, a->placed_cap);
		at = &a->placed[a->n_placed++];
		*at = (struct placed){ .ino = m->ino, .dev = m->dev, .scope = scope,
				       .offset = sites->v[i].offset };
		memcpy(at->first_bytes, sites->info[i].first_bytes, sizeof(at->first_bytes));
	}
}

/* ---- others ---- */

static void describe(const struct attacher *a, const struct kern_other *other, char *out, size_t len)
{
	struct proc_status st = { .comm = "" };
	size_t n = 0;

	if (!other->holder || proc_status_read(&st, a->o.proc_root, other->holder))
		n = (size_t)snprintf(out, len, "another tracer");
	else
		n = (size_t)snprintf(out, len, "process %d (%s)", (int)other->holder, st.comm);
	if (other->pid && other->pid != other->holder && n < len)
		snprintf(out + n, len - n, ", for process %d,", (int)other->pid);
}

static void widen_for(struct attacher *a, const struct kern_other *other)
{
	char who[128];

	attacher_widen(a);
	describe(a, other, who, sizeof(who));
	log_info("%s also probes an object that we probe: our probes are now for every process that maps it (1 us a "
		 "call in those that are no targets), as the kernel would take returns of either in the other's processes",
		 who);
}

void attacher_watch_others(struct attacher *a)
{
	struct kern_other other;

	if (a && a->o.pid_scoped && kern_others_came(a->o.kern, &other))
		widen_for(a, &other);
}

static void watch_others(void *ctx)
{
	attacher_watch_others(ctx);
}

/* Ours are for all now: has this file them already, from another process? */
static void go_wide(struct attacher *a, struct alloc_sites *sites, struct object *o)
{
	o->scope = 0;
	table_put(&a->seen, o->map_key, 0);
	if (find_object(a, a->n_objs, &o->id, 0))
		sites->n = 0;
}

/* Before the first probe on a file; locked. */
static void meet_others(struct attacher *a, int fd, const char *path, struct alloc_sites *sites, struct object *o)
{
	struct kern_other other;
	size_t entry = 0;
	char who[128];

	if (o->scope && !a->o.pid_scoped) /* since we waited for the lock */
		go_wide(a, sites, o);
	if (o->scope && kern_others_on(a->o.kern, fd, o->scope, &other)) {
		widen_for(a, &other);
		go_wide(a, sites, o);
	}
	while (entry + 1 < sites->n && !sites->v[entry].entry_only)
		entry++;
	if (o->scope || !sites->n || !kern_others_wait(a->o.kern, fd, &sites->v[entry], &other))
		return;
	describe(a, &other, who, sizeof(who));
	log_warn("%s: %s has probes on it for a single process; if they take returns, a target of ours that switches "
		 "stacks inside its allocator (some coroutine libraries) can end by SIGILL: stop the other one first",
		 path, who);
}

/* ---- objects ---- */

static int attach_object(struct attacher *a, struct elf_file *f, const char *path, int fd,
			 const struct proc_map *m, struct object *o)
{
	struct alloc_sites sites;
	int err = 0, lock = -1;
	bool has_births;

	a->n_objects++;
	alloc_sites_find(&sites, f, path, a->o.at_entry);
	if (!(a->o.planes & PLANE_HEAP))
		sites.n = 0;
	if (sites.n) {
		lock = attach_lock(watch_others, a);
		meet_others(a, fd, path, &sites, o);
	}
	if (sites.n)
		err = kern_attach(a->o.kern, path, fd, sites.v, sites.n, o->scope, &a->n_probes);
	attach_unlock(lock);
	if (sites.loader_hook)
		kern_attach_code_hook(a->o.kern, path, fd, sites.loader_hook, o->scope);
	if (sites.refused_alloc)
		kern_attach_refused(a->o.kern, path, fd, sites.refused_alloc, false, o->scope);
	if (sites.refused_realloc)
		kern_attach_refused(a->o.kern, path, fd, sites.refused_realloc, true, o->scope);
	has_births = a->o.objects && births_attach(a->o.kern, f, path, fd, o->scope);
	a->n_births += has_births;
	if (err && !a->attach_err)
		a->attach_err = err;
	if (!err)
		remember(a, &sites, m, o->scope);
	o->n_sites = (unsigned int)sites.n;
	o->failed = err;
	o->is_held = (sites.n && !err) || sites.loader_hook || sites.refused_alloc || sites.refused_realloc || has_births;
	alloc_sites_release(&sites);
	return err;
}

static void note_denied(struct attacher *a, const struct proc_map *m)
{
	a->n_denied++;
	if (!a->denied)
		a->denied = xstrdup(m->path);
}

/* The file of a mapping, if no other one is the same. */
static int attach_file(struct attacher *a, pid_t pid, const struct proc_map *m, struct elf_file *f, int fd,
		       struct object *o)
{
	char *path;
	int err;

	if (find_object(a, a->n_objs, &o->id, o->scope))
		return 0;
	path = proc_map_attach_path(a->o.proc_root, pid, m);
	if (!path) /* the process has ended meanwhile: others will run the file */
		path = xstrdup(m->path);
	err = attach_object(a, f, path, fd, m, o);
	XGROW(a->objects, a->n_objs, a->objs_cap);
	a->objects[a->n_objs++] = *o;
	free(path);
	return err;
}

int attacher_add_map(struct attacher *a, pid_t pid, const struct proc_map *m)
{
	pid_t scope = a->o.pid_scoped ? pid : 0;
	struct object o = { .scope = scope };
	struct elf_file *f;
	uint64_t version;
	int fd, attach_fd, err;

	if (!a->o.planes || !m->exec || !m->ino)
		return 0;
	version = version_of(a, pid, m);
	if (is_known(a, m, version, scope))
		return 0;
	o.map_key = map_key(m, version, 0);
	kern_unwind_add(a->o.kern, pid, m); /* before arming, or as soon as the code is mapped */
	fd = proc_map_open(a->o.proc_root, pid, m);
	if (fd == -EACCES || fd == -EPERM)
		note_denied(a, m);
	if (fd == -ENOENT || fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		forget(a, m, version, scope);
	if (fd < 0)
		return fd;
	err = proc_file_id(fd, &o.id);
	if (err) {
		close(fd);
		return err;
	}
	attach_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = elf_file_open(&f, fd);
	if (!err) {
		err = attach_file(a, pid, m, f, attach_fd, &o);
		elf_file_close(f);
	}
	if (attach_fd >= 0)
		close(attach_fd);
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

static void forget_objects(struct attacher *a, pid_t pid)
{
	size_t i, n = 0;

	for (i = 0; i < a->n_objs; i++) {
		if (a->objects[i].scope != pid)
			a->objects[n++] = a->objects[i];
		else if (!a->objects[i].failed)
			a->n_probes -= a->objects[i].n_sites < a->n_probes ? a->objects[i].n_sites : a->n_probes;
	}
	a->n_objs = n;
}

/* It may have ended: nothing is read from /proc. */
void attacher_forget_process(struct attacher *a, pid_t pid)
{
	size_t i, n = 0;

	if (!a->o.pid_scoped) /* nothing is its own */
		return;
	for (i = 0; i < a->seen.cap; i++)
		if (a->seen.slots[i].used == 1 && a->seen.slots[i].value == (uint64_t)pid)
			table_remove(&a->seen, a->seen.slots[i].key);
	for (i = 0; i < a->n_placed; i++)
		if (a->placed[i].scope != pid)
			a->placed[n++] = a->placed[i];
	a->n_placed = n;
	forget_objects(a, pid);
}

/* ---- are they there? ---- */

static void check_site(int mem, const struct placed *at, const struct proc_map *m, struct attacher_check *c)
{
	uint64_t addr = m->start + (at->offset - m->offset);
	uint8_t now[PROBE_BYTES];

	if (pread(mem, now, sizeof(now), (off_t)addr) != (ssize_t)sizeof(now)) {
		c->n_unreadable++;
		return;
	}
	c->n_checked++;
	if (memcmp(now, at->first_bytes, sizeof(now)) != 0)
		c->n_there++;
	else if (!c->path[0])
		snprintf(c->path, sizeof(c->path), "%s%s", m->path,
			 m->shared ? " (mapped shared: the kernel puts no probes there)" : "");
}

static void check_map(const struct attacher *a, int mem, const struct proc_map *m, struct attacher_check *c)
{
	size_t i;

	for (i = 0; i < a->n_placed; i++) {
		const struct placed *at = &a->placed[i];
		uint64_t end = m->offset + (m->end - m->start);

		if (at->ino != m->ino || at->dev != m->dev || at->offset < m->offset || at->offset >= end)
			continue;
		check_site(mem, at, m, c);
	}
}

int attacher_check_process(const struct attacher *a, pid_t pid, struct attacher_check *c)
{
	char *path = xasprintf("%s/%d/mem", a->o.proc_root, (int)pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	struct proc_maps maps = { 0 };
	size_t i;
	int err = mem < 0 ? -errno : 0;

	free(path);
	*c = (struct attacher_check){ 0 };
	if (!err)
		err = proc_maps_read(&maps, a->o.proc_root, pid);
	for (i = 0; !err && i < maps.n; i++)
		if (maps.v[i].exec && maps.v[i].ino)
			check_map(a, mem, &maps.v[i], c);
	proc_maps_release(&maps);
	if (mem >= 0)
		close(mem);
	return err;
}
