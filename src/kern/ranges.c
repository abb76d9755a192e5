/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Executable mappings per process for when bpf_find_vma is missing or busy; see bpf/vma.bpf.h. The kernel side asks
 * (MP_EV_MAPS) or a mapping event tells that they changed; the array is read from /proc and written whole.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/roots.h"
#include "kern/kern_internal.h"
#include "bpf/unwind.h"
#include "proc/maps.h"

static int put(int fd, uint32_t tgid, uint32_t at, const struct uw_range *r)
{
	struct uw_range_key key = { .tgid = tgid, .at = at };

	return bpf_map_update_elem(fd, &key, r, BPF_ANY);
}

/* mp_file_version of what lies in m, 0: not to be had. */
static uint64_t version_of(uint32_t tgid, const struct proc_map *m)
{
	char path[96];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%llx-%llx", tgid, (unsigned long long)m->start,
		 (unsigned long long)m->end);
	if (!m->ino || stat(path, &st))
		return 0;
	return mp_file_version(st.st_ctim.tv_sec, (uint32_t)st.st_ctim.tv_nsec, (uint64_t)st.st_size);
}

static int write_ranges(int fd, uint32_t tgid, const struct proc_maps *maps, uint32_t first, uint32_t *n)
{
	size_t i;
	int err;

	for (i = 0, *n = 0; i < maps->n && *n < UW_MAX_RANGES_PER_PROCESS; i++) {
		const struct proc_map *m = &maps->v[i];
		struct uw_range r = { .start = m->start, .end = m->end, .pgoff = m->offset >> 12,
				      .ino = m->ino, .dev = m->dev };

		if (!m->exec)
			continue;
		r.version = version_of(tgid, m);
		err = put(fd, tgid, first + *n, &r);
		if (err)
			return err;
		++*n;
	}
	return 0;
}

static void drop_ranges(int fd, uint32_t tgid, uint32_t first)
{
	struct uw_range_key key = { .tgid = tgid, .at = first };

	while (!bpf_map_delete_elem(fd, &key))
		key.at++;
}

static uint32_t epoch(const struct kern *k)
{
	return __atomic_load_n(&k->skel->bss->uw_epoch, __ATOMIC_SEQ_CST);
}

/*
 * Two places for a process's array, used in turn, so that a search meets one state or the other. What code came or
 * went meanwhile is not known: then the array is withdrawn, and the next miss asks again.
 */
static int write_process(struct kern *k, pid_t pid, bool begin)
{
	const uint32_t places[2] = { 0, UW_MAX_RANGES_PER_PROCESS + 1 };
	struct uw_range_key head_key = { .tgid = (uint32_t)pid, .at = UW_RANGE_HEAD };
	struct proc_maps maps = { 0 };
	struct uw_range head = { 0 };
	uint32_t before = epoch(k), n;
	int fd, err, next;

	fd = bpf_map__fd(k->skel->maps.uw_ranges);
	if (bpf_map_lookup_elem(fd, &head_key, &head) && !begin)
		return 0; /* nobody has asked: none of ours, or not yet */
	next = head.end && head.start == places[0];
	err = proc_maps_read(&maps, PROC_ROOT, pid);
	if (err)
		return err;
	drop_ranges(fd, (uint32_t)pid, places[next]);
	err = write_ranges(fd, (uint32_t)pid, &maps, places[next], &n);
	proc_maps_release(&maps);
	head = (struct uw_range){ .start = places[next], .end = n };
	if (!err)
		err = put(fd, (uint32_t)pid, UW_RANGE_HEAD, &head);
	if (!err && !begin && epoch(k) != before)
		bpf_map_delete_elem(fd, &head_key);
	if (err) {
		log_warn("process %d: mappings for the stack walk: %s", (int)pid, strerror(-err));
		drop_ranges(fd, (uint32_t)pid, places[next]);
	}
	return err;
}

int ranges_begin(struct kern *k, pid_t pid)
{
	return k->tables ? write_process(k, pid, true) : 0;
}

int kern_maps_changed(struct kern *k, pid_t pid)
{
	return k->tables ? write_process(k, pid, false) : 0;
}

void kern_maps_drop(struct kern *k, pid_t pid)
{
	struct uw_range_key head = { .tgid = (uint32_t)pid, .at = UW_RANGE_HEAD };
	int fd;

	if (!k->tables)
		return;
	fd = bpf_map__fd(k->skel->maps.uw_ranges);
	bpf_map_delete_elem(fd, &head);
	drop_ranges(fd, (uint32_t)pid, 0);
	drop_ranges(fd, (uint32_t)pid, UW_MAX_RANGES_PER_PROCESS + 1);
}
