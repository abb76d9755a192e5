/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Objects that a managed language made in the window, by class and line, as the runtime's own probe told (--objects).
 * Births only: which of them live, nobody tells. Names are ids of the profile's strings. Pure.
 *
 *	rows	Journal::Record lib/journal.rb:14 12 345, then smaller ones; all 13 000
 */
#ifndef MEMPROBE_MODEL_OBJECTS_H
#define MEMPROBE_MODEL_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_row {
	uint32_t proc; /* index in the profile */
	uint32_t type; /* class; "" where it has no name */
	uint32_t file; /* "" if unknown */
	uint32_t line;
	uint64_t births;
};

#define OBJECTS_ROWS 64

struct objects {
	bool is_there;	 /* asked for */
	uint32_t n_probes; /* files with such a probe; 0: nobody told */
	bool is_share;	 /* seen in bursts of unknown share: amounts in proportion */
	uint64_t births; /* all; of bursts an estimate */
	uint64_t kinds;	 /* rows if there were room */
	struct object_row rows[OBJECTS_ROWS]; /* most births first */
	size_t n_rows;
};

void objects_reset(struct objects *o);
/* Keeps those with the most births; among equals the first. */
void objects_add(struct objects *o, const struct object_row *row);

#endif
