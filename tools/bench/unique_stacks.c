/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -O1 -fno-omit-frame-pointer */
/*
 * 2^17 different stacks, 20 frames deep: each number's bits say which of two functions calls the next. In each round a
 * pseudo-random one of them allocates and frees a block, every eighth keeps it until its turn comes again. Tells each
 * second how many rounds it made: `rounds 123456`.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BITS 17
#define N (1u << BITS)
#define ROUND_NS 20000 /* a round each 20 us */

static void *kept[N];

__attribute__((noinline)) static void leaf(uint32_t n, uint32_t round)
{
	void *p = malloc(16 + n % 100);

	__asm__ volatile("" : "+r"(p) : : "memory");
	if (n % 8 == 0) {
		free(kept[n]);
		kept[n] = p;
	} else {
		free(p);
	}
	(void)round;
	__asm__ volatile("" : : : "memory");
}

static void one(uint32_t n, uint32_t bit, uint32_t round);

__attribute__((noinline)) static void zero(uint32_t n, uint32_t bit, uint32_t round)
{
	if (bit == BITS)
		leaf(n, round);
	else if (n >> bit & 1)
		one(n, bit + 1, round);
	else
		zero(n, bit + 1, round);
	__asm__ volatile("" : : : "memory");
}

__attribute__((noinline)) static void one(uint32_t n, uint32_t bit, uint32_t round)
{
	if (bit == BITS)
		leaf(n, round);
	else if (n >> bit & 1)
		one(n, bit + 1, round);
	else
		zero(n, bit + 1, round);
	__asm__ volatile("" : : : "memory");
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(void)
{
	uint64_t next = now_ns(), told = next, rounds = 0;
	uint32_t n = 1;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		n = n * 1664525 + 1013904223; /* every number of 32 bits once */
		zero(n >> 4 & (N - 1), 0, (uint32_t)rounds);
		rounds++;
		next += ROUND_NS;
		while (now_ns() < next && now_ns() - told < 1000000000)
			;
		if (now_ns() - told >= 1000000000) {
			printf("rounds %llu\n", (unsigned long long)rounds);
			rounds = 0;
			told = next = now_ns();
		}
	}
}
