/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Unwind tables in the kernel: building, publishing, evicting.
 *
 * Tables live in one pool of 32-bit words, in chunks of 1 MiB that are added as needed and mapped
 * into this process, so a table is written with plain stores and published last, by its entry in
 * uw_objects. Two files with one build id share a table. When the pool is full the objects that were
 * not used for longest give way; a walk that still reads their words can only come to a rule that is
 * cached under the old epoch, and freed words rest until the next call before they are used again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"
#include "proc/maps.h"
#include "unwind/file_id.h"
#include "unwind/unwind_table.h"

#define CHUNK_WORDS (UW_CHUNK_PAGES * UW_PAGE_WORDS)
#define CHUNK_BYTES ((size_t)CHUNK_WORDS * 4)
#define PROC_ROOT "/proc"

struct extent {
	uint32_t first, n; /* words */
};

/* One table; several objects (inodes) may use it. */
struct uw_entry {
	struct uw_object_key key;
	uint64_t identity; /* of the file's content */
	struct extent words;
	struct uw_object object;
	bool in_use;
};

struct unwinder {
	uint32_t *chunks[UW_MAX_TABLE_CHUNKS];
	uint32_t n_chunks, max_chunks;
	struct extent *free_list; /* unsorted; small */
	size_t n_free, free_cap;
	struct extent *resting; /* freed since the last call */
	size_t n_resting, resting_cap;
	struct uw_entry *entries;
	size_t n_entries, entries_cap;
	struct table by_key;	  /* hash of (ino, dev) -> entry + 1; 0: looked at, in vain */
	struct table by_identity; /* -> entry with the table */
	struct uw_exotic exotic[UW_MAX_EXOTIC];
	uint32_t n_exotic;
	struct kern_unwind_stats stats;
};

int unwinder_open(struct kern *k, uint64_t max_bytes)
{
	struct unwinder *u = xcalloc(1, sizeof(*u));

	u->max_chunks = (uint32_t)(max_bytes / CHUNK_BYTES);
	if (u->max_chunks < 1)
		u->max_chunks = 1;
	if (u->max_chunks > UW_MAX_TABLE_CHUNKS)
		u->max_chunks = UW_MAX_TABLE_CHUNKS;
	k->unwinder = u;
	return 0;
}

void unwinder_close(struct kern *k)
{
	struct unwinder *u = k->unwinder;
	uint32_t i;

	if (!u)
		return;
	for (i = 0; i < u->n_chunks; i++)
		munmap(u->chunks[i], CHUNK_BYTES);
	free(u->free_list);
	free(u->resting);
	free(u->entries);
	table_release(&u->by_key);
	table_release(&u->by_identity);
	free(u);
	k->unwinder = NULL;
}

/* ---- the pool ---- */

static void give_back(struct extent **list, size_t *n, size_t *cap, struct extent e)
{
	XGROW(*list, *n, *cap);
	(*list)[(*n)++] = e;
}

static int add_chunk(struct kern *k)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	struct unwinder *u = k->unwinder;
	uint32_t slot = u->n_chunks;
	void *p;
	int fd, err;

	if (slot >= u->max_chunks)
		return -ENOSPC;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "uw_chunk", 4, sizeof(struct uw_page), UW_CHUNK_PAGES,
			    &opts);
	if (fd < 0)
		return fd;
	p = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	err = p == MAP_FAILED ? -errno : 0;
	if (!err)
		err = bpf_map_update_elem(bpf_map__fd(k->skel->maps.uw_words), &slot, &fd, BPF_ANY);
	close(fd); /* the outer map holds it */
	if (err) {
		if (p != MAP_FAILED)
			munmap(p, CHUNK_BYTES);
		return err;
	}
	u->chunks[slot] = p;
	u->n_chunks++;
	give_back(&u->free_list, &u->n_free, &u->free_cap,
		  (struct extent){ slot * CHUNK_WORDS, CHUNK_WORDS });
	return 0;
}

