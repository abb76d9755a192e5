/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The private directory of recordings: $XDG_STATE_HOME/memprobe, or ~/.local/state/memprobe of the user who
 * called memprobe, through sudo too. It holds the last ten, at most 256 MiB together.
 *
 *	4242-20261121-031241.memprobe		a whole one: process 4242, local time of its start
 *	4242-20261121-031530.memprobe.part	of a run that goes on, or was killed: as far as it got
 *
 * All of it is done with that user's rights on files, below file descriptors, and never through a symbolic link in the
 * directory's place or a file's: what the user can plant there leads nowhere that he cannot write himself.
 * A problem is a warning, once; the run goes on.
 */
#ifndef MEMPROBE_APP_STORE_H
#define MEMPROBE_APP_STORE_H

#include <stddef.h>

#define STORE_MAX_FILES 10
#define STORE_MAX_BYTES (256ULL << 20)

struct store;

/* A new recording; label: what is recorded, cut to letters, digits and -_. NULL: not possible (warned). */
struct store *store_create(const char *label);
/* 0 or -errno (not logged). */
int store_write(struct store *s, const void *data, size_t len);
/* The recording gets its name, and old ones go. Its path, or NULL: not possible (warned). The caller frees it. */
char *store_commit(struct store *s);
/* Removes what is not committed. */
void store_close(struct store *s);

#endif
