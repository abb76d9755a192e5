/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A growable byte buffer.
 *
 * Invariants: data is never NULL; data[len] is always NUL, so data is a C string
 * as long as no NUL was added; an unused buffer owns no memory.
 *
 *	struct buf b = BUF_INIT;
 *	buf_addf(&b, "%d stacks", n);
 *	write(1, b.data, b.len);
 *	buf_release(&b);
 */
#ifndef MEMPROBE_BASE_BUF_H
#define MEMPROBE_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len;
	size_t cap; /* 0: data points at the shared empty string */
};

extern char buf_empty[1];
#define BUF_INIT { .data = buf_empty, .len = 0, .cap = 0 }

void buf_init(struct buf *b);
void buf_release(struct buf *b); /* back to BUF_INIT */
void buf_reset(struct buf *b);	 /* length 0, memory kept */
char *buf_detach(struct buf *b); /* the caller owns the result (free) */

void buf_reserve(struct buf *b, size_t extra);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_addc(struct buf *b, char c);
void buf_adds(struct buf *b, const char *s);
void buf_pad(struct buf *b, char c, size_t n);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Text from a foreign process: C0 controls, DEL and invalid UTF-8 become '?'; tab and valid UTF-8 stay. */
void buf_add_printable(struct buf *b, const char *s, size_t len);
/* The same for formats of their own: a tab becomes a blank too. */
void buf_add_plain(struct buf *b, const char *s);

/*
 * Read a whole file (procfs too) into b, at most max_bytes.
 * 0, or -errno; -EFBIG when there is more (b then holds the first max_bytes).
 */
int buf_read_file(struct buf *b, const char *path, size_t max_bytes);
int buf_read_fd(struct buf *b, int fd, size_t max_bytes);

#endif
