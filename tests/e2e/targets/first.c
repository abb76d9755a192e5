/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * A command: allocates before main, tells its arguments, its user and what it counted. It
 * has no conversation; it ends by itself with the status of its first argument.
 */
#include "truth.h"

static struct site early = { .name = "s_before_main" }, late = { .name = "s_main" };

SITE void s_before_main(void)
{
	for (size_t i = 0; i < 3; i++) {
		void *p = malloc(10007 + i);

		KEEP(p);
		count_alloc(&early, 10007 + i);
	}
}

__attribute__((constructor)) static void construct(void)
{
	s_before_main();
	NO_TAIL();
}

SITE void s_main(void)
{
	for (size_t i = 0; i < 5; i++) {
		void *p = malloc(20011 + i);

		KEEP(p);
		count_alloc(&late, 20011 + i);
	}
}

int main(int argc, char **argv)
{
	s_main();
	for (int i = 1; i < argc; i++)
		say("arg <%s>", argv[i]);
	say("value uid %d", (int)getuid());
	tell(&early);
	tell(&late);
	say("done");
	return argc > 1 ? atoi(argv[1]) : 0;
}
