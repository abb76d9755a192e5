/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Objects by class and line; see births.h. Texts that the kernel side cut end with three dots here. */
#include "collect/births.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"
#include "collect/managed.h"

/* Types: ruby.h's T_STRING, T_ARRAY, T_HASH. A symbol's own instruction makes none. */
static const struct {
	const char *probe;
	struct mp_object_form form;
} probes[] = {
	{ "object__create", { .class_name = "" } },
	{ "string__create", { .class_name = "String", .type = 5 } },
	{ "array__create", { .class_name = "Array", .type = 7 } },
	{ "hash__create", { .class_name = "Hash", .type = 8 } },
	{ "symbol__create", { .class_name = "Symbol" } },
};

static void find_of(struct elf_file *f, size_t probe, struct births *out)
{
	struct elf_usdt found[BIRTHS_SITES];
	size_t n = elf_find_usdts(f, "ruby", probes[probe].probe, found, BIRTHS_SITES - out->n), i;

	for (i = 0; i < n; i++) {
		out->forms[out->n] = probes[probe].form;
		if (!usdt_arguments(found[i].arguments, out->forms[out->n].args, MP_OBJECT_ARGS))
			continue;
		out->sites[out->n++] = (struct probe_site){ .offset = found[i].offset, .counter = found[i].semaphore };
		log_debug("ruby:%s at 0x%llx: %s", probes[probe].probe, (unsigned long long)found[i].offset, found[i].arguments);
	}
}

size_t births_find(struct elf_file *f, struct births *out)
{
	size_t i;

	out->n = 0;
	find_of(f, 0, out);
	for (i = 1; out->n && i < sizeof(probes) / sizeof(probes[0]); i++)
		find_of(f, i, out);
	return out->n;
}

bool births_attach(struct kern *k, struct elf_file *f, const char *path, int file_fd, pid_t pid)
{
	struct births b;
	int err;

	if (!births_find(f, &b))
		return false;
	err = kern_attach_objects(k, path, file_fd, b.sites, b.forms, b.n, pid);
	if (err)
		log_warn("%s: ruby:object__create: %s: no objects by class and line", path, strerror(-err));
	else
		log_debug("%s: %zu probes that tell of objects", path, b.n);
	return !err;
}

static uint32_t text_of(struct profile *p, const char *text, size_t cap)
{
	char *cut;
	uint32_t id;

	if (strnlen(text, cap) < cap - 1)
		return profile_string(p, text);
	cut = xasprintf("%.*s...", (int)cap - 4, text);
	id = profile_string(p, cut);
	free(cut);
	return id;
}

/* What a birth that was seen in a process stands for. */
struct scale {
	uint32_t gen;
	double factor;
};

struct fill {
	struct collector *c;
	struct scale last; /* births come by process, more or less */
	struct object_row *rows; /* some twice: literals of one line */
	size_t n, cap;
};

/*
 * In bursts it made so many objects of any kind, from the first birth seen to the last, and in all so many: births are
 * the same part of either. 1 where the probe was never taken away.
 */
static double scale_of(struct collector *c, uint32_t gen)
{
	double made, all;
	struct mp_object_pace pace;
	uint64_t now;

	if (c->profile.watch.open_share >= 1)
		return 1;
	if (!kern_read_object_pace(c->kern, gen, &pace) || !pace.births || !pace.made) {
		c->profile.objects.is_share = true;
		return 1;
	}
	now = managed_word(c, gen, pace.counter);
	made = (double)pace.made;
	all = (double)((now > pace.last ? now : pace.last) - pace.first);
	return all > made ? all / made : 1;
}

/* That of the literal's instruction, unless its code was garbage and other code stands there: that of another file. */
static uint32_t line_of(struct collector *c, const struct mp_object_key *key)
{
	const struct profile_frame *f = key->literal.code ? managed_frame(c, key->gen, &key->literal) : NULL;

	if (!f || !f->line || strncmp(profile_str(&c->profile, f->file), key->file, sizeof(key->file) - 1))
		return key->line;
	return f->line;
}

static void take(void *ctx, const struct mp_object_key *key, uint64_t births)
{
	struct fill *f = ctx;
	struct profile *p = &f->c->profile;
	const uint64_t *proc = table_get(&p->proc_ids, key->gen);
	struct object_row row = { .line = line_of(f->c, key) };

	if (!proc)
		return;
	if (f->last.gen != key->gen)
		f->last = (struct scale){ key->gen, scale_of(f->c, key->gen) };
	row.births = (uint64_t)((double)births * f->last.factor + 0.5);
	row.proc = (uint32_t)*proc;
	row.type = text_of(p, key->class_name, sizeof(key->class_name));
	row.file = text_of(p, key->file, sizeof(key->file));
	XGROW(f->rows, f->n, f->cap);
	f->rows[f->n++] = row;
}

static int by_place(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct object_row, births));
}

/* In an order that the kernel's table does not decide. */
static void add_rows(struct fill *f, struct objects *o)
{
	size_t i;

	if (f->n)
		qsort(f->rows, f->n, sizeof(*f->rows), by_place);
	for (i = 0; i < f->n; i++) {
		if (i + 1 < f->n && !by_place(&f->rows[i], &f->rows[i + 1]))
			f->rows[i + 1].births += f->rows[i].births;
		else
			objects_add(o, &f->rows[i]);
	}
	free(f->rows);
}

int births_fill(struct collector *c)
{
	struct fill f = { .c = c };
	uint64_t unplaced;
	int err;

	objects_reset(&c->profile.objects);
	err = kern_read_objects(c->kern, take, &f, &unplaced);
	add_rows(&f, &c->profile.objects);
	c->profile.objects.births += unplaced;
	return err;
}
