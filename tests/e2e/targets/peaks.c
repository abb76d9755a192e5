/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A program with a peak: it loads a table in steps, holds it for a while, drops it, then grows slowly to much less.
 * It tells what lived when most did: value peak_bytes, value peak_blocks, and the part of s_table in it.
 *
 *	peaks HOLD_MS
 */
#include "truth.h"

#include <time.h>

#define N_TABLE 400
#define N_STAYS 100

static struct site table = { .name = "s_table" }, stays = { .name = "s_stays" };
static void *blocks[N_TABLE];

SITE void s_table(int i, size_t size)
{
	blocks[i] = malloc(size);
	KEEP(blocks[i]);
	count_alloc(&table, size);
	NO_TAIL();
}

SITE void s_stays(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&stays, size);
	NO_TAIL();
}

static void rest(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
	long hold = argc > 1 ? atol(argv[1]) : 500;
	int i;

	for (i = 0; i < N_STAYS / 2; i++)
		s_stays(10007);
	for (i = 0; i < N_TABLE; i++) {
		s_table(i, 50021);
		if (i % 40 == 0)
			rest(20);
	}
	say("value peak_bytes %ld", table.live_bytes + stays.live_bytes);
	say("value peak_blocks %ld", table.live_blocks + stays.live_blocks);
	say("value table_bytes %ld", table.live_bytes);
	rest(hold);
	for (i = 0; i < N_TABLE; i++) {
		free(blocks[i]);
		count_free(&table, 50021);
	}
	for (i = 0; i < N_STAYS / 2; i++) {
		s_stays(10007);
		rest(2);
	}
	return 0;
}
