/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What every target program of the end-to-end tests shares: the conversation with the
 * harness, and its own count of what it holds. The count is kept next to each call, from
 * the arguments, so that it depends on no allocator and on no tracer.
 *
 *	target:  ready 4242
 *	harness: go                      (the profiler is armed)
 *	target:  site s_malloc 3500 5 7000 10      live bytes, live blocks, all bytes, all blocks
 *	target:  done
 *	harness: exit
 *
 * Nothing here allocates: the conversation is read(2) and write(2). A site is a function
 * of the same name; it must be SITE, so that it stays one function with a frame.
 */
#ifndef MEMPROBE_TEST_TRUTH_H
#define MEMPROBE_TEST_TRUTH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
#define SITE extern "C" __attribute__((noinline, noclone, used))
#else
#define SITE __attribute__((noinline, noclone, used))
#endif

/* The compiler must not remove an allocation that nobody reads, nor know its pointer. */
#define KEEP(p) __asm__ volatile("" : "+r"(p) : : "memory")
/* A call in front of this is no tail call. */
#define NO_TAIL() __asm__ volatile("" : : : "memory")

struct site {
	const char *name;
	long live_bytes, live_blocks, alloc_bytes, alloc_blocks;
};

/* Many of them: after `#define SITES(X) X(s_one) X(s_two)` the array sites[N_SITES], and S(s_one) for one. */
#define SITE_INDEX(name) I_##name,
#define SITE_ROW(name) { #name, 0, 0, 0, 0 },
#define DEFINE_SITES()                              \
	enum site_index { SITES(SITE_INDEX) N_SITES }; \
	static struct site sites[] = { SITES(SITE_ROW) }
#define S(name) (&sites[I_##name])

static inline void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void say(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(99);
}

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond)) {                                             \
			say("error %s:%d: %s", __FILE__, __LINE__, #cond); \
			_exit(98);                                         \
		}                                                          \
	} while (0)

/* The next line that the harness says; at its end of file the target ends too. */
static inline void hear(const char *expected)
{
	char line[64];
	size_t n = 0;

	for (;;) {
		if (read(STDIN_FILENO, line + n, 1) != 1)
			_exit(0);
		if (line[n] == '\n')
			break;
		CHECK(++n < sizeof(line));
	}
	line[n] = 0;
	if (strcmp(line, expected)) {
		say("error: heard %s instead of %s", line, expected);
		_exit(97);
	}
}

static inline void ready(void)
{
	say("ready %d", (int)getpid());
}

static inline void count_alloc(struct site *s, size_t bytes)
{
	s->live_bytes += (long)bytes;
	s->live_blocks++;
	s->alloc_bytes += (long)bytes;
	s->alloc_blocks++;
}

static inline void count_free(struct site *s, size_t bytes)
{
	s->live_bytes -= (long)bytes;
	s->live_blocks--;
}

static inline void tell(const struct site *s)
{
	say("site %s %ld %ld %ld %ld", s->name, s->live_bytes, s->live_blocks, s->alloc_bytes,
	    s->alloc_blocks);
}

#endif
