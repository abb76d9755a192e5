/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * print_beam PID [shifted]: what the reader of the BEAM sees of a node, for test_beam_processes.py.
 *
 *	census OBJECTS BYTES NAME     a row
 *	process HEAP OLDHEAP BINARIES BINARYBYTES <0.N.M> NAME
 * And with shifted:
 *
 *	shifted FIELD refused SHIFT: WHY     a layout with that field off by 8 bytes, tried on the node:
 *	shifted FIELD names SHIFT: N wrong M     N processes, functions and lines named, over and over, M of them not as with the right layout
 *	asked N     how often names were asked for in those
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "runtime/beam_layout.h"

#define FIELD(name) { #name, offsetof(struct beam_layout, name) }

static const struct field {
	const char *name;
	size_t offset;
} fields[] = {
	FIELD(current), FIELD(type), FIELD(number), FIELD(dirty_number), FIELD(gc_info), FIELD(table), FIELD(table_max), FIELD(reg),
	FIELD(htop), FIELD(stop), FIELD(heap), FIELD(hend), FIELD(initial), FIELD(old_hend), FIELD(old_heap), FIELD(off_heap),
	FIELD(writable), FIELD(size_bytes), FIELD(struct_bytes), FIELD(reg_process), FIELD(reg_name), FIELD(atom_segments),
	FIELD(atom_length), FIELD(atom_text), FIELD(line_table), FIELD(goes_on), FIELD(dictionary), FIELD(dict_slots), FIELD(gen_gcs),
	FIELD(binary_header), FIELD(binary_size), FIELD(binary_block), FIELD(block_references), FIELD(block_size), FIELD(id_mask),
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))
_Static_assert(sizeof(struct beam_layout) == sizeof(uint32_t) * (N_FIELDS + 1), "all but erts are tried");

#define ROUNDS 15 /* of all names under a layout that passes: 100 000 in all */

struct names {
	struct runtime *r;
	char **v; /* of processes by address, and of return addresses, as "ADDRESS NAME FILE:LINE" */
	size_t n, cap;
};

static size_t n_asked;

static void add_name(struct names *ns, uint64_t key, const struct runtime_name *name)
{
	XGROW(ns->v, ns->n, ns->cap);
	ns->v[ns->n++] = name->line ? xasprintf("%llx %s %s:%u", (unsigned long long)key, name->function.data, name->file.data, name->line) :
				      xasprintf("%llx %s", (unsigned long long)key, name->function.data);
}

static void names_release(struct names *ns)
{
	while (ns->n)
		free(ns->v[--ns->n]);
	free(ns->v);
	*ns = (struct names){ .r = ns->r };
}

/* With its line, and without: that is no wrong one. */
static void take_pc(struct names *ns, uint64_t pc)
{
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };

	n_asked++;
	if (!ns->r->ops->resolve(ns->r, pc, MP_BEAM_PC, &name))
		add_name(ns, pc, &name);
	runtime_name_release(&name);
}

static void take_names(void *ctx, const struct beam_process *p)
{
	struct names *ns = ctx;
	const struct beam *b = ns->r->state;
	struct runtime_name name = { .function = BUF_INIT, .file = BUF_INIT };
	uint64_t at, word;

	n_asked++;
	if (beam_process_name(ns->r, p, &name.function))
		add_name(ns, p->addr, &name);
	runtime_name_release(&name);
	for (at = p->stop; at < p->hend && at < p->stop + 2048; at += 8) {
		word = runtime_word(&ns->r->process, at);
		if (word - b->code < b->code_bytes && !(word & 3))
			take_pc(ns, word);
	}
	word = runtime_word(&ns->r->process, p->addr + b->layout->goes_on);
	if (word - b->code < b->code_bytes)
		take_pc(ns, word + 1);
}

static bool is_known(const struct names *ns, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < ns->n; i++)
		if (!strncmp(ns->v[i], name, len) && (!ns->v[i][len] || ns->v[i][len] == ' '))
			return true;
	return false;
}

