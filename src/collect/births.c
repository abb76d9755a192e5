/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Objects by class and line; see births.h. Texts that the kernel side cut end with three dots here. */
#include "collect/births.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "collect/collector_internal.h"
#include "collect/managed.h"

bool births_find(struct elf_file *f, struct elf_usdt *usdt, struct mp_usdt_arg args[MP_OBJECT_ARGS])
{
	return elf_find_usdt(f, "ruby", "object__create", usdt) && usdt_arguments(usdt->arguments, args, MP_OBJECT_ARGS);
}

bool births_attach(struct kern *k, struct elf_file *f, const char *path, int file_fd, pid_t pid)
{
	struct mp_usdt_arg args[MP_OBJECT_ARGS];
	struct elf_usdt usdt;
	struct probe_site site;
	int err;

	if (!births_find(f, &usdt, args))
		return false;
	site = (struct probe_site){ .offset = usdt.offset, .counter = usdt.semaphore };
	err = kern_attach_objects(k, path, file_fd, &site, args, pid);
	if (err)
		log_warn("%s: ruby:object__create: %s: no objects by class and line", path, strerror(-err));
	else
		log_debug("%s: ruby:object__create at 0x%llx: %s", path, (unsigned long long)usdt.offset, usdt.arguments);
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

static void take(void *ctx, const struct mp_object_key *key, uint64_t births)
{
	struct fill *f = ctx;
	struct profile *p = &f->c->profile;
	const uint64_t *proc = table_get(&p->proc_ids, key->gen);
	struct object_row row = { .line = key->line };

	if (!proc)
		return;
	if (f->last.gen != key->gen)
		f->last = (struct scale){ key->gen, scale_of(f->c, key->gen) };
	row.births = (uint64_t)((double)births * f->last.factor + 0.5);
	row.proc = (uint32_t)*proc;
	row.type = text_of(p, key->class_name, sizeof(key->class_name));
	row.file = text_of(p, key->file, sizeof(key->file));
	objects_add(&p->objects, &row);
}

int births_fill(struct collector *c)
{
	struct fill f = { .c = c };
	uint64_t unplaced;
	int err;

	objects_reset(&c->profile.objects);
	err = kern_read_objects(c->kern, take, &f, &unplaced);
	c->profile.objects.births += unplaced;
	return err;
}
