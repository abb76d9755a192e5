/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What of each mapping is resident; see smaps.h. Fields: proc(5). Depends on base and maps.h. */
#include "proc/smaps.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/table.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "proc/proc_internal.h"

#define MAX_SMAPS_BYTES ((size_t)512 << 20) /* about 700 bytes a mapping */

/* "7f00-7f10 rw-p ..." and not "AnonHugePages:  0 kB": no colon before the first blank */
static bool is_header(const char *line, size_t len)
{
	const char *blank = memchr(line, ' ', len);

	return blank && isxdigit((unsigned char)*line) && memchr(line, '-', (size_t)(blank - line)) &&
	       !memchr(line, ':', (size_t)(blank - line));
}

static uint64_t kib_of(const char *line)
{
	return strtoull(line + strcspn(line, "0123456789\n"), NULL, 10) * KIB;
}

struct figures {
	uint64_t start, rss, swap;
};

static int by_start(const void *a, const void *b)
{
	const struct figures *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The headers alone are a maps file; figures are put beside them by address. */
static void join(struct proc_smaps *s, struct figures *f, size_t n)
{
	size_t i, k = 0;

	if (n)
		qsort(f, n, sizeof(*f), by_start);
	s->rss_bytes = xcalloc(s->maps.n + 1, sizeof(uint64_t));
	s->swap_bytes = xcalloc(s->maps.n + 1, sizeof(uint64_t));
	for (i = 0; i < s->maps.n; i++) {
		while (k < n && f[k].start < s->maps.v[i].start)
			k++;
		if (k == n || f[k].start != s->maps.v[i].start)
			continue;
		s->rss_bytes[i] = f[k].rss;
		s->swap_bytes[i] = f[k].swap;
		s->rss_sum_bytes += f[k].rss;
	}
}

void proc_smaps_parse(struct proc_smaps *s, const char *text, size_t len)
{
	const char *line = text, *end = text + len, *next;
	struct buf headers = BUF_INIT;
	struct figures *f = NULL;
	size_t n = 0, cap = 0, last = 0;

	proc_smaps_release(s);
	for (; line < end; line = next) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));

		next = newline ? newline + 1 : end;
		if (is_header(line, (size_t)(next - line))) {
			/*
			 * one that grows between two of the kernel's reads is listed again, with the same begin (seen
			 * on 6.18)
			 */
			if (n && f[n - 1].start == strtoull(line, NULL, 16)) {
				headers.len = last;
				n--;
			}
			last = headers.len;
			buf_add(&headers, line, (size_t)(next - line));
			XGROW(f, n, cap);
			f[n++] = (struct figures){ .start = strtoull(line, NULL, 16) };
		} else if (n && !strncmp(line, "Rss:", 4)) {
			f[n - 1].rss = kib_of(line);
		} else if (n && !strncmp(line, "Swap:", 5)) {
			f[n - 1].swap = kib_of(line);
		}
	}
	proc_maps_parse(&s->maps, headers.data, headers.len, NULL);
	join(s, f, n);
	buf_release(&headers);
	free(f);
}

int proc_smaps_read(struct proc_smaps *s, const char *proc_root, pid_t pid)
{
	char *path = xasprintf("%s/%d/smaps", proc_root, (int)pid);
	struct buf text = BUF_INIT;
	int err = buf_read_file(&text, path, MAX_SMAPS_BYTES);

	free(path);
	if (!err && !text.len)
		err = -ESRCH; /* no memory any more */
	if (!err)
		proc_smaps_parse(s, text.data, text.len);
	buf_release(&text);
	return err == -ENOENT ? -ESRCH : err;
}

int proc_lazy_free_read(uint64_t *bytes, const char *proc_root, pid_t pid)
{
	char *path = xasprintf("%s/%d/smaps_rollup", proc_root, (int)pid);
	struct buf text = BUF_INIT;
	const char *line;
	int err = buf_read_file(&text, path, MAX_SMAPS_BYTES);

	free(path);
	line = err || !text.len ? NULL : strstr(text.data, "\nLazyFree:");
	if (line)
		*bytes = kib_of(line + 1);
	else if (!err)
		err = -ENODATA;
	buf_release(&text);
	return err;
}

void proc_smaps_release(struct proc_smaps *s)
{
	proc_maps_release(&s->maps);
	free(s->rss_bytes);
	free(s->swap_bytes);
	*s = (struct proc_smaps){ 0 };
}
