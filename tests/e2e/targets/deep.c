/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fomit-frame-pointer */
/*
 * A call at a given depth, timed: DEPTH functions of their own lie between main and at_depth, so that each
 * frame has its own return address, with frames of four sizes. What is probed is at_depth.
 *
 *	deep            prints the address of at_depth, then for each line `DEPTH CALLS` the ns per call
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_DEPTH 64
#define SEPARATE __attribute__((noinline, noclone))

typedef void (*level_fn)(int depth, long calls);

static double ns_per_call;
static const level_fn levels[];

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

SEPARATE void at_depth(long i);
SEPARATE void at_depth(long i)
{
	__asm__ volatile("nop" : "+r"(i) : : "memory"); /* a first instruction that the kernel need not step */
}

SEPARATE static void time_calls(long calls)
{
	double begin = now_ns();
	long i;

	for (i = 0; i < calls; i++)
		at_depth(i);
	ns_per_call = (now_ns() - begin) / (double)calls;
}

/* level N calls level N + 1, until depth is used up */
#define LEVEL(n, room_bytes)                            \
	SEPARATE static void level_##n(int depth, long calls) \
	{                                               \
		char room[room_bytes], *p = room;       \
							\
		__asm__ volatile("" : "+r"(p));         \
		if (depth > 1)                          \
			levels[n + 1](depth - 1, calls); \
		else                                    \
			time_calls(calls);              \
		__asm__ volatile("" : "+r"(p));         \
	}
#define FOUR_LEVELS(a, b, c, d) LEVEL(a, 16) LEVEL(b, 48) LEVEL(c, 96) LEVEL(d, 160)

FOUR_LEVELS(0, 1, 2, 3)
FOUR_LEVELS(4, 5, 6, 7)
FOUR_LEVELS(8, 9, 10, 11)
FOUR_LEVELS(12, 13, 14, 15)
FOUR_LEVELS(16, 17, 18, 19)
FOUR_LEVELS(20, 21, 22, 23)
FOUR_LEVELS(24, 25, 26, 27)
FOUR_LEVELS(28, 29, 30, 31)
FOUR_LEVELS(32, 33, 34, 35)
FOUR_LEVELS(36, 37, 38, 39)
FOUR_LEVELS(40, 41, 42, 43)
FOUR_LEVELS(44, 45, 46, 47)
FOUR_LEVELS(48, 49, 50, 51)
FOUR_LEVELS(52, 53, 54, 55)
FOUR_LEVELS(56, 57, 58, 59)
FOUR_LEVELS(60, 61, 62, 63)

static const level_fn levels[MAX_DEPTH + 1] = {
	level_0, level_1, level_2, level_3, level_4, level_5, level_6, level_7,
	level_8, level_9, level_10, level_11, level_12, level_13, level_14, level_15,
	level_16, level_17, level_18, level_19, level_20, level_21, level_22, level_23,
	level_24, level_25, level_26, level_27, level_28, level_29, level_30, level_31,
	level_32, level_33, level_34, level_35, level_36, level_37, level_38, level_39,
	level_40, level_41, level_42, level_43, level_44, level_45, level_46, level_47,
	level_48, level_49, level_50, level_51, level_52, level_53, level_54, level_55,
	level_56, level_57, level_58, level_59, level_60, level_61, level_62, level_63,
};

int main(void)
{
	char line[64];
	long calls;
	int depth;

	printf("%p\n", (void *)at_depth);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%d %ld", &depth, &calls) != 2 || depth < 1 || depth > MAX_DEPTH)
			return 2;
		levels[0](depth, calls);
		printf("%.1f\n", ns_per_call);
		fflush(stdout);
	}
	return 0;
}
