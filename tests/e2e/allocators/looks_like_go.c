/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A stand-in for a Go program: it has Go's build info, and an allocator in its own text under names
 * that are probed elsewhere. Go's runtime reads return addresses when it moves stacks, so none may
 * be replaced there: each call looks at its own. The C library beside it is no Go code (as with cgo).
 */
#include <stdint.h>

#include "forms.h"

__attribute__((section(".go.buildinfo"), used)) static const char build_info[32] =
	"\xff Go buildinf:";

extern const char __executable_start[], etext[];

static long calls, hijacked;

static char pool[1 << 20];
static size_t pool_used;

static void look_at(const void *return_address)
{
	uintptr_t at = (uintptr_t)return_address;

	calls++;
	hijacked += at < (uintptr_t)__executable_start || at >= (uintptr_t)etext;
}

void *je_malloc(size_t size) __attribute__((noinline));
void *je_malloc(size_t size)
{
	void *p = pool + pool_used;

	look_at(__builtin_return_address(0));
	pool_used += (size + 15) & ~(size_t)15;
	CHECK(pool_used <= sizeof(pool));
	return p;
}

void *je_realloc(void *p, size_t size) __attribute__((noinline));
void *je_realloc(void *p, size_t size)
{
	look_at(__builtin_return_address(0));
	return memcpy(je_malloc(size), p, size / 3);
}

void je_free(void *p) __attribute__((noinline));
void je_free(void *p)
{
	KEEP(p);
	look_at(__builtin_return_address(0));
}

MAKE(s_go, je_malloc(size), je_free(p))
GROW(s_go_realloc, je_malloc(size), je_realloc(p, size), je_free(p))
MAKE(s_c, malloc(size), free(p))
GROW(s_c_realloc, malloc(size), realloc(p, size), free(p))

#define ALL(X) X(s_go) X(s_c) X(s_go_realloc) X(s_c_realloc)

int main(void)
{
	ready();
	hear("go");
	ALL(RUN)
	ALL(TELL)
	say("value calls %ld", calls);
	say("value hijacked %ld", hijacked);
	say("done");
	hear("exit");
	return 0;
}
