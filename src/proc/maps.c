/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The mappings of a process from the text of /proc/PID/maps; see maps.h.
 *
 * Parsing is a cursor over bytes that never leaves them. Opening the mapped files is
 * map_file.c. Depends on base and libc.
 */
#include "proc/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/search.h"
#include "base/xalloc.h"
#include "proc/proc_internal.h"

/* 65530 mappings (vm.max_map_count) with long paths fit; a raised sysctl does too. */
#define MAX_MAPS_BYTES ((size_t)256 << 20)

static const char deleted_suffix[] = " (deleted)";

struct cursor {
	const char *p, *end;
};

static bool take_char(struct cursor *c, char want)
{
	if (c->p == c->end || *c->p != want)
		return false;
	c->p++;
	return true;
}

static int digit_value(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	return -1;
}

static bool take_number(struct cursor *c, unsigned int base, uint64_t *out)
{
	const char *first = c->p;
	uint64_t n = 0;

	for (; c->p < c->end; c->p++) {
		int d = digit_value(*c->p);

		if (d < 0 || (unsigned int)d >= base)
			break;
		if (n > (UINT64_MAX - (unsigned int)d) / base)
			return false;
		n = n * base + (unsigned int)d;
	}
	*out = n;
	return c->p > first;
}

/* One of the four letters of "rwxp": `letter` or '-'. */
static bool take_permission(struct cursor *c, char letter, bool *out)
{
	if (c->p == c->end || (*c->p != letter && *c->p != '-'))
		return false;
	*out = *c->p++ == letter;
	return true;
}

static bool take_permissions(struct cursor *c, struct proc_map *m)
{
	if (!take_permission(c, 'r', &m->read) || !take_permission(c, 'w', &m->write) ||
	    !take_permission(c, 'x', &m->exec))
		return false;
	if (c->p == c->end || (*c->p != 's' && *c->p != 'p'))
		return false;
	m->shared = *c->p++ == 's';
	return true;
}

static bool take_numbers(struct cursor *c, struct proc_map *m)
{
	uint64_t major, minor;

	if (!take_number(c, 16, &m->start) || !take_char(c, '-') || !take_number(c, 16, &m->end))
		return false;
	if (m->end <= m->start || !take_char(c, ' ') || !take_permissions(c, m))
		return false;
	if (!take_char(c, ' ') || !take_number(c, 16, &m->offset) || !take_char(c, ' '))
		return false;
	if (!take_number(c, 16, &major) || !take_char(c, ':') || !take_number(c, 16, &minor))
		return false;
	m->dev = (uint32_t)(major << 20 | (minor & 0xfffff));
	if (!take_char(c, ' ') || !take_number(c, 10, &m->ino))
		return false;
	return c->p == c->end || *c->p == ' ';
}

/*
 * The kernel (seq_path, fs/proc/task_mmu.c) escapes nothing but the newline, as \012. A file that
 * really has the four characters \012 in its name is therefore misread; its inode still identifies
 * it.
 */
static char *unescape(const char *s, size_t len)
{
	char *out = xmalloc(len + 1), *w = out;
	size_t i = 0;

	while (i < len) {
		if (len - i >= 4 && !memcmp(s + i, "\\012", 4)) {
			*w++ = '\n';
			i += 4;
			continue;
		}
		*w++ = s[i++];
	}
	*w = '\0';
	return out;
}

static void take_path(struct cursor *c, struct proc_map *m)
{
	size_t suffix = sizeof(deleted_suffix) - 1, len;

	while (c->p < c->end && *c->p == ' ')
		c->p++;
	len = (size_t)(c->end - c->p);
	if (len > suffix && c->p[0] == '/' && !memcmp(c->end - suffix, deleted_suffix, suffix)) {
		m->deleted = true;
		len -= suffix;
	}
	m->path = unescape(c->p, len);
}

