/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A bystander that does nothing but page faults, from `go` to `halt`: a page is touched, and given back with 255 others.
 *
 *	harness: go | halt | exit
 *	target:  done
 */
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "truth.h"

#define PAGES 256ul
#define PAGE 4096ul

static volatile int is_on;

static void *storm(void *area)
{
	const struct timespec calm = { .tv_nsec = 10000000 };

	for (;;) {
		for (size_t i = 0; is_on && i < PAGES; i++)
			((volatile char *)area)[i * PAGE] = 1;
		if (is_on)
			CHECK(!madvise(area, PAGES * PAGE, MADV_DONTNEED));
		else
			nanosleep(&calm, NULL);
	}
	return NULL;
}

int main(void)
{
	char *area = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	char line[64];

	CHECK(area != MAP_FAILED);
	CHECK(!madvise(area, PAGES * PAGE, MADV_NOHUGEPAGE));
	CHECK(!pthread_create(&thread, NULL, storm, area));
	ready();
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "exit\n"))
			return 0;
		is_on = !strcmp(line, "go\n");
		say("done");
	}
	return 0;
}
