/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * From what a user typed to a control group; see cgroup_find.h.
 *
 * The hierarchies are those of PROC_ROOT/self/cgroup, "ID:CONTROLLERS:PATH": 0 is version 2, mounted at the
 * root or, beside version 1, at unified/; the others at directories of their controllers' names. Where several
 * have the group, memory's is taken, then version 2's. Depends on base.
 */
#include "proc/cgroup_find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "proc/proc_internal.h"
#include "proc/process.h"

/* Shorter beginnings of an id are more likely a mistake. */
#define MIN_ID_DIGITS 4
#define HEX "0123456789abcdef"

struct hierarchy {
	uint32_t id;
	int rank; /* the smaller is taken first */
	bool is_named; /* without a controller: the kernel side cannot ask for it */
	char *mount;
};

struct hierarchies {
	struct hierarchy *v;
	size_t n, cap;
};

/* One line of a cgroup file. path is not terminated. */
struct line {
	uint32_t id;
	const char *controllers, *path;
	size_t controllers_len, path_len;
};

static bool next_line(const char **text, struct line *l)
{
	while (**text) {
		const char *s = *text, *first, *second;
		size_t len = strcspn(s, "\n");

		*text += len + (s[len] == '\n');
		first = memchr(s, ':', len);
		second = first ? memchr(first + 1, ':', len - (size_t)(first + 1 - s)) : NULL;
		if (!second)
			continue;
		*l = (struct line){
			.id = (uint32_t)strtoul(s, NULL, 10),
			.controllers = first + 1,
			.controllers_len = (size_t)(second - first - 1),
			.path = second + 1,
			.path_len = (size_t)(s + len - second - 1),
		};
		return true;
	}
	return false;
}

static bool is_directory(const char *path, uint64_t *id)
{
	struct stat st;

	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return false;
	*id = st.st_ino;
	return true;
}

static int read_hierarchies(struct hierarchies *h, const char *proc_root, const char *cgroup_root)
{
	struct buf text = BUF_INIT;
	const char *s;
	struct line l;
	int err = proc_read_text(&text, proc_root, 0, "self/cgroup");

	for (s = err ? "" : text.data; next_line(&s, &l);) {
		struct hierarchy one = { .id = l.id };

		one.is_named = l.controllers_len > 5 && !memcmp(l.controllers, "name=", 5);
		one.rank = l.controllers_len == 6 && !memcmp(l.controllers, "memory", 6) ? 0 : l.id ? 2 : 1;
		one.mount = l.controllers_len
				    ? xasprintf("%s/%.*s", cgroup_root, (int)l.controllers_len - 5 * one.is_named,
						l.controllers + 5 * one.is_named)
				    : proc_unified_mount(cgroup_root);
		XGROW(h->v, h->n, h->cap);
		h->v[h->n++] = one;
	}
	buf_release(&text);
	return err == -ESRCH ? -ENOENT : err;
}

static void release_hierarchies(struct hierarchies *h)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		free(h->v[i].mount);
	free(h->v);
}

/* Take the group when nothing better has been found: path below a mount, with a slash or none before it. */
static int consider(struct proc_cgroup *best, int *rank, const struct hierarchy *h, const char *path, size_t len)
{
	while (len && path[len - 1] == '/')
		len--;
	while (len && *path == '/')
		path++, len--;
	if (h->rank < *rank) {
		char *relative = xasprintf("/%.*s", (int)len, path);
		char *dir = xasprintf("%s%s", h->mount, relative);
		uint64_t id;

		if (is_directory(dir, &id)) {
			free(best->path);
			*best = (struct proc_cgroup){ { .id = id, .hierarchy = h->id }, relative };
			*rank = h->rank;
			relative = NULL;
		}
		free(relative);
		free(dir);
	}
	return best->path ? 0 : -ENOENT;
}

/* CGROUP_ROOT/memory/x: the hierarchy is part of the path. */
static int find_by_directory(struct proc_cgroup *out, const struct hierarchies *h, const char *cgroup_root,
			     const char *text)
{
	size_t root = strlen(cgroup_root), i;
	char *real;
	int rank, err = -ENOENT;

	real = !strncmp(text, cgroup_root, root) && (!text[root] || text[root] == '/') ? realpath(text, NULL)
										      : NULL;
	for (i = 0; real && i < h->n; i++) {
		size_t len = strlen(h->v[i].mount);

		if (strncmp(real, h->v[i].mount, len) != 0 || (real[len] && real[len] != '/'))
			continue;
		rank = 3;
		err = h->v[i].is_named ? -EOPNOTSUPP : consider(out, &rank, &h->v[i], real + len, strlen(real + len));
		if (h->v[i].id) /* version 2 may be mounted around the others */
			break;
	}
	free(real);
	return err;
}

