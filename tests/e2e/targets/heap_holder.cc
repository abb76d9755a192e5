/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -pthread */
/*
 * heap_holder MIB: a little of everything, then a slow leak.
 *
 *	objects of class Entry of 2000 bytes, MIB of them in five threads' arenas, every third deleted
 *	16 MiB of 32 MiB mapped directly are touched, 8 MiB of shared memory, 256 KiB on each stack
 *	then 500 Entries a second are leaked, each with 4 KiB of which nothing is touched
 *
 * Prints "ready" when all is held.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

class Entry {
public:
	virtual ~Entry() {}
	char text[1992];
};

static const int n_threads = 5;
static pthread_barrier_t held;
static size_t per_thread;

__attribute__((noinline)) static void use_stack()
{
	volatile char room[256 << 10];

	for (size_t i = 0; i < sizeof(room); i += 512)
		room[i] = 1;
}

static void *hold(void *)
{
	std::vector<Entry *> *all = new std::vector<Entry *>;

	use_stack();
	for (size_t i = 0; i < per_thread; i++) {
		all->push_back(new Entry);
		memset(all->back()->text, 1, sizeof(Entry::text));
	}
	for (size_t i = 0; i < per_thread; i += 3)
		delete (*all)[i];
	pthread_barrier_wait(&held);
	pause();
	return all;
}

__attribute__((noinline)) static void leak()
{
	Entry *e = new Entry;
	void *p = malloc(4096);

	memset(e->text, 1, sizeof(e->text));
	__asm__ volatile("" : : "r"(e), "r"(p) : "memory"); /* or both are optimised away */
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 200;
	pthread_t t;

	per_thread = (mib << 20) / 2000 / n_threads;
	pthread_barrier_init(&held, NULL, n_threads + 1);
	for (int i = 0; i < n_threads; i++)
		pthread_create(&t, NULL, hold, NULL);
	memset(mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 16 << 20);
	memset(mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), 1, 8 << 20);
	pthread_barrier_wait(&held);
	puts("ready");
	fflush(stdout);
	for (;;) {
		leak();
		usleep(2000);
	}
}
