/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Made-up machines, looked at once a second, for the tests of what a machine's memory comes to and of how it is shown.
 * No kernel, no clock. Include cmocka before.
 */
#ifndef MEMPROBE_TESTS_UNIT_MADE_MACHINE_H
#define MEMPROBE_TESTS_UNIT_MADE_MACHINE_H

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "model/profile.h"

#define LOOKS 30

struct made {
	struct machine_watch w;
	struct profile p;
};

static inline void make(struct made *m)
{
	memset(m, 0, sizeof(*m));
	profile_init(&m->p);
}

static inline void unmake(struct made *m)
{
	machine_watch_release(&m->w);
	profile_release(&m->p);
}

static inline struct machine_memory memory_of(uint64_t used_bytes)
{
	return (struct machine_memory){
		.total_bytes = 64 * GIB,
		.available_bytes = 64 * GIB - used_bytes,
		.slab_bytes = 500 * MIB,
		.page_table_bytes = 20 * MIB,
		.stack_bytes = 5 * MIB,
		.shmem_bytes = 100 * MIB,
		.stall_10s = -1,
	};
}

/* A look at second t, when so much RAM was in use; processes are the caller's. */
static inline void look(struct made *m, double t_s, uint64_t used_bytes)
{
	struct machine_memory mem = memory_of(used_bytes);

	machine_watch_memory(&m->w, t_s, &mem);
}

static inline struct machine_proc *proc(struct made *m, uint64_t id, double t_s, int pid, int ppid, const char *name)
{
	struct machine_proc *p = machine_watch_proc(&m->w, id, t_s, t_s > 0);

	p->pid = pid;
	p->ppid = ppid;
	p->exe = hash_bytes(name, strlen(name));
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->group, sizeof(p->group), "%.30s.service", name);
	p->group_id = hash_bytes(name, strlen(name));
	return p;
}

static inline void rollup_alone(struct machine_proc *p, double t_s, uint64_t bytes)
{
	machine_proc_rollup(p, t_s, bytes, 0, bytes, bytes);
}

/* One that grows by 2 MiB a second, one that stands. */
static inline void make_grower(struct made *m)
{
	int t;

	make(m);
	for (t = 0; t <= LOOKS; t++) {
		look(m, t, 10 * GIB + (uint64_t)t * 2 * MIB);
		machine_proc_take(proc(m, 1, t, 100, 1, "grower"), t, GIB + (uint64_t)t * 2 * MIB, 0);
		machine_proc_take(proc(m, 2, t, 200, 1, "stander"), t, 5 * GIB, 0);
	}
	rollup_alone(proc(m, 1, LOOKS, 100, 1, "grower"), LOOKS, GIB + LOOKS * 2 * MIB);
	rollup_alone(proc(m, 2, LOOKS, 200, 1, "stander"), LOOKS, 5 * GIB);
	machine_fill(&m->p, &m->w);
}

#endif
