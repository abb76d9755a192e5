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
#include "base/xalloc.h"
#include "proc/proc_internal.h"

#define MAX_CGROUP_FILE_BYTES ((size_t)256 << 10)

/* What the two versions call the same things. Columns are file names; NULL: none. */
struct cgroup_version {
	const char *limits[2];
	const char *usage;
	const char *reclaimable_key; /* in memory.stat */
	const char *oom_file;
	bool oom_counts_children; /* v1 counts a kill only in the victim's own group */
};

static const struct cgroup_version version1 = {
	.limits = { "memory.limit_in_bytes", NULL },
	.usage = "memory.usage_in_bytes",
	.reclaimable_key = "total_inactive_file",
	.oom_file = "memory.oom_control",
	.oom_counts_children = false,
};

static const struct cgroup_version version2 = {
	.limits = { "memory.max", "memory.high" },
	.usage = "memory.current",
	.reclaimable_key = "inactive_file",
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

static uint64_t read_keyed(const char *dir, const char *name, const char *key)
{
	struct buf text = BUF_INIT;
	char *with_blank = xasprintf("%s ", key); /* not "oom_kill_disable" for "oom_kill" */
	uint64_t n = 0;

	if (read_file(&text, dir, name))
		text_number(text.data, with_blank, &n);
	free(with_blank);
	buf_release(&text);
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

static uint64_t limit_of(const struct cgroup_version *v, const char *dir)
{
	uint64_t smallest = UINT64_MAX, n;
	size_t i;

	for (i = 0; i < 2; i++)
		if (v->limits[i] && read_number(&n, dir, v->limits[i]) && n < smallest)
			smallest = n;
	return smallest;
}

/* Page cache that the kernel drops before it kills is not used memory (the kubelet's "working
 * set"). */
static uint64_t used_in(const struct cgroup_version *v, const char *dir)
{
	uint64_t used = 0, cache;

	read_number(&used, dir, v->usage);
	cache = read_keyed(dir, "memory.stat", v->reclaimable_key);
	return used > cache ? used - cache : 0;
}

/* Take the group at m->path when its limit is below the best so far. */
static void consider(struct proc_limit *l, const struct membership *m, uint64_t *kills_below)
{
	char *dir = xasprintf("%s%s", m->mount, m->path);
	uint64_t limit = limit_of(m->version, dir);
	uint64_t kills = read_keyed(dir, m->version->oom_file, "oom_kill");
	const char *name = strrchr(m->path, '/') + 1;

	if (!m->version->oom_counts_children)
		*kills_below = kills += *kills_below;
	if (limit < l->limit_bytes) {
		l->limit_bytes = limit;
		l->used_bytes = used_in(m->version, dir);
		l->oom_kills = kills;
		snprintf(l->name, sizeof(l->name), "%s", *name ? name : "/");
	}
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
	struct buf text = BUF_INIT;
	struct proc_meminfo mem;
	int err = proc_meminfo_read(&mem, proc_root);

	if (err)
		return err;
	*l = (struct proc_limit){ .limit_bytes = mem.total_bytes, .name = "RAM" };
	if (mem.total_bytes > mem.available_bytes)
		l->used_bytes = mem.total_bytes - mem.available_bytes;
	if (!proc_read_text(&text, proc_root, 0, "vmstat"))
		text_number(text.data, "oom_kill ", &l->oom_kills);
	buf_release(&text);
	return 0;
}

int proc_limit_read(struct proc_limit *l, const char *proc_root, const char *cgroup_root, pid_t pid)
{
	struct membership m = { 0 };
	struct buf text = BUF_INIT;
	uint64_t kills_below = 0;
	int err = take_ram(l, proc_root);

	if (!err)
		err = proc_read_text(&text, proc_root, pid, "cgroup");
	if (!err && find_membership(&m, text.data, cgroup_root)) {
		do
			consider(l, &m, &kills_below);
		while (to_parent(m.path));
	}
	free(m.mount);
	free(m.path);
	buf_release(&text);
	return err;
}
