/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * print_beam PID: what the reader of the BEAM sees of a node, for test_beam_processes.py.
 *
 *	census OBJECTS BYTES NAME     a row
 *	process HEAP OLDHEAP BINARIES BINARYBYTES <0.N.M> NAME
 *	shifted FIELD refused WHY     a layout with that field off by 8 bytes, tried on the node:
 *	shifted FIELD names N wrong M     N processes and functions named, M of them not as with the right layout
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

struct names {
	struct runtime *r;
	char **v; /* of processes by address, and of return addresses, as "ADDRESS NAME" */
	size_t n, cap;
};

static void add_name(struct names *ns, uint64_t key, const struct buf *name)
{
	XGROW(ns->v, ns->n, ns->cap);
	ns->v[ns->n++] = xasprintf("%llx %s", (unsigned long long)key, name->data);
}

static void take_names(void *ctx, const struct beam_process *p)
{
	struct names *ns = ctx;
	const struct beam *b = ns->r->state;
	struct buf name = BUF_INIT;
	uint64_t at, word;

	if (beam_process_name(ns->r, p, &name))
		add_name(ns, p->addr, &name);
	for (at = p->stop; at < p->hend && at < p->stop + 2048; at += 8) {
		word = runtime_word(&ns->r->process, at);
		buf_reset(&name);
		if (word - b->code < b->code_bytes && !(word & 3) && beam_name_pc(ns->r, word, &name))
			add_name(ns, word, &name);
	}
	buf_release(&name);
}

static bool is_known(const struct names *ns, const char *name)
{
	size_t i;

	for (i = 0; i < ns->n; i++)
		if (!strcmp(ns->v[i], name))
			return true;
	return false;
}

static void try_shifted(struct runtime *r, struct runtime_object *o, const struct names *right, const struct field *field)
{
	const struct beam was = *(struct beam *)r->state;
	struct beam *b = r->state;
	struct beam_layout l = *was.layout;
	struct names ns = { .r = r };
	size_t i, n_wrong = 0;
	const char *why;
	int err = 0;

	*(uint32_t *)((char *)&l + field->offset) += 8;
	b->layout = &l;
	b->range_table = 0;
	b->code_bytes = 0;
	why = beam_find(r, o, &err);
	if (why) {
		printf("shifted %s refused %s\n", field->name, why);
	} else {
		beam_each_process(r, take_names, &ns);
		for (i = 0; i < ns.n; i++)
			n_wrong += !is_known(right, ns.v[i]);
		printf("shifted %s names %zu wrong %zu\n", field->name, ns.n, n_wrong);
	}
	for (i = 0; i < ns.n; i++)
		free(ns.v[i]);
	free(ns.v);
	b->layout = was.layout;
}

int main(int argc, char **argv)
{
	struct runtime_census c = { 0 };
	struct names right = { 0 };
	struct runtime_object *o;
	struct runtime *r;
	size_t i;

	if (argc != 2 || runtime_open(&r, "/proc", (pid_t)atoi(argv[1])))
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
	o = runtime_find_object(&r->process, "beam");
	right.r = r;
	beam_each_process(r, take_names, &right);
	for (i = 0; i < N_FIELDS; i++)
		try_shifted(r, o, &right, &fields[i]);
	for (i = 0; i < right.n; i++)
		free(right.v[i]);
	free(right.v);
	runtime_census_release(&c);
	runtime_close(r);
	return 0;
}
