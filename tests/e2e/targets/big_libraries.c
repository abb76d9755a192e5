/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -ldl */
/*
 * Uses libraries with large unwind tables in turn: its first argument's all the time, those of the others one after
 * the other, MS_EACH long. Not all tables fit into a small --max-memory.
 *
 *	big_libraries HOT OTHER...         hears `go`; functions s_hot, s_a, s_b
 */
#include <dlfcn.h>
#include <time.h>

#include "truth.h"

#define MAX_LIBRARIES 4
#define ROUNDS 2
#define MS_EACH 1400

typedef void (*take_fn)(struct site *s, size_t size);

static const char *const names[MAX_LIBRARIES] = { "s_hot", "s_a", "s_b" };
static struct site sites[MAX_LIBRARIES];
static take_fn take[MAX_LIBRARIES];

SITE void use(int i)
{
	take[i](&sites[i], (size_t)(100 + i));
	NO_TAIL();
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

SITE void use_for_a_while(int i)
{
	long end = now_ms() + MS_EACH;

	while (now_ms() < end) {
		use(0);
		use(i);
		nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
	}
}

int main(int argc, char **argv)
{
	int i, round;

	CHECK(argc > 2 && argc - 1 <= MAX_LIBRARIES);
	for (i = argc - 2; i >= 0; i--) { /* HOT last: it then lies first, and gets its table first */
		void *library = dlopen(argv[1 + i], RTLD_NOW);

		CHECK(library);
		sites[i].name = names[i];
		take[i] = (take_fn)dlsym(library, names[i]);
		CHECK(take[i]);
	}
	ready();
	hear("go");
	for (round = 0; round < ROUNDS; round++)
		for (i = 1; i < argc - 1; i++)
			use_for_a_while(i);
	for (i = 0; i < argc - 1; i++)
		tell(&sites[i]);
	say("done");
	hear("exit");
	return 0;
}
