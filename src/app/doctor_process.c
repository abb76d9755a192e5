/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One process, as doctor shows it: its allocators, each probe that a run would place and what its trap
 * costs, functions that get none and why, unwind tables, generated code, descendants. Reads /proc and
 * the files behind the mappings; the process is not touched.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc/allocator.h"
#include "app/alloc_sites.h"
#include "app/doctor_internal.h"
#include "app/limits.h"
#include "app/session.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "collect/births.h"
#include "proc/maps.h"
#include "proc/process.h"
#include "runtime/runtime.h"
#include "symbol/elf_file.h"
#include "symbol/elf_find.h"
#include "symbol/sym_process.h"
#include "unwind/unwind_table.h"

#define COLUMNS 100

struct look {
	struct doctor *d;
	pid_t pid;
	struct proc_maps maps;
	size_t n_probes, n_allocators, n_denied;
	uint64_t new_limit; /* sizes that operator new cannot fail for */
};

static void add_path(struct buf *out, const struct proc_map *m)
{
	buf_add_printable(out, m->path, strlen(m->path));
	if (m->deleted)
		buf_adds(out, " (deleted)");
}

static void add_facts(struct buf *out, pid_t pid)
{
	char rss[16], swap[16], limit[16], up[24];
	struct proc_status st;
	struct proc_limit l;
	struct proc_stat stat;

	if (proc_status_read(&st, PROC_ROOT, pid))
		return;
	buf_addf(out, "\nPROCESS %d  ", (int)pid);
	buf_add_printable(out, st.comm, strlen(st.comm));
	buf_addc(out, '\n');
	doctor_label(out, "it has");
	buf_addf(out, "%u thread%s, user %u, RSS %s, swap %s", st.n_threads, st.n_threads == 1 ? "" : "s",
		 st.uid, units_format_size(rss, st.rss_bytes), units_format_size(swap, st.swap_bytes));
	if (!proc_stat_read(&stat, PROC_ROOT, pid))
		buf_addf(out, ", up %s", units_format_duration(up, stat.start_age_ns));
	if (!proc_limit_read(&l, PROC_ROOT, CGROUP_ROOT, pid))
		buf_addf(out, ", limit %s (%s)", units_format_size(limit, l.limit_bytes), l.name);
	buf_addc(out, '\n');
}

/* ---- the probes of one object ---- */

static bool has_sessions(const struct doctor *d)
{
	return d->link_kind && !strcmp(d->link_kind, "uprobe session");
}

/* Only a session decides per call on its return, so that no exception meets it. */
static bool takes_return(const struct doctor *d, const struct probe_site *site, const struct mp_shape *shape)
{
	return !site->entry_only && (has_sessions(d) || !(shape->flags & MP_SHAPE_MAY_THROW));
}

/* ns of the trap alone; 0: not known. */
static uint64_t trap_ns(const struct doctor *d, bool with_return, const struct probe_point *pp)
{
	const struct kern_trap_cost *c = &d->cost;
	bool stepped = pp->cost == PROBE_STEPPED;

	if (!d->has_cost || pp->cost == PROBE_COST_UNKNOWN)
		return 0;
	if (!with_return)
		return stepped ? c->stepped_ns : c->entry_ns;
	return c->pair_ns + (stepped && c->stepped_ns > c->entry_ns ? c->stepped_ns - c->entry_ns : 0);
}

static const char *kind_of(const struct doctor *d, bool with_return, const struct mp_shape *shape)
{
	bool marked = shape->flags & MP_SHAPE_MAY_THROW;

	if (!with_return)
		return marked ? "entry*" : "entry";
	if (!has_sessions(d))
		return "return";
	return marked ? "session*" : "session";
}

static void add_site(struct doctor *d, const struct alloc_sites *s, size_t i)
{
	static const char *const costs[] = {
		[PROBE_EMULATED] = "emulated",
		[PROBE_STEPPED] = "single-stepped",
		[PROBE_COST_UNKNOWN] = "not known",
	};
	const struct alloc_site_info *info = &s->info[i];
	size_t n;
	const struct mp_shape *shape = &alloc_functions(&n)[info->row].shape;
	bool with_return = takes_return(d, &s->v[i], shape);
	uint64_t ns = trap_ns(d, with_return, &info->point);
	char count[32] = "-", at[24];

	if (ns)
		units_format_count(count, ns);
	snprintf(at, sizeof(at), "0x%" PRIx64, info->code_offset);
	buf_addf(&d->out, "    %-26s %-9s %-10s %+5d  %-15s %7s\n", info->symbol,
		 kind_of(d, with_return, shape), at, (int)info->point.offset, costs[info->point.cost], count);
	if (info->point.cost != PROBE_EMULATED)
		buf_addf(&d->out, "      %s\n", info->point.why);
}

static bool may_throw(const struct alloc_sites *s)
{
	size_t n, i;
	const struct alloc_function *f = alloc_functions(&n);

	for (i = 0; i < s->n; i++)
		if (!s->v[i].entry_only && f[s->info[i].row].shape.flags & MP_SHAPE_MAY_THROW)
			return true;
	return false;
}

