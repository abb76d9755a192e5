/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The memory limit above a process: cgroup v1, v2 or both mounted; see process.h.
 *
 * Walks from the process's group to the root of the hierarchy and takes the smallest limit. A
 * limit at or above the machine's RAM (v1 writes "no limit" as a number near 2^63) limits nothing;
 * then RAM is the limit. Files: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
 */
#include "proc/process.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/table.h"
#include "base/xalloc.h"
#include "proc/proc_internal.h"

#define MAX_CGROUP_FILE_BYTES ((size_t)256 << 10)

/* What the two versions call the same things. Columns are file names; NULL: none. */
struct cgroup_version {
	const char *max, *high;
	const char *usage;
	/* in memory.stat */
	const char *reclaimable_key, *anon_key, *file_key, *shmem_key, *kernel_key;
	const char *oom_file;
	bool oom_counts_children; /* v1 counts a kill only in the victim's own group */
};

static const struct cgroup_version version1 = {
	.max = "memory.limit_in_bytes",
	.usage = "memory.usage_in_bytes",
	.reclaimable_key = "total_inactive_file",
	.anon_key = "total_rss",
	.file_key = "total_cache",
	.shmem_key = "total_shmem",
	.oom_file = "memory.oom_control",
	.oom_counts_children = false,
};

static const struct cgroup_version version2 = {
	.max = "memory.max",
	.high = "memory.high",
	.usage = "memory.current",
	.reclaimable_key = "inactive_file",
	.anon_key = "anon",
	.file_key = "file",
	.shmem_key = "shmem",
	.kernel_key = "kernel",
	.oom_file = "memory.events",
	.oom_counts_children = true,
};

/* One hierarchy as seen by one process. */
struct membership {
	const struct cgroup_version *version;
	char *mount; /* CGROUP_ROOT/memory */
	char *path;  /* "/system.slice/gateway.service" */
};

static bool read_file(struct buf *text, const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	int err;

	buf_reset(text);
	err = buf_read_file(text, path, MAX_CGROUP_FILE_BYTES);
	free(path);
	return !err;
}

/* A file that holds one number; "max" and unreadable files are false. */
static bool read_number(uint64_t *out, const char *dir, const char *name)
{
	struct buf text = BUF_INIT;
	bool ok = read_file(&text, dir, name) && isdigit((unsigned char)text.data[0]);

	if (ok)
		*out = strtoull(text.data, NULL, 10);
	buf_release(&text);
	return ok;
}

static uint64_t keyed(const char *text, const char *key)
{
	char *with_blank = xasprintf("%s ", key); /* not "oom_kill_disable" for "oom_kill" */
	uint64_t n = 0;

	text_number(text, with_blank, &n);
	free(with_blank);
	return n;
}

static bool has_controller(const char *list, size_t len, const char *want)
{
	size_t want_len = strlen(want);
	const char *end = list + len;

	while (list < end) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		const char *stop = comma ? comma : end;

		if ((size_t)(stop - list) == want_len && !memcmp(list, want, want_len))
			return true;
		list = stop + 1;
	}
	return false;
}

static bool has_parent_component(const char *path)
{
	const char *p;

	for (p = strstr(path, "/.."); p; p = strstr(p + 1, "/.."))
		if (p[3] == '/' || !p[3])
			return true;
	return false;
}

/* In a cgroup namespace groups outside it read "/../x": then only the hierarchy's root can be
 * asked. */
static char *clean_path(const char *path, size_t len)
{
	char *copy = xstrndup(path, len);

	if (copy[0] == '/' && !has_parent_component(copy))
		return copy;
	free(copy);
	return xstrdup("/");
}

char *proc_unified_mount(const char *cgroup_root)
{
	char *hybrid = xasprintf("%s/unified", cgroup_root);
	char *probe = xasprintf("%s/cgroup.controllers", hybrid);
	bool is_hybrid = !access(probe, F_OK);

	free(probe);
	if (is_hybrid)
		return hybrid;
	free(hybrid);
	return xstrdup(cgroup_root);
}

/* Lines "ID:CONTROLLERS:PATH"; v2 is "0::PATH". A v1 memory controller, where mounted, is the one
 * in force. */
static bool find_membership(struct membership *m, const char *text, const char *cgroup_root)
{
	const char *line = text, *unified = NULL;
	size_t unified_len = 0;

	while (*line) {
		size_t len = strcspn(line, "\n");
		const char *list = memchr(line, ':', len), *path = NULL;

		if (list)
			path = memchr(list + 1, ':', len - (size_t)(list + 1 - line));
		if (path && has_controller(list + 1, (size_t)(path - list - 1), "memory")) {
			m->version = &version1;
			m->mount = xasprintf("%s/memory", cgroup_root);
			m->path = clean_path(path + 1, len - (size_t)(path + 1 - line));
			return true;
		}
		if (path && path == list + 1) {
			unified = path + 1;
			unified_len = len - (size_t)(path + 1 - line);
		}
		line += len + (line[len] == '\n');
	}
	if (!unified)
		return false;
	m->version = &version2;
	m->mount = proc_unified_mount(cgroup_root);
	m->path = clean_path(unified, unified_len);
	return true;
}