static int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Neighbours become one, across chunks too: a table may span chunks. */
static void merge_free(struct unwinder *u)
{
	size_t i, o = 0;

	if (!u->n_free)
		return;
	qsort(u->free_list, u->n_free, sizeof(*u->free_list), compare_extents);
	for (i = 1; i < u->n_free; i++) {
		if (u->free_list[o].first + u->free_list[o].n == u->free_list[i].first)
			u->free_list[o].n += u->free_list[i].n;
		else
			u->free_list[++o] = u->free_list[i];
	}
	u->n_free = o + 1;
}

static bool take_free(struct unwinder *u, uint32_t n, struct extent *out)
{
	size_t i;

	merge_free(u);
	for (i = 0; i < u->n_free; i++) {
		struct extent *e = &u->free_list[i];

		if (e->n < n)
			continue;
		*out = (struct extent){ e->first, n };
		e->first += n;
		e->n -= n;
		if (!e->n)
			*e = u->free_list[--u->n_free];
		return true;
	}
	return false;
}

/* The entry whose objects were hit least recently; NULL when none is left. */
static struct uw_entry *least_used(struct kern *k)
{
	struct uw_entry *victim = NULL;
	uint64_t oldest = UINT64_MAX;
	struct uw_object o;
	size_t i;

	for (i = 0; i < k->unwinder->n_entries; i++) {
		struct uw_entry *e = &k->unwinder->entries[i];

		if (!e->in_use || !e->words.n)
			continue;
		if (bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.uw_objects), &e->key, &o))
			o.last_use_ns = 0;
		if (o.last_use_ns < oldest) {
			oldest = o.last_use_ns;
			victim = e;
		}
	}
	return victim;
}

static void evict(struct kern *k, struct uw_entry *victim)
{
	struct unwinder *u = k->unwinder;
	size_t i;

	for (i = 0; i < u->n_entries; i++) {
		struct uw_entry *e = &u->entries[i];

		if (!e->in_use || e->identity != victim->identity)
			continue;
		bpf_map_delete_elem(bpf_map__fd(k->skel->maps.uw_objects), &e->key);
		table_remove(&u->by_key, hash_u64(e->key.ino) ^ e->key.dev);
		e->in_use = false;
	}
	table_remove(&u->by_identity, victim->identity);
	give_back(&u->resting, &u->n_resting, &u->resting_cap, victim->words);
	u->stats.table_bytes -= (uint64_t)victim->words.n * 4;
	u->stats.n_objects--;
	kern_unwind_forget(k);
}

static void wake_resting(struct unwinder *u)
{
	size_t i;

	for (i = 0; i < u->n_resting; i++)
		give_back(&u->free_list, &u->n_free, &u->free_cap, u->resting[i]);
	u->n_resting = 0;
}

static int reserve(struct kern *k, uint32_t n, struct extent *out)
{
	struct unwinder *u = k->unwinder;
	struct uw_entry *victim;

	if (n > u->max_chunks * CHUNK_WORDS)
		return -ENOSPC;
	while (!take_free(u, n, out)) {
		if (!add_chunk(k))
			continue;
		victim = least_used(k);
		if (!victim)
			return -ENOSPC;
		evict(k, victim);
		usleep(1000); /* walks that hold an old index are long over: a walk takes microseconds */
		wake_resting(u);
	}
	return 0;
}

static void put_word(struct unwinder *u, uint32_t at, uint32_t v)
{
	u->chunks[at / CHUNK_WORDS][at % CHUNK_WORDS] = v;
}

/* ---- tables ---- */

