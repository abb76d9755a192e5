/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The private directory of recordings; see store.h. What goes when it is full is in store_prune.c. */
#include "app/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"

#define SUFFIX ".memprobe"
#define MAX_SAME_NAME 100

struct store {
	struct store_user user;
	int dir_fd, fd;
	char *dir, *name; /* without suffix */
};

/* ---- whose directory ---- */

/* Under sudo the invoking user, else the one that we are. */
static void find_user(struct store_user *u, const struct passwd **pw)
{
	const char *sudo = getenv("SUDO_UID");
	unsigned long n;
	char *end;

	*u = (struct store_user){ .uid = geteuid(), .gid = getegid() };
	*pw = NULL;
	if (u->uid == 0 && sudo && *sudo) {
		n = strtoul(sudo, &end, 10);
		if (!*end && n && n < (uid_t)-1)
			*pw = getpwuid((uid_t)n);
		if (*pw)
			*u = (struct store_user){ .uid = (*pw)->pw_uid, .gid = (*pw)->pw_gid, .is_other = true };
	}
	if (!*pw)
		*pw = getpwuid(u->uid);
}

/* The directory that "memprobe" is made in; NULL: there is none. */
static char *find_state_home(struct store_user *u)
{
	const struct passwd *pw;
	const char *xdg, *home;

	find_user(u, &pw);
	if (u->is_other)
		return xasprintf("%s/.local/state", pw->pw_dir);
	xdg = secure_getenv("XDG_STATE_HOME");
	if (xdg && *xdg == '/')
		return xstrdup(xdg);
	home = secure_getenv("HOME");
	if ((!home || *home != '/') && pw)
		home = pw->pw_dir;
	return home && *home == '/' ? xasprintf("%s/.local/state", home) : NULL;
}

/*
 * Files are touched with the user's rights: root's would follow where he must not go. The kernel takes the rights of a
 * user id that is not 0 from the file system id alone, and the capabilities that pass over them away.
 * 0 or -errno; leave in both cases.
 */
static int enter(const struct store_user *u)
{
	if (!u->is_other)
		return 0;
	setfsgid(u->gid);
	setfsuid(u->uid);
	return setfsuid((uid_t)-1) == (int)u->uid ? 0 : -EPERM;
}

static void leave(const struct store_user *u)
{
	if (!u->is_other)
		return;
	setfsuid(geteuid());
	setfsgid(getegid());
}

/* ---- the directory ---- */

/* mkdir -p for what is missing; links of the user's own are followed here. */
static void make_parents(const char *path)
{
	char *copy = xstrdup(path), *at;

	for (at = copy + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(copy, 0700);
		*at = '/';
	}
	mkdir(copy, 0700);
	free(copy);
}

/* An fd of a directory that is ours alone, or -errno. */
static int open_private(int parent, const char *name, uid_t uid)
{
	struct stat st;
	int fd, err = 0;

	if (mkdirat(parent, name, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (st.st_uid != uid)
		err = -EPERM; /* not ours, and its owner could swap what lies in it */
	else if ((st.st_mode & 0777) != 0700 && fchmod(fd, 0700))
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

static int open_directory(struct store *s, const char *state_home)
{
	int parent, err;

	make_parents(state_home);
	parent = open(state_home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -errno;
	s->dir_fd = open_private(parent, "memprobe", s->user.uid);
	err = s->dir_fd < 0 ? s->dir_fd : 0;
	close(parent);
	return err;
}

/* ---- the file ---- */

static void add_label(struct buf *out, const char *label)
{
	size_t n = 0;

	for (; *label == '.' || *label == '-'; label++)
		;
	for (; *label && n < 40; label++, n++) {
		bool plain = (*label >= '0' && *label <= '9') || ((*label | 32) >= 'a' && (*label | 32) <= 'z') ||
			     strchr("-_.", *label);

		buf_addc(out, plain ? *label : '_');
	}
	if (!n)
		buf_adds(out, "run");
}

static int try_name(struct store *s, const char *name)
{
	char *final = xasprintf("%s" SUFFIX, name), *part = xasprintf("%s" STORE_PART, name);
	struct stat st;
	int err = 0;

	if (!fstatat(s->dir_fd, final, &st, AT_SYMLINK_NOFOLLOW))
		err = -EEXIST;
	else
		s->fd = openat(s->dir_fd, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (!err && s->fd < 0)
		err = -errno;
	if (!err)
		flock(s->fd, LOCK_EX | LOCK_NB); /* for as long as the run lives: no other may remove it */
	free(final);
	free(part);
	return err;
}

static int open_file(struct store *s, const char *label)
{
	struct buf base = BUF_INIT;
	time_t now = time(NULL);
	char when[32];
	struct tm tm;
	int err = -EEXIST, i;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	add_label(&base, label);
	buf_addf(&base, "-%s", when);
	for (i = 1; err == -EEXIST && i <= MAX_SAME_NAME; i++) {
		free(s->name);
		s->name = i == 1 ? xstrdup(base.data) : xasprintf("%s-%d", base.data, i);
		err = try_name(s, s->name);
	}
	buf_release(&base);
	return err;
}

struct store *store_create(const char *label)
{
	struct store *s = xcalloc(1, sizeof(*s));
	char *home = find_state_home(&s->user);
	int err = home ? enter(&s->user) : -ENOENT;

	s->dir_fd = s->fd = -1;
	s->dir = xasprintf("%s/memprobe", home ? home : "~/.local/state");
	if (!err)
		err = open_directory(s, home);
	if (!err)
		err = open_file(s, label);
	leave(&s->user);
	free(home);
	if (!err)
		return s;
	log_warn("this run is not saved: %s: %s%s", s->dir, strerror(-err),
		 err == -ELOOP || err == -ENOTDIR ? " (a link, or no directory, has its name)" : "");
	store_close(s);
	return NULL;
}

int store_write(struct store *s, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	while (len) {
		n = write(s->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int give_name(struct store *s)
{
	char *final = xasprintf("%s" SUFFIX, s->name), *part = xasprintf("%s" STORE_PART, s->name);
	int err = 0;

	if (fsync(s->fd) && errno != EINVAL)
		err = -errno;
	if (!err && renameat2(s->dir_fd, part, s->dir_fd, final, RENAME_NOREPLACE)) {
		/* file systems that do not know the flag: nobody else writes here */
		if (errno == EINVAL && !renameat(s->dir_fd, part, s->dir_fd, final))
			errno = 0;
		err = -errno;
	}
	free(final);
	free(part);
	return err;
}

char *store_commit(struct store *s)
{
	int err = enter(&s->user);
	char *path = NULL;

	if (!err)
		err = give_name(s);
	if (err) {
		log_warn("this run is not saved: %s/%s" SUFFIX ": %s", s->dir, s->name, strerror(-err));
	} else {
		path = xasprintf("%s/%s" SUFFIX, s->dir, s->name);
		close(s->fd);
		s->fd = -1;
		store_prune(s->dir_fd, strrchr(path, '/') + 1, STORE_MAX_FILES, STORE_MAX_BYTES);
	}
	leave(&s->user);
	return path;
}

void store_close(struct store *s)
{
	char *part;

	if (!s)
		return;
	if (s->fd >= 0 && !enter(&s->user)) {
		part = xasprintf("%s" STORE_PART, s->name);
		unlinkat(s->dir_fd, part, 0);
		free(part);
	}
	leave(&s->user);
	if (s->fd >= 0)
		close(s->fd);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s->dir);
	free(s->name);
	free(s);
}