/* v1 writes "no limit" as a number near 2^63. */
static uint64_t limit_in(const char *dir, const char *name)
{
	uint64_t n;

	return name && read_number(&n, dir, name) && n < 1ULL << 62 ? n : UINT64_MAX;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t swap_of_limit(uint64_t limit, uint64_t used)
{
	return limit == UINT64_MAX ? limit : less(limit, used);
}

/* v1 limits memory and swap together. */
static void read_swap_of_1(struct proc_group *g, const char *dir, const char *stat)
{
	uint64_t limit = limit_in(dir, "memory.memsw.limit_in_bytes");

	if (limit != UINT64_MAX)
		limit = less(limit, g->max_bytes);
	g->swap_bytes = keyed(stat, "total_swap");
	g->swap_left_bytes = swap_of_limit(limit, g->swap_bytes);
}

/* v2 may limit it where memory has no limit. */
static void read_swap_of_2(struct proc_group *g, const char *dir)
{
	read_number(&g->swap_bytes, dir, "memory.swap.current");
	g->swap_left_bytes = swap_of_limit(limit_in(dir, "memory.swap.max"), g->swap_bytes);
}

/*
 * Page cache that the kernel drops before it kills is not used memory (the kubelet's "working
 * set"). memory.stat is dear (the kernel sums up all CPUs): only of groups that have a limit.
 */
static void read_usage(struct proc_group *g, const struct cgroup_version *v, const char *dir)
{
	struct buf stat = BUF_INIT;

	read_file(&stat, dir, "memory.stat");
	read_number(&g->current_bytes, dir, v->usage);
	g->used_bytes = less(g->current_bytes, keyed(stat.data, v->reclaimable_key));
	g->anon_bytes = keyed(stat.data, v->anon_key);
	g->file_bytes = keyed(stat.data, v->file_key);
	g->shmem_bytes = keyed(stat.data, v->shmem_key);
	if (v->kernel_key)
		g->kernel_bytes = keyed(stat.data, v->kernel_key);
	else
		read_number(&g->kernel_bytes, dir, "memory.kmem.usage_in_bytes");
	if (v == &version1)
		read_swap_of_1(g, dir, stat.data);
	buf_release(&stat);
}

static void read_group(struct proc_group *g, const struct cgroup_version *v, const char *dir)
{
	struct buf events = BUF_INIT;
	uint64_t group = 0;

	g->max_bytes = limit_in(dir, v->max);
	g->high_bytes = limit_in(dir, v->high);
	g->swap_left_bytes = UINT64_MAX;
	if (v == &version2)
		read_swap_of_2(g, dir);
	if (g->max_bytes != UINT64_MAX || g->high_bytes != UINT64_MAX)
		read_usage(g, v, dir);
	if (read_file(&events, dir, v->oom_file))
		g->oom_kills = keyed(events.data, "oom_kill");
	buf_release(&events);
	g->kills_group = read_number(&group, dir, "memory.oom.group") && group;
}

static void take_group(struct proc_groups *gs, const struct membership *m, uint64_t *kills_below)
{
	char *dir = xasprintf("%s%s", m->mount, m->path);
	const char *name = strrchr(m->path, '/') + 1;
	struct proc_group *g;

	XGROW(gs->v, gs->n, gs->cap);
	g = &gs->v[gs->n++];
	*g = (struct proc_group){ 0 };
	read_group(g, m->version, dir);
	if (!m->version->oom_counts_children)
		*kills_below = g->oom_kills += *kills_below;
	snprintf(g->name, sizeof(g->name), "%s", *name ? name : "/");
	g->id = hash_bytes(dir, strlen(dir));
	free(dir);
}

/* "/a/b" -> "/a" -> "/" -> false. */
static bool to_parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash[1] && slash == path)
		return false;
	slash[slash == path] = '\0';
	return true;
}

static int take_ram(struct proc_limit *l, const char *proc_root)
{
	struct proc_meminfo mem;
	int err = proc_meminfo_read(&mem, proc_root);

	if (err)
		return err;
	*l = (struct proc_limit){ .limit_bytes = mem.total_bytes,
				  .name = "RAM",
				  .oom_kills = mem.oom_kills };
	if (mem.total_bytes > mem.available_bytes)
		l->used_bytes = mem.total_bytes - mem.available_bytes;
	return 0;
}

/* What is left to a group is left to all above it, too. */
static void limit_swap_from_above(struct proc_groups *gs)
{
	size_t i;

	for (i = gs->n; i-- > 1;)
		if (gs->v[i].swap_left_bytes < gs->v[i - 1].swap_left_bytes)
			gs->v[i - 1].swap_left_bytes = gs->v[i].swap_left_bytes;
}

int proc_groups_read(struct proc_groups *gs, const char *proc_root, const char *cgroup_root,
		     pid_t pid)
{
	struct membership m = { 0 };
	struct buf text = BUF_INIT;
	uint64_t kills_below = 0;
	int err = proc_read_text(&text, proc_root, pid, "cgroup");

	gs->n = 0;
	if (!err && find_membership(&m, text.data, cgroup_root)) {
		do
			take_group(gs, &m, &kills_below);
		while (to_parent(m.path));
		limit_swap_from_above(gs);
	}
	free(m.mount);
	free(m.path);
	buf_release(&text);
	return err;
}

void proc_groups_release(struct proc_groups *gs)
{
	free(gs->v);
	*gs = (struct proc_groups){ 0 };
}

int proc_limit_read(struct proc_limit *l, const char *proc_root, const char *cgroup_root, pid_t pid)
{
	struct proc_groups gs = { 0 };
	int err = take_ram(l, proc_root);
	size_t i;

	if (!err)
		err = proc_groups_read(&gs, proc_root, cgroup_root, pid);
	for (i = 0; i < gs.n; i++) {
		const struct proc_group *g = &gs.v[i];
		uint64_t limit = g->max_bytes < g->high_bytes ? g->max_bytes : g->high_bytes;

		if (limit >= l->limit_bytes)
			continue;
		l->limit_bytes = limit;
		l->used_bytes = g->used_bytes;
		l->oom_kills = g->oom_kills;
		snprintf(l->name, sizeof(l->name), "%s", g->name);
	}
	proc_groups_release(&gs);
	return err;
}