/* Number of an exotic rule in the kernel's table, shared between objects; -ENOSPC when it is full. */
static int exotic_index(struct kern *k, const struct uw_exotic *x)
{
	struct unwinder *u = k->unwinder;
	uint32_t i;
	int err;

	for (i = 0; i < u->n_exotic; i++)
		if (!memcmp(&u->exotic[i], x, sizeof(*x)))
			return (int)i;
	if (u->n_exotic >= UW_MAX_EXOTIC)
		return -ENOSPC;
	err = bpf_map_update_elem(bpf_map__fd(k->skel->maps.uw_exotics), &i, x, BPF_ANY);
	if (err)
		return err;
	u->exotic[u->n_exotic++] = *x;
	return (int)i;
}

/* Rows of one object name its own exotic rules; in the pool they name the shared ones: map[own] is the rule. */
static uint32_t *map_exotics(struct kern *k, const struct unwind_table *t)
{
	uint32_t *map = xcalloc(t->n_exotic, sizeof(*map));
	size_t i;
	int at;

	for (i = 0; i < t->n_exotic; i++) {
		at = exotic_index(k, &t->exotic[i]);
		map[i] = UW_SPECIAL(at < 0 ? UW_SP_UNSUPPORTED : UW_SP_EXOTIC + (uint32_t)at);
	}
	return map;
}

static uint32_t relocate_rule(const struct unwind_table *t, const uint32_t *map, uint32_t word)
{
	uint32_t rule = word & 0xffffff, code = rule & 0x3fffff;

	if (UW_RULE_KIND(rule) != UW_KIND_SPECIAL || code < UW_SP_EXOTIC)
		return word;
	if (code - UW_SP_EXOTIC >= t->n_exotic)
		return (word & 0xff000000u) | UW_SPECIAL(UW_SP_UNSUPPORTED);
	return (word & 0xff000000u) | map[code - UW_SP_EXOTIC];
}

static int copy_table(struct kern *k, const struct unwind_table *t, struct uw_entry *e)
{
	struct unwinder *u = k->unwinder;
	uint32_t rows, i, *map;
	size_t n = t->n_packed + t->n_blocks + 1;
	int err;

	if (n > UINT32_MAX)
		return -ENOSPC;
	err = reserve(k, (uint32_t)n, &e->words);
	if (err)
		return err;
	rows = e->words.first + (uint32_t)t->n_blocks + 1;
	for (i = 0; i <= t->n_blocks; i++)
		put_word(u, e->words.first + i, rows + t->blocks[i]);
	map = map_exotics(k, t);
	for (i = 0; i < t->n_packed; i++)
		put_word(u, rows + i, relocate_rule(t, map, t->packed[i]));
	free(map);
	e->object.first_block = e->words.first;
	e->object.n_blocks = (uint32_t)t->n_blocks;
	u->stats.table_bytes += n * 4;
	return 0;
}

static void copy_segments(const struct unwind_table *t, struct uw_object *o)
{
	unsigned int i;

	o->lo = t->lo;
	for (i = 0; i < t->n_seg && i < UW_MAX_SEGMENTS; i++) {
		o->seg[i].file_off = t->seg[i].file_off;
		o->seg[i].vaddr = t->seg[i].vaddr;
		o->seg[i].size = t->seg[i].size_bytes;
	}
	o->n_seg = i;
}

static int publish(struct kern *k, const struct uw_entry *e)
{
	__sync_synchronize(); /* the words are there before the object is */
	return bpf_map_update_elem(bpf_map__fd(k->skel->maps.uw_objects), &e->key, &e->object, BPF_ANY);
}

static int build(struct kern *k, int fd, struct uw_entry *e)
{
	struct unwinder *u = k->unwinder;
	struct unwind_table t = { 0 };
	struct timespec a, b;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &a);
	err = unwind_table_build_fd(&t, fd, 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	u->stats.build_ns += (uint64_t)(b.tv_sec - a.tv_sec) * NS_PER_S + (uint64_t)b.tv_nsec -
			     (uint64_t)a.tv_nsec;
	e->object.state = UW_OBJECT_READY;
	if (err) { /* no table: segments only, each look-up gives "no info" */
		u->stats.n_failed += err != -ENODATA;
		copy_segments(&t, &e->object);
		unwind_table_release(&t);
		return 0;
	}
	copy_segments(&t, &e->object);
	err = copy_table(k, &t, e);
	if (err) {
		e->object.state = UW_OBJECT_FULL;
		u->stats.n_full++;
	}
	unwind_table_release(&t);
	return 0;
}

