/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Another tracer: a return probe of perf's kind on one function of one process, until stdin ends.
 *
 *	foreign_return PID FILE FUNCTION	prints "armed", at the end how often it was hit
 *
 * Exit status 77 where the kernel has no such probes.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "symbol/elf_file.h"

#define UPROBE_TYPE "/sys/bus/event_source/devices/uprobe/type"
#define IS_RETURN 1 /* "config:0" in format/retprobe */

struct wanted {
	const char *name;
	uint64_t offset;
};

static int take(void *ctx, const struct elf_symbol *sym)
{
	struct wanted *w = ctx;

	if (strcmp(sym->name, w->name) != 0)
		return 0;
	w->offset = sym->offset;
	return 1;
}

static int probe(int pid, const char *path, uint64_t offset)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .config = IS_RETURN };
	struct buf b = BUF_INIT;

	if (buf_read_file(&b, UPROBE_TYPE, 64))
		return -1;
	attr.type = (uint32_t)atoi(b.data);
	buf_release(&b);
	attr.uprobe_path = (uintptr_t)path;
	attr.probe_offset = offset;
	return (int)syscall(__NR_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct wanted w = { 0 };
	struct elf_file *f;
	uint64_t hits = 0;
	char c;
	int fd;

	if (argc != 4)
		return 2;
	w.name = argv[3];
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elf_file_open(&f, fd))
		return 2;
	elf_file_each_function(f, take, &w);
	elf_file_close(f);
	fd = w.offset ? probe(atoi(argv[1]), argv[2], w.offset) : -1;
	if (fd < 0)
		return 77;
	puts("armed");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	if (read(fd, &hits, sizeof(hits)) != sizeof(hits))
		return 1;
	printf("%llu\n", (unsigned long long)hits);
	return 0;
}
