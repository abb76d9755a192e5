/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Control flow that skips returns: longjmp out of callers, signal handlers on their own
 * stack that allocate, recursion deeper than a stack record.
 *
 * s_interrupted is what a timer interrupts at any instruction, also inside malloc. Its
 * handler keeps to one size, of which the thread's cache is filled before, so that handler
 * and program share no list of the allocator; the harness does not compare its figures, as
 * a call inside a call is not counted. s_handler is the same outside of any call: exact.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "truth.h"

static struct site jumped = { .name = "s_jumped" }, after = { .name = "s_after_jumps" };
static struct site handler = { .name = "s_handler" }, main_loop = { .name = "s_interrupted" };
static struct site deep = { .name = "s_deep" };
static jmp_buf back;
static volatile long n_alarms;
static void *kept[7];
static char alternate[1 << 16];

SITE void jump_back(void)
{
	if (n_alarms >= 0)
		longjmp(back, 1);
}

SITE void s_jumped(int depth, size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&jumped, size);
	if (!depth)
		jump_back();
	else
		s_jumped(depth - 1, size + 1);
	free(p); /* never */
	NO_TAIL();
}

SITE void s_after_jumps(void)
{
	for (size_t i = 0; i < 13; i++) {
		void *p = malloc(321);

		KEEP(p);
		count_alloc(&after, 321);
	}
}

SITE void s_handler(int sig)
{
	void *p = malloc(444);

	(void)sig;
	KEEP(p);
	count_alloc(&handler, 444);
}

SITE void s_alarm(int sig)
{
	void *p;

	(void)sig;
	n_alarms++;
	p = malloc(400);
	KEEP(p);
	free(p);
	NO_TAIL();
}

SITE void s_interrupted(void)
{
	void *ring[8] = { 0 };
	struct itimerval every = { { 0, 150 }, { 0, 150 } }, never = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &every, NULL);
	for (size_t i = 0; i < 200000; i++) {
		size_t at = i % 8;

		if (ring[at]) {
			free(ring[at]);
			count_free(&main_loop, 64 + at);
		}
		ring[at] = malloc(64 + at);
		KEEP(ring[at]);
		count_alloc(&main_loop, 64 + at);
	}
	setitimer(ITIMER_REAL, &never, NULL);
}

SITE void s_deep(int depth)
{
	if (depth) {
		s_deep(depth - 1);
		NO_TAIL();
		return;
	}
	for (size_t i = 0; i < 17; i++) {
		void *p = malloc(1009);

		KEEP(p);
		count_alloc(&deep, 1009);
	}
}

static void handle(int sig, void (*fn)(int))
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = SA_ONSTACK | SA_RESTART };

	CHECK(sigaction(sig, &sa, NULL) == 0);
}

int main(void)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };

	CHECK(sigaltstack(&stack, NULL) == 0);
	handle(SIGUSR1, s_handler);
	handle(SIGALRM, s_alarm);
	for (int i = 0; i < 7; i++) {
		kept[i] = malloc(400);
		KEEP(kept[i]);
	}
	for (int i = 0; i < 7; i++)
		free(kept[i]); /* the thread's cache of this size is full now */
	ready();
	hear("go");
	for (volatile int i = 0; i < 19; i++) {
		if (!setjmp(back))
			s_jumped(5 + i % 7, 100);
	}
	s_after_jumps();
	for (int i = 0; i < 11; i++)
		raise(SIGUSR1);
	s_interrupted();
	s_deep(300);
	tell(&jumped);
	tell(&after);
	tell(&handler);
	tell(&main_loop);
	tell(&deep);
	say("value alarms %ld", n_alarms);
	say("done");
	hear("exit");
	return 0;
}
