/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Idle CPUs; see cpu_idle.h. */
#include "proc/cpu_idle.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "proc/proc_internal.h"

/* A line number is not to be believed above this. */
#define MOST_CPUS 65536

static void put(struct cpu_idle *c, unsigned int cpu, uint64_t ns)
{
	if (cpu >= c->n) {
		c->ns = xrealloc(c->ns, (cpu + 1) * sizeof(*c->ns));
		memset(c->ns + c->n, 0, (cpu + 1 - c->n) * sizeof(*c->ns));
		c->n = cpu + 1;
	}
	c->ns[cpu] = ns;
}

int cpu_idle_read(struct cpu_idle *c, const char *proc_root)
{
	uint64_t tick_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK), nice, idle, waiting;
	struct buf text = BUF_INIT;
	const char *line;
	unsigned int cpu;
	int err = proc_read_text(&text, proc_root, 0, "stat");

	for (line = err ? NULL : text.data; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (!strncmp(line, "cpu", 3) && isdigit((unsigned char)line[3]) && /* not the sum of all */
		    sscanf(line, "cpu%u %*u %" SCNu64 " %*u %" SCNu64 " %" SCNu64, &cpu, &nice, &idle, &waiting) == 4 &&
		    cpu < MOST_CPUS)
			put(c, cpu, (nice + idle + waiting) * tick_ns);
	buf_release(&text);
	return err;
}

int cpu_idle_of(const struct cpu_idle *c, pid_t pid, uint64_t *ns)
{
	cpu_set_t *set = CPU_ALLOC(MOST_CPUS);
	size_t size = CPU_ALLOC_SIZE(MOST_CPUS);
	unsigned int i;
	int err = 0;

	if (!set)
		return -ENOMEM;
	*ns = 0;
	CPU_ZERO_S(size, set);
	if (sched_getaffinity(pid, size, set))
		err = -errno;
	for (i = 0; i < c->n && !err; i++)
		if (CPU_ISSET_S(i, size, set))
			*ns += c->ns[i];
	CPU_FREE(set);
	return err;
}

void cpu_idle_release(struct cpu_idle *c)
{
	free(c->ns);
	*c = (struct cpu_idle){ 0 };
}