/* Those that are not as with the right layout, then or now, of ROUNDS; how many names there were. */
static size_t take_wrong(struct names *wrong, const struct names *right)
{
	struct names ns = { .r = right->r };
	size_t i, n = 0;
	int round;

	for (round = 0; round < ROUNDS; round++) {
		beam_each_process(right->r, take_names, &ns);
		n += ns.n;
		for (i = 0; i < ns.n; i++) {
			if (is_known(right, ns.v[i]) || is_known(wrong, ns.v[i]))
				continue;
			XGROW(wrong->v, wrong->n, wrong->cap);
			wrong->v[wrong->n++] = xasprintf("%s", ns.v[i]);
		}
		names_release(&ns);
	}
	return n;
}

static const char *try_layout(struct runtime *r, struct runtime_object *o, const struct beam_layout *l)
{
	struct beam *b = r->state;
	int err = 0;

	b->layout = l;
	b->range_table = 0;
	b->code_bytes = 0;
	return beam_find(r, o, &err);
}

static void try_shifted(struct runtime *r, struct runtime_object *o, const struct names *right, const struct field *field, int shift)
{
	const struct beam_layout *real = ((struct beam *)r->state)->layout;
	struct names wrong = { .r = r }, now = { .r = r };
	struct beam_layout l = *real;
	uint32_t *at = (uint32_t *)((char *)&l + field->offset);
	size_t i, n = 0, n_wrong = 0;
	const char *why;

	if (shift < 0 && *at < 8)
		return;
	*at += (uint32_t)shift;
	why = try_layout(r, o, &l);
	if (!why)
		n = take_wrong(&wrong, right);
	try_layout(r, o, real);
	if (wrong.n)
		beam_each_process(r, take_names, &now);
	for (i = 0; i < wrong.n; i++) {
		if (is_known(&now, wrong.v[i]))
			continue;
		n_wrong++;
		fprintf(stderr, "wrong %s %+d: %s\n", field->name, shift, wrong.v[i]);
	}
	if (why)
		printf("shifted %s refused %+d: %s\n", field->name, shift, why);
	else
		printf("shifted %s names %+d: %zu wrong %zu\n", field->name, shift, n, n_wrong);
	names_release(&wrong);
	names_release(&now);
}

static void try_all(struct runtime *r)
{
	struct runtime_object *o = runtime_find_object(&r->process, "beam");
	struct names right = { .r = r };
	size_t i;

	beam_each_process(r, take_names, &right);
	n_asked = 0;
	for (i = 0; i < N_FIELDS; i++) {
		try_shifted(r, o, &right, &fields[i], 8);
		try_shifted(r, o, &right, &fields[i], -8);
	}
	printf("asked %zu\n", n_asked);
	names_release(&right);
}

int main(int argc, char **argv)
{
	struct runtime_census c = { 0 };
	struct runtime *r;
	size_t i;

	if (argc < 2 || runtime_open(&r, "/proc", (pid_t)atoi(argv[1])))
		return 1;
	if (!r->has_census || r->ops->census(r, &c)) {
		fprintf(stderr, "%s %s: %s\n", r->ops->name, r->version, r->reason);
		return 1;
	}
	for (i = 0; i < c.n; i++)
		printf("census %llu %llu %s\n", (unsigned long long)c.v[i].objects, (unsigned long long)c.v[i].bytes, c.v[i].name);
	for (i = 0; i < c.n_holders; i++) {
		const struct holder *h = &c.holders[i];

		printf("process %llu %llu %llu %llu <0.%llu.%llu> %s\n", (unsigned long long)h->heap_bytes,
		       (unsigned long long)h->old_heap_bytes, (unsigned long long)h->binaries,
		       (unsigned long long)h->binary_bytes, (unsigned long long)(h->id & ((1 << HOLDER_NUMBER_BITS) - 1)),
		       (unsigned long long)(h->id >> HOLDER_NUMBER_BITS), intern_str(&c.holder_names, h->name));
	}
	if (argc > 2)
		try_all(r);
	runtime_census_release(&c);
	runtime_close(r);
	return 0;
}
