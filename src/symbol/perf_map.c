/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Perf map files; see perf_map.h. Format: tools/perf/Documentation/jit-interface.txt of the kernel.
 * Depends on base and libc.
 */
#include "symbol/perf_map.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/units.h"
#include "base/xalloc.h"

#define MAX_FILE_BYTES ((size_t)512 << 20)
#define MAX_LINES ((size_t)8 << 20)
/* A file is written with the clock of its file system, which may tick late. */
#define MTIME_SLACK_NS (2 * NS_PER_S)

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A hexadecimal number, 0x or not, followed by blanks. NULL when there is none or it overflows. */
static const char *take_hex(const char *p, uint64_t *out)
{
	const char *first;
	uint64_t n = 0;

	if (p[0] == '0' && (p[1] | 0x20) == 'x')
		p += 2;
	for (first = p; hex_digit(*p) >= 0; p++) {
		if (n >> 60)
			return NULL;
		n = n << 4 | (uint64_t)hex_digit(*p);
	}
	if (p == first || *p != ' ')
		return NULL;
	while (*p == ' ')
		p++;
	*out = n;
	return p;
}

/* line is NUL-terminated. */
static bool parse_line(const char *line, struct range *r, const char **name)
{
	uint64_t start, size;

	line = take_hex(line, &start);
	if (line)
		line = take_hex(line, &size);
	if (!line || !*line || !size || size > UINT64_MAX - start)
		return false;
	r->start = start;
	r->end = start + size;
	*name = line;
	return true;
}

void perf_map_parse(struct perf_map *map, char *text, size_t len)
{
	struct range *ranges = NULL;
	size_t n = 0, cap = 0, at = 0;

	perf_map_release(map);
	map->text = text;
	map->text_bytes = len;
	while (at < len && n < MAX_LINES) {
		char *line = text + at, *nl = memchr(line, '\n', len - at);
		struct range r = { 0 };
		const char *name;

		if (nl)
			*nl = '\0';
		at = nl ? (size_t)(nl + 1 - text) : len;
		if (!parse_line(line, &r, &name)) {
			map->n_bad++;
			continue;
		}
		r.rank = (uint32_t)n;
		r.name = (uint32_t)(name - text);
		XGROW(ranges, n, cap);
		ranges[n++] = r;
	}
	map->n = spans_paint(&map->v, ranges, n);
	free(ranges);
}

const char *perf_map_find(const struct perf_map *map, uint64_t addr)
{
	const struct span *s = spans_find(map->v, map->n, addr);

	return s ? map->text + s->name : NULL;
}

void perf_map_release(struct perf_map *map)
{
	free(map->text);
	free(map->v);
	*map = (struct perf_map){ 0 };
}

static uint64_t mtime_of(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;
}

static bool is_trusted(const struct stat *st, const struct perf_map_owner *owner)
{
	return S_ISREG(st->st_mode) && (st->st_uid == owner->uid || st->st_uid == 0) &&
	       mtime_of(st) + MTIME_SLACK_NS >= owner->not_before_ns;
}

static bool read_map(struct perf_map *map, int fd, const struct stat *st)
{
	struct buf text = BUF_INIT;
	int err = buf_read_fd(&text, fd, MAX_FILE_BYTES);
	size_t len = text.len;
	char *last;

	if (err && !len) {
		buf_release(&text);
		return false;
	}
	/* The writer may be in the middle of its last line: that one is read next time. */
	last = memrchr(text.data, '\n', len);
	len = last ? (size_t)(last + 1 - text.data) : 0;
	buf_reserve(&text, 1);
	text.data[len] = '\0';
	perf_map_parse(map, buf_detach(&text), len);
	map->file_bytes = (uint64_t)st->st_size;
	map->mtime_ns = mtime_of(st);
	map->ino = st->st_ino;
	return true;
}

bool perf_map_refresh(struct perf_map *map, const char *proc_root, pid_t pid, pid_t ns_pid,
		      const struct perf_map_owner *owner)
{
	char *path = xasprintf("%s/%d/root/tmp/perf-%d.map", proc_root, (int)pid, (int)ns_pid);
	bool changed = false;
	struct stat st;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	free(path);
	if (fd < 0)
		return false;
	if (!fstat(fd, &st) && is_trusted(&st, owner) &&
	    ((uint64_t)st.st_size != map->file_bytes || mtime_of(&st) != map->mtime_ns || st.st_ino != map->ino))
		changed = read_map(map, fd, &st);
	close(fd);
	return changed;
}
