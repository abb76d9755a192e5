/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Links: probes on files. uprobe_multi and session links by raw bpf(2), since libbpf 1.1
 * has no API for them; perf-event links through libbpf where the kernel has neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"

/* struct of BPF_LINK_CREATE (command 28) for uprobe_multi; linux/bpf.h 6.6, link_create.uprobe_multi. */
struct link_create_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid, path_fd;
};

int link_multi(const struct multi_link *m)
{
	struct link_create_attr attr = {
		.prog_fd = (uint32_t)m->prog_fd,
		.attach_type = m->type,
		.path = (uintptr_t)m->path,
		.offsets = (uintptr_t)m->offsets,
		.ref_ctr_offsets = (uintptr_t)m->counters,
		.cookies = (uintptr_t)m->cookies,
		.cnt = m->n,
		.multi_flags = m->flags,
		.pid = (uint32_t)m->pid,
	};
	long fd = syscall(__NR_bpf, 28, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

/* Where a set goes. */
struct attach_to {
	const char *path;
	int fd;	   /* of the same file, or -1 */
	pid_t pid; /* 0: every process */
	bool gated;
};

static void keep(struct kern *k, int fd, struct bpf_link *perf, const struct probe_set *s)
{
	XGROW(k->links, k->n_links, k->links_cap);
	k->links[k->n_links++] = (struct kern_link){ .fd = fd, .perf = perf, .gated = s->gated, .hot = s->n && s->sites[0].is_hot,
						     .frees = s->frees,
						     .scoped = s->pid != 0, .pid = s->pid };
}

void link_keep(struct kern *k, int fd, struct bpf_link *perf)
{
	keep(k, fd, perf, &(struct probe_set){ 0 });
}

static uint64_t cookie_of(const struct probe_set *s, size_t i)
{
	return s->sites[i].cookie | (s->pid ? 0 : MP_COOKIE(0, 0, MP_SITE_WIDE));
}

/* One link for all sites of a set. */
static int open_multi(struct kern *k, const struct probe_set *s, const char *path)
{
	unsigned long *offsets = xcalloc(s->n, sizeof(*offsets)), *counters = xcalloc(s->n, sizeof(*counters));
	uint64_t *cookies = xcalloc(s->n, sizeof(*cookies));
	size_t i;
	int fd;

	for (i = 0; i < s->n; i++) {
		offsets[i] = s->sites[i].offset;
		counters[i] = s->sites[i].counter;
		cookies[i] = cookie_of(s, i);
	}
	fd = link_multi(&(struct multi_link){
		.prog_fd = bpf_program__fd(s->prog), .type = s->type, .flags = s->flags, .path = path, .offsets = offsets,
		.counters = s->sites[0].counter ? counters : NULL, .cookies = cookies, .n = (uint32_t)s->n, .pid = s->pid,
	});
	free(offsets);
	free(counters);
	free(cookies);
	if (fd < 0)
		return fd;
	keep(k, fd, NULL, s);
	return 0;
}

static int open_perf(struct kern *k, const struct probe_set *s, const char *path)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = cookie_of(s, i),
			    .retprobe = s->flags & MP_UPROBE_MULTI_RETURN, .ref_ctr_offset = s->sites[i].counter);
		struct bpf_link *l = bpf_program__attach_uprobe_opts(s->prog, s->pid ? s->pid : -1, path,
								     s->sites[i].offset, &opts);

		if (!l)
			return -errno;
		keep(k, -1, l, s);
	}
	return 0;
}

/* By the file itself: its path may be gone when a gate opens again. */
int probe_set_open(struct kern *k, const struct probe_set *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->file_fd);
	return k->kind == ATTACH_PERF ? open_perf(k, s, path) : open_multi(k, s, path);
}

/* Sites of one file and one program; those of the heap are kept, to be taken away and put back (gate.c). */
static int attach_set(struct kern *k, struct bpf_program *prog, uint32_t type, uint32_t flags,
		      const struct attach_to *to, const struct probe_site *sites, size_t n)
{
	struct probe_set s = { .prog = prog, .type = type, .flags = flags, .pid = to->pid, .n = n,
			       .gated = to->gated, .frees = prog == k->skel->progs.heap_free_entry };

	if (!n)
		return 0;
	s.file_fd = open(to->path, O_PATH | O_CLOEXEC);
	if (s.file_fd < 0 && errno == ENOENT && to->fd >= 0)
		s.file_fd = fcntl(to->fd, F_DUPFD_CLOEXEC, 0);
	if (s.file_fd < 0)
		return -errno;
	s.sites = xmalloc(n * sizeof(*sites));
	memcpy(s.sites, sites, n * sizeof(*sites));
	return gate_add(k, &s);
}

