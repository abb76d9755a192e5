/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * shifted_inlined PID: what was inlined where in a living node's compiled code, asked for at each call in code that has
 * other functions in it, with each field of V8's layout that this needs a place too high or too low, in turns, until
 * 100 000 names were asked for.
 *
 * Right is, of the frame's own function, its name, with its line there or the one it begins at; of those in it, each as
 * the right layout tells it, or none at all. Prints `places N` (return addresses), `inlined N` (of the names at them),
 * `layouts N`, `events N`, `named FIELD SHIFT` where the shifted layout still tells what is inlined, and `wrong FIELD
 * SHIFT NAME INSTEAD-OF`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "runtime/runtime.h"
#include "runtime/v8_inlined.h"

#define MOST 400
#define EVENTS 100000
#define MOST_ROUNDS 10000
#define PIECE 4096
#define MOST_CALLS V8_MOST_INLINED
#define MOST_OFFSET 65536 /* of a call in its code */
#define NO_OFFSET 0xffffull
#define CALL_BYTES 5 /* a row is where a call's arguments begin to be put in place; any address behind it will do */

#define FIELD(name, shift) { #name, offsetof(struct v8_layout, name), shift }

/* Offsets go by words, places in an array and instance types by one. */
static const struct {
	const char *name;
	size_t at;
	int shift;
} fields[] = {
	FIELD(stream_start, 8),	 FIELD(code_positions, 8), FIELD(code_data, 8),	  FIELD(fixed_array_data, 8),
	FIELD(data_inlined, 1),	 FIELD(data_literals, 1),  FIELD(data_shared, 1), FIELD(type_code, 1),
	FIELD(type_stream, 1),	 FIELD(type_byte_array, 1), FIELD(type_trusted_bytes, 1), FIELD(type_shared_wrapper, 1),
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

/* A return address in compiled code, and what is right there: the calls in progress, the frame's own function last. */
static struct place {
	uint64_t shared, pc;
	char *begin; /* its own function with the line at which it begins */
	char *names[MOST_CALLS];
	size_t n;
} places[MOST];
static size_t n_places, n_asked, n_layouts;
static bool is_named[2 * N_FIELDS];

/* ---- places ---- */

static char *text_of(int err, struct runtime_name *name)
{
	char *text = err ? NULL : xasprintf("%s %s:%u", name->function.data, name->file.data ? name->file.data : "", name->line);

	runtime_name_release(name);
	return text;
}

/* i-th from inside; the frame's own comes by itself. NULL: no name. *end: there are no more. */
static char *inlined_name(struct runtime *r, const struct place *p, unsigned int i, bool *end)
{
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
	int err = r->ops->inlined(r, p->shared | NO_OFFSET << 48, p->pc, i, &name);

	*end = err == -ENOENT;
	return text_of(err, &name);
}

static char *own_name(struct runtime *r, const struct place *p)
{
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };

	return text_of(r->ops->resolve(r, p->shared | NO_OFFSET << 48, p->pc, &name), &name);
}

/* Only what can be told apart from what is not inlined. */
static void add_place(struct runtime *r, uint64_t shared, uint64_t pc)
{
	struct place *p = &places[n_places], nowhere = { .shared = shared, .pc = 16 };
	char *own = NULL;
	bool end = false;

	*p = (struct place){ .shared = shared, .pc = pc };
	p->begin = own_name(r, &nowhere);
	own = own_name(r, p);
	while (own && p->begin && p->n + 1 < MOST_CALLS && !end) {
		p->names[p->n] = inlined_name(r, p, (unsigned int)p->n, &end);
		if (!p->names[p->n])
			break;
		p->n++;
	}
	if (p->n && end) {
		p->names[p->n++] = own;
		n_places++;
		return;
	}
	free(own);
	free(p->begin);
	while (p->n)
		free(p->names[--p->n]);
}

/* Its function, as in v8_inlined.c; 0: it is no optimized code. */
static uint64_t function_of(struct runtime *r, const struct v8_layout *l, uint64_t stream, uint64_t *positions)
{
	const struct runtime_process *p = &r->process;
	uint64_t code = 0, data, shared;
	int32_t i;

	for (i = 8; i < 32 && !code; i += 8)
		if (v8_type(p, l, v8_field(p, stream, i)) == l->type_code)
			code = v8_field(p, stream, i);
	data = code ? v8_field(p, code, l->code_data) : 0;
	if (!v8_is_object(data))
		return 0;
	*positions = v8_field(p, code, l->code_positions);
	shared = v8_field(p, data, l->fixed_array_data + 8 * l->data_shared) & ~2ull;
	if (v8_type(p, l, shared) == l->type_shared_wrapper)
		shared = v8_field(p, shared, 8);
	return v8_type(p, l, shared) == l->type_shared ? shared : 0;
}

