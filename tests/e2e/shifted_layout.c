/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * shifted_layout PID: a living CPython, checked with each offset of its version's layout a word too high or too low. Prints
 * `checked N`, and `accepted FIELD SHIFT` of those that nothing was found wrong with. Not for offsets of the census.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/cpython.h"

#define FIELD(name) { #name, offsetof(struct cpython_layout, name) }

static const struct {
	const char *name;
	size_t at;
} fields[] = {
	FIELD(runtime_interpreters), FIELD(interp_threads), FIELD(thread_next),	    FIELD(thread_id),
	FIELD(thread_frame),	     FIELD(cframe_frame),   FIELD(frame_code),	    FIELD(frame_previous),
	FIELD(frame_instr),	     FIELD(frame_mark),	    FIELD(code_firstlineno), FIELD(code_filename),
	FIELD(code_qualname),	     FIELD(code_linetable), FIELD(ascii_data),
};

static bool is_accepted(struct runtime *r, size_t at, int shift)
{
	struct cpython *real = r->state, shifted = *real;
	uint32_t *field = (uint32_t *)(void *)((char *)&shifted.layout + at);
	int i, err = -1;

	if (!*field || (shift < 0 && *field < 8))
		return false;
	*field += (uint32_t)shift;
	r->state = &shifted; /* names are looked up with it too */
	for (i = 0; i < 5 && err; i++)
		err = cpython_check(r, &shifted);
	r->state = real;
	return !err;
}

int main(int argc, char **argv)
{
	struct runtime *r;
	size_t i;
	int err = argc == 2 ? runtime_open(&r, "/proc", atoi(argv[1])) : -EINVAL, n = 0, shift;

	if (err || !r->has_frames) {
		fprintf(stderr, "shifted_layout: %s\n", err ? "cannot be read" : r->reason);
		return 1;
	}
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		for (shift = -8; shift <= 8; shift += 16, n++)
			if (is_accepted(r, fields[i].at, shift))
				printf("accepted %s %+d\n", fields[i].name, shift);
	printf("checked %d\n", n);
	runtime_close(r);
	return 0;
}
