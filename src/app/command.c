/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* COMMAND; see command.h. */
#include "app/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/* Whom COMMAND runs as. */
struct account {
	bool is_other;	  /* than our own, and not root */
	uid_t uid;
	gid_t gid;
	const char *name; /* NULL: it has no entry among the users */
	const char *home;
};

static void account_of(struct account *a, const struct passwd *pw)
{
	*a = (struct account){ .is_other = pw->pw_uid != 0, .uid = pw->pw_uid, .gid = pw->pw_gid, .name = pw->pw_name,
			       .home = pw->pw_dir };
}

/* A number of a user or group: digits alone, and not the one that stands for none. */
static bool read_id(const char *text, uint32_t *id)
{
	unsigned long long n;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	*id = (uint32_t)n;
	return !errno && !*end && n < UINT32_MAX;
}

/* Of sudo. Whoever has no entry, as where the directory of users does not answer, is known by his numbers. */
static int find_invoker(struct account *a, const char *uid)
{
	const char *gid = getenv("SUDO_GID");
	const struct passwd *pw;

	*a = (struct account){ .home = "/" };
	if (!read_id(uid, &a->uid)) {
		log_error("SUDO_UID is no user: %s: COMMAND would run as root; say as whom: --user NAME", uid);
		return -EINVAL;
	}
	pw = getpwuid(a->uid);
	if (pw) {
		account_of(a, pw);
		return 0;
	}
	if (!read_id(gid, &a->gid)) {
		log_error("user %s has no entry in passwd, and SUDO_GID is no group: COMMAND would run as root; "
			  "say as whom: --user NAME", uid);
		return -ENOENT;
	}
	a->is_other = a->uid != 0;
	return 0;
}

static int find_account(const char *user, struct account *a)
{
	const char *uid = getenv("SUDO_UID");
	const struct passwd *pw;

	*a = (struct account){ .is_other = false };
	if (geteuid() != 0) {
		if (user)
			log_error("--user needs root");
		return user ? -EPERM : 0;
	}
	if (user) {
		pw = getpwnam(user);
		if (pw)
			account_of(a, pw);
		else
			log_error("--user: no such user: %s", user);
		return pw ? 0 : -ENOENT;
	}
	return uid && *uid ? find_invoker(a, uid) : 0;
}

static int become(const struct account *a)
{
	if (!a->is_other)
		return 0;
	if ((a->name ? initgroups(a->name, a->gid) : setgroups(1, &a->gid)) || setgid(a->gid) || setuid(a->uid))
		return errno;
	setenv("HOME", a->home, 1);
	if (a->name) {
		setenv("USER", a->name, 1);
		setenv("LOGNAME", a->name, 1);
	} else {
		unsetenv("USER");
		unsetenv("LOGNAME");
	}
	return 0;
}

static void run_child(int go, int error, char **argv, const struct account *a, const struct rlimit *files)
{
	sigset_t none;
	char c;
	int err;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	while (read(go, &c, 1) < 0 && errno == EINTR)
		;
	setrlimit(RLIMIT_NOFILE, files);
	err = become(a);
	if (!err) {
		execvp(argv[0], argv);
		err = errno;
	}
	if (write(error, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

/* ---- the guard ---- */

static void close_others(int a, int b)
{
	unsigned int low = (unsigned int)(a < b ? a : b), high = (unsigned int)(a < b ? b : a);

	if (low)
		syscall(SYS_close_range, 0u, low - 1, 0u);
	if (high > low + 1)
		syscall(SYS_close_range, low + 1, high - 1, 0u);
	syscall(SYS_close_range, high + 1, ~0u, 0u);
}

/* The child is told by a descriptor: its number may be another's by then. */
static void guard_main(int from, pid_t child)
{
	int pidfd = (int)syscall(SYS_pidfd_open, child, 0u);
	sigset_t all;
	ssize_t n;
	char c;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "memprobe-guard");
	if (pidfd < 0)
		_exit(0);
	close_others(from, pidfd);
	while ((n = read(from, &c, 1)) < 0 && errno == EINTR)
		;
	if (!n)
		syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0u);
	_exit(0);
}

/* Without one the run goes on. */
static void start_guard(struct command *c)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return;
	c->guard = fork();
	if (!c->guard) {
		close(fds[1]);
		guard_main(fds[0], c->pid);
	}
	close(fds[0]);
	c->guard_fd = fds[1];
}

static void end_guard(struct command *c)
{
	if (c->guard <= 0)
		return;
	if (write(c->guard_fd, "", 1) < 0)
		log_debug("guard: %s", strerror(errno));
	close(c->guard_fd);
	waitpid(c->guard, NULL, 0);
	c->guard = 0;
}

int command_start(struct command *c, char **argv, const char *user, const struct rlimit *files)
{
	struct account a;
	int go[2], error[2], err;

	*c = (struct command){ .pid = -1, .go_fd = -1, .error_fd = -1, .guard_fd = -1 };
	err = find_account(user, &a);
	if (err)
		return err;
	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(error, O_CLOEXEC | O_NONBLOCK)) {
		err = -errno;
		close(go[0]);
		close(go[1]);
		return err;
	}
	c->pid = fork();
	if (c->pid == 0) {
		close(go[1]);
		run_child(go[0], error[1], argv, &a, files);
	}
	err = c->pid < 0 ? -errno : 0;
	if (!err)
		start_guard(c);
	close(go[0]);
	close(error[1]);
	c->go_fd = go[1];
	c->error_fd = error[0];
	if (!err && a.is_other && a.name)
		log_info("%s runs as user %s", argv[0], a.name);
	else if (!err && a.is_other)
		log_info("%s runs as user %u, group %u, who has no entry in passwd", argv[0], a.uid, a.gid);
	return err;
}

void command_release(struct command *c)
{
	if (c->go_fd >= 0)
		close(c->go_fd);
	c->go_fd = -1;
}

int command_exec_error(struct command *c)
{
	int err = 0;

	if (c->error_fd < 0 || read(c->error_fd, &err, sizeof(err)) != sizeof(err))
		return 0;
	return err;
}

bool command_wait_stopped(struct command *c)
{
	pid_t r;

	do {
		r = waitpid(c->pid, &c->status, WUNTRACED);
	} while (r < 0 && errno == EINTR);
	if (r == c->pid && WIFSTOPPED(c->status))
		return true;
	c->reaped = true;
	return false;
}

void command_continue(const struct command *c)
{
	kill(c->pid, SIGCONT);
}

bool command_has_ended(struct command *c)
{
	if (!c->reaped && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->reaped = true;
	return c->reaped;
}

int command_exit_status(const struct command *c)
{
	if (!c->reaped)
		return 0;
	if (WIFSIGNALED(c->status))
		return 128 + WTERMSIG(c->status);
	return WEXITSTATUS(c->status);
}

void command_kill(struct command *c)
{
	command_release(c);
	end_guard(c);
	if (c->pid > 0 && !c->reaped) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, &c->status, 0);
		c->reaped = true;
	}
	if (c->error_fd >= 0)
		close(c->error_fd);
	c->error_fd = -1;
}