/* Each row of its table is a call, or about one. */
static void add_places(struct runtime *r, const struct v8_layout *l, uint64_t stream)
{
	struct buf table = BUF_INIT;
	uint64_t positions = 0, shared = function_of(r, l, stream, &positions), last = UINT64_MAX, offset;
	struct v8_place at;

	if (shared && v8_bytes(&r->process, l, positions, MOST_OFFSET, &table)) {
		for (offset = 0; offset < MOST_OFFSET && n_places < MOST; offset += CALL_BYTES) {
			if (!v8_place_in((const uint8_t *)table.data, table.len, (uint32_t)offset, &at) || at.offset == last)
				continue;
			last = at.offset;
			if (at.inlined >= 0)
				add_place(r, shared, stream - 1 + (uint64_t)l->stream_start + offset + 1);
		}
	}
	buf_release(&table);
}

/* In what is executable and of no file. */
static void find_places(struct runtime *r, const struct v8_layout *l)
{
	uint64_t words[PIECE / 8], addr;
	size_t i, k;

	for (i = 0; i < r->process.maps.n; i++) {
		const struct proc_map *m = &r->process.maps.v[i];

		for (addr = m->start; m->exec && !m->ino && addr < m->end && n_places < MOST; addr += PIECE) {
			if (!runtime_read(&r->process, addr, words, sizeof(words)))
				continue;
			for (k = 0; k < PIECE / 8; k++)
				if (v8_is_object(words[k]) && v8_type(&r->process, l, addr + 8 * k + 1) == l->type_stream)
					add_places(r, l, addr + 8 * k + 1);
		}
	}
}

/* ---- asking ---- */

static void ask(struct runtime *r, const struct place *p, size_t field, int shift)
{
	char *own = own_name(r, p), *text;
	bool end = false, own_is_right = !own || !strcmp(own, p->names[p->n - 1]) || !strcmp(own, p->begin);
	size_t i;

	if (!own_is_right)
		printf("wrong %s %+d '%.80s' '%.80s'\n", fields[field].name, shift, own, p->names[p->n - 1]);
	free(own);
	n_asked++;
	for (i = 0; i < MOST_CALLS && !end; i++) {
		text = inlined_name(r, p, (unsigned int)i, &end);
		n_asked++;
		if (text && (i + 1 >= p->n || strcmp(text, p->names[i])))
			printf("wrong %s %+d '%.80s' '%.80s'\n", fields[field].name, shift, text, i + 1 < p->n ? p->names[i] : "");
		is_named[2 * field + (shift > 0)] |= text != NULL;
		free(text);
	}
}

static bool is_there(const struct v8_layout *l, size_t field)
{
	return *(const int32_t *)(const void *)((const char *)l + fields[field].at) != V8_NO_TYPE;
}

static void ask_round(struct runtime *r, struct v8_layout *l, bool is_first)
{
	size_t field, i;
	int sign;

	for (field = 0; field < N_FIELDS; field++) {
		int32_t *at = (int32_t *)(void *)((char *)l + fields[field].at), real = *at;

		for (sign = -1; is_there(l, field) && sign <= 1; sign += 2) {
			n_layouts += is_first;
			*at = real + sign * fields[field].shift;
			for (i = 0; i < n_places; i++)
				ask(r, &places[i], field, sign * fields[field].shift);
			*at = real;
		}
	}
}

static void print_all(void)
{
	size_t i, n = 0;

	for (i = 0; i < n_places; i++)
		n += places[i].n - 1;
	printf("places %zu\ninlined %zu\nlayouts %zu\nevents %zu\n", n_places, n, n_layouts, n_asked);
	for (i = 0; i < 2 * N_FIELDS; i++)
		if (is_named[i])
			printf("named %s %+d\n", fields[i / 2].name, i % 2 ? fields[i / 2].shift : -fields[i / 2].shift);
}

int main(int argc, char **argv)
{
	struct runtime *r = NULL;
	struct v8_layout *l;
	size_t i;
	int err = argc == 2 ? runtime_open(&r, "/proc", atoi(argv[1])) : -EINVAL;

	if (err || !r->has_frames || strcmp(r->ops->name, "V8")) {
		fprintf(stderr, "shifted_inlined: %s\n", err ? "cannot be read" : r->reason);
		return 1;
	}
	l = v8_layout_of(r);
	if (!l->has_code) {
		fprintf(stderr, "shifted_inlined: no layout of compiled code\n");
		return 1;
	}
	find_places(r, l);
	for (i = 0; i < MOST_ROUNDS && n_places && n_asked < EVENTS; i++)
		ask_round(r, l, !i);
	print_all();
	for (; n_places; n_places--) {
		struct place *p = &places[n_places - 1];

		free(p->begin);
		while (p->n)
			free(p->names[--p->n]);
	}
	runtime_close(r);
	return 0;
}
