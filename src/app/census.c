/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Objects by type, twice; see census.h. */
#include "app/census.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/session.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/roots.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/heap_look.h"
#include "proc/process.h"
#include "render/census_text.h"
#include "runtime/runtime.h"
#include "symbol/vtable.h"

#define DEFAULT_INTERVAL_NS (10 * NS_PER_S)
#define STARTING_TRIES 10 /* of 0.1 s: a runtime that has just begun */

struct census_run {
	pid_t pid;
	struct runtime *runtime; /* NULL: glibc's heap */
	char *known; /* a runtime that cannot be counted, and why: "Go 1.22.1: no symbols in it"; NULL: there is none */
	struct runtime_census looks[2];
	struct census_text text;
	struct intern names;
	struct holders holders;
	struct intern holder_names;
};

static void wait_ns(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* Why a census that was tried has failed. */
static const char *why_unread(int err)
{
	switch (-err) {
	case ESTALE:
	case ENOENT:
		return "its objects are not where this version should have them, or change faster than they are read: try again";
	case ENOTSUP:
		return "it does not tell where its objects are";
	default:
		return strerror(-err);
	}
}

static int status_of(const struct census_run *c, int err)
{
	pid_t pid = c->pid;

	if (err == -EACCES || err == -EPERM) {
		log_error("process %d may not be read: run with sudo, or add CAP_SYS_PTRACE", (int)pid);
		return STATUS_PRIVILEGE;
	}
	if (err == -ESRCH) {
		log_error("no process %d, or it has ended", (int)pid);
		return STATUS_NO_TARGET;
	}
	if (c->runtime)
		log_error("process %d: %s %s: %s", (int)pid, c->runtime->ops->name, c->runtime->version, why_unread(err));
	else if (c->known)
		log_error("process %d: nothing here that can be counted: %s; and there is no heap of glibc's (%s): what it allocates from now on: "
			  "memprobe -p %d", (int)pid, c->known, strerror(-err), (int)pid);
	else
		log_error("process %d: nothing here that can be counted: no known runtime, no heap of glibc's (%s)", (int)pid, strerror(-err));
	return STATUS_NO_TARGET;
}

/* ---- glibc's heap ---- */

/* C++ classes by name; what is left of each size, by size. */
static void add_heap(struct runtime_census *out, const struct heap_census *c, struct vtables *names)
{
	size_t n_types, n_sizes, i, j;
	struct heap_type *types = census_types(c, &n_types);
	struct heap_class *sizes = census_classes(c, &n_sizes);
	char name[64];

	for (i = 0; i < n_types; i++) {
		const char *class = types[i].chunk_bytes ? vtables_name(names, types[i].word) : NULL;

		for (j = 0; class && j < n_sizes && sizes[j].chunk_bytes != types[i].chunk_bytes; j++)
			;
		if (!class || j == n_sizes || sizes[j].blocks < types[i].blocks)
			continue;
		sizes[j].blocks -= types[i].blocks;
		runtime_census_add(out, class, types[i].blocks, types[i].blocks * types[i].chunk_bytes);
	}
	for (i = 0; i < n_sizes; i++) {
		if (!sizes[i].blocks)
			continue;
		snprintf(name, sizeof(name), "[chunks of %llu B]", (unsigned long long)sizes[i].chunk_bytes);
		runtime_census_add(out, name, sizes[i].blocks, sizes[i].blocks * sizes[i].chunk_bytes);
	}
	free(types);
	free(sizes);
}

static int heap_census_of(pid_t pid, struct runtime_census *out)
{
	struct heap_look_opts opts = { .proc_root = PROC_ROOT, .pid = pid };
	struct proc_maps maps = { 0 };
	struct glibc_heap heap = { 0 };
	struct vtables *names;
	int err = proc_maps_read(&maps, PROC_ROOT, pid);

	if (err)
		return err;
	opts.maps = &maps;
	err = heap_look(&heap, &opts);
	if (!err) {
		names = vtables_new(PROC_ROOT, DEBUG_ROOT, pid, &maps);
		add_heap(out, heap.census, names);
		vtables_free(names);
		out->what = "blocks in use, by C++ class or size";
		out->is_partial = !heap.is_trusted;
		err = out->n ? 0 : -ENOENT;
	}
	glibc_heap_release(&heap);
	proc_maps_release(&maps);
	return err;
}

/* ---- two looks ---- */

static int look(struct census_run *c, int which)
{
	uint64_t start = clock_monotonic_ns(), objects = 0;
	struct runtime_census *k = &c->looks[which];
	char count[32];
	size_t i;
	int err = c->runtime ? c->runtime->ops->census(c->runtime, k) : heap_census_of(c->pid, k);

	c->text.took_ns[which] = clock_monotonic_ns() - start;
	if (err)
		return err;
	for (i = 0; i < k->n; i++)
		objects += k->v[i].objects;
	log_info("process %d: %s look: %s objects of %zu types", (int)c->pid, which ? "second" : "first",
		 units_format_count(count, objects), k->n);
	return 0;
}

/* Types of one name are one row. */
static void join(struct census_run *c)
{
	size_t cap = 0, i;
	int which;

	for (which = 0; which < 2; which++) {
		for (i = 0; i < c->looks[which].n; i++) {
			const struct runtime_type *t = &c->looks[which].v[i];
			uint32_t id = intern_id(&c->names, t->name);

			if (id == c->text.n) {
				XGROW(c->text.rows, c->text.n, cap);
				c->text.rows[c->text.n++] = (struct census_row){ .name = intern_str(&c->names, id) };
			}
			c->text.rows[id].objects[which] += t->objects;
			c->text.rows[id].bytes[which] += t->bytes;
		}
	}
}

/* Names of both looks as ids of one table. */
static void take_names(struct census_run *c, struct runtime_census *look)
{
	size_t i;

	for (i = 0; i < look->n_holders; i++)
		look->holders[i].name = intern_id(&c->holder_names, intern_str(&look->holder_names, look->holders[i].name));
}

static void join_holders(struct census_run *c)
{
	if (!c->looks[1].n_holders)
		return;
	take_names(c, &c->looks[0]);
	take_names(c, &c->looks[1]);
	holders_join(&c->holders, c->looks[0].holders, c->looks[0].n_holders, c->looks[1].holders, c->looks[1].n_holders);
	c->holders.has_first &= !c->looks[0].is_cut && !c->looks[1].is_cut;
	c->text.holders = &c->holders;
	c->text.holder_names = &c->holder_names;
}

/* The heap instead; its own tools may tell more. */
static void give_up(struct census_run *c, const char *why)
{
	c->known = xasprintf("%s%s%s: %s", c->runtime->ops->name, *c->runtime->version ? " " : "", c->runtime->version, why);
	log_warn("process %d: %s: only its heap is looked at", (int)c->pid, c->known);
	if (*c->runtime->hint)
		log_info("%s", c->runtime->hint);
	runtime_close(c->runtime);
	c->runtime = NULL;
}

/* The runtime that can be asked, or none. */
static int find_runtime(struct census_run *c)
{
	int err = -EAGAIN, i;

	for (i = 0; i < STARTING_TRIES && err == -EAGAIN; i++) {
		if (i)
			wait_ns(100 * NS_PER_MS);
		err = runtime_open(&c->runtime, PROC_ROOT, c->pid);
	}
	if (err == -EAGAIN)
		log_warn("process %d: its interpreter does not run code: only its heap is looked at", (int)c->pid);
	if (err == -ENOENT || err == -EAGAIN)
		return 0;
	if (err || (c->runtime->ops->census && c->runtime->has_census))
		return err;
	give_up(c, *c->runtime->reason ? c->runtime->reason : "its objects are not read");
	return 0;
}

/* ---- who holds what grew ---- */

#define HELD_TYPES 3
#define HELD_NS (10 * NS_PER_S)
#define LEAST_GROWTH 10 /* objects */

/* Of the types that grew most; "(string)" and the like are held by all kinds of things. */
static void find_held_by(struct census_run *c)
{
	uint64_t deadline_ns = clock_monotonic_ns() + HELD_NS;
	size_t i, n = 0;
	int err;

	if (!c->runtime || !c->runtime->ops->held_by)
		return;
	census_sort(&c->text);
	for (i = 0; i < c->text.n && n < HELD_TYPES && clock_monotonic_ns() < deadline_ns; i++) {
		struct census_row *row = &c->text.rows[i];
		struct buf text = BUF_INIT;

		if (row->name[0] == '(' || row->objects[1] < row->objects[0] + LEAST_GROWTH)
			continue;
		n++;
		err = c->runtime->ops->held_by(c->runtime, row->name, deadline_ns, &text);
		if (!err)
			row->held_by = xstrdup(text.data);
		else
			log_debug("%s: who holds it: %s", row->name, strerror(-err));
		buf_release(&text);
	}
}

static int print(struct census_run *c)
{
	struct buf out = BUF_INIT;
	struct proc_status st = { 0 };
	char *kind = c->runtime ? xasprintf("%s %s", c->runtime->ops->name, c->runtime->version) : xstrdup("glibc's heap");
	int status = STATUS_OK;

	proc_status_read(&st, PROC_ROOT, c->pid);
	c->text.comm = *st.comm ? st.comm : "?";
	c->text.kind = kind;
	c->text.pid = c->pid;
	c->text.what = c->looks[1].what;
	c->text.is_partial = c->looks[0].is_partial || c->looks[1].is_partial;
	join(c);
	join_holders(c);
	find_held_by(c);
	census_text(&out, &c->text);
	if (fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout)) {
		log_error("cannot write standard output: %s", strerror(errno));
		status = STATUS_FAILED;
	}
	buf_release(&out);
	free(kind);
	return status;
}

