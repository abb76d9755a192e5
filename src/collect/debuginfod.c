/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * See debuginfod.h. `debuginfod-find debuginfo BUILD-ID` (package debuginfod) prints the path of the file in its
 * cache. sudo removes DEBUGINFOD_URLS from the environment, which the message says. While a file is fetched,
 * nothing else is done: hence the limits, and hence never by itself.
 */
#include "collect/debuginfod.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"

#define CLIENT "debuginfod-find"
#define MAX_FILE_NS (20 * NS_PER_S)
#define MAX_ALL_NS (60 * NS_PER_S)
#define MAX_PATH_BYTES 4096

extern char **environ;

struct debuginfod {
	uint64_t left_ns;
	unsigned int found, missing;
};

static bool has_client(void)
{
	const char *path = getenv("PATH");
	struct buf b = BUF_INIT;
	bool found = false;
	size_t len;

	for (; path && *path && !found; path += len + (path[len] == ':')) {
		len = strcspn(path, ":");
		buf_reset(&b);
		buf_add(&b, path, len);
		buf_adds(&b, "/" CLIENT);
		found = !access(b.data, X_OK);
	}
	buf_release(&b);
	return found;
}

struct debuginfod *debuginfod_new(void)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	struct debuginfod *d;

	if (!urls || !urls[strspn(urls, " ")]) {
		log_error("--debuginfod: DEBUGINFOD_URLS names no server (sudo removes it: sudo --preserve-env=DEBUGINFOD_URLS memprobe ...)");
		return NULL;
	}
	if (!has_client()) {
		log_error("--debuginfod: no " CLIENT " in PATH (Debian: apt install debuginfod)");
		return NULL;
	}
	d = xcalloc(1, sizeof(*d));
	d->left_ns = MAX_ALL_NS;
	return d;
}

void debuginfod_free(struct debuginfod *d)
{
	if (d && (d->found || d->missing))
		log_info("debuginfod: %u debug files found, %u not", d->found, d->missing);
	free(d);
}

/* The child's standard output; its errors are many and say "no". 0 or an errno. */
static int start(const char *build_id, pid_t *pid, int *out)
{
	char *argv[] = { (char *)CLIENT, (char *)"debuginfo", (char *)build_id, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC))
		return errno;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	err = posix_spawnp(pid, CLIENT, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (err)
		close(fds[0]);
	*out = fds[0];
	return err;
}

/* False when it is not at its end in time. */
static bool read_all(struct buf *b, int fd, uint64_t deadline_ns)
{
	char chunk[512];

	while (b->len < MAX_PATH_BYTES) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_monotonic_ns();
		ssize_t n;

		if (now >= deadline_ns || poll(&p, 1, (int)((deadline_ns - now) / NS_PER_MS + 1)) <= 0)
			return false;
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			return n == 0;
		buf_add(b, chunk, (size_t)n);
	}
	return false;
}

/* The path that the client prints, or NULL. */
static char *ask(const char *build_id, uint64_t max_ns)
{
	struct buf b = BUF_INIT;
	int fd, status = 0, err;
	char *path = NULL;
	bool in_time;
	pid_t pid;

	err = start(build_id, &pid, &fd);
	if (err) {
		log_warn("debuginfod: cannot run " CLIENT ": %s", strerror(err));
		return NULL;
	}
	in_time = read_all(&b, fd, clock_monotonic_ns() + max_ns);
	close(fd);
	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (in_time && !status && b.len && b.data[0] == '/') {
		b.data[strcspn(b.data, "\n")] = '\0';
		path = xstrdup(b.data);
	}
	buf_release(&b);
	return path;
}

char *debuginfod_fetch(void *ctx, const char *build_id)
{
	struct debuginfod *d = ctx;
	uint64_t start_ns = clock_monotonic_ns(), spent_ns;
	char *path;

	if (!d->left_ns)
		return NULL;
	path = ask(build_id, d->left_ns < MAX_FILE_NS ? d->left_ns : MAX_FILE_NS);
	spent_ns = clock_monotonic_ns() - start_ns;
	d->left_ns -= spent_ns < d->left_ns ? spent_ns : d->left_ns;
	d->found += path != NULL;
	d->missing += path == NULL;
	log_debug("debuginfod: %s: %s", build_id, path ? path : "not found");
	if (!d->left_ns)
		log_warn("debuginfod: a minute of waiting is over: no more files are asked for");
	return path;
}
