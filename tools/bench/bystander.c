/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A process that is not profiled: loops whose speed tells what it pays for another one's probes.
 *
 *	bystander       for each line on stdin, `malloc`, `getpid`, `getppid`, `maps` (a mmap and a munmap) or `faults`:
 *	                CPU time in ns per operation, the best of several slices, as the machine is busy with other things
 *	bystander calm  the process that is profiled meanwhile: a thousand allocations a second
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLICES 9
#define PAGES 256
#define PAGE 4096

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void mallocs(long n)
{
	while (n--) {
		void *p = malloc(64);

		__asm__ volatile("" ::"r"(p) : "memory");
		free(p);
	}
}

static void getpids(long n)
{
	while (n--)
		syscall(SYS_getpid);
}

static void getppids(long n)
{
	while (n--)
		syscall(SYS_getppid);
}

static void maps(long n)
{
	while (n--) {
		void *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || munmap(p, 3 * PAGE))
			exit(1);
	}
}

static void faults(long n)
{
	static char *area;

	if (!area)
		area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		exit(1);
	madvise(area, PAGES * PAGE, MADV_NOHUGEPAGE);
	for (; n > 0; n -= PAGES) {
		for (int i = 0; i < PAGES; i++)
			*(volatile char *)(area + i * PAGE) = 1;
		madvise(area, PAGES * PAGE, MADV_DONTNEED);
	}
}

static void measure(void (*loop)(long n), long n)
{
	double best = 1e18;

	for (int i = 0; i < SLICES; i++) {
		double begin = cpu_ns(), took;

		loop(n);
		took = cpu_ns() - begin;
		best = took < best ? took : best;
	}
	printf("%.4f\n", best / (double)n);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const struct timespec calm = { .tv_nsec = 1000000 };
	char line[64];

	while (argc > 1 && !strcmp(argv[1], "calm")) {
		mallocs(1);
		nanosleep(&calm, NULL);
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "malloc", 6))
			measure(mallocs, 1000000);
		else if (!strncmp(line, "getpid", 6))
			measure(getpids, 100000);
		else if (!strncmp(line, "getppid", 7))
			measure(getppids, 100000);
		else if (!strncmp(line, "maps", 4))
			measure(maps, 4000);
		else
			measure(faults, 40 * PAGES);
	}
	return 0;
}
