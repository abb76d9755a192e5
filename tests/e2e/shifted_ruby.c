/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * shifted_ruby PID: a living Ruby, checked with each offset of its layout a word too high or too low. Prints `checked N`, and
 * `accepted FIELD SHIFT` of those that nothing was found wrong with. Not for offsets of the census.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/ruby.h"

#define FIELD(name) { #name, offsetof(struct ruby_layout, name) }

static const struct {
	const char *name;
	size_t at;
} fields[] = {
	FIELD(context_stack), FIELD(context_words), FIELD(context_frame),   FIELD(context_thread), FIELD(frame_pc),
	FIELD(frame_iseq),    FIELD(frame_ep),	    FIELD(iseq_body),	    FIELD(body_size),	   FIELD(body_encoded),
	FIELD(body_path),     FIELD(body_label),    FIELD(body_base_label), FIELD(body_first),	   FIELD(body_last),
	FIELD(body_lines),    FIELD(body_n_lines),  FIELD(body_index),	    FIELD(string_length),  FIELD(string_text),
};

/* As often as when it is opened: what is wrong is so each time. */
static bool is_accepted(struct runtime *r, size_t at, int shift)
{
	struct ruby shifted = *(struct ruby *)r->state;
	uint32_t *field = (uint32_t *)(void *)((char *)&shifted.layout + at);
	int i, err = -1;

	if (shift < 0 && *field < 8)
		return false;
	*field += (uint32_t)shift;
	for (i = 0; i < 20 && err; i++)
		err = ruby_check(r, &shifted);
	return !err;
}

int main(int argc, char **argv)
{
	struct runtime *r;
	size_t i;
	int err = argc == 2 ? runtime_open(&r, "/proc", atoi(argv[1])) : -EINVAL, n = 0, shift;

	if (err || !r->has_frames || strcmp(r->ops->name, "Ruby") != 0) {
		fprintf(stderr, "shifted_ruby: %s\n", err ? "cannot be read" : r->reason);
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
