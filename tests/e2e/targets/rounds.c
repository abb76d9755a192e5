/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A program that knows of each step what it made in it, and what of that lives. Each `go` is a step: s_keep makes
 * blocks that stay, s_part makes some and frees half of those of the step before. It tells all steps so far, as sites
 * s_keep.0, s_part.0, s_keep.1 ...
 */
#include "truth.h"

#define MAX_STEPS 8
#define N_PART 202

static struct site kept[MAX_STEPS], parts[MAX_STEPS];
static char names[2 * MAX_STEPS][16];
static void *part[MAX_STEPS][N_PART];

SITE void s_keep(int step, size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&kept[step], size);
	NO_TAIL();
}

SITE void s_part(int step, int i)
{
	size_t size = 500 + (size_t)step;

	part[step][i] = malloc(size);
	KEEP(part[step][i]);
	count_alloc(&parts[step], size);
	NO_TAIL();
}

int main(void)
{
	int step, i;

	for (i = 0; i < MAX_STEPS; i++) {
		snprintf(names[i], sizeof(names[i]), "s_keep.%d", i);
		snprintf(names[MAX_STEPS + i], sizeof(names[i]), "s_part.%d", i);
		kept[i].name = names[i];
		parts[i].name = names[MAX_STEPS + i];
	}
	ready();
	for (step = 0; step < MAX_STEPS; step++) {
		hear("go");
		for (i = 0; i < 101 + 36 * step; i++)
			s_keep(step, 1009);
		for (i = 0; i < N_PART; i++)
			s_part(step, i);
		for (i = 0; step && i < N_PART; i += 2) {
			free(part[step - 1][i]);
			count_free(&parts[step - 1], 500 + (size_t)step - 1);
		}
		for (i = 0; i <= step; i++) {
			tell(&kept[i]);
			tell(&parts[i]);
		}
		say("done");
	}
	return 0;
}
