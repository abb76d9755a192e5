/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A master with 40 MiB and three workers that share it; the second of them leaks by a function of its own, at the pace
 * that is asked for.
 *
 *	machine_tree BYTES-PER-SECOND
 *	harness: leaked	target: value leaked N (bytes so far, by the worker's own count), done
 *
 * `ready PID` is the master's; values worker0 to worker2 are told by `workers`.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define SHARED_BYTES ((size_t)40 << 20)
#define BLOCK 65536u
#define WORKERS 3

static _Atomic unsigned long *leaked; /* shared by all */
static void *volatile kept;

__attribute__((noinline)) static void leak_a_block(void)
{
	char *p = malloc(BLOCK);

	if (!p)
		abort();
	memset(p, 1, BLOCK);
	*(void **)p = kept;
	kept = p;
	atomic_fetch_add(leaked, BLOCK);
}

static void work(unsigned int number, double per_second)
{
	struct timespec begin, now, nap = { 0, 10000000 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		double seconds;

		nanosleep(&nap, NULL);
		if (number != 1)
			continue;
		clock_gettime(CLOCK_MONOTONIC, &now);
		seconds = (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) * 1e-9;
		while ((double)atomic_load(leaked) < seconds * per_second)
			leak_a_block();
	}
}

int main(int argc, char **argv)
{
	double per_second = argc > 1 ? atof(argv[1]) : 1e6;
	char *shared = malloc(SHARED_BYTES), line[64];
	pid_t workers[WORKERS];
	unsigned int i;

	leaked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!shared || leaked == MAP_FAILED)
		return 1;
	memset(shared, 1, SHARED_BYTES);
	for (i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		if (!workers[i])
			work(i, per_second);
	}
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "exit\n") != 0) {
		printf("value leaked %lu\n", atomic_load(leaked));
		for (i = 0; i < WORKERS; i++)
			printf("value worker%u %d\n", i, (int)workers[i]);
		printf("done\n");
		fflush(stdout);
	}
	for (i = 0; i < WORKERS; i++)
		kill(workers[i], SIGKILL);
	return 0;
}
