/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * small_blocks MIB: a heap that takes long to walk, of chunks of 32 bytes; prints "ready" when it has them, and waits
 * until its standard input ends.
 */
#include "truth.h"

SITE void *s_small(void)
{
	void *p = malloc(24);

	NO_TAIL();
	return p;
}

int main(int argc, char **argv)
{
	size_t i, n = (argc > 1 ? strtoul(argv[1], NULL, 0) : 64) << 15;
	char c;

	for (i = 0; i < n; i++) {
		void *p = s_small();

		CHECK(p);
		KEEP(p);
	}
	ready();
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}
