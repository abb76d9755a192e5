/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which recordings go when there are too many: the oldest by their time of change. What is no recording by its name, no
 * regular file, or is still being written (its lock is held) stays.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/store_internal.h"
#include "base/log.h"
#include "base/xalloc.h"

struct entry {
	char *name;
	uint64_t size_bytes;
	struct timespec changed;
};

struct entries {
	struct entry *v;
	size_t n, cap;
};

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && !memcmp(s + n - m, end, m);
}

static bool is_part(const char *name)
{
	return ends_with(name, STORE_PART);
}

static bool is_being_written(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool held;

	if (fd < 0)
		return true;
	held = flock(fd, LOCK_EX | LOCK_NB) != 0;
	close(fd);
	return held;
}

static void read_entries(struct entries *e, int dir_fd, const char *own, uint64_t *own_bytes)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	struct stat st;

	while (dir && (d = readdir(dir))) {
		if (!ends_with(d->d_name, ".memprobe") && !is_part(d->d_name))
			continue;
		if (fstatat(dir_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if (!strcmp(d->d_name, own)) {
			*own_bytes = (uint64_t)st.st_size;
			continue;
		}
		XGROW(e->v, e->n, e->cap);
		e->v[e->n++] = (struct entry){ xstrdup(d->d_name), (uint64_t)st.st_size, st.st_mtim };
	}
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->changed.tv_sec != y->changed.tv_sec)
		return x->changed.tv_sec < y->changed.tv_sec ? 1 : -1;
	if (x->changed.tv_nsec != y->changed.tv_nsec)
		return x->changed.tv_nsec < y->changed.tv_nsec ? 1 : -1;
	return -strcmp(x->name, y->name);
}

void store_prune(int dir_fd, const char *own, size_t max_files, uint64_t max_bytes)
{
	struct entries e = { 0 };
	uint64_t bytes = 0;
	size_t i, kept = 1;

	read_entries(&e, dir_fd, own, &bytes);
	if (e.n)
		qsort(e.v, e.n, sizeof(*e.v), newest_first);
	for (i = 0; i < e.n; i++) {
		const struct entry *x = &e.v[i];

		if (kept < max_files && bytes + x->size_bytes <= max_bytes) {
			kept++;
			bytes += x->size_bytes;
			continue;
		}
		max_bytes = 0; /* none older than one that went stays */
		if (is_part(x->name) && is_being_written(dir_fd, x->name))
			continue;
		if (unlinkat(dir_fd, x->name, 0))
			log_debug("%s: cannot remove an old recording", x->name);
	}
	for (i = 0; i < e.n; i++)
		free(e.v[i].name);
	free(e.v);
}
