/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * New code in any process, by perf events; see mapwatch.h. Record layout: perf_event_open(2), MMAP2 and COMM.
 *
 * Each CPU has a ring of its own, and a process moves between them: the rings are read as one, by the records' times.
 * Otherwise the mappings of a program would come before the exec of the shell that started it.
 */
#include "kern/mapwatch.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/xalloc.h"

#define RING_PAGES 64

struct cpu_ring {
	int fd;
	struct perf_event_mmap_page *page;
	uint64_t tail, head; /* of what is read now */
	uint64_t time_ns;    /* of the record at tail; UINT64_MAX: there is none */
};

struct mapwatch {
	struct cpu_ring *cpus;
	unsigned int n;
	size_t page_bytes;
	char *record; /* a record that wraps is put together here */
};

struct mmap2_record {
	struct perf_event_header h;
	uint32_t pid, tid;
	uint64_t addr, len, pgoff;
	uint32_t maj, min;
	uint64_t ino, ino_generation;
	uint32_t prot, flags;
	char path[];
};

struct comm_record {
	struct perf_event_header h;
	uint32_t pid, tid;
};

struct lost_record {
	struct perf_event_header h;
	uint64_t id, lost;
};

static int open_cpu(struct mapwatch *w, struct cpu_ring *c, int cpu)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.sample_type = PERF_SAMPLE_TIME,
		.sample_id_all = 1, /* each record ends with its time */
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 1,
		.wakeup_watermark = 1, /* at once: new code wants its unwind table before it runs */
	};
	void *p;

	c->fd = (int)syscall(__NR_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (c->fd < 0)
		return -errno;
	p = mmap(NULL, (RING_PAGES + 1) * w->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	c->page = p;
	return 0;
}

int mapwatch_open(struct mapwatch **out)
{
	struct mapwatch *w = xcalloc(1, sizeof(*w));
	long n = sysconf(_SC_NPROCESSORS_CONF);
	int err = 0, cpu;

	w->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	w->record = xmalloc(65536);
	w->cpus = xcalloc((size_t)n, sizeof(*w->cpus));
	for (cpu = 0; cpu < n && !err; cpu++) {
		w->cpus[cpu].fd = -1;
		w->n = (unsigned int)cpu + 1;
		err = open_cpu(w, &w->cpus[cpu], cpu);
		if (err == -ENODEV) /* offline */
			err = 0;
	}
	if (err) {
		log_debug("mmap events: %s: names of short-lived processes may be missing",
			  strerror(-err));
		mapwatch_close(w);
		return err;
	}
	*out = w;
	return 0;
}

void mapwatch_close(struct mapwatch *w)
{
	unsigned int i;

	if (!w)
		return;
	for (i = 0; i < w->n; i++) {
		if (w->cpus[i].page)
			munmap(w->cpus[i].page, (RING_PAGES + 1) * w->page_bytes);
		if (w->cpus[i].fd >= 0)
			close(w->cpus[i].fd);
	}
	free(w->cpus);
	free(w->record);
	free(w);
}

int mapwatch_fd(const struct mapwatch *w, unsigned int i)
{
	unsigned int at;

	for (at = 0; w && at < w->n; at++)
		if (w->cpus[at].fd >= 0 && i-- == 0)
			return w->cpus[at].fd;
	return -1;
}

static void handle_mmap(const struct mmap2_record *r, const struct mapwatch_handlers *h)
{
	struct proc_map m = {
		.start = r->addr,
		.end = r->addr + r->len,
		.offset = r->pgoff,
		.ino = r->ino,
		.dev = r->maj << 20 | r->min,
		.read = r->prot & PROT_READ,
		.write = r->prot & PROT_WRITE,
		.exec = r->prot & PROT_EXEC,
		.shared = r->flags & MAP_SHARED,
		.path = (char *)(uintptr_t)r->path,
	};
	size_t room = r->h.size - sizeof(*r);

	if (!room || !memchr(r->path, '\0', room))
		return;
	h->map(h->ctx, (pid_t)r->pid, &m);
}

static void handle_record(const struct perf_event_header *r, const struct mapwatch_handlers *h)
{
	if (r->type == PERF_RECORD_MMAP2 && r->size > sizeof(struct mmap2_record))
		handle_mmap((const void *)r, h);
	else if (r->type == PERF_RECORD_COMM && r->misc & PERF_RECORD_MISC_COMM_EXEC)
		h->exec(h->ctx, (pid_t)((const struct comm_record *)(const void *)r)->pid);
	else if (r->type == PERF_RECORD_LOST)
		h->lost(h->ctx, ((const struct lost_record *)(const void *)r)->lost);
}

static void copy_out(char *to, const char *ring, uint64_t size, uint64_t at, size_t len)
{
	size_t first = size - (at & (size - 1));

	if (first > len)
		first = len;
	memcpy(to, ring + (at & (size - 1)), first);
	memcpy(to + first, ring, len - first);
}

/* Header and time of the ring's next record. */
static void look_at_next(const struct mapwatch *w, struct cpu_ring *c, struct perf_event_header *hdr)
{
	uint64_t size = RING_PAGES * w->page_bytes;
	const char *ring = (const char *)c->page + w->page_bytes;

	c->time_ns = UINT64_MAX;
	if (c->tail + sizeof(*hdr) > c->head)
		return;
	copy_out((char *)hdr, ring, size, c->tail, sizeof(*hdr));
	if (hdr->size < sizeof(*hdr) + sizeof(c->time_ns) || c->tail + hdr->size > c->head) {
		c->tail = c->head; /* makes no sense */
		return;
	}
	copy_out((char *)&c->time_ns, ring, size, c->tail + hdr->size - sizeof(c->time_ns), sizeof(c->time_ns));
}

static void handle_next(struct mapwatch *w, struct cpu_ring *c, const struct mapwatch_handlers *h)
{
	struct perf_event_header hdr;

	look_at_next(w, c, &hdr);
	if (c->time_ns == UINT64_MAX)
		return;
	copy_out(w->record, (const char *)c->page + w->page_bytes, RING_PAGES * w->page_bytes, c->tail, hdr.size);
	((struct perf_event_header *)(void *)w->record)->size = (uint16_t)(hdr.size - sizeof(c->time_ns));
	c->tail += hdr.size;
	handle_record((const void *)w->record, h);
	look_at_next(w, c, &hdr);
}

static struct cpu_ring *earliest(struct mapwatch *w)
{
	struct cpu_ring *first = NULL;
	unsigned int i;

	for (i = 0; i < w->n; i++)
		if (w->cpus[i].page && w->cpus[i].time_ns != UINT64_MAX &&
		    (!first || w->cpus[i].time_ns < first->time_ns))
			first = &w->cpus[i];
	return first;
}

void mapwatch_poll(struct mapwatch *w, const struct mapwatch_handlers *h)
{
	struct perf_event_header hdr;
	struct cpu_ring *c;
	unsigned int i;

	for (i = 0; w && i < w->n; i++) {
		c = &w->cpus[i];
		if (!c->page)
			continue;
		c->tail = c->page->data_tail;
		c->head = __atomic_load_n(&c->page->data_head, __ATOMIC_ACQUIRE);
		look_at_next(w, c, &hdr);
	}
	while (w && (c = earliest(w)))
		handle_next(w, c, h);
	for (i = 0; w && i < w->n; i++)
		if (w->cpus[i].page)
			__atomic_store_n(&w->cpus[i].page->data_tail, w->cpus[i].tail, __ATOMIC_RELEASE);
}
