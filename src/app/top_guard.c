/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The terminal is left as it was found; see top_guard.h. One terminal, so one guard: a signal handler has no argument.
 */
#include "app/top_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <curses.h>
#include <term.h>

struct screen_settings {
	bool is_on;
	struct termios its; /* what the screen set */
};

static struct guard {
	struct termios before;
	char leave[256]; /* out of the alternate screen, cursor visible, plain text */
	size_t n_leave;
	struct screen_settings screen;
	int pipe_fd;	 /* to the child */
	int stderr_fd;	 /* the real one while the screen is there; -1: not replaced */
	int said_fd;	 /* what was said meanwhile */
	off_t told, shown; /* of it: copied, and given to top_guard_message */
	pid_t child;
} guard = { .pipe_fd = -1, .stderr_fd = -1, .said_fd = -1 };

static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGTRAP, SIGSYS };

static void write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	while (len && ((n = write(fd, data, len)) > 0 || errno == EINTR)) {
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* Only calls that a signal handler may make. */
static void copy_said(int to)
{
	char part[4096];
	ssize_t n;

	while (guard.said_fd >= 0 && (n = pread(guard.said_fd, part, sizeof(part), guard.told)) > 0) {
		write_all(to, part, (size_t)n);
		guard.told += n;
	}
}

static void restore(const struct screen_settings *screen)
{
	struct termios now;

	write_all(STDOUT_FILENO, guard.leave, guard.n_leave);
	if (!tcgetattr(STDIN_FILENO, &now) && now.c_lflag == screen->its.c_lflag && now.c_iflag == screen->its.c_iflag &&
	    now.c_oflag == screen->its.c_oflag)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &guard.before);
}

static void tell_child(void)
{
	write_all(guard.pipe_fd, (const char *)&guard.screen, sizeof(guard.screen));
}

/* ---- the child ---- */

static void child_main(int from)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGTTOU, SIGTTIN, SIGPIPE,
				       SIGUSR1, SIGUSR2 };
	struct screen_settings screen = { .is_on = false };
	ssize_t n;
	size_t i;

	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, "memprobe-guard");
	do {
		n = read(from, &screen, sizeof(screen));
	} while (n == sizeof(screen) || (n < 0 && errno == EINTR));
	if (screen.is_on) {
		restore(&screen);
		copy_said(STDERR_FILENO);
	}
	_exit(0);
}

static int start_child(void)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	guard.child = fork();
	if (guard.child < 0)
		return -errno;
	if (!guard.child) {
		close(fds[1]);
		child_main(fds[0]);
	}
	close(fds[0]);
	guard.pipe_fd = fds[1];
	return 0;
}

/* ---- memprobe itself ---- */

static void on_fatal(int signo)
{
	if (guard.screen.is_on) {
		restore(&guard.screen);
		guard.screen.is_on = false;
		copy_said(guard.stderr_fd >= 0 ? guard.stderr_fd : STDERR_FILENO);
		tell_child();
	}
	signal(signo, SIG_DFL); /* its own end: core, status */
	raise(signo);
}

static void set_handlers(void)
{
	struct sigaction a = { .sa_handler = on_fatal, .sa_flags = SA_NODEFER };
	size_t i;

	for (i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &a, NULL);
}

static int add_byte(int c)
{
	if (guard.n_leave < sizeof(guard.leave))
		guard.leave[guard.n_leave++] = (char)c;
	return c;
}

static void add_capability(const char *text)
{
	if (text)
		tputs(text, 1, add_byte);
}

bool top_guard_open(const char **why)
{
	int found = 0;

	*why = "standard output is no terminal";
	if (!isatty(STDOUT_FILENO))
		return false;
	*why = "standard input is no terminal";
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &guard.before))
		return false;
	*why = "TERM is not set, or names a terminal that is not known here (package ncurses-base or ncurses-term)";
	if (!getenv("TERM") || setupterm(NULL, STDOUT_FILENO, &found) != OK || !cursor_address)
		return false;
	guard.n_leave = 0;
	add_capability(exit_attribute_mode);
	add_capability(orig_pair);
	add_capability(exit_ca_mode);
	add_capability(keypad_local);
	add_capability(cursor_normal);
	add_byte('\r');
	guard.said_fd = memfd_create("memprobe-messages", MFD_CLOEXEC);
	*why = "no process can be made that would restore the terminal";
	if (start_child())
		return false;
	set_handlers();
	return true;
}

void top_guard_close(void)
{
	if (guard.pipe_fd < 0)
		return;
	top_guard_off();
	close(guard.pipe_fd);
	close(guard.said_fd);
	guard.pipe_fd = guard.said_fd = -1;
	while (waitpid(guard.child, NULL, 0) < 0 && errno == EINTR)
		;
}

void top_guard_on(void)
{
	if (guard.said_fd >= 0 && isatty(STDERR_FILENO)) {
		guard.stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		if (guard.stderr_fd >= 0)
			dup2(guard.said_fd, STDERR_FILENO);
	}
	guard.screen.is_on = !tcgetattr(STDIN_FILENO, &guard.screen.its);
	tell_child();
}

void top_guard_off(void)
{
	if (guard.stderr_fd >= 0) {
		fflush(stderr);
		dup2(guard.stderr_fd, STDERR_FILENO);
		close(guard.stderr_fd);
		guard.stderr_fd = -1;
		copy_said(STDERR_FILENO);
	}
	if (!guard.screen.is_on)
		return;
	guard.screen.is_on = false;
	tell_child();
}

bool top_guard_message(char *line, size_t size)
{
	char text[4096];
	off_t end = guard.said_fd >= 0 ? lseek(guard.said_fd, 0, SEEK_END) : 0, from;
	char *last;
	ssize_t n;

	if (end <= guard.shown)
		return false;
	from = end > (off_t)sizeof(text) - 1 ? end - (off_t)sizeof(text) + 1 : 0;
	n = pread(guard.said_fd, text, sizeof(text) - 1, from);
	guard.shown = end;
	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0)
		return false;
	text[n] = '\0';
	last = strrchr(text, '\n');
	last = last ? last + 1 : text;
	snprintf(line, size, "%s", !strncmp(last, "memprobe: ", 10) ? last + 10 : last);
	return true;
}
