/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The file behind a mapping: opened, or as a path for the kernel; see maps.h.
 *
 * A path alone proves nothing: the library may have been replaced, deleted, or lie in another
 * mount namespace. So the inode number must agree with the mapping's and the file must reach to the
 * mapping's offset. st_dev is not compared: on overlayfs and btrfs it differs from the
 * device in /proc/PID/maps. Only regular files are opened (opening a device may have effects, a
 * FIFO blocks).
 */
#include "proc/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "proc/proc_internal.h"

static char *map_files_path(const char *proc_root, pid_t pid, const struct proc_map *m)
{
	return xasprintf("%s/%d/map_files/%" PRIx64 "-%" PRIx64, proc_root, (int)pid, m->start,
			 m->end);
}

/* 0 when path is the file of the mapping, -ESTALE when it is another one, or -errno. */
static int check_file(const char *path, const struct proc_map *m)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_ino != m->ino || (uint64_t)st.st_size <= m->offset)
		return -ESTALE;
	return 0;
}

/*
 * A map_files link names one range of one process, so the link text may vouch for it where the
 * inode numbers do not compare (overlayfs with xino puts the layer into st_ino).
 */
static int check_map_files(const char *link, const struct proc_map *m)
{
	char *text, *want;
	ssize_t len;
	size_t cap = strlen(m->path) + sizeof(" (deleted)") + 1;
	int err = check_file(link, m);

	if (err != -ESTALE)
		return err;
	text = xmalloc(cap);
	len = readlink(link, text, cap - 1);
	text[len > 0 ? len : 0] = '\0';
	want = xasprintf("%s%s", m->path, m->deleted ? " (deleted)" : "");
	if (!strcmp(text, want))
		err = 0;
	free(want);
	free(text);
	return err;
}

static int open_checked(const char *path, const struct proc_map *m)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	/* Again on what was really opened. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size <= m->offset) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

/*
 * The link of the range that holds m->start today: a mapping known from an event may have been
 * merged with a neighbour or split since. NULL when another file lies there.
 */
static char *current_map_files_path(const char *proc_root, pid_t pid, const struct proc_map *m)
{
	struct proc_maps maps = { 0 };
	const struct proc_map *now;
	char *path = NULL;

	if (proc_maps_read(&maps, proc_root, pid))
		return NULL;
	now = proc_maps_find(&maps, m->start);
	if (now && now->ino == m->ino && now->dev == m->dev)
		path = map_files_path(proc_root, pid, now);
	proc_maps_release(&maps);
	return path;
}

/* The usable map_files link of m, or NULL; caller frees. */
static char *find_map_files(const char *proc_root, pid_t pid, const struct proc_map *m)
{
	char *path = map_files_path(proc_root, pid, m);
	int err = check_map_files(path, m);

	if (err == -ENOENT) {
		free(path);
		path = current_map_files_path(proc_root, pid, m);
		err = path ? check_map_files(path, m) : -ENOENT;
	}
	if (!err)
		return path;
	free(path);
	return NULL;
}

/* The file's path below the process's root, or NULL; caller frees. A leader that ended has no root,
 * its threads have. */
static char *find_in_root(const char *proc_root, pid_t pid, const struct proc_map *m)
{
	char *path = xasprintf("%s/%d/root%s", proc_root, (int)pid, m->path);
	int err = check_file(path, m);
	pid_t tid = err == -ENOENT ? proc_living_thread(proc_root, pid) : 0;

	if (tid) {
		free(path);
		path = xasprintf("%s/%d/task/%d/root%s", proc_root, (int)pid, (int)tid, m->path);
		err = check_file(path, m);
	}
	if (!err)
		return path;
	free(path);
	return NULL;
}

static bool is_file_mapping(const struct proc_map *m)
{
	return m->ino && m->path[0] == '/';
}

static bool is_denied(const char *path, const struct proc_map *m)
{
	int err = check_file(path, m);

	return err == -EACCES || err == -EPERM;
}

/* None of the ways led to the file: was that for want of a right? */
static int why_not_opened(const char *proc_root, pid_t pid, const struct proc_map *m)
{
	char *link = map_files_path(proc_root, pid, m);
	char *path = xasprintf("%s/%d/root%s", proc_root, (int)pid, m->path);
	bool denied = is_denied(link, m) || is_denied(path, m) || is_denied(m->path, m);

	free(link);
	free(path);
	return denied ? -EACCES : -ENOENT;
}

/* We are, of descriptors or memory: this says nothing about the file. */
static bool is_short(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

int proc_map_open(const char *proc_root, pid_t pid, const struct proc_map *m)
{
	char *path;
	int fd;

	if (!is_file_mapping(m))
		return -ENOENT;
	path = find_map_files(proc_root, pid, m);
	fd = path ? open_checked(path, m) : -ENOENT;
	free(path);
	if (fd >= 0 || is_short(fd))
		return fd;
	path = find_in_root(proc_root, pid, m);
	fd = path ? open_checked(path, m) : -ENOENT;
	free(path);
	if (fd < 0 && !is_short(fd) && !check_file(m->path, m)) /* also when the process ended between the check and the opening */
		fd = open_checked(m->path, m);
	return fd < 0 && !is_short(fd) ? why_not_opened(proc_root, pid, m) : fd;
}

char *proc_map_attach_path(const char *proc_root, pid_t pid, const struct proc_map *m)
{
	char *path;

	if (!is_file_mapping(m))
		return NULL;
	path = find_in_root(proc_root, pid, m);
	if (!path)
		path = find_map_files(proc_root, pid, m);
	if (!path && !check_file(m->path, m))
		path = xstrdup(m->path);
	return path;
}
