/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * User-level stacks: coroutines that take turns between allocations, on small stacks next
 * to each other. Each allocates at its own depth; the order of addresses of their stacks is
 * not the order in which they run.
 */
#include <ucontext.h>

#include "truth.h"

#define N 5
#define N_ROUNDS 20000
#define STACK_BYTES 65536

static struct site site = { .name = "s_coroutine" };
static ucontext_t main_context, contexts[N];
static char stacks[N][STACK_BYTES] __attribute__((aligned(16)));
static unsigned long checksum;

SITE void s_coroutine(int me, int round)
{
	size_t size = 100 + (size_t)me;
	char *p = malloc(size);

	KEEP(p);
	CHECK(p);
	count_alloc(&site, size);
	memset(p, me + 1, size);
	/* run another one while this one holds a block and a frame */
	swapcontext(&contexts[me], &contexts[(me + 2) % N]);
	checksum = checksum * 31 + (unsigned char)p[round % 100];
	if (round % 100) {
		free(p);
		count_free(&site, size);
	}
}

static void coroutine(int me)
{
	for (int i = 0; i < N_ROUNDS; i++)
		s_coroutine(me, i);
	if (me == N - 1)
		setcontext(&main_context);
	for (;;)
		swapcontext(&contexts[me], &contexts[(me + 2) % N]);
}

int main(void)
{
	for (int i = 0; i < N; i++) {
		getcontext(&contexts[i]);
		contexts[i].uc_stack.ss_sp = stacks[i];
		contexts[i].uc_stack.ss_size = STACK_BYTES;
		contexts[i].uc_link = &main_context;
		makecontext(&contexts[i], (void (*)(void))coroutine, 1, i);
	}
	ready();
	hear("go");
	swapcontext(&main_context, &contexts[0]);
	tell(&site);
	say("value checksum %lu", checksum);
	say("done");
	hear("exit");
	return 0;
}
