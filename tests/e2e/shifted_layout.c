/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * shifted_layout PID: a living CPython or Ruby, checked with each offset of its layout a word too high or too low. Of a
 * layout that is refused no frame gets a name; so, over and over, until it has been asked for so many: prints `checked
 * N` layouts, `asked N` times, and `accepted FIELD SHIFT` of those that nothing was found wrong with once. Not for
 * offsets of the census.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/cpython.h"
#include "runtime/ruby.h"

#define EVENTS 100000
#define MOST_FIELDS 24

struct field {
	const char *name;
	size_t at; /* in the state */
};

#define PY(name) { #name, offsetof(struct cpython, layout.name) }
#define RB(name) { #name, offsetof(struct ruby, layout.name) }

struct shifted {
	const char *runtime;
	size_t bytes;
	int (*check)(struct runtime *r, const void *state);
	struct field fields[MOST_FIELDS]; /* ends with one without a name */
};

static int check_python(struct runtime *r, const void *state)
{
	return cpython_check(r, state);
}

static int check_ruby(struct runtime *r, const void *state)
{
	return ruby_check(r, state);
}

static const struct shifted kinds[] = {
	{ "CPython", sizeof(struct cpython), check_python,
	  { PY(runtime_interpreters), PY(interp_threads), PY(thread_next), PY(thread_id), PY(thread_frame), PY(cframe_frame),
	    PY(frame_code), PY(frame_previous), PY(frame_instr), PY(frame_mark), PY(code_firstlineno), PY(code_filename),
	    PY(code_qualname), PY(code_linetable), PY(ascii_data) } },
	{ "Ruby", sizeof(struct ruby), check_ruby,
	  { RB(context_stack), RB(context_words), RB(context_frame), RB(context_thread), RB(frame_pc), RB(frame_iseq), RB(frame_ep),
	    RB(iseq_body), RB(body_size), RB(body_encoded), RB(body_path), RB(body_label), RB(body_base_label), RB(body_first),
	    RB(body_last), RB(body_lines), RB(body_n_lines), RB(body_index), RB(string_length), RB(string_text), RB(thread_id),
	    RB(thread_context) } },
};

/* Is it accepted once in so many times? Names are looked up with the shifted one too. */
static bool is_accepted(struct runtime *r, const struct shifted *k, const struct field *f, int shift, int times)
{
	void *real = r->state, *shifted = malloc(k->bytes);
	uint32_t offset;
	int i, err = -1;

	memcpy(shifted, real, k->bytes);
	memcpy(&offset, (char *)shifted + f->at, sizeof(offset));
	if (offset && (shift > 0 || offset >= 8)) {
		offset += (uint32_t)shift;
		memcpy((char *)shifted + f->at, &offset, sizeof(offset));
		r->state = shifted;
		for (i = 0; i < times && err; i++)
			err = k->check(r, shifted);
		r->state = real;
	}
	free(shifted);
	return !err;
}

int main(int argc, char **argv)
{
	const struct shifted *k = kinds;
	struct runtime *r;
	size_t n = 0, i;
	int err = argc == 2 ? runtime_open(&r, "/proc", atoi(argv[1])) : -EINVAL, shift, times;

	if (err || !r->has_frames) {
		fprintf(stderr, "shifted_layout: %s\n", err ? "cannot be read" : r->reason);
		return 1;
	}
	if (strcmp(k->runtime, r->ops->name) != 0)
		k++;
	while (k->fields[n].name)
		n++;
	times = (int)(EVENTS / (2 * n)) + 1;
	for (i = 0; i < n; i++)
		for (shift = -8; shift <= 8; shift += 16)
			if (is_accepted(r, k, &k->fields[i], shift, times))
				printf("accepted %s %+d\n", k->fields[i].name, shift);
	printf("checked %zu\nasked %zu\n", 2 * n, 2 * n * (size_t)times);
	runtime_close(r);
	return 0;
}
