/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The terminal of `memprobe top`: cells onto it, keys from it, its size, Ctrl-Z. The only file with curses calls that
 * draw; what is drawn is decided elsewhere. The caller blocks SIGINT, SIGTERM, SIGTSTP and SIGWINCH and reads them.
 */
#ifndef MEMPROBE_APP_TOP_SCREEN_H
#define MEMPROBE_APP_TOP_SCREEN_H

#include <stdbool.h>

#include "render/top_canvas.h"

/* After top_guard_open. 0 or -errno. */
int top_screen_open(void);
void top_screen_close(void);
/* Can it show UTF-8's blocks? */
bool top_screen_is_utf8(void);
void top_screen_size(unsigned int *width, unsigned int *height);
/* The terminal's size may have changed. */
void top_screen_resize(void);
void top_screen_draw(const struct top_canvas *c);
/* A character or enum top_key; -1: none is there. */
int top_screen_key(void);
/* Gives the terminal back while the process stands still, and is there again when it goes on. */
void top_screen_suspend(void (*stand_still)(void));

#endif
