/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * COMMAND: started by memprobe, held until its probes are armed, its status passed on.
 *
 * The child waits on a pipe before it execs; the kernel side then stops it at exec and once more
 * when ld.so has mapped its libraries (SIGSTOP; no ptrace). When memprobe was started through sudo
 * the child runs as the invoking user, else as --user says; never as root because nobody knows that user. Should
 * memprobe be killed while it holds the child stopped, another small child lets it go on:
 * PR_SET_PDEATHSIG would, but the exec of a set-user-ID program clears it.
 */
#ifndef MEMPROBE_APP_COMMAND_H
#define MEMPROBE_APP_COMMAND_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

struct command {
	pid_t pid;
	int go_fd;     /* close to let it exec */
	int error_fd;  /* errno of a failed exec */
	pid_t guard;
	int guard_fd; /* at its end of file the guard acts; after a byte it ends */
	bool reaped;
	int status; /* of waitpid, when reaped */
};

/* files: its RLIMIT_NOFILE, which memprobe has raised for itself. */
int command_start(struct command *c, char **argv, const char *user, const struct rlimit *files);
/* Let it run towards its exec. */
void command_release(struct command *c);
/* errno of a failed exec, 0 when it has exec'ed or is still on its way. */
int command_exec_error(struct command *c);
/* Wait until SIGSTOP took effect. false: it ended instead. */
bool command_wait_stopped(struct command *c);
void command_continue(const struct command *c);
/* Reap without blocking; true when it has ended. */
bool command_has_ended(struct command *c);
/* Exit status to pass on: its own, or 128 + signal. */
int command_exit_status(const struct command *c);
/* End a child that we could not use. */
void command_kill(struct command *c);

#endif
