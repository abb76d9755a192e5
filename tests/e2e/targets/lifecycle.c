/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * How address spaces begin and end: exec, exit, fork, vfork. The first argument is the case;
 * sites of a child are told by the child itself, before the line `done` of the parent.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "truth.h"

static struct site here = { .name = "s_parent" }, there = { .name = "s_child" };
static struct site shared = { .name = "s_vfork_child" };
static void *blocks[10];
static pthread_t main_thread;

/* M14: 50 045 bytes */
SITE void s_parent(void)
{
	for (size_t i = 0; i < 10; i++) {
		blocks[i] = malloc(5000 + i);
		KEEP(blocks[i]);
		count_alloc(&here, 5000 + i);
	}
}

SITE void s_child(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&there, size);
}

SITE void *s_vfork_child(void)
{
	void *p = malloc(1234);

	KEEP(p);
	count_alloc(&shared, 1234);
	return p;
}

static void do_exec(char **argv)
{
	s_parent();
	tell(&here);
	say("done");
	hear("exec");
	execl("/proc/self/exe", argv[0], "image", (char *)NULL);
	_exit(96);
}

/* what exec begins: another generation, with the same code */
static void do_image(void)
{
	say("image");
	hear("go");
	s_child(31337);
	tell(&there);
	say("done");
	hear("exit");
}

static void do_exit(void)
{
	s_parent();
	tell(&here);
	say("done");
	hear("exit");
}

static void child_of_fork(void)
{
	for (int i = 0; i < 10; i++)
		free(blocks[i]);
	s_child(99999);
	tell(&there);
}

static void do_fork(bool child_stays)
{
	int pipes[2];
	char c;
	pid_t pid;

	CHECK(pipe(pipes) == 0);
	s_parent();
	pid = fork();
	if (!pid) {
		child_of_fork();
		CHECK(write(pipes[1], "x", 1) == 1);
		if (child_stays)
			pause();
		_exit(0);
	}
	say("value child %d", (int)pid);
	CHECK(read(pipes[0], &c, 1) == 1);
	if (!child_stays)
		waitpid(pid, NULL, 0);
	tell(&here);
	say("done");
	hear("exit");
	if (child_stays)
		kill(pid, SIGKILL);
}

/* its heap is the parent's */
static void do_vfork(void)
{
	static void *volatile left;
	pid_t pid;

	s_parent();
	pid = vfork();
	if (!pid) {
		left = s_vfork_child();
		execl("/bin/true", "true", (char *)NULL);
		_exit(95);
	}
	waitpid(pid, NULL, 0);
	CHECK(left);
	s_child(4242);
	tell(&here);
	tell(&there);
	tell(&shared);
	say("done");
	hear("exit");
}

/* The rest of the life after pthread_exit of the main thread. */
static void *worker(void *arg)
{
	CHECK(pthread_join(main_thread, NULL) == 0);
	ready();
	hear("go");
	do_exit();
	_exit(0);
	return arg;
}

static void do_leaderless(void)
{
	pthread_t thread;

	main_thread = pthread_self();
	CHECK(pthread_create(&thread, NULL, worker, NULL) == 0);
	pthread_exit(NULL);
}

/* The first thread ends in the middle; the other goes on. */
static void *survivor(void *arg)
{
	CHECK(pthread_join(main_thread, NULL) == 0);
	s_parent();
	tell(&here);
	say("done");
	hear("go");
	s_child(31337);
	tell(&there);
	say("done");
	hear("exit");
	_exit(0);
	return arg;
}

static void do_leader_goes(void)
{
	pthread_t thread;

	main_thread = pthread_self();
	CHECK(pthread_create(&thread, NULL, survivor, NULL) == 0);
	pthread_exit(NULL);
}

static void *exec_worker(void *arg)
{
	do_exec(arg);
	return NULL;
}

static void do_thread_exec(char **argv)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, exec_worker, argv) == 0);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "exit";

	if (!strcmp(what, "image")) {
		do_image();
		return 0;
	}
	if (!strcmp(what, "leaderless"))
		do_leaderless();
	ready();
	hear("go");
	if (!strcmp(what, "exec"))
		do_exec(argv);
	else if (!strcmp(what, "thread-exec"))
		do_thread_exec(argv);
	else if (!strcmp(what, "leader-goes"))
		do_leader_goes();
	else if (!strcmp(what, "fork"))
		do_fork(false);
	else if (!strcmp(what, "fork-stays"))
		do_fork(true);
	else if (!strcmp(what, "vfork"))
		do_vfork();
	else
		do_exit();
	return 0;
}
