/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Grows in steps: on `step`, s_kept keeps 101 more blocks, and s_moving takes 53 and gives back those of the step
 * before. What it tells are all steps together.
 */
#include "truth.h"

#define KEPT 101
#define KEPT_SIZE 997
#define MOVING 53
#define MOVING_SIZE 499

static struct site kept = { .name = "s_kept" }, moving = { .name = "s_moving" };
static void *blocks[MOVING];

SITE void s_kept(void)
{
	void *p = malloc(KEPT_SIZE);

	KEEP(p);
	count_alloc(&kept, KEPT_SIZE);
}

SITE void s_moving(void **slot)
{
	free(*slot);
	*slot = malloc(MOVING_SIZE);
	KEEP(*slot);
	count_alloc(&moving, MOVING_SIZE);
}

static void step(void)
{
	for (int i = 0; i < MOVING; i++) {
		if (blocks[i])
			count_free(&moving, MOVING_SIZE);
		s_moving(&blocks[i]);
	}
	for (int i = 0; i < KEPT; i++)
		s_kept();
	tell(&kept);
	tell(&moving);
	say("done");
}

int main(void)
{
	char line[64];
	size_t n = 0;

	ready();
	while (read(STDIN_FILENO, line + n, 1) == 1) {
		if (line[n] != '\n') {
			CHECK(++n < sizeof(line));
			continue;
		}
		line[n] = 0;
		n = 0;
		if (strcmp(line, "exit") == 0)
			break;
		CHECK(strcmp(line, "step") == 0);
		step();
	}
	return 0;
}
