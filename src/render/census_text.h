/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What `memprobe census` prints: objects by type, as they were at two looks, what grew first. Text only; a runtime's
 * census or a heap's looks the same here.
 *
 *	python3.11 (pid 4242), CPython 3.11.2: objects that the collector tracks; approximate: read while it ran
 *	two looks, 10 s between; they took 31 ms and 33 ms
 *
 *	     GROWTH    OBJECTS  MiB GROWTH       MiB  TYPE
 *	     +3 000     21 816        +0.7       5.1  dict
 *	          0        993         0.0       0.1  wrapper_descriptor
 *	                                                and 61 types more: 0.3 MiB
 *
 *	held by, as far as it can be told from outside:
 *	  RenderContext: Map < variable 'openContexts' in /srv/mail/contexts.js
 *
 * and of a node of Erlang its processes (holders_text.h).
 */
#ifndef MEMPROBE_RENDER_CENSUS_TEXT_H
#define MEMPROBE_RENDER_CENSUS_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "render/holders_text.h"

struct census_row {
	const char *name;
	uint64_t objects[2], bytes[2]; /* at the looks */
	char *held_by;		       /* malloc'ed by whoever fills it; NULL: not asked for, or not found */
};

struct census_text {
	const char *comm, *kind; /* "CPython 3.11.2"; "glibc heap" */
	const char *what;	 /* what was counted */
	pid_t pid;
	uint64_t between_ns, took_ns[2];
	bool is_partial;
	struct census_row *rows; /* sorted here */
	size_t n;
	const struct holders *holders; /* Erlang processes; NULL: there are none */
	const struct intern *holder_names;
};

/* The most rows that are printed. */
#define CENSUS_ROWS 40

/* What grew most comes first; census_text does it too. */
void census_sort(struct census_text *c);
void census_text(struct buf *out, struct census_text *c);

#endif