/* The table of another inode with the same content, or a new one. */
static int build_or_share(struct kern *k, int fd, struct uw_entry *e)
{
	struct unwinder *u = k->unwinder;
	const uint64_t *at;

	e->identity = unwind_file_id(fd);
	at = table_get(&u->by_identity, e->identity);
	if (at) {
		e->object = u->entries[*at].object;
		return 0;
	}
	return build(k, fd, e);
}

int kern_unwind_add(struct kern *k, pid_t pid, const struct proc_map *m)
{
	struct unwinder *u = k->unwinder;
	struct uw_entry e = { .key = { .ino = m->ino, .dev = m->dev }, .in_use = true };
	uint64_t key = hash_u64(m->ino) ^ m->dev;
	int fd, err;

	if (!u || !m->exec || !m->ino)
		return 0;
	wake_resting(u);
	if (table_get(&u->by_key, key))
		return 0;
	fd = proc_map_open(PROC_ROOT, pid, m);
	if (fd < 0)
		return fd;
	err = build_or_share(k, fd, &e);
	close(fd);
	if (!err)
		err = publish(k, &e);
	if (err) {
		log_warn("unwind table of %s: %s", m->path, strerror(-err));
		return err;
	}
	XGROW(u->entries, u->n_entries, u->entries_cap);
	u->entries[u->n_entries] = e;
	table_put(&u->by_key, key, u->n_entries);
	if (e.words.n)
		table_put(&u->by_identity, e.identity, u->n_entries);
	u->n_entries++;
	u->stats.n_objects++;
	return 0;
}

/*
 * The event has no path. Where the process is gone, or other code lies there by now, the announcement is
 * taken back: the next hit asks again. Where the object cannot be had (deleted and unreadable, a
 * device), it is published empty, so that its frames end as "no unwind info" and not for ever as "just mapped".
 */
int kern_unwind_announced(struct kern *k, const struct mp_ev_object *ev)
{
	struct uw_object_key key = { .ino = ev->ino, .dev = ev->dev };
	struct uw_object empty = { .state = UW_OBJECT_READY };
	const uint64_t *at = table_get(&k->unwinder->by_key, hash_u64(ev->ino) ^ ev->dev);
	int err, fd = bpf_map__fd(k->skel->maps.uw_objects);
	struct proc_maps maps = { 0 };
	const struct proc_map *m;

	if (at) /* added by a mapping event meanwhile */
		return publish(k, &k->unwinder->entries[*at]);
	err = proc_maps_read(&maps, PROC_ROOT, (pid_t)ev->tgid);
	m = err ? NULL : proc_maps_find(&maps, ev->start);
	if (!m || m->ino != ev->ino || m->dev != ev->dev) {
		proc_maps_release(&maps);
		bpf_map_delete_elem(fd, &key);
		return err ? err : -ESTALE;
	}
	err = kern_unwind_add(k, (pid_t)ev->tgid, m);
	proc_maps_release(&maps);
	if (err) {
		k->unwinder->stats.n_failed++;
		bpf_map_update_elem(fd, &key, &empty, BPF_ANY);
	}
	return err;
}

void kern_unwind_forget(struct kern *k)
{
	__atomic_add_fetch(&k->skel->bss->uw_epoch, 1, __ATOMIC_SEQ_CST);
}

void kern_unwind_stats(const struct kern *k, struct kern_unwind_stats *st)
{
	*st = k->unwinder ? k->unwinder->stats : (struct kern_unwind_stats){ 0 };
}
