/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Unwind tables in the kernel: building, publishing, evicting.
 *
 * A table's words lie in a pool (unwind_pool.h); it is published last, by its entry in uw_objects. Files with one
 * build id share a table. The kernel side compares each object's version with the file's (time of change and
 * size), and announces it again when they differ, so no table outlives its file.
 *
 * When the pool is full, code that is met for the first time while counting makes room: the objects that
 * were not used for longest give way. The memo hides use, so it is forgotten first, and whatever is in use
 * looks up its rules again and is kept. A walk that still reads freed words can only come to a rule that is
 * cached under the old epoch, and freed words rest for a while before they are used again. Code that is only
 * mapped evicts nothing: it is left for its first hit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/roots.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"
#include "kern/put_off.h"
#include "kern/unwind_pool.h"
#include "proc/maps.h"
#include "unwind/file_id.h"
#include "unwind/unwind_table.h"

/* So long an object has to be hit once, when room is needed, to be kept. */
#define USE_WAIT_NS (50 * NS_PER_MS)
/* So often at most all objects are asked; what came since is not evicted before. */
#define USE_ASK_NS NS_PER_S
/* Walks that hold an old block index are long over then: a walk takes microseconds. */
#define REST_US 1000
/* Room that the kernel side needs for announcements. */
#define SPARE_OBJECTS 256

/* One object; the first of those with one content owns the table. */
struct uw_entry {
	struct uw_object_key key;
	uint64_t identity; /* of the file's content */
	struct pool_extent words;
	struct uw_object object;
	uint64_t added_ns;
	bool in_use;
};

struct unwinder {
	struct unwind_pool pool;
	struct uw_entry *entries;
	size_t n_entries, entries_cap;
	struct table by_key;	  /* hash of (ino, dev) -> entry */
	struct table by_identity; /* -> entry with the table */
	struct uw_exotic exotic[UW_MAX_EXOTIC];
	uint32_t n_exotic;
	struct put_off put_off;
	uint64_t asked_ns; /* the memo was last forgotten to see what is in use */
	struct kern_unwind_stats stats;
};

static uint64_t key_hash(uint64_t ino, uint32_t dev)
{
	return hash_u64(ino) ^ dev;
}

static int objects_fd(const struct kern *k)
{
	return bpf_map__fd(k->skel->maps.uw_objects);
}

int unwinder_open(struct kern *k, uint64_t max_bytes)
{
	struct unwinder *u = xcalloc(1, sizeof(*u));

	unwind_pool_open(&u->pool, bpf_map__fd(k->skel->maps.uw_words), max_bytes);
	k->unwinder = u;
	return 0;
}

void unwinder_close(struct kern *k)
{
	struct unwinder *u = k->unwinder;

	if (!u)
		return;
	unwind_pool_release(&u->pool);
	free(u->entries);
	put_off_release(&u->put_off);
	table_release(&u->by_key);
	table_release(&u->by_identity);
	free(u);
	k->unwinder = NULL;
}

uint64_t unwinder_pool_bytes(const struct kern *k)
{
	return k->unwinder ? k->unwinder->pool.n_chunks * (uint64_t)UW_CHUNK_PAGES * sizeof(struct uw_page) : 0;
}

/* ---- making room ---- */

static uint64_t last_use(const struct kern *k, const struct uw_entry *e)
{
	struct uw_object o = { 0 };

	bpf_map_lookup_elem(objects_fd(k), &e->key, &o);
	return o.last_use_ns > e->added_ns ? o.last_use_ns : e->added_ns;
}

/* Of all objects with one content, the latest use: identity -> ns. */
static void find_uses(const struct kern *k, struct table *uses)
{
	const struct unwinder *u = k->unwinder;
	uint64_t use, *latest;
	size_t i;

	for (i = 0; i < u->n_entries; i++) {
		if (!u->entries[i].in_use)
			continue;
		use = last_use(k, &u->entries[i]);
		latest = table_put(uses, u->entries[i].identity, use);
		if (*latest < use)
			*latest = use;
	}
}

