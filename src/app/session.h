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

struct session;

/* Somebody who watches a run while it goes on (top.c). A NULL ui is nobody. */
struct session_ui {
	void *ctx;
	int (*begin)(void *ctx, struct session *s); /* armed; fd's to wait for are added. 0 or -errno */
	int (*tick)(void *ctx, struct session *s);  /* some twenty times a second. 0 or -errno */
	void (*suspend)(void *ctx, void (*stand_still)(void)); /* Ctrl-Z: leave the terminal, stand still, come back */
	void (*end)(void *ctx);			    /* before the last report, also when begin failed */
};

int session_run_ui(const struct options *o, const struct session_ui *ui);

#endif