/* Names that share a reason, in lines. */
static void add_left_out(struct buf *out, const struct alloc_sites *s)
{
	size_t i, j, column;

	for (i = 0; i < s->n_left_out; i++) {
		const char *why = s->left_out[i].why;

		for (j = 0; j < i && s->left_out[j].why != why; j++)
			;
		if (j < i)
			continue; /* that reason was given */
		buf_addf(out, "    not probed: %s:\n     ", why);
		for (column = 5; j < s->n_left_out; j++) {
			const char *name = s->left_out[j].symbol;
			size_t len = strlen(name) + 1;

			if (s->left_out[j].why != why)
				continue;
			if (column + len > COLUMNS && column > 5) {
				buf_adds(out, "\n     ");
				column = 5;
			}
			buf_addc(out, ' ');
			buf_add_printable(out, name, len - 1);
			column += len;
		}
		buf_addc(out, '\n');
	}
}

static void add_build_id(struct buf *out, struct elf_file *f)
{
	uint8_t id[64];
	size_t n = elf_file_build_id(f, id, sizeof(id)), i;

	if (!n)
		buf_adds(out, "no build id");
	else
		buf_adds(out, "build id ");
	for (i = 0; i < n; i++)
		buf_addf(out, "%02x", id[i]);
}

/* In the order of the allocator table: malloc, calloc, ... free. */
static void add_sites(struct doctor *d, const struct alloc_sites *s)
{
	size_t n_rows, row, i;

	alloc_functions(&n_rows);
	for (row = 0; row < n_rows; row++)
		for (i = 0; i < s->n; i++)
			if (s->info[i].row == row)
				add_site(d, s, i);
}

static void add_allocator(struct look *l, struct elf_file *f, const struct proc_map *m,
			  const struct alloc_sites *s)
{
	struct buf *out = &l->d->out;
	char size[16];

	doctor_label(out, s->n ? "allocator" : "no probe in");
	add_path(out, m);
	buf_adds(out, s->is_glibc ? ", glibc\n" : "\n");
	doctor_label(out, "");
	add_build_id(out, f);
	buf_adds(out, s->is_go ? "; Go code: its own heap is not seen\n" : "\n");
	if (s->n)
		buf_addf(out, "    %-26s %-9s %-10s %5s  %-15s %7s\n", "FUNCTION", "PROBE", "CODE AT",
			 "SHIFT", "INSTRUCTION", "NS/CALL");
	add_sites(l->d, s);
	if (may_throw(s) && has_sessions(l->d))
		buf_addf(out,
			 "    * the return only of sizes below %s, so that no exception meets it\n",
			 units_format_size(size, l->new_limit));
	else if (may_throw(s))
		buf_adds(out, "    * may throw: without uprobe sessions only counted, not followed\n");
	add_left_out(out, s);
	l->n_probes += s->n;
	l->n_allocators += s->n != 0;
}

/* What --objects would use. */
static void add_births(struct look *l, struct elf_file *f, const struct proc_map *m)
{
	const char *slash = strrchr(m->path, '/');
	struct buf *out = &l->d->out;
	struct elf_symbol version;
	struct births b;

	if (!runtime_ops_named("Ruby")->is_own_object(slash ? slash + 1 : m->path))
		return;
	if (births_find(f, &b)) {
		doctor_label(out, "objects by line");
		add_path(out, m);
		buf_addf(out, ": ruby:object__create at 0x%" PRIx64 ",\n", b.sites[0].offset);
		doctor_label(out, "");
		buf_addf(out, "%zu with those of texts, arrays, hashes and symbols: switched on with --objects only\n",
			 b.n);
	} else if (elf_find_symbol(f, "ruby_version", &version)) {
		doctor_label(out, "objects by line");
		add_path(out, m);
		buf_adds(out, ": built without probes (--enable-dtrace)\n");
	}
}

static void look_at_object(struct look *l, const struct proc_map *m)
{
	int fd = proc_map_open(PROC_ROOT, l->pid, m), err;
	struct alloc_sites s;
	struct elf_file *f;

	err = fd < 0 ? fd : elf_file_open(&f, fd);
	if (err == -ENOEXEC)
		return;
	if (err) {
		l->n_denied += err == -EACCES;
		doctor_label(&l->d->out, "not readable");
		add_path(&l->d->out, m);
		buf_addf(&l->d->out, ": %s\n", strerror(-err));
		return;
	}
	alloc_sites_find(&s, f, m->path, l->d->o->at_entry);
	if (s.n || s.n_left_out || s.is_go)
		add_allocator(l, f, m, &s);
	alloc_sites_release(&s);
	add_births(l, f, m);
	elf_file_close(f);
}

/* ---- unwinding ---- */

