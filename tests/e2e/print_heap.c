/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * print_heap PID: what the reader of glibc heaps sees of a process, one JSON object on one line.
 * Exit 1 with the reason on stderr when there is nothing to read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/heap_look.h"
#include "symbol/vtable.h"

static void print_part(const char *name, const struct heap_part *p)
{
	printf("\"%s\": {\"bytes\": %llu, \"resident\": %llu, \"blocks\": %llu}, ", name,
	       (unsigned long long)p->bytes, (unsigned long long)p->resident_bytes,
	       (unsigned long long)p->blocks);
}

static void print_types(const struct heap_census *c, struct vtables *names)
{
	size_t n, i, printed = 0;
	struct heap_type *t = census_types(c, &n);

	printf("\"types\": [");
	for (i = 0; i < n; i++)
		if (vtables_name(names, t[i].word))
			printf("%s[\"%s\", %llu, %llu]", printed++ ? ", " : "", vtables_name(names, t[i].word),
			       (unsigned long long)t[i].chunk_bytes, (unsigned long long)t[i].blocks);
	printf("], ");
	free(t);
}

static void print_classes(const struct heap_census *c)
{
	struct heap_class *k;
	size_t n, i;

	k = census_classes(c, &n);
	printf("\"classes\": [");
	for (i = 0; i < n; i++)
		printf("%s[%llu, %llu]", i ? ", " : "", (unsigned long long)k[i].chunk_bytes,
		       (unsigned long long)k[i].blocks);
	printf("], ");
	free(k);
}

static void print_heap(const struct glibc_heap *h, struct vtables *names)
{
	const struct glibc_arena *s = &h->sum;

	printf("{\"layout\": \"%s\", \"arenas\": %zu, \"heaps\": %u, \"system\": %llu, ", h->layout, h->n_arenas,
	       s->n_heaps, (unsigned long long)s->system_bytes);
	print_part("in_use", &s->in_use);
	print_part("cached", &s->cached);
	print_part("free", &s->free);
	print_part("top", &s->top);
	print_part("unread", &s->unread);
	print_part("header", &s->header);
	print_part("mmapped", &h->mmapped);
	print_classes(h->census);
	print_types(h->census, names);
	printf("\"claimed\": %lld, \"took_ns\": %llu, \"trusted\": %s, \"reason\": \"%s\"}\n",
	       (long long)h->mmapped_claimed, (unsigned long long)h->took_ns, h->is_trusted ? "true" : "false",
	       h->reason);
}

int main(int argc, char **argv)
{
	struct proc_maps maps = { 0 };
	struct heap_look_opts o = { .proc_root = "/proc", .maps = &maps };
	struct glibc_heap h = { 0 };
	struct vtables *names;
	int err;

	if (argc != 2)
		return 2;
	o.pid = atoi(argv[1]);
	err = proc_maps_read(&maps, "/proc", o.pid);
	names = vtables_new("/proc", "/usr/lib/debug", o.pid, &maps);
	if (!err)
		err = heap_look(&h, &o);
	if (err)
		fprintf(stderr, "print_heap: %s\n", strerror(-err));
	else
		print_heap(&h, names);
	vtables_free(names);
	glibc_heap_release(&h);
	proc_maps_release(&maps);
	return err != 0;
}