/* What was not used for longest, and not since `since`; of those with a table, unless `any` will do. */
static struct uw_entry *least_used(struct kern *k, uint64_t since, bool any)
{
	struct unwinder *u = k->unwinder;
	struct uw_entry *victim = NULL;
	struct table uses = TABLE_INIT;
	size_t i;

	find_uses(k, &uses);
	for (i = 0; i < u->n_entries; i++) {
		struct uw_entry *e = &u->entries[i];
		const uint64_t *use = e->in_use ? table_get(&uses, e->identity) : NULL;

		if (!use || *use >= since || !(any || e->words.n))
			continue;
		since = *use;
		victim = e;
	}
	table_release(&uses);
	return victim;
}

/* The objects with victim's content are announced again at their next hit. */
static void evict(struct kern *k, const struct uw_entry *victim)
{
	struct unwinder *u = k->unwinder;
	uint64_t identity = victim->identity;
	size_t i;

	for (i = 0; i < u->n_entries; i++) {
		struct uw_entry *e = &u->entries[i];

		if (!e->in_use || e->identity != identity)
			continue;
		bpf_map_delete_elem(objects_fd(k), &e->key);
		table_remove(&u->by_key, key_hash(e->key.ino, e->key.dev));
		unwind_pool_give_back(&u->pool, e->words);
		u->stats.n_objects--;
		u->stats.n_evicted++;
		e->in_use = false;
	}
	table_remove(&u->by_identity, identity);
	kern_unwind_forget(k);
}

/* Evict one object (or several with one content); false when all are in use. */
static bool evict_one(struct kern *k, bool any)
{
	struct unwinder *u = k->unwinder;
	uint64_t now = clock_monotonic_ns();
	struct uw_entry *victim;

	if (now - u->asked_ns > USE_ASK_NS) {
		kern_unwind_forget(k);
		usleep(USE_WAIT_NS / NS_PER_US);
		u->asked_ns = now;
	}
	victim = least_used(k, u->asked_ns, any);
	if (!victim)
		return false;
	log_debug("unwind table of inode %llu gives way", (unsigned long long)victim->key.ino);
	evict(k, victim);
	usleep(REST_US);
	unwind_pool_wake(&u->pool);
	return true;
}

static int reserve(struct kern *k, uint32_t n, bool may_evict, struct pool_extent *out)
{
	struct unwinder *u = k->unwinder;

	if (n > unwind_pool_max_words(&u->pool))
		return -E2BIG;
	while (!unwind_pool_take(&u->pool, n, out))
		if (!may_evict || !evict_one(k, false))
			return -ENOSPC;
	return 0;
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

static int copy_table(struct kern *k, const struct unwind_table *t, bool may_evict, struct uw_entry *e)
{
	struct unwinder *u = k->unwinder;
	uint32_t entries, rows, i, *map;
	size_t n = unwind_table_words(t);
	int err;

	if (n > UINT32_MAX)
		return -E2BIG;
	err = reserve(k, (uint32_t)n, may_evict, &e->words);
	if (err)
		return err;
	entries = e->words.first + (uint32_t)t->n_groups;
	rows = entries + (uint32_t)t->n_entries;
	for (i = 0; i < t->n_groups; i++) /* UW_GROUP_ONE_ROW stays: a pool has fewer words */
		unwind_pool_put(&u->pool, e->words.first + i,
				t->groups[i] + (t->groups[i] & UW_GROUP_ONE_ROW ? rows : entries));
	for (i = 0; i < t->n_entries; i++)
		unwind_pool_put(&u->pool, entries + i, rows + t->entries[i]);
	map = map_exotics(k, t);
	for (i = 0; i < t->n_packed; i++)
		unwind_pool_put(&u->pool, rows + i, relocate_rule(t, map, t->packed[i]));
	free(map);
	e->object.groups = e->words.first;
	e->object.n_blocks = (uint32_t)t->n_blocks;
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
	return bpf_map_update_elem(objects_fd(k), &e->key, &e->object, BPF_ANY);
}

/* 0, also when there can be no table; -ENOSPC: there is no room now; -ENOMEM. */
static int build(struct kern *k, int fd, bool may_evict, struct uw_entry *e)
{
	struct unwinder *u = k->unwinder;
	struct unwind_table t = { 0 };
	int err;

	err = unwind_table_build_fd(&t, fd, 0);
	if (err == -ENOMEM)
		return err;
	e->object.state = UW_OBJECT_READY;
	copy_segments(&t, &e->object);
	if (err) { /* no table: segments only, each look-up gives "no info" */
		u->stats.n_failed += err != -ENODATA;
		err = 0;
	} else {
		err = copy_table(k, &t, may_evict, e);
		if (err == -E2BIG || (err && may_evict)) {
			e->object.state = UW_OBJECT_FULL;
			u->stats.n_full++;
			err = 0;
		}
	}
	unwind_table_release(&t);
	return err;
}

/* The table of another inode with the same content, or a new one. */
static int build_or_share(struct kern *k, int fd, bool may_evict, struct uw_entry *e)
{
	struct unwinder *u = k->unwinder;
	const uint64_t *at;

	e->identity = unwind_file_id(fd);
	at = table_get(&u->by_identity, e->identity);
	if (!at)
		return build(k, fd, may_evict, e);
	e->object = u->entries[*at].object;
	return 0;
}

static uint64_t version_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return 0;
	return mp_file_version(st.st_ctim.tv_sec, (uint32_t)st.st_ctim.tv_nsec, (uint64_t)st.st_size);
}