static void add_table(struct look *l, const struct proc_map *m)
{
	int fd = proc_map_open(PROC_ROOT, l->pid, m), err;
	struct unwind_table t = { 0 };
	char rows[32], bytes[16];
	struct buf *out = &l->d->out;

	err = fd < 0 ? fd : unwind_table_build_fd(&t, fd, 0);
	if (fd >= 0)
		close(fd);
	if (err) {
		buf_addf(out, "    %10s %11s  ", "none", "-");
		add_path(out, m);
		buf_addf(out, ": %s\n", err == -ENODATA ? "no unwind info: frame pointers, where there are some"
							 : strerror(-err));
	} else {
		units_format_count(rows, t.n_packed);
		units_format_size(bytes, unwind_table_words(&t) * sizeof(t.packed[0]));
		buf_addf(out, "    %10s %11s  ", rows, bytes);
		add_path(out, m);
		if (t.stats.n_bad_fde)
			buf_addf(out, " (%zu entries not understood)", t.stats.n_bad_fde);
		buf_addc(out, '\n');
	}
	unwind_table_release(&t);
}

/* Files once, in order of their first executable mapping. */
static void each_object(struct look *l, void (*fn)(struct look *l, const struct proc_map *m))
{
	struct table seen = TABLE_INIT;
	size_t i;

	for (i = 0; i < l->maps.n; i++) {
		const struct proc_map *m = &l->maps.v[i];
		uint64_t key = hash_u64(m->ino) ^ m->dev;

		if (!m->exec || !m->ino || table_get(&seen, key))
			continue;
		table_put(&seen, key, 1);
		fn(l, m);
	}
	table_release(&seen);
}

/* ---- the rest ---- */

static void add_generated_code(struct look *l)
{
	struct sym_process *p = sym_process_new(1, 0, l->pid);
	struct buf *out = &l->d->out;
	char size[16], n[32];
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < l->maps.n; i++)
		if (l->maps.v[i].exec && !l->maps.v[i].ino && l->maps.v[i].path[0] != '[')
			bytes += l->maps.v[i].end - l->maps.v[i].start;
	doctor_label(out, "generated code");
	if (!bytes)
		buf_adds(out, "none");
	else
		buf_addf(out, "%s in anonymous mappings", units_format_size(size, bytes));
	if (!sym_process_snapshot(p, PROC_ROOT) && sym_process_refresh_perf_map(p, PROC_ROOT))
		buf_addf(out, "; perf map with %s functions", units_format_count(n, p->perf_map.n));
	else
		buf_adds(out, bytes ? "; no perf map: its functions have no names" : "; no perf map");
	buf_addc(out, '\n');
	sym_process_free(p);
}

static void add_descendants(struct look *l)
{
	struct buf *out = &l->d->out;
	struct proc_status st;
	pid_t *pids = NULL;
	size_t n = 0, i;

	doctor_label(out, "descendants");
	if (proc_descendants(&pids, &n, PROC_ROOT, &l->pid, 1) || !n) {
		buf_adds(out, "none\n");
		free(pids);
		return;
	}
	buf_addf(out, "%zu, %s: ", n, l->d->o->no_follow ? "not followed" : "followed by a run");
	for (i = 0; i < n && i < 5; i++) {
		buf_addf(out, "%s%d ", i ? ", " : "", (int)pids[i]);
		if (!proc_status_read(&st, PROC_ROOT, pids[i]))
			buf_add_printable(out, st.comm, strlen(st.comm));
	}
	buf_adds(out, n > 5 ? "...\n" : "\n");
	free(pids);
}

static int conclude(struct look *l)
{
	struct buf *out = &l->d->out;

	doctor_label(out, "a run would place");
	buf_addf(out, "%zu probes in %zu object%s\n", l->n_probes, l->n_allocators,
		 l->n_allocators == 1 ? "" : "s");
	if (l->n_probes)
		return STATUS_OK;
	if (l->n_denied) {
		buf_adds(out, "  whether there is an allocator cannot be seen: run with sudo, or add CAP_SYS_PTRACE and\n"
			      "  CAP_DAC_READ_SEARCH\n");
		return STATUS_PRIVILEGE;
	}
	buf_adds(out, "  no allocator was found: nothing in its executable mappings defines malloc or another known entry\n");
	return STATUS_NO_TARGET;
}

int doctor_process(struct doctor *d, pid_t pid)
{
	struct look l = { .d = d, .pid = pid };
	int err = proc_maps_read(&l.maps, PROC_ROOT, pid);
	int status;

	l.new_limit = limits_throwing_new(PROC_ROOT);
	add_facts(&d->out, pid);
	if (err) {
		buf_addf(&d->out, "  its mappings cannot be read: %s%s\n", strerror(-err),
			 err == -EACCES ? ": run with sudo, or add CAP_SYS_PTRACE" : "");
		return err == -EACCES ? STATUS_PRIVILEGE : STATUS_NO_TARGET;
	}
	each_object(&l, look_at_object);
	buf_addf(&d->out, "  unwind tables:\n    %10s %11s  %s\n", "ROWS", "TABLE", "OBJECT");
	each_object(&l, add_table);
	add_generated_code(&l);
	add_descendants(&l);
	status = conclude(&l);
	proc_maps_release(&l.maps);
	return status;
}
