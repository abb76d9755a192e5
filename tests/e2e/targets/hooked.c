/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * An allocator in the program itself that misbehaves as allocators of coroutine runtimes do:
 * posix_memalign switches to another user-level stack before it returns, where others
 * allocate; and aligned_alloc leaves by longjmp every seventh time. A return probe that is
 * pending here must neither kill the program nor change what it computes.
 *
 * malloc, calloc, realloc and free stay the C library's: posix_memalign and aligned_alloc are
 * built on malloc. Arguments: the case and the rounds. `switch`; `abandon`: the same,
 * but some calls never return; `jump`.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <ucontext.h>

#include "truth.h"

#define N 4
#define STACK_BYTES 65536

static struct site plain = { .name = "s_plain" }, after = { .name = "s_after" };
static ucontext_t main_context, contexts[N];
static char stacks[N][STACK_BYTES] __attribute__((aligned(16)));
static unsigned long checksum;
static long n_rounds;
static int current, n_done;
static bool abandon;
static jmp_buf back;

static void pass_on(void)
{
	int me = current;

	current = (me + 3) % N;
	swapcontext(&contexts[me], &contexts[current]);
}

__attribute__((noinline)) int posix_memalign(void **result, size_t align, size_t size)
{
	void *p = malloc(size + align);

	(void)align;
	if (!p)
		return ENOMEM;
	pass_on();
	*result = p;
	return 0;
}

__attribute__((noinline)) void *aligned_alloc(size_t align, size_t size)
{
	void *p = malloc(size);

	(void)align;
	KEEP(p);
	if (size % 7 == 0) {
		free(p);
		longjmp(back, 1);
	}
	return p;
}

SITE void s_plain(int round)
{
	void *p = malloc(72);

	KEEP(p);
	checksum = checksum * 31 + (unsigned long)round;
	if (round % 5)
		pass_on();
	free(p);
}

SITE void s_switching(int me, int round)
{
	void *p = NULL;

	CHECK(posix_memalign(&p, 16, 48 + (size_t)me) == 0);
	CHECK(p);
	memset(p, me, 48);
	checksum = checksum * 31 + ((unsigned char *)p)[round % 48];
	free(p);
}

static void coroutine(int me)
{
	for (int i = 0; i < n_rounds; i++) {
		if (me % 2)
			s_plain(i);
		else
			s_switching(me, i);
	}
	n_done++;
	for (;;) { /* the others finish their calls, unless these are to be left pending */
		if (n_done == N || abandon)
			setcontext(&main_context);
		pass_on();
	}
}

static void switching(void)
{
	for (int i = 0; i < N; i++) {
		getcontext(&contexts[i]);
		contexts[i].uc_stack.ss_sp = stacks[i];
		contexts[i].uc_stack.ss_size = STACK_BYTES;
		makecontext(&contexts[i], (void (*)(void))coroutine, 1, i);
	}
	current = 0;
	swapcontext(&main_context, &contexts[0]);
}

SITE void s_jumping(size_t size)
{
	void *p = aligned_alloc(16, size);

	KEEP(p);
	checksum = checksum * 31 + size;
	free(p);
	NO_TAIL();
}

static void jumping(void)
{
	for (volatile long i = 0; i < n_rounds; i++) {
		if (!setjmp(back))
			s_jumping((size_t)(48 + i % 50));
	}
	if (!setjmp(back))
		s_jumping(49); /* the last one does not return */
}

/*
 * What comes after must be exact again, at any depth: first far below the stack pointer of the
 * call that never returned, then up to it and above.
 */
SITE void s_after(int depth)
{
	char room[64];
	char *keep = room;

	memset(room, depth, sizeof(room));
	KEEP(keep);
	if (depth)
		s_after(depth - 1);
	for (size_t i = 0; i < 3; i++) {
		void *p = malloc(600 + i);

		KEEP(p);
		count_alloc(&after, 600 + i);
	}
}

int main(int argc, char **argv)
{
	bool jump = argc > 1 && !strcmp(argv[1], "jump");

	abandon = argc > 1 && !strcmp(argv[1], "abandon");
	n_rounds = argc > 2 ? atol(argv[2]) : 1000;
	(void)plain;
	ready();
	hear("go");
	if (jump)
		jumping();
	else
		switching();
	s_after(20);
	tell(&after);
	say("value checksum %lu", checksum);
	say("done");
	hear("exit");
	return 0;
}