static size_t unused_slot(struct unwinder *u)
{
	size_t i;

	for (i = 0; i < u->n_entries; i++)
		if (!u->entries[i].in_use)
			return i;
	XGROW(u->entries, u->n_entries, u->entries_cap);
	return u->n_entries++;
}

static void keep(struct unwinder *u, const struct uw_entry *e)
{
	size_t at = unused_slot(u);

	u->entries[at] = *e;
	table_put(&u->by_key, key_hash(e->key.ino, e->key.dev), at);
	if (e->words.n)
		table_put(&u->by_identity, e->identity, at);
	u->stats.n_objects++;
}

static bool is_key(const struct uw_object_key *key, uint64_t ino, uint32_t dev)
{
	return key->ino == ino && key->dev == dev;
}

/*
 * Key and version under which the kernel side looks for the file fd of mapping m. ev: it did, NULL: not yet. Numbers that
 * are the mapping's need no proof; without find_vma they are all there is (ranges.c). -ESTALE: fd is not what was hit.
 */
static int identify(struct kern *k, int fd, const struct proc_map *m, const struct mp_ev_object *ev,
		    struct uw_entry *e)
{
	uint64_t version = version_of(fd), real_version;
	bool is_real;

	e->key = (struct uw_object_key){ .ino = m->ino, .dev = m->dev };
	e->object.version = version;
	if (!ev || !is_key(&e->key, ev->ino, ev->dev)) {
		is_real = !real_file_find(k, fd, &e->key, &real_version);
		if (is_real)
			e->object.version = real_version;
		if (ev && is_real && !is_key(&e->key, ev->ino, ev->dev))
			return -ESTALE;
		if (ev && !is_real && (!ev->version || version != ev->version))
			return -ESTALE;
	}
	if (!ev)
		return 0;
	e->key = (struct uw_object_key){ .ino = ev->ino, .dev = ev->dev };
	if (ev->version)
		e->object.version = ev->version;
	return 0;
}

static int add_file(struct kern *k, int fd, bool may_evict, struct uw_entry *e)
{
	struct unwinder *u = k->unwinder;
	uint64_t version = e->object.version;
	int err;

	e->in_use = true;
	e->added_ns = clock_monotonic_ns();
	err = build_or_share(k, fd, may_evict, e);
	e->object.version = version;
	if (!err)
		err = publish(k, e);
	if (!err)
		keep(u, e);
	else
		unwind_pool_give_back(&u->pool, e->words);
	return err;
}

/*
 * ev: it is hit, others make room for it; NULL: it is only mapped. -ENOSPC: without that there is none. -ESTALE: m is
 * not what was hit.
 */
