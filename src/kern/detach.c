/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Closing links, so that no probe is left in a target whatever happens to memprobe meanwhile.
 *
 * The last close of a link takes the breakpoints out of the targets. A fatal signal in the middle makes the kernel
 * give up ("failed to unregister, leaking uprobe", 6.18: its access to the target's page is interrupted): the
 * breakpoint stays, and costs a trap at each hit for as long as the target lives, or until the same place is probed
 * again. A process that is exiting has no more signals, so links are closed by the exit of a process of their own: one
 * for each, as each close waits for RCU grace periods, and together they wait once (200 links: 18.8 s -> 0.44 s). These
 * processes share our memory, but neither signals nor descriptors. Perf links are closed by threads.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "kern/kern_internal.h"

#define STACK_BYTES 65536
#define STEP_NS 100000
/* Longer than it takes to close the descriptors that are not one's own, on a busy machine. */
#define MAX_STEPS 5000

struct closer {
	struct kern_link *link;
	char *stack;
	pid_t pid, parent; /* 0: no process */
	pthread_t thread;
	bool has_thread;
	int has_dropped, *go;
};

static void wait_a_step(void)
{
	const struct timespec step = { .tv_nsec = STEP_NS };

	syscall(SYS_nanosleep, &step, NULL);
}

/* In a process of its own: keep the one link, and exit when nobody else holds it any more, or we are killed. */
static int hold_and_exit(void *arg)
{
	struct closer *c = arg;
	unsigned int fd = (unsigned int)c->link->fd;

	if (fd)
		syscall(SYS_close_range, 0u, fd - 1, 0u);
	syscall(SYS_close_range, fd + 1, ~0u, 0u);
	__atomic_store_n(&c->has_dropped, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(c->go, __ATOMIC_SEQ_CST) && syscall(SYS_getppid) == c->parent)
		wait_a_step();
	return 0;
}

static void *close_one(void *arg)
{
	struct kern_link *l = arg;

	if (l->perf)
		bpf_link__destroy(l->perf);
	if (l->fd >= 0)
		close(l->fd);
	return NULL;
}

/* No signal but SIGKILL reaches it, and that one makes it exit. */
static void start(struct closer *c, struct kern_link *l, int *go)
{
	sigset_t all, before;

	*c = (struct closer){ .link = l, .go = go, .parent = getpid() };
	if (!l->perf && l->fd >= 0) {
		c->stack = xmalloc(STACK_BYTES);
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		c->pid = clone(hold_and_exit, c->stack + STACK_BYTES, CLONE_VM, c);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
		if (c->pid > 0)
			return;
		c->pid = 0;
	}
	c->has_thread = !pthread_create(&c->thread, NULL, close_one, l);
	if (!c->has_thread)
		close_one(l);
}

/* Ours is not the last descriptor, and closing it takes no time. */
static void let_go(struct closer *c)
{
	int i;

	for (i = 0; i < MAX_STEPS && !__atomic_load_n(&c->has_dropped, __ATOMIC_SEQ_CST); i++)
		wait_a_step();
	close(c->link->fd);
}

static void finish(struct closer *c)
{
	if (c->pid)
		waitpid(c->pid, NULL, __WALL);
	if (c->has_thread)
		pthread_join(c->thread, NULL);
	free(c->stack);
}

void links_close(struct kern_link *links, size_t n)
{
	struct closer *c = xcalloc(n + 1, sizeof(*c));
	int go = 0;
	size_t i;

	for (i = 0; i < n; i++)
		start(&c[i], &links[i], &go);
	for (i = 0; i < n; i++)
		if (c[i].pid)
			let_go(&c[i]);
	__atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < n; i++)
		finish(&c[i]);
	free(c);
}
