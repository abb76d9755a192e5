/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Messages to the user, on stderr only. stdout belongs to data.
 *
 * The function that knows the object's name logs, once; callers only propagate
 * the negative errno. A message says what, on which object, why, what to do:
 *
 *	log_warn("attach: %s: no symbol malloc: skipped", path);
 *
 * Control bytes in a message are escaped: names of symbols and processes are
 * the target's, and the target is not trusted with the user's terminal.
 */
#ifndef MEMPROBE_BASE_LOG_H
#define MEMPROBE_BASE_LOG_H

enum log_level {
	LOG_QUIET = 0, /* errors only (-q) */
	LOG_NORMAL = 1,
	LOG_VERBOSE = 2, /* -v */
};

/* One of the two process-wide variables (the other is the signal flag). */
extern enum log_level log_level;

/* Written before each message: clears a terminal that is drawn on. A static text; NULL: nothing. */
void log_set_prelude(const char *text);

/* "memprobe: " MESSAGE "\n", always printed. */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Printed unless -q. */
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Printed with -v. */
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
