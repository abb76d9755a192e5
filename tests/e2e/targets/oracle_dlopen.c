/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fomit-frame-pointer -ldl */
/*
 * Work for the unwinder's oracle: code that comes and goes. Opens the libraries of its arguments in turn, calls
 * into each, so that it allocates with stacks through it, and closes it; the next one lies at the same
 * address. With `threads` as first argument a second thread allocates meanwhile. Ends with status 3 when no
 * address was used twice, since nothing would then be proved.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEEP(p) __asm__ volatile("" : "+r"(p) : : "memory")
#define ROUNDS_TO_MEET 32

typedef void (*plugin_fn)(int depth, int x);

static void *allocate(void *arg)
{
	unsigned int i;

	for (i = 0;; i++) {
		void *p = malloc(i % 5000 + 1);

		KEEP(p);
		free(p);
		if (i % 64 == 0)
			nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	}
	return arg;
}

/* Where the library's code lay. */
static void *open_and_call(const char *path, int x)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *where;
	int i;

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	where = dlsym(library, "plugin_run");
	for (i = 0; i < 4; i++)
		((plugin_fn)where)(2 + (x + i) % 9, x + i);
	dlclose(library);
	return where;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + 600;
	void *last = NULL, *where;
	pthread_t thread;
	int i, met = 0;

	if (argc > 1 && !strcmp(argv[1], "threads")) {
		if (pthread_create(&thread, NULL, allocate, NULL))
			return 2;
		argc--;
		argv++;
	}
	if (argc < 3)
		return 2;
	for (i = 0; time(NULL) < end; i++) {
		where = open_and_call(argv[1 + i % (argc - 1)], i);
		met += where == last;
		last = where;
		if (i == ROUNDS_TO_MEET && !met)
			return 3;
	}
	return 0;
}