static int find_by_path(struct proc_cgroup *out, const struct hierarchies *h, const char *text)
{
	int rank = 3, err = -ENOENT;
	size_t i;

	for (i = 0; i < h->n && !strstr(text, ".."); i++)
		if (!h->v[i].is_named)
			err = consider(out, &rank, &h->v[i], text, strlen(text));
	return err;
}

/* "docker-3f2a9c....scope" and "3f2a9c..." hold the id 3f2a9c...: where a run of digits begins. */
static bool component_has_id(const char *s, size_t len, const char *id, size_t id_len)
{
	size_t i;

	for (i = 0; i + id_len <= len; i++) {
		bool begins = !i || s[i - 1] == '-' || s[i - 1] == ':';

		if (begins && !memcmp(s + i, id, id_len) && strspn(s + i, HEX) >= 12)
			return true;
	}
	return false;
}

struct id_search {
	const struct hierarchies *h;
	const char *id;
	struct proc_cgroup *best;
	int rank;
	char *seen; /* the component that has the id */
	bool is_ambiguous;
};

static void take_component(struct id_search *q, const struct line *l, const char *s, size_t len)
{
	char *name = xstrndup(s, len);
	size_t i;

	if (q->seen && strcmp(q->seen, name) != 0)
		q->is_ambiguous = true;
	for (i = 0; i < q->h->n; i++)
		if (q->h->v[i].id == l->id && !q->h->v[i].is_named)
			consider(q->best, &q->rank, &q->h->v[i], l->path, (size_t)(s + len - l->path));
	free(q->seen);
	q->seen = name;
}

static void search_line(struct id_search *q, const struct line *l)
{
	const char *s = l->path, *end = l->path + l->path_len;

	while (s < end) {
		const char *slash = memchr(s, '/', (size_t)(end - s));
		size_t len = (size_t)((slash ? slash : end) - s);

		if (component_has_id(s, len, q->id, strlen(q->id)))
			take_component(q, l, s, len);
		s += len + 1;
	}
}

static int find_by_id(struct proc_cgroup *out, const struct hierarchies *h, const char *proc_root,
		      const char *text)
{
	struct id_search q = { .h = h, .id = text, .best = out, .rank = 3 };
	struct buf file = BUF_INIT;
	size_t n, i;
	struct line l;
	pid_t *pids;

	if (strlen(text) < MIN_ID_DIGITS || strspn(text, HEX) != strlen(text) ||
	    proc_list(&pids, &n, proc_root))
		return -ENOENT;
	for (i = 0; i < n; i++) {
		const char *s = proc_read_text(&file, proc_root, pids[i], "cgroup") ? "" : file.data;

		while (next_line(&s, &l))
			search_line(&q, &l);
	}
	buf_release(&file);
	free(pids);
	free(q.seen);
	if (!q.is_ambiguous)
		return out->path ? 0 : -ENOENT;
	proc_cgroup_release(out);
	return -ENOTUNIQ;
}

int proc_cgroup_find(struct proc_cgroup *out, const char *proc_root, const char *cgroup_root,
		     const char *text)
{
	struct hierarchies h = { 0 };
	int err = read_hierarchies(&h, proc_root, cgroup_root);

	*out = (struct proc_cgroup){ 0 };
	if (!err)
		err = find_by_directory(out, &h, cgroup_root, text);
	if (err == -ENOENT)
		err = find_by_path(out, &h, text);
	if (err == -ENOENT)
		err = find_by_id(out, &h, proc_root, text);
	release_hierarchies(&h);
	return err;
}

bool proc_cgroup_has(const struct proc_cgroup *c, const char *proc_root, pid_t pid)
{
	size_t len = c->path[1] ? strlen(c->path) : 0; /* "/": all of it */
	struct buf file = BUF_INIT;
	bool found = false;
	const char *s;
	struct line l;

	for (s = proc_read_text(&file, proc_root, pid, "cgroup") ? "" : file.data; !found && next_line(&s, &l);)
		found = l.id == c->key.hierarchy && l.path_len >= len && !memcmp(l.path, c->path, len) &&
			(l.path_len == len || l.path[len] == '/');
	buf_release(&file);
	return found;
}

void proc_cgroup_release(struct proc_cgroup *c)
{
	free(c->path);
	*c = (struct proc_cgroup){ 0 };
}