static int attach_entry_only(struct kern *k, const struct attach_to *to, const struct probe_site *s, size_t n)
{
	if (k->verify == KERN_VERIFY_CALLS)
		return 0;
	return attach_set(k, k->skel->progs.heap_free_entry, MP_TRACE_UPROBE_MULTI, 0, to, s, n);
}

/*
 * A return probe of its own is taken for every call, whatever the entry probe says: not on a function that an
 * exception may leave, which would end the target (its calls are counted as not followed, heap.bpf.h).
 */
static int attach_returns(struct kern *k, const struct attach_to *to, const struct probe_site *s, size_t n)
{
	struct probe_site *sites = xcalloc(n, sizeof(*sites));
	size_t i, n_sites = 0;
	int err;

	for (i = 0; i < n; i++)
		if (!(k->skel->rodata->shapes[MP_COOKIE_ROW(s[i].cookie)].flags & MP_SHAPE_MAY_THROW))
			sites[n_sites++] = s[i];
	err = attach_set(k, k->skel->progs.heap_return, MP_TRACE_UPROBE_MULTI, MP_UPROBE_MULTI_RETURN, to,
			 sites, n_sites);
	free(sites);
	return err;
}

static int attach_calls(struct kern *k, const struct attach_to *to, const struct probe_site *s, size_t n)
{
	struct bpf_program *session = k->tables ? k->skel->progs.heap_session
						: k->skel->progs.heap_session_fp;
	struct bpf_program *entry = k->tables ? k->skel->progs.heap_entry
					      : k->skel->progs.heap_entry_fp;
	int err;

	if (k->verify == KERN_VERIFY_CALLS)
		return attach_set(k, k->skel->progs.stack_verify, MP_TRACE_UPROBE_MULTI, 0, to, s, n);
	if (k->kind == ATTACH_SESSION)
		return attach_set(k, session, MP_TRACE_UPROBE_SESSION, 0, to, s, n);
	err = attach_returns(k, to, s, n);
	return err ? err : attach_set(k, entry, MP_TRACE_UPROBE_MULTI, 0, to, s, n);
}

int kern_attach_faults(struct kern *k, pid_t tid)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(a),
				     .config = PERF_COUNT_SW_PAGE_FAULTS, .sample_period = 1 };
	int fd = (int)syscall(SYS_perf_event_open, &a, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	struct bpf_link *l;

	if (fd < 0)
		return -errno;
	l = bpf_program__attach_perf_event(k->skel->progs.fault_verify, fd);
	if (!l) {
		close(fd);
		return -errno;
	}
	link_keep(k, -1, l);
	return 0;
}

/* The sites of one kind, in out; their number. */
static size_t pick(struct probe_site *out, const struct probe_site *sites, size_t n, bool entry_only, bool hot)
{
	size_t i, picked = 0;

	for (i = 0; i < n; i++)
		if (sites[i].entry_only == entry_only && sites[i].is_hot == hot && !sites[i].is_bump)
			out[picked++] = sites[i];
	return picked;
}

/* What a runtime's own heap hands out: apart from the gate. */
static int attach_bumps(struct kern *k, const struct attach_to *to, const struct probe_site *sites, size_t n)
{
	struct bpf_program *prog;
	struct attach_to always = *to;
	size_t i;
	int err = 0;

	always.gated = false;
	for (i = 0; i < n && !err && k->verify == KERN_COUNT; i++) {
		prog = sites[i].is_bump ? bump_program(k) : NULL;
		if (prog)
			err = attach_set(k, prog, MP_TRACE_UPROBE_MULTI, 0, &always, &sites[i], 1);
	}
	return err;
}

int kern_attach(struct kern *k, const char *path, int file_fd, const struct probe_site *sites, size_t n, pid_t pid,
		unsigned int *n_probes)
{
	const struct attach_to to = { .path = path, .fd = file_fd, .pid = pid, .gated = k->verify == KERN_COUNT };
	struct probe_site *some = xcalloc(n, sizeof(*some));
	size_t picked;
	int err = 0, hot;

	err = attach_bumps(k, &to, sites, n);
	for (hot = 0; hot < 2 && !err; hot++) {
		picked = pick(some, sites, n, true, hot);
		err = attach_entry_only(k, &to, some, picked);
		picked = pick(some, sites, n, false, hot);
		if (!err)
			err = attach_calls(k, &to, some, picked);
	}
	if (err)
		err = explain_attach(k, path, err);
	else
		*n_probes += (unsigned int)n;
	free(some);
	return err;
}

