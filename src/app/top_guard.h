/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The terminal is left as it was found, however memprobe ends, and what is said on stderr meanwhile is not lost.
 *
 *	q, Ctrl-C, TERM, the target's end, Ctrl-Z	the screen's own way (top_screen.h)
 *	SIGSEGV, abort ...				a handler
 *	kill -9, the kernel out of memory		a child that waits for the end of a pipe, and does nothing else
 *
 * The child is made before anything else is opened: it must hold no link to a probe. It touches the terminal's
 * settings only while they are the screen's: a shell may have it back by then. While the screen is there, stderr is a
 * file in memory; it is copied to the terminal afterwards. Depends on terminfo.
 */
#ifndef MEMPROBE_APP_TOP_GUARD_H
#define MEMPROBE_APP_TOP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/* Terminfo is there, standard input and output are a terminal. false: why is a static text. */
bool top_guard_open(const char **why);
void top_guard_close(void);
/* The screen is there from now on: the terminal's settings are the screen's. */
void top_guard_on(void);
/* The screen is gone: what was said meanwhile follows on stderr. */
void top_guard_off(void);
/* The last line that was said since the last call, without "memprobe: "; false: none. */
bool top_guard_message(char *line, size_t size);

#endif
