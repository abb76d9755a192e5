/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ctrl-Z: memprobe stands still until it is told to go on (fg, bg, SIGCONT). Part of the session.
 *
 * Nobody would read the kernel's events meanwhile nor keep to the budget, so the probes are taken out of the targets
 * first, and put back afterwards; what was missed is a loss. Not for SIGSTOP, which tells nobody.
 */
#include <signal.h>
#include <stddef.h>

#include "app/session_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"

/* Where nobody could make it go on (a process group without a shell), the kernel does not stop it. */
static void stand_still(void)
{
	struct sigaction now = { .sa_handler = SIG_DFL }, before;
	sigset_t set, old;

	sigaction(SIGTSTP, &now, &before);
	sigemptyset(&set);
	sigaddset(&set, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &set, &old); /* stops here */
	sigprocmask(SIG_SETMASK, &old, NULL);
	sigaction(SIGTSTP, &before, NULL);
}

bool session_can_suspend(void)
{
	struct sigaction now;

	return !sigaction(SIGTSTP, NULL, &now) && now.sa_handler != SIG_IGN;
}

void session_suspend(struct session *s)
{
	uint64_t begin = clock_monotonic_ns();
	char seconds[24];

	s->want_stop = false;
	session_poll(s);
	kern_pause(s->kern);
	preliminary_clear(s->preliminary);
	if (s->ui)
		s->ui->suspend(s->ui->ctx, stand_still);
	else
		stand_still();
	targets_watch_leaders(s);
	kern_resume(s->kern);
	collector_note_stop(s->collector);
	log_warn("stopped for %s, without probes: what was allocated, freed or mapped meanwhile was not seen",
		 units_format_duration(seconds, clock_monotonic_ns() - begin));
}