static int take(struct census_run *c, uint64_t interval_ns)
{
	int err = find_runtime(c);
	uint64_t start = clock_monotonic_ns();

	err = err ? err : look(c, 0);
	if (c->runtime && err && err != -ESRCH && err != -EACCES && err != -EPERM) {
		give_up(c, why_unread(err));
		runtime_census_release(&c->looks[0]);
		err = look(c, 0);
	}
	if (err)
		return err;
	wait_ns(interval_ns);
	c->text.between_ns = clock_monotonic_ns() - start;
	return look(c, 1);
}

int census_run(const struct options *o)
{
	struct census_run c = { 0 };
	int err, status;
	size_t i;

	if (o->n_pids != 1) {
		log_error("census looks at one process: memprobe census -p PID");
		return STATUS_USAGE;
	}
	c.pid = o->pids[0];
	err = take(&c, o->interval_ns ? o->interval_ns : DEFAULT_INTERVAL_NS);
	status = err ? status_of(&c, err) : print(&c);
	runtime_close(c.runtime);
	free(c.known);
	runtime_census_release(&c.looks[0]);
	runtime_census_release(&c.looks[1]);
	for (i = 0; i < c.text.n; i++)
		free(c.text.rows[i].held_by);
	free(c.text.rows);
	intern_release(&c.names);
	intern_release(&c.holder_names);
	return status;
}
