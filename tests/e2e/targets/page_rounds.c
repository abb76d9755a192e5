/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Touches 100 MiB of fresh pages per round and gives them back; keeps 4 MiB of each round. Tells the page faults that
 * it has had since its start. On `drop` it gives back what it kept of the first round.
 *
 *	harness: go | drop | exit
 *	target:  value faults 27000
 *		 done
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "truth.h"

#define PAGE 4096ul
#define AREA (1ul << 20)
#define AREAS 100
#define KEPT 4

static char *first[KEPT];

static void touch(int i)
{
	char *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(area != MAP_FAILED);
	CHECK(!madvise(area, AREA, MADV_NOHUGEPAGE));
	for (size_t at = 0; at < AREA; at += PAGE)
		((volatile char *)area)[at] = 1;
	if (i >= KEPT)
		CHECK(!munmap(area, AREA));
	else if (!first[i])
		first[i] = area;
}

static void drop(void)
{
	for (int i = 0; i < KEPT; i++)
		CHECK(!munmap(first[i], AREA));
}

int main(void)
{
	struct rusage u;
	char line[64];

	ready();
	while (fgets(line, sizeof(line), stdin) && strcmp(line, "exit\n")) {
		if (!strcmp(line, "drop\n"))
			drop();
		for (int i = 0; i < AREAS && !strcmp(line, "go\n"); i++)
			touch(i);
		CHECK(!getrusage(RUSAGE_SELF, &u));
		say("value faults %ld", u.ru_minflt + u.ru_majflt);
		say("done");
	}
	return 0;
}