static int add(struct kern *k, pid_t pid, const struct proc_map *m, const struct mp_ev_object *ev)
{
	struct unwinder *u = k->unwinder;
	struct uw_entry e = { 0 };
	int fd, err;

	unwind_pool_wake(&u->pool);
	while (u->stats.n_objects >= UW_MAX_OBJECTS - SPARE_OBJECTS)
		if (!ev || !evict_one(k, true))
			return -ENOSPC;
	fd = proc_map_open(PROC_ROOT, pid, m);
	if (fd < 0)
		return fd;
	err = identify(k, fd, m, ev, &e);
	/* a second overlay of a file that is there */
	if (!err && (ev || !table_get(&u->by_key, key_hash(e.key.ino, e.key.dev))))
		err = add_file(k, fd, ev, &e);
	close(fd);
	return err;
}

int kern_unwind_add(struct kern *k, pid_t pid, const struct proc_map *m)
{
	int err;

	if (!k->unwinder || !m->exec || !m->ino ||
	    table_get(&k->unwinder->by_key, key_hash(m->ino, m->dev)))
		return 0;
	err = add(k, pid, m, NULL);
	if (err == -ENOSPC)
		return 0; /* left for its first hit, which may evict others */
	if (err)
		log_warn("unwind table of %s: %s", m->path, strerror(-err));
	return err;
}

/* Known and of that version: published again, true. Of another one: dropped. */
static bool publish_known(struct kern *k, const struct mp_ev_object *ev)
{
	struct unwinder *u = k->unwinder;
	const uint64_t *at = table_get(&u->by_key, key_hash(ev->ino, ev->dev));
	struct uw_entry *e = at ? &u->entries[*at] : NULL;

	if (!e)
		return false;
	if (ev->version && ev->version != e->object.version) {
		evict(k, e);
		return false;
	}
	publish(k, e);
	return true;
}

static int find_and_add(struct kern *k, const struct mp_ev_object *ev)
{
	pid_t pid = (pid_t)ev->tgid;
	struct proc_maps maps = { 0 };
	const struct proc_map *m;
	int err, again;

	err = proc_maps_read(&maps, PROC_ROOT, pid);
	m = err ? NULL : proc_maps_find(&maps, ev->start);
	if (m)
		err = add(k, pid, m, ev);
	else if (!err)
		err = -ESTALE;
	if (m && (err == -ENOENT || err == -EACCES)) { /* has it ended meanwhile? */
		again = proc_maps_read(&maps, PROC_ROOT, pid);
		if (again == -ESRCH)
			err = again;
	}
	proc_maps_release(&maps);
	return err;
}

static void take_back(struct kern *k, const struct uw_object_key *key)
{
	bpf_map_delete_elem(objects_fd(k), key);
}

void unwinder_poll(struct kern *k)
{
	struct uw_object_key key;
	struct uw_object o;

	while (k->unwinder && put_off_next(&k->unwinder->put_off, &key))
		if (!bpf_map_lookup_elem(objects_fd(k), &key, &o) && o.state == UW_OBJECT_PENDING)
			take_back(k, &key);
}

/*
 * The event has no path. Where the process is gone, or other code lies there by now, the announcement is
 * taken back: the next hit asks again. Where we are short of something, or it is another file time and
 * again (copied up in an overlay since), a hit asks again a second later. Where the object cannot be had (deleted and unreadable, a
 * device), it is published empty, so that its frames end as "no unwind info" and not for ever as "just mapped".
 */
int kern_unwind_announced(struct kern *k, const struct mp_ev_object *ev)
{
	struct uw_object_key key = { .ino = ev->ino, .dev = ev->dev };
	struct uw_object empty = { .state = UW_OBJECT_READY, .version = ev->version };
	int err;

	if (publish_known(k, ev))
		return 0;
	err = find_and_add(k, ev);
	switch (err) {
	case 0:
		break;
	case -ESRCH:
	case -ENOSPC:
		take_back(k, &key);
		break;
	case -ESTALE:
		if (put_off_is_often(&k->unwinder->put_off))
			put_off_add(&k->unwinder->put_off, &key);
		else
			take_back(k, &key);
		break;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		put_off_add(&k->unwinder->put_off, &key);
		break;
	default:
		k->unwinder->stats.n_failed++;
		bpf_map_update_elem(objects_fd(k), &key, &empty, BPF_ANY);
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
