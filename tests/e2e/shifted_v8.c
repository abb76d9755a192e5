/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * shifted_v8 PID: names of a living node's compiled functions, asked for with each offset of V8's layout a word too high or too
 * low. Prints `functions N`, `checked N`, and `wrong FIELD SHIFT NAME INSTEAD-OF` where a name came that is another one. Not for
 * what only the census uses, nor for the frames' own offsets, which the kernel side checks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "runtime/runtime.h"
#include "runtime/v8_walk.h"

#define MOST 300

#define FIELD(name) { #name, offsetof(struct v8_layout, name) }

static const struct {
	const char *name;
	size_t at;
} fields[] = {
	FIELD(map_type),       FIELD(shared_data),    FIELD(shared_name),    FIELD(shared_script), FIELD(script_name),
	FIELD(script_source),  FIELD(string_length),  FIELD(one_byte_chars), FIELD(two_byte_chars), FIELD(cons_first),
	FIELD(cons_second),    FIELD(sliced_parent),  FIELD(sliced_offset),  FIELD(thin_actual),
};

static uint64_t functions[MOST];
static char *names[MOST];
static size_t n;

static void part(void *ctx, const struct v8_part *p)
{
	const struct v8_walk *w = ctx;
	uint64_t object = p->object + 1;

	if (!p->at && n < MOST && p->map->type == w->l->type_shared &&
	    v8_type(w->p, w->l, runtime_word(w->p, object - 1 + (uint64_t)w->l->shared_data)) == w->l->type_bytecode)
		functions[n++] = object;
}

/* "function file"; the line is left out: it is that of a source that may be read elsewhere. NULL: no name. */
static char *name_of(struct runtime *r, uint64_t function)
{
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
	char *text = NULL;

	if (!r->ops->resolve(r, function | 0xffffull << 48, 0, &name))
		text = xasprintf("%s %s:%u", name.function.data, name.file.data ? name.file.data : "", name.line);
	runtime_name_release(&name);
	return text;
}

/* How many names are others. */
static void ask_with(struct runtime *r, struct v8_layout *l, size_t field, int shift)
{
	int32_t *word = (int32_t *)(void *)((char *)l + fields[field].at), real = *word;
	const char *reason;
	size_t i;

	*word = real + shift;
	reason = v8_layout_check(l, &r->process);
	for (i = 0; !reason && i < n; i++) {
		char *text = name_of(r, functions[i]);

		if (text && strcmp(text, names[i]))
			printf("wrong %s %+d '%.60s' '%.60s'\n", fields[field].name, shift, text, names[i]);
		free(text);
	}
	*word = real;
}

int main(int argc, char **argv)
{
	struct runtime *r = NULL;
	struct v8_walk w;
	struct v8_layout *l;
	size_t i;
	int err = argc == 2 ? runtime_open(&r, "/proc", atoi(argv[1])) : -EINVAL, shift;

	if (err || !r->has_frames || strcmp(r->ops->name, "V8")) {
		fprintf(stderr, "shifted_v8: %s\n", err ? "cannot be read" : r->reason);
		return 1;
	}
	l = v8_layout_of(r);
	if (!v8_walk_open(&w, &r->process, l)) {
		v8_walk(&w, part, &w, 0);
		v8_walk_close(&w);
	}
	for (i = 0; i < n; i++) {
		names[i] = name_of(r, functions[i]);
		names[i] = names[i] ? names[i] : xstrdup("");
	}
	printf("functions %zu\n", n);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		for (shift = -8; shift <= 8; shift += 16)
			ask_with(r, l, i, shift);
	printf("checked %zu\n", 2 * i);
	for (i = 0; i < n; i++)
		free(names[i]);
	runtime_close(r);
	return 0;
}
