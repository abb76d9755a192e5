/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The parts of a session, a file each, and what they share. Not for others. */
#ifndef MEMPROBE_APP_SESSION_INTERNAL_H
#define MEMPROBE_APP_SESSION_INTERNAL_H

#include "app/attacher.h"
#include "app/budget.h"
#include "app/command.h"
#include "app/output.h"
#include "app/preliminary.h"
#include "app/recorder.h"
#include "app/session.h"
#include "base/units.h"
#include "collect/collector.h"
#include "collect/machine_look.h"
#include "kern/kern.h"
#include "kern/mapwatch.h"
#include "proc/cgroup_find.h"

/* Calls are only counted for this long, before anything dearer is armed. */
#define COUNT_NS (250 * NS_PER_MS)

struct session {
	const struct options *o;
	struct kern *kern;
	struct collector *collector;
	struct debuginfod *debuginfod; /* NULL without --debuginfod */
	struct attacher *attacher;
	struct budget *budget;
	struct mapwatch *mapwatch; /* NULL: refused by the kernel */
	struct output *output;
	struct recorder *recorder; /* NULL: not recorded */
	struct command command;
	struct rlimit files; /* RLIMIT_NOFILE as memprobe was given it */
	struct proc_cgroup cgroups[MP_MAX_CGROUPS]; /* of -c */
	int signal_fd, epoll_fd;
	uint64_t armed_ns; /* CLOCK_MONOTONIC */
	uint64_t max_memory_bytes;
	unsigned int n_stops; /* COMMAND was stopped so often */
	unsigned int n_interrupts, n_interrupts_before; /* before the look that goes on */
	unsigned int n_exit_stops; /* n_stops when the run began: one more, and COMMAND is held as it exits */
	bool names_wait; /* stacks that have no names yet */
	uint64_t runtimes_ns; /* when processes are to be looked at for one */
	bool want_snapshot, want_mark;
	bool want_end, want_stop;
	int output_err;		      /* a file could not be written: the run goes on, and fails at its end */
	bool looks_at_machine;	      /* all processes from /proc, heap probes in those that grow: machine_session.c */
	struct machine_look *machine; /* NULL: not so, or not yet */
	uint64_t choose_ns;	      /* their calls are counted until then; 0: not now */
	bool has_chosen;
	struct preliminary *preliminary; /* NULL: none is drawn */
	const struct session_ui *ui; /* NULL: nobody watches */
};

void session_poll(struct session *s);
void session_read_signals(struct session *s);
void session_wait(struct session *s, uint64_t deadline_ns);
/* Wake session_wait when there is something to read. 0 or -errno. */
int session_watch(struct session *s, int fd);
/*
 * Fill in the figures of this moment, for the user interface; with what processes share (machine_report). 0 or -errno.
 */
int session_look(struct session *s, bool with_shares);

/* suspend.c: Ctrl-Z. Not where it was ignored when memprobe was started. */
bool session_can_suspend(void);
void session_suspend(struct session *s);

/* start.c: each returns an exit status, 0 to go on; failures have been logged. */
int session_check_targets(struct session *s); /* before anything is loaded */
int session_open(struct session *s);	      /* load the kernel side */
void session_describe(struct session *s);     /* the run, into the profile */
int session_attach(struct session *s);	      /* probes, COMMAND, arming */
void session_new_attacher(struct session *s, bool pid_scoped);
/* "armed: ...", for so many processes; load is what their calls would cost, or "". */
void session_tell_armed(const struct session *s, size_t n_processes, const char *load);
int session_arm(struct session *s);
/* With the heap plane there must be one; else it says why there is none. */
int session_has_probes(struct session *s, const char *who);

/* targets.c: running processes; what is to be done when one begins, forks or execs. */
int targets_find(struct session *s);   /* before anything is loaded: an exit status */
void targets_select(const struct session *s, struct kern_opts *ko);
int targets_attach(struct session *s); /* an exit status */
void targets_release(struct session *s);
void targets_on_proc(struct session *s, const struct mp_ev_proc *e);
/*
 * A link of one process goes on when its first thread ends, but one that is made after that never fires: before a gate
 * opens, links become those of all processes.
 */
void targets_watch_leaders(struct session *s);
/* Heap probes into one more process, alone. 0 or -errno. */
int targets_probe(struct session *s, pid_t pid);

/* machine_session.c: the whole machine. */
int machine_start(struct session *s);			  /* an exit status */
void machine_tick(struct session *s, uint64_t now_ns);	  /* look, and probe those that grow */
/*
 * Heap probes into a process that the user chose. 0, -EAGAIN: not now, -ENOSPC: enough have them, -errno: it cannot be.
 */
int machine_probe(struct session *s, pid_t pid);
/* And out again; what was seen stays. 0, -EAGAIN: not now, -ENOENT: it has none (any more). */
int machine_unprobe(struct session *s, pid_t pid);
/* No more heap probes into a process where new ones would not fire. */
void machine_leave(struct session *s, pid_t pid);
/* A process has ended: on the whole machine its links go, its figures stay. ctx: the session. */
void machine_ended(void *ctx, pid_t pid);
void machine_report(struct session *s, bool with_shares); /* fill the profile's part */

/* selfcheck.c: STATUS_FAILED when no probe can fire in any process that was named, or none could. */
int session_check_probes(struct session *s); /* before arming */
int session_check_fired(struct session *s);  /* after the last snapshot */

#endif
