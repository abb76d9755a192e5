/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * shifted_v8 PID: names of a living node's compiled functions at several places in their code, asked for with each
 * offset of V8's layout, and then those of an object together, a word too high or too low, in turns, until 100 000
 * frames were asked for under layouts that the check on the living process had let pass. Prints `functions N`, `checked
 * N` (layouts), `refused N` (of them, by that check), `passes FIELD+-8`, `events N`, and `wrong FIELD SHIFT NAME
 * INSTEAD-OF` where a name came that is another one. Not for what only the census uses, nor for the frames' own
 * offsets, which the kernel side checks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "runtime/runtime.h"
#include "runtime/v8_walk.h"

#define MOST 300
#define PLACES 4	 /* in the code of each */
#define EVENTS 100000
#define MOST_ROUNDS 64

#define FIELD(name) { #name, { offsetof(struct v8_layout, name) }, 1 }
#define AT(name) offsetof(struct v8_layout, name)

/* A field by itself, or all of an object's, as when another one came before them. */
static const struct {
	const char *name;
	size_t at[8], n;
} fields[] = {
	FIELD(map_type),       FIELD(shared_data),    FIELD(shared_name),    FIELD(shared_script), FIELD(script_name),
	FIELD(script_source),  FIELD(string_length),  FIELD(one_byte_chars), FIELD(two_byte_chars), FIELD(cons_first),
	FIELD(cons_second),    FIELD(sliced_parent),  FIELD(sliced_offset),  FIELD(thin_actual),
	{ "function", { AT(shared_data), AT(shared_name), AT(shared_script) }, 3 },
	{ "script", { AT(script_name), AT(script_source) }, 2 },
	{ "string", { AT(string_length), AT(one_byte_chars), AT(two_byte_chars), AT(cons_first), AT(cons_second),
		      AT(sliced_parent), AT(sliced_offset), AT(thin_actual) }, 8 },
};

static uint64_t functions[MOST];
static const uint64_t places[PLACES] = { 0xffff, 0, 8, 40 }; /* bytecode offsets; the first: none, as of compiled code */
static char *names[MOST][PLACES];
static size_t n, n_asked, n_refused, n_layouts;
static bool is_refused[2 * sizeof(fields) / sizeof(fields[0])];

static void part(void *ctx, const struct v8_part *p)
{
	const struct v8_walk *w = ctx;
	uint64_t object = p->object + 1;

	if (!p->at && n < MOST && p->map->type == w->l->type_shared &&
	    v8_type(w->p, w->l, runtime_word(w->p, object - 1 + (uint64_t)w->l->shared_data)) == w->l->type_bytecode)
		functions[n++] = object;
}

/* "function file"; the line is left out: it is that of a source that may be read elsewhere. NULL: no name. */
static char *name_of(struct runtime *r, uint64_t function, uint64_t place)
{
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
	char *text = NULL;

	if (!r->ops->resolve(r, function | place << 48, 0, &name))
		text = xasprintf("%s %s:%u", name.function.data, name.file.data ? name.file.data : "", name.line);
	runtime_name_release(&name);
	return text;
}

static void ask(struct runtime *r, size_t i, size_t field, int shift)
{
	size_t k;

	for (k = 0; k < PLACES; k++) {
		char *text = name_of(r, functions[i], places[k]);

		n_asked++;
		if (text && strcmp(text, names[i][k]))
			printf("wrong %s %+d '%.60s' '%.60s'\n", fields[field].name, shift, text, names[i][k]);
		free(text);
	}
}

/* The first time the living process decides whether the layout is trusted. */
static void ask_with(struct runtime *r, struct v8_layout *l, size_t field, int shift, bool is_first)
{
	bool *refused = &is_refused[2 * field + (shift > 0)];
	const struct v8_layout real = *l;
	size_t i;

	for (i = 0; i < fields[field].n; i++)
		*(int32_t *)(void *)((char *)l + fields[field].at[i]) += shift;
	if (is_first) {
		*refused = v8_layout_check(l, &r->process) != NULL;
		n_refused += *refused;
		n_layouts++;
		if (!*refused)
			printf("passes %s%+d\n", fields[field].name, shift);
	}
	for (i = 0; !*refused && i < n; i++)
		ask(r, i, field, shift);
	*l = real;
}

static void ask_round(struct runtime *r, struct v8_layout *l, bool is_first)
{
	size_t i;
	int shift;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		for (shift = -8; shift <= 8; shift += 16)
			ask_with(r, l, i, shift, is_first);
}

/* With the layout as it is. */
static void name_all(struct runtime *r)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		for (k = 0; k < PLACES; k++) {
			names[i][k] = name_of(r, functions[i], places[k]);
			names[i][k] = names[i][k] ? names[i][k] : xstrdup("");
		}
	}
}

int main(int argc, char **argv)
{
	struct runtime *r = NULL;
	struct v8_walk w;
	struct v8_layout *l;
	size_t i;
	int err = argc == 2 ? runtime_open(&r, "/proc", atoi(argv[1])) : -EINVAL;

	if (err || !r->has_frames || strcmp(r->ops->name, "V8")) {
		fprintf(stderr, "shifted_v8: %s\n", err ? "cannot be read" : r->reason);
		return 1;
	}
	l = v8_layout_of(r);
	if (!v8_walk_open(&w, &r->process, l)) {
		v8_walk(&w, part, &w, 0);
		v8_walk_close(&w);
	}
	name_all(r);
	printf("functions %zu\n", n);
	for (i = 0; i < MOST_ROUNDS && n_asked < EVENTS; i++)
		ask_round(r, l, !i);
	printf("checked %zu\nrefused %zu\nevents %zu\n", n_layouts, n_refused, n_asked);
	for (i = 0; i < n * PLACES; i++)
		free(names[i / PLACES][i % PLACES]);
	runtime_close(r);
	return 0;
}
