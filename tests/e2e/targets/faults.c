/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Page faults at many places: inside malloc (it writes the next chunk's header into fresh pages), inside calloc, memset
 * and a comparison function of qsort, and in the program's own code, at several depths. Runs until killed; without
 * address randomisation every run has the same stacks.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define N_BLOCKS 512
#define REGION (64 * 4096)

static char *blocks[N_BLOCKS];
static char *region;

__attribute__((noinline)) static void s_malloc(int depth, int i)
{
	if (depth) {
		s_malloc(depth - 1, i);
		__asm__ volatile("" ::: "memory");
		return;
	}
	blocks[i] = i % 3 ? malloc(2000 + (size_t)i * 16) : calloc(1, 3000 + (size_t)i * 16);
}

static int compare(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	((volatile char *)region)[((unsigned int)(x * 31 + y) % 64) * 4096] = 1;
	return (x > y) - (x < y);
}

__attribute__((noinline)) static void s_sort(void)
{
	int v[64];

	for (int i = 0; i < 64; i++)
		v[i] = (i * 37) % 64;
	qsort(v, 64, sizeof(v[0]), compare);
}

__attribute__((noinline)) static void s_write(char *at)
{
	memset(at, 1, 3 * 4096);
	for (int i = 3; i < 32; i++)
		((volatile char *)at)[i * 4096] = 2;
}

int main(void)
{
	for (;;) {
		for (int i = 0; i < N_BLOCKS; i++)
			s_malloc(i % 7, i);
		for (int i = N_BLOCKS - 1; i >= 0; i--)
			free(blocks[i]);
		region = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		s_write(region);
		s_sort();
		munmap(region, REGION);
	}
}
