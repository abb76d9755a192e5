/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Room for attaching below the limits of control groups; see room_check.h. */
#include "app/room_check.h"

#include <unistd.h>

#include "app/limits.h"
#include "app/session.h"
#include "base/log.h"
#include "base/roots.h"
#include "base/units.h"
#include "proc/room.h"

/*
 * What attaching may charge to one process. Measured on 6.18, 200 processes: with glibc alone 16 KiB of copied pages
 * and 8 KiB at the first calls (the page for returns, page tables); with jemalloc preloaded 64 and 8.
 */
#define PER_PROCESS_BYTES (128 * KIB)
/* Room for more than one attach: worth a word, no reason to stay away. */
#define AMPLE 8

static void say_room(const struct proc_room *r, uint64_t need, bool refused)
{
	char left[16], limit[16], most[16];
	const char *text = "control group %s: %s left of its limit of %s, and probes in %zu process%s of it take up to "
			   "%s (copied pages of code, page tables)%s";
	const char *end = refused ? ": the kernel would kill one of them. Not attached: raise the limit, or free some"
			  : need > r->left_bytes ? ": the kernel may kill one of them"
						 : "";

	units_format_size(left, r->left_bytes);
	units_format_size(limit, r->limit_bytes);
	units_format_size(most, need);
	if (refused)
		log_error(text, r->name, left, limit, r->n_processes, r->n_processes == 1 ? "" : "es", most, end);
	else
		log_warn(text, r->name, left, limit, r->n_processes, r->n_processes == 1 ? "" : "es", most, end);
}

int room_check(const pid_t *pids, size_t n, bool must_fit)
{
	struct proc_rooms rooms = { 0 };
	int status = STATUS_OK;
	size_t i;

	for (i = 0; i < n; i++)
		proc_rooms_add(&rooms, PROC_ROOT, CGROUP_ROOT, pids[i]);
	for (i = 0; i < rooms.n; i++) {
		const struct proc_room *r = &rooms.v[i];
		uint64_t need = r->n_processes * PER_PROCESS_BYTES;
		bool fits = r->left_bytes >= need;

		if (r->left_bytes >= need * (must_fit ? AMPLE : 1))
			continue;
		say_room(r, need, must_fit && !fits);
		if (must_fit && !fits)
			status = STATUS_FAILED;
	}
	proc_rooms_release(&rooms);
	return status;
}

static int check_least(const struct proc_room *r, uint64_t max_memory_bytes)
{
	char left[16], limit[16], need[16];

	units_format_size(left, r->left_bytes);
	units_format_size(limit, r->limit_bytes);
	units_format_size(need, LIMITS_BASE_BYTES + LIMITS_LEAST_TABLES_BYTES);
	if (r->left_bytes < LIMITS_BASE_BYTES + LIMITS_LEAST_TABLES_BYTES) {
		log_error("memprobe's own control group %s: %s left of its limit of %s, and memprobe needs %s: run it in "
			  "another one (systemd-run --scope memprobe ...), or raise the limit",
			  r->name, left, limit, need);
		return STATUS_FAILED;
	}
	if (r->left_bytes < LIMITS_BASE_BYTES + max_memory_bytes)
		log_warn("memprobe's own control group %s: %s left of its limit of %s: --max-memory asks for more, and the "
			 "kernel may kill memprobe",
			 r->name, left, limit);
	return STATUS_OK;
}

int room_check_own(uint64_t max_memory_bytes)
{
	struct proc_rooms rooms = { 0 };
	const struct proc_room *least;
	int status = STATUS_OK;

	proc_rooms_add(&rooms, PROC_ROOT, CGROUP_ROOT, getpid());
	least = proc_rooms_least(&rooms);
	if (least)
		status = check_least(least, max_memory_bytes);
	proc_rooms_release(&rooms);
	return status;
}
