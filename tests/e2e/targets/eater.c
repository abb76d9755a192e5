/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Takes memory until there is none. Words:
 *
 *	go	blocks of 1 MiB, written to, at s_eat, until it is killed or malloc returns NULL; a little at s_other. Then tells
 *		`value blocks N`, `value failed N`
 */
#include <stdbool.h>

#include "truth.h"

#define BLOCK 1048573
#define TRIES 3

SITE bool s_eat(void)
{
	char *p = malloc(BLOCK);

	if (p)
		memset(p, 1, BLOCK);
	NO_TAIL();
	return p != NULL;
}

SITE void s_other(void)
{
	void *p = malloc(211);

	KEEP(p);
	NO_TAIL();
}

static void eat(void)
{
	int blocks = 0, failed = 0;

	while (failed < TRIES) {
		if (s_eat())
			blocks++;
		else
			failed++;
		s_other();
		usleep(2000);
	}
	say("value blocks %d", blocks);
	say("value failed %d", failed);
	say("done");
}

int main(void)
{
	ready();
	hear("go");
	eat();
	hear("exit");
	return 0;
}
