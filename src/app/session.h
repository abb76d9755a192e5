/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One run: targets, probes, the event loop, signals, the end. Owns time and life times.
 */
#ifndef MEMPROBE_APP_SESSION_H
#define MEMPROBE_APP_SESSION_H

#include "cli/options.h"

/* Exit statuses, a stable contract (man page). */
enum exit_status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_PRIVILEGE = 3,
	STATUS_NO_TARGET = 4,
	STATUS_INCOMPLETE = 5, /* only with --strict */
	STATUS_ABORTED = 130,  /* a second SIGINT */
};

/* Runs to its end and returns the exit status; with COMMAND its own, unless memprobe failed. */
int session_run(const struct options *o);

#endif
