/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Links that others hold on the files that we probe; see kern.h.
 *
 * Ids of links only grow, so a look costs one call of bpf(2) as long as there is no new one. Not seen: probes
 * without a link (perf events with a program of their own, tracefs), and those of others before the kernel tells a
 * link's file (6.8). Which half of a call a link is for the kernel does not tell either: entries alone are taken for
 * danger too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/roots.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "kern/kern_internal.h"
#include "proc/process.h"
#include "proc/same_file.h"

#define WAIT_NS (3000 * NS_PER_MS)
#define WAIT_STEP_NS (10 * NS_PER_MS)
#define MAX_OWN 64 /* programs */
#define LINK_PERF_EVENT 7
#define LINK_UPROBE_MULTI 12
#define PERF_EVENT_UPROBE 1
#define PERF_EVENT_URETPROBE 2

/* struct bpf_link_info of linux/bpf.h: uprobe_multi (6.8), perf_event.uprobe (6.6). */
struct link_info {
	uint32_t type, id, prog_id, pad;
	union {
		struct {
			uint64_t path, offsets, ref_ctr_offsets, cookies;
			uint32_t path_size, count, flags, pid;
		} multi;
		struct {
			uint32_t type, pad;
			uint64_t file_name;
			uint32_t name_len, offset;
			uint64_t cookie, ref_ctr_offset;
		} perf;
	};
};

struct others {
	uint32_t own[MAX_OWN]; /* ids of our programs */
	size_t n_own;
	uint32_t seen; /* the greatest link id */
};

struct other_link {
	struct kern_other other;
	char path[512];
};

static void wait_a_step(void)
{
	const struct timespec step = { .tv_nsec = WAIT_STEP_NS };

	nanosleep(&step, NULL);
}

static void add_own(struct others *o, const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_program__fd(prog) < 0 || bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len))
		return;
	if (o->n_own < MAX_OWN)
		o->own[o->n_own++] = info.id;
}

static struct others *others_of(struct kern *k)
{
	struct bpf_program *p;

	if (k->others)
		return k->others;
	k->others = xcalloc(1, sizeof(*k->others));
	bpf_object__for_each_program(p, k->skel->obj)
		add_own(k->others, p);
	return k->others;
}

void others_add_own(struct kern *k, const struct bpf_program *prog)
{
	add_own(others_of(k), prog);
}

void others_release(struct kern *k)
{
	free(k->others);
	k->others = NULL;
}

static bool is_own(const struct others *o, uint32_t prog_id)
{
	size_t i;

	for (i = 0; i < o->n_own && o->own[i] != prog_id; i++)
		;
	return i < o->n_own;
}

/* Twice: the kernel wants no place for the path of a link that has none. */
static bool read_info(int fd, struct link_info *info, char *path, uint32_t room)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (bpf_obj_get_info_by_fd(fd, (struct bpf_link_info *)info, &len))
		return false;
	if (info->type == LINK_PERF_EVENT && (info->perf.type == PERF_EVENT_UPROBE || info->perf.type == PERF_EVENT_URETPROBE)) {
		memset(info, 0, sizeof(*info));
		info->perf.file_name = (uintptr_t)path;
		info->perf.name_len = room;
	} else if (info->type == LINK_UPROBE_MULTI) {
		memset(info, 0, sizeof(*info));
		info->multi.path = (uintptr_t)path;
		info->multi.path_size = room;
	} else {
		return false;
	}
	len = sizeof(*info);
	return !bpf_obj_get_info_by_fd(fd, (struct bpf_link_info *)info, &len);
}

/* A probe of somebody else's? */
static bool read_link(const struct others *o, uint32_t id, struct other_link *l)
{
	int fd = bpf_link_get_fd_by_id(id);
	struct link_info info;
	bool ok;

	if (fd < 0)
		return false;
	memset(l, 0, sizeof(*l));
	ok = read_info(fd, &info, l->path, sizeof(l->path) - 1) && !is_own(o, info.prog_id);
	close(fd);
	if (!ok)
		return false;
	l->other.link_id = id;
	l->other.pid = info.type == LINK_UPROBE_MULTI ? (pid_t)info.multi.pid : 0;
	return true;
}

/* By its name, and where that is another one here (a hard link, another mount): by the file. */
static bool is_on(const struct other_link *l, int fd)
{
	struct proc_file_id a, b;
	char self[64], path[512];
	ssize_t n;
	int other;
	bool same;

	snprintf(self, sizeof(self), PROC_ROOT "/self/fd/%d", fd);
	n = readlink(self, path, sizeof(path) - 1);
	if (n > 0 && !strncmp(path, l->path, (size_t)n) && !l->path[n])
		return true;
	other = open(l->path, O_PATH | O_CLOEXEC);
	if (other < 0)
		return false;
	same = !proc_file_id(other, &a) && !proc_file_id(fd, &b) && proc_is_same_file(&a, &b);
	close(other);
	return same;
}

static bool tell(const struct other_link *l, struct kern_other *other)
{
	*other = l->other;
	other->holder = proc_holder(PROC_ROOT, "link_id", l->other.link_id);
	return true;
}

static bool is_beside_ours(const struct kern *k, const struct other_link *l)
{
	size_t i;

	for (i = 0; i < k->n_sets; i++)
		if (k->sets[i].pid && k->sets[i].pid != l->other.pid && is_on(l, k->sets[i].file_fd))
			return true;
	return false;
}

static bool is_looking(const struct kern *k)
{
	return k->kind == ATTACH_SESSION && k->verify == KERN_COUNT;
}

bool kern_others_came(struct kern *k, struct kern_other *other)
{
	struct other_link l, found = { .path = "" };
	struct others *o;

	if (!is_looking(k))
		return false;
	o = others_of(k);
	while (!bpf_link_get_next_id(o->seen, &o->seen))
		if (!found.path[0] && read_link(o, o->seen, &l) && is_beside_ours(k, &l))
			found = l;
	return found.path[0] && tell(&found, other);
}

/* pid: links for that one do not count; scoped: only those for a single process do. */
static bool find_on(struct kern *k, int fd, pid_t pid, bool scoped, struct other_link *l)
{
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id))
		if (read_link(others_of(k), id, l) && (!scoped || l->other.pid) && (!pid || l->other.pid != pid) && is_on(l, fd))
			return true;
	return false;
}

bool kern_others_on(struct kern *k, int fd, pid_t pid, struct kern_other *other)
{
	struct other_link l;

	return is_looking(k) && find_on(k, fd, pid, false, &l) && tell(&l, other);
}

bool kern_others_wait(struct kern *k, int fd, const struct probe_site *entry, struct kern_other *other)
{
	struct other_link l;
	unsigned long offset = entry->offset;
	uint64_t waited = 0;
	char path[64];
	int mark;

	if (!is_looking(k) || !find_on(k, fd, 0, true, &l))
		return false;
	snprintf(path, sizeof(path), PROC_ROOT "/self/fd/%d", fd);
	mark = link_multi(&(struct multi_link){
		.prog_fd = bpf_program__fd(k->skel->progs.heap_free_entry), .type = MP_TRACE_UPROBE_MULTI, .path = path,
		.offsets = &offset, .cookies = &entry->cookie, .n = 1, .pid = getpid(),
	});
	for (; waited < WAIT_NS && find_on(k, fd, 0, true, &l); waited += WAIT_STEP_NS) {
		widen_poll(k);
		wait_a_step();
	}
	if (mark >= 0)
		close(mark);
	return waited >= WAIT_NS && tell(&l, other);
}