static bool parse_line(const char *line, size_t len, struct proc_map *m)
{
	struct cursor c = { line, line + len };

	*m = (struct proc_map){ 0 };
	if (memchr(line, '\0', len) || !take_numbers(&c, m))
		return false;
	take_path(&c, m);
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct proc_map *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void sort_if_needed(struct proc_maps *maps)
{
	size_t i;

	for (i = 1; i < maps->n; i++) {
		if (maps->v[i].start < maps->v[i - 1].start) {
			qsort(maps->v, maps->n, sizeof(*maps->v), by_start);
			return;
		}
	}
}

void proc_maps_parse(struct proc_maps *maps, const char *text, size_t len, size_t *bad)
{
	const char *p = text, *end = text + len;
	struct proc_map m;
	size_t n_bad = 0;

	proc_maps_release(maps);
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		const char *eol = nl ? nl : end;

		if (parse_line(p, (size_t)(eol - p), &m)) {
			XGROW(maps->v, maps->n, maps->cap);
			maps->v[maps->n++] = m;
		} else {
			n_bad++;
		}
		p = nl ? nl + 1 : end;
	}
	sort_if_needed(maps);
	if (bad)
		*bad = n_bad;
}

static int read_text(struct buf *text, const char *path)
{
	int err = buf_read_file(text, path, MAX_MAPS_BYTES);

	if (err == -ENOENT || err == -ESRCH)
		return -ESRCH;
	if (err == -EPERM)
		return -EACCES;
	return err;
}

int proc_maps_read(struct proc_maps *maps, const char *proc_root, pid_t pid)
{
	struct buf text = BUF_INIT;
	char *path = xasprintf("%s/%d/maps", proc_root, (int)pid);
	int err;

	err = read_text(&text, path);
	if (!err && !text.len) {
		/* The leader has ended; another thread may keep the process's memory. */
		pid_t tid = proc_living_thread(proc_root, pid);

		free(path);
		path = xasprintf("%s/%d/task/%d/maps", proc_root, (int)pid, (int)tid);
		err = tid ? read_text(&text, path) : -ESRCH;
	}
	if (!err && !text.len)
		err = -ESRCH;
	if (!err)
		proc_maps_parse(maps, text.data, text.len, NULL);
	free(path);
	buf_release(&text);
	return err;
}

const struct proc_map *proc_maps_find(const struct proc_maps *maps, uint64_t addr)
{
	size_t i = FIRST_ABOVE(maps->v, maps->n, start, addr);

	return i && addr < maps->v[i - 1].end ? &maps->v[i - 1] : NULL;
}

static struct proc_map copy_map(const struct proc_map *m)
{
	struct proc_map copy = *m;

	copy.path = xstrdup(m->path ? m->path : "");
	return copy;
}

/* The part of m from `start` on. */
static void cut_front(struct proc_map *m, uint64_t start)
{
	if (m->ino)
		m->offset += start - m->start;
	m->start = start;
}

static void insert_at(struct proc_maps *maps, size_t i, struct proc_map m)
{
	XGROW(maps->v, maps->n, maps->cap);
	memmove(&maps->v[i + 1], &maps->v[i], (maps->n - i) * sizeof(*maps->v));
	maps->v[i] = m;
	maps->n++;
}

static void remove_range(struct proc_maps *maps, size_t from, size_t to)
{
	size_t i;

	if (from == to)
		return;
	for (i = from; i < to; i++)
		free(maps->v[i].path);
	memmove(&maps->v[from], &maps->v[to], (maps->n - to) * sizeof(*maps->v));
	maps->n -= to - from;
}

void proc_maps_add(struct proc_maps *maps, const struct proc_map *m)
{
	struct proc_map new, tail;
	size_t i, j;

	if (m->end <= m->start)
		return;
	new = copy_map(m); /* m may lie in maps */
	i = FIRST_ABOVE(maps->v, maps->n, start, new.start);
	/* The neighbour on the left may reach into the new one, or past it: then it is split in
	 * three. */
	if (i && maps->v[i - 1].end > new.start) {
		struct proc_map *left = &maps->v[i - 1];

		if (left->end > new.end) {
			tail = copy_map(left);
			cut_front(&tail, new.end);
			insert_at(maps, i, tail);
			left = &maps->v[i - 1];
		}
		left->end = new.start;
		if (left->start == left->end)
			remove_range(maps, i - 1, i), i--;
	}
	for (j = i; j < maps->n && maps->v[j].end <= new.end; j++)
		;
	if (j < maps->n && maps->v[j].start < new.end)
		cut_front(&maps->v[j], new.end);
	remove_range(maps, i, j);
	insert_at(maps, i, new);
}

void proc_maps_release(struct proc_maps *maps)
{
	size_t i;

	for (i = 0; i < maps->n; i++)
		free(maps->v[i].path);
	free(maps->v);
	*maps = (struct proc_maps){ 0 };
}
