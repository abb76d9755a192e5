/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Forks as fast as it can, children that allocate and end at once. Arguments: how many, and `reuse`: one after
 * the other, each with the same process id as the one before (which takes a PID namespace of one's own and the
 * right to write ns_last_pid). All children are forks of one image, so that their heaps have the same addresses.
 * Words: `go` (all of them; `value per_s` is forks per second).
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include "truth.h"

#define MAX_AT_ONCE 64
#define N_BLOCKS 7
#define N_FREED 2

SITE void s_storm(size_t size)
{
	for (int i = 0; i < N_BLOCKS; i++) {
		void *p = malloc(size);

		KEEP(p);
		if (i < N_FREED)
			free(p);
	}
	NO_TAIL();
}

static size_t size_of(int i)
{
	return 100 + (size_t)(i % 13);
}

static void count(struct site *s, size_t size)
{
	for (int i = 0; i < N_BLOCKS; i++) {
		count_alloc(s, size);
		if (i < N_FREED)
			count_free(s, size);
	}
}

static void set_next_pid(int pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", pid - 1);

	CHECK(fd >= 0 && write(fd, text, (size_t)len) == len);
	close(fd);
}

static void begin(int i)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return;
	s_storm(size_of(i));
	_exit(0);
}

static int await_one(void)
{
	int status, pid = waitpid(-1, &status, 0);

	CHECK(pid > 0 && status == 0);
	return pid;
}

static void go(int n, bool reuse)
{
	struct site s = { .name = "s_storm" };
	struct timespec a, b;
	int n_living = 0, same = 0, last = 0;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < n; i++) {
		if (reuse && last)
			set_next_pid(last);
		begin(i);
		count(&s, size_of(i));
		if (++n_living == (reuse ? 1 : MAX_AT_ONCE)) {
			int pid = await_one();

			same += pid == last;
			last = pid;
			n_living--;
		}
	}
	while (n_living--)
		await_one();
	clock_gettime(CLOCK_MONOTONIC, &b);
	tell(&s);
	say("value per_s %.0f", n / ((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9));
	say("value same %d", same);
	say("done");
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	ready();
	hear("go");
	go(atoi(argv[1]), argc > 2 && !strcmp(argv[2], "reuse"));
	hear("exit");
	return 0;
}