/* One entry probe in one process. */
static int attach_one(struct kern *k, struct bpf_program *prog, const char *path, unsigned long offset, pid_t pid,
		      struct kern_link *out)
{
	uint64_t cookie = 0;

	*out = (struct kern_link){ .fd = -1 };
	if (k->kind == ATTACH_PERF) {
		out->perf = bpf_program__attach_uprobe(prog, false, pid, path, offset);
		return out->perf ? 0 : -errno;
	}
	out->fd = link_multi(&(struct multi_link){ .prog_fd = bpf_program__fd(prog), .type = MP_TRACE_UPROBE_MULTI,
						   .path = path, .offsets = &offset, .cookies = &cookie, .n = 1, .pid = pid });
	return out->fd < 0 ? out->fd : 0;
}

int kern_attach_loader(struct kern *k, const char *path, uint64_t offset, unsigned int nth, pid_t pid)
{
	k->skel->bss->loader_calls = 2 - nth;
	return attach_one(k, k->skel->progs.loader_ready, path, offset, pid, &k->loader);
}

int kern_hold_exit(struct kern *k, const char *path, uint64_t offset, pid_t pid)
{
	struct kern_link link; /* for all: a link of one process is in the way of others' (others.c) */
	int err = attach_one(k, k->skel->progs.exit_begins, path, offset, k->kind == ATTACH_PERF ? -1 : 0, &link);

	if (err)
		return err;
	link_keep(k, link.fd, link.perf);
	k->skel->bss->exit_tgid = (uint32_t)pid;
	return 0;
}

int kern_attach_code_hook(struct kern *k, const char *path, int file_fd, uint64_t offset, pid_t pid)
{
	struct probe_site site = { .offset = offset, .entry_only = true };
	const struct attach_to to = { .path = path, .fd = file_fd, .pid = pid };
	struct bpf_program *prog = k->skel->progs.loader_changed;

	if (!k->tables)
		return 0;
	return attach_set(k, prog, MP_TRACE_UPROBE_MULTI, 0, &to, &site, 1);
}

int kern_attach_refused(struct kern *k, const char *path, int file_fd, uint64_t offset, bool third, pid_t pid)
{
	struct probe_site site = { .offset = offset, .cookie = third, .entry_only = true };
	const struct attach_to to = { .path = path, .fd = file_fd, .pid = pid };

	return attach_set(k, k->skel->progs.alloc_refused, MP_TRACE_UPROBE_MULTI, 0, &to, &site, 1);
}

/* Files of one build have the same, and take no further row: its number, or MP_OBJECT_FORMS if there is no room. */
static uint32_t object_form(struct kern *k, const struct mp_object_form *form)
{
	struct mp_object_form *rows = k->skel->bss->object_forms;
	uint32_t i;

	for (i = 0; i < k->n_object_forms; i++)
		if (!memcmp(&rows[i], form, sizeof(*form)))
			return i;
	if (i < MP_OBJECT_FORMS)
		rows[k->n_object_forms++] = *form;
	return i;
}

int kern_attach_objects(struct kern *k, const char *path, int file_fd, const struct probe_site *sites,
			const struct mp_object_form *forms, size_t n, pid_t pid)
{
	const struct attach_to to = { .path = path, .fd = file_fd, .pid = pid, .gated = true };
	struct probe_site *s = xcalloc(n, sizeof(*s));
	int err = 0;
	size_t i;

	for (i = 0; i < n && !err; i++) {
		uint32_t form = object_form(k, &forms[i]);

		s[i] = sites[i];
		s[i].cookie = MP_COOKIE(form, 0, 0);
		s[i].entry_only = true;
		err = form < MP_OBJECT_FORMS ? 0 : -ENOSPC;
	}
	if (!err)
		err = attach_set(k, k->skel->progs.object_born, MP_TRACE_UPROBE_MULTI, 0, &to, s, n);
	free(s);
	return err;
}

void kern_detach_loader(struct kern *k)
{
	links_close(&k->loader, 1);
	k->loader = (struct kern_link){ .fd = -1 };
}
