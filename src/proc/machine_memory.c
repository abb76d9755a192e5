/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Memory of the whole machine; see machine_memory.h. Depends on base. */
#include "proc/machine_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/units.h"
#include "proc/proc_internal.h"

static uint64_t kib_of(const char *text, const char *key)
{
	uint64_t n;

	return text_number(text, key, &n) && n < UINT64_MAX / KIB ? n * KIB : 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* "some avg10=11.20 avg60=4.00 avg300=1.00 total=8450" */
static void read_pressure(struct proc_machine *m, struct buf *text, const char *proc_root)
{
	double ten;

	if (proc_read_text(text, proc_root, 0, "pressure/memory") ||
	    sscanf(text->data, "some avg10=%lf", &ten) != 1)
		ten = -100;
	m->stall_10s = ten / 100;
}

struct reserve {
	uint64_t high, managed, most_lowmem, low; /* pages; low: of all zones */
	uint64_t sum;				  /* totalreserve_pages */
};

static void end_zone(struct reserve *r)
{
	r->sum += least(r->high + r->most_lowmem, r->managed);
	r->high = r->managed = r->most_lowmem = 0;
}

static uint64_t most_of_list(const char *v)
{
	uint64_t most = 0, n;
	char *end;

	for (; *v && *v != '\n' && *v != ')'; v = end) {
		n = strtoull(v, &end, 10);
		if (end == v) {
			end++;
			continue;
		}
		most = n > most ? n : most;
	}
	return most;
}

/* "low      30": the number, when that is the key of the line. */
static bool line_number(const char *line, const char *key, uint64_t *n)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len) != 0 || line[len] != ' ')
		return false;
	*n = strtoull(line + len, NULL, 10);
	return true;
}

static void take_zone_line(struct reserve *r, const char *line)
{
	uint64_t n;

	if (line_number(line, "high", &n))
		r->high = n;
	else if (line_number(line, "low", &n))
		r->low += n;
	else if (line_number(line, "managed", &n))
		r->managed = n;
	else if (!strncmp(line, "protection: (", 13))
		r->most_lowmem = most_of_list(line + 13);
	else if (!strncmp(line, "Node ", 5))
		end_zone(r);
}

/*
 * What MemAvailable leaves out of free memory (mm/show_mem.c, si_mem_available): the reserves of all zones
 * (totalreserve_pages), and of page cache and slab caches half of each, at most the low watermark.
 */
static uint64_t kept_free(const char *zoneinfo, uint64_t cache, uint64_t slab, uint64_t page_bytes)
{
	struct reserve r = { 0 };
	const char *line = zoneinfo;
	uint64_t low;

	while (*line) {
		take_zone_line(&r, line + strspn(line, " "));
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	end_zone(&r);
	low = r.low * page_bytes;
	return r.sum * page_bytes + least(cache / 2, low) + least(slab / 2, low);
}

static void take_meminfo(struct proc_machine *m, const char *text)
{
	uint64_t stacks = kib_of(text, "KernelStack:");
	uint64_t reclaimable = kib_of(text, "KReclaimable:"), cache = kib_of(text, "SReclaimable:");

	*m = (struct proc_machine){
		.total_bytes = kib_of(text, "MemTotal:"),
		.available_bytes = kib_of(text, "MemAvailable:"),
		.swap_total_bytes = kib_of(text, "SwapTotal:"),
		.swap_free_bytes = kib_of(text, "SwapFree:"),
		.shmem_bytes = kib_of(text, "Shmem:"),
		.slab_bytes = kib_of(text, "SUnreclaim:"),
		.slab_cache_bytes = reclaimable ? reclaimable : cache,
		.page_table_bytes = kib_of(text, "PageTables:") + kib_of(text, "SecPageTables:"),
		.stack_bytes = stacks,
		.other_kernel_bytes = kib_of(text, "Percpu:") + less(kib_of(text, "VmallocUsed:"), stacks),
		.hugetlb_bytes = kib_of(text, "Hugetlb:"),
	};
}

int proc_machine_read(struct proc_machine *m, const char *proc_root)
{
	struct buf text = BUF_INIT;
	int err = proc_read_text(&text, proc_root, 0, "meminfo");
	uint64_t total, cache;

	if (!err && !text_number(text.data, "MemTotal:", &total))
		err = -EINVAL;
	if (err)
		goto out;
	take_meminfo(m, text.data);
	cache = kib_of(text.data, "Active(file):") + kib_of(text.data, "Inactive(file):");
	if (!proc_read_text(&text, proc_root, 0, "zoneinfo"))
		m->kept_free_bytes =
			kept_free(text.data, cache, m->slab_cache_bytes, (uint64_t)sysconf(_SC_PAGESIZE));
	if (!proc_read_text(&text, proc_root, 0, "vmstat"))
		text_number(text.data, "oom_kill ", &m->oom_kills);
	read_pressure(m, &text, proc_root);
out:
	buf_release(&text);
	return err;
}

int proc_rollup_read(struct proc_rollup *r, const char *proc_root, pid_t pid)
{
	struct buf text = BUF_INIT;
	int err = proc_read_text(&text, proc_root, pid, "smaps_rollup");
	uint64_t shmem, anon, swap, private;

	if (!err && !text.len)
		err = -ESRCH;
	if (!err) {
		anon = kib_of(text.data, "Anonymous:");
		shmem = kib_of(text.data, "Pss_Shmem:");
		swap = kib_of(text.data, "SwapPss:");
		private = kib_of(text.data, "Private_Dirty:");
		*r = (struct proc_rollup){
			.pss_bytes = kib_of(text.data, "Pss_Anon:") + shmem + swap,
			.pss_shmem_bytes = shmem,
			.private_bytes = least(private, anon) + swap,
			.all_bytes = anon + kib_of(text.data, "Swap:"),
		};
	}
	buf_release(&text);
	return err;
}
