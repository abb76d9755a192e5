/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Every way to change one's mappings, one site each, and the truth to the page: what stays mapped, how many calls made
 * it, and all that was ever mapped. Bytes that may not be accessed (PROT_NONE) count as none. Three threads more map
 * and unmap at the same time. Allocators map too, and that counts nowhere here. argv[1] "loop": maps and unmaps until
 * it is killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "truth.h"

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

#define SITES(X)                                                                                          \
	X(s_plain) X(s_rounded) X(s_freed) X(s_head) X(s_middle) X(s_tail) X(s_in_parts) X(s_under) X(s_over)  \
	X(s_under_all) X(s_over_all) X(s_grow_origin) X(s_grower) X(s_shrink_origin) X(s_shrinker)        \
	X(s_move_origin) X(s_mover) X(s_grow_moved_origin) X(s_grow_mover) X(s_trimmed) X(s_failing)      \
	X(s_reserved) X(s_decommitted) X(s_old_remap) X(s_brk) X(s_shm) X(s_shm_detached) X(s_shared)     \
	X(s_memfd) X(s_file) X(s_malloc) X(s_worker) X(s_two_over) X(s_two_a) X(s_two_b)

DEFINE_SITES();

static char *before_attach, *old_to_grow, *brk_at_start;

static char *map(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, RW, ANON, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void unmap(char *p, size_t pages)
{
	CHECK(!munmap(p, pages * PAGE));
}

static void gone(struct site *s, size_t pages, int blocks)
{
	s->live_bytes -= (long)(pages * PAGE);
	s->live_blocks -= blocks;
}

/* Maps so many pages, and keeps them. */
#define MAPPER(name, pages)                        \
	SITE char *name(void)                      \
	{                                          \
		char *p = map(pages);              \
						   \
		count_alloc(S(name), (pages) * PAGE); \
		NO_TAIL();                         \
		return p;                          \
	}

MAPPER(s_plain, 3)
MAPPER(s_freed, 7)
MAPPER(s_head, 11)
MAPPER(s_middle, 13)
MAPPER(s_tail, 17)
MAPPER(s_in_parts, 5)
MAPPER(s_under, 19)
MAPPER(s_under_all, 2)
MAPPER(s_two_a, 4)
MAPPER(s_two_b, 6)
MAPPER(s_grow_origin, 4)
MAPPER(s_shrink_origin, 23)
MAPPER(s_move_origin, 8)
MAPPER(s_grow_moved_origin, 3)

static void parts(void)
{
	char *p;
	int i;

	for (i = 0; i < 5; i++)
		s_plain();
	for (i = 0; i < 3; i++) {
		unmap(s_freed(), 7);
		gone(S(s_freed), 7, 1);
	}
	unmap(s_head(), 2);
	gone(S(s_head), 2, 0);
	unmap(s_middle() + 5 * PAGE, 3);
	gone(S(s_middle), 3, 0);
	unmap(s_tail() + 12 * PAGE, 5);
	gone(S(s_tail), 5, 0);
	p = s_in_parts();
	for (i = 4; i >= 0; i--)
		unmap(p + (size_t)i * PAGE, 1);
	gone(S(s_in_parts), 5, 1);
}

/* A byte is a page, and a byte of munmap as well. */
SITE void s_rounded(void)
{
	char *p = mmap(NULL, 1, RW, ANON, -1, 0), *q = mmap(NULL, PAGE + 1, RW, ANON, -1, 0);

	CHECK(p != MAP_FAILED && q != MAP_FAILED);
	count_alloc(S(s_rounded), PAGE);
	count_alloc(S(s_rounded), 2 * PAGE);
	CHECK(!munmap(p, 1));
	gone(S(s_rounded), 1, 1);
}

SITE void s_over(char *p, size_t pages)
{
	CHECK(mmap(p, pages * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p);
	count_alloc(S(s_over), pages * PAGE);
	NO_TAIL();
}

SITE void s_over_all(char *p, size_t pages)
{
	CHECK(mmap(p, pages * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p);
	count_alloc(S(s_over_all), pages * PAGE);
	NO_TAIL();
}

SITE void s_two_over(char *p, size_t pages)
{
	CHECK(mmap(p, pages * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p);
	count_alloc(S(s_two_over), pages * PAGE);
	NO_TAIL();
}

/* MAP_FIXED: in the midst of a live mapping, over all of one, over the end of one and the start of the next. */
static void fixed(void)
{
	char *room, *a, *b;

	s_over(s_under() + 4 * PAGE, 6);
	gone(S(s_under), 6, 0);
	s_over_all(s_under_all(), 2);
	gone(S(s_under_all), 2, 1);
	a = s_two_a();
	b = s_two_b();
	room = map(10);
	CHECK(mremap(a, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room);
	CHECK(mremap(b, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room + 4 * PAGE) == room + 4 * PAGE);
	gone(S(s_two_a), 4, 1);
	gone(S(s_two_b), 6, 1);
	s_two_over(room + 3 * PAGE, 5);
	unmap(room, 3);
	unmap(room + 8 * PAGE, 2);
}

#define REMAPPER(name)                                                            \
	SITE char *name(char *p, size_t was, size_t pages, int flags, char *to)   \
	{                                                                         \
		char *q = mremap(p, was * PAGE, pages * PAGE, flags, to);         \
										  \
		CHECK(q != MAP_FAILED);                                           \
		count_alloc(S(name), pages * PAGE);                               \
		NO_TAIL();                                                        \
		return q;                                                         \
	}

REMAPPER(s_grower)
REMAPPER(s_shrinker)
REMAPPER(s_mover)
REMAPPER(s_grow_mover)
REMAPPER(s_old_remap)

static void remaps(void)
{
	char *room = map(40), *p, *q;

	/* in place: 4 pages at the end of a hole of 40 that is made for them */
	unmap(room, 40);
	p = s_grow_origin();
	CHECK(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room);
	gone(S(s_grow_origin), 4, 1);
	q = s_grower(room, 4, 9, 0, NULL);
	CHECK(q == room);
	s_shrinker(s_shrink_origin(), 23, 2, 0, NULL);
	gone(S(s_shrink_origin), 23, 1);
	p = map(8);
	q = s_mover(s_move_origin(), 8, 8, MREMAP_MAYMOVE | MREMAP_FIXED, p);
	CHECK(p == q);
	gone(S(s_move_origin), 8, 1);
	/* something above it: it must move to grow */
	p = s_grow_moved_origin();
	q = mmap(p + 3 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	q = s_grow_mover(p, 3, 300, MREMAP_MAYMOVE, NULL);
	gone(S(s_grow_moved_origin), 3, 1);
	unmap(q, 100);
	gone(S(s_grow_mover), 100, 0);
	s_old_remap(old_to_grow, 3, 7, MREMAP_MAYMOVE, NULL);
}

/* More than is needed, for an aligned piece in it. */
SITE void s_trimmed(void)
{
	size_t align = 64 * PAGE, head;
	char *p = map(128);

	count_alloc(S(s_trimmed), 128 * PAGE);
	head = (align - (uintptr_t)p % align) % align;
	if (head)
		CHECK(!munmap(p, head));
	CHECK(!munmap(p + head + align, 128 * PAGE - head - align));
	gone(S(s_trimmed), 64, 0);
}

/* Each fails, and changes nothing. */
SITE void s_failing(void)
{
	char *p = s_plain();

	CHECK(mmap(NULL, 1UL << 60, RW, ANON, -1, 0) == MAP_FAILED);
	CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED);
	CHECK(mmap(p, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	CHECK(mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0) == MAP_FAILED);
	CHECK(munmap(p + 1, PAGE) && munmap(p, 0));
	CHECK(mremap(p, PAGE, 5 * PAGE, 0, NULL) == MAP_FAILED);
	CHECK(mremap(p, PAGE, 1UL << 60, MREMAP_MAYMOVE, NULL) == MAP_FAILED);
	CHECK(mremap(p + 1, PAGE, PAGE, MREMAP_MAYMOVE, NULL) == MAP_FAILED);
	CHECK(shmat(-1, NULL, 0) == (void *)-1 && shmdt(p));
	CHECK(brk((char *)sbrk(0) + (1UL << 46)));
	NO_TAIL();
}

SITE void s_reserved(void)
{
	char *p = mmap(NULL, 1000 * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED && !mprotect(p + 10 * PAGE, 29 * PAGE, RW));
	count_alloc(S(s_reserved), 29 * PAGE);
}

SITE void s_decommitted(void)
{
	char *p = map(31);

	count_alloc(S(s_decommitted), 31 * PAGE);
	CHECK(!mprotect(p + 7 * PAGE, 24 * PAGE, PROT_NONE));
	CHECK(!mprotect(p, PAGE, PROT_READ));
	gone(S(s_decommitted), 24, 0);
}

/* The C library's own use of the break has ended by then, and goes on behind. */
SITE void s_brk(void)
{
	char *p = sbrk(0), *up = (char *)(((uintptr_t)p + PAGE - 1) & ~(PAGE - 1));

	CHECK(!brk(up + 12 * PAGE) && !brk(up + 7 * PAGE));
	count_alloc(S(s_brk), 12 * PAGE);
	gone(S(s_brk), 5, 0);
}

SITE void s_shm(int id)
{
	CHECK(shmat(id, NULL, 0) != (void *)-1);
	count_alloc(S(s_shm), 6 * PAGE);
	NO_TAIL();
}

SITE void s_shm_detached(int id)
{
	void *p = shmat(id, NULL, 0);

	CHECK(p != (void *)-1 && !shmdt(p));
	count_alloc(S(s_shm_detached), 6 * PAGE);
	gone(S(s_shm_detached), 6, 1);
}

SITE void s_shared(void)
{
	CHECK(mmap(NULL, 3 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	count_alloc(S(s_shared), 3 * PAGE);
}

SITE void s_memfd(void)
{
	int fd = memfd_create("mapper", 0);

	CHECK(fd >= 0 && !ftruncate(fd, 9 * PAGE));
	CHECK(mmap(NULL, 9 * PAGE, RW, MAP_SHARED, fd, 0) != MAP_FAILED);
	count_alloc(S(s_memfd), 9 * PAGE);
	close(fd);
}

/* The page cache's: not the program's memory. Of a disk: the program itself may lie in a tmpfs, whose pages are memory. */
SITE void s_file(void)
{
	int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0 && mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
	close(fd);
}

static void shared(void)
{
	int id = shmget(IPC_PRIVATE, 6 * PAGE, IPC_CREAT | 0600);

	CHECK(id >= 0);
	s_shm(id);
	s_shm_detached(id);
	CHECK(!shmctl(id, IPC_RMID, NULL));
	s_shared();
	s_memfd();
	s_file();
}

/* An allocator maps for itself: no mapping of the program's. */
SITE void s_malloc(void)
{
	int i;

	for (i = 0; i < 300; i++) {
		void *p = malloc(i % 3 ? 5000 : 700000);

		KEEP(p);
		CHECK(p);
		count_alloc(S(s_malloc), i % 3 ? 5000 : 700000);
	}
}

/* ---- threads ---- */

#define N_WORKERS 3
static pthread_barrier_t begin, end;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long stack_bytes;

SITE void s_worker(void)
{
	char *kept[4] = { 0 };
	int i;

	for (i = 0; i < 200; i++) {
		char **at = &kept[i % 4];

		if (*at)
			unmap(*at, 5);
		*at = map(5);
	}
	pthread_mutex_lock(&lock);
	for (i = 0; i < 200; i++)
		count_alloc(S(s_worker), 5 * PAGE);
	gone(S(s_worker), 196 * 5, 196);
	pthread_mutex_unlock(&lock);
}

static void *work(void *arg)
{
	pthread_attr_t attr;
	size_t bytes;
	void *at;

	CHECK(!pthread_getattr_np(pthread_self(), &attr) && !pthread_attr_getstack(&attr, &at, &bytes));
	pthread_mutex_lock(&lock);
	stack_bytes += (long)bytes;
	pthread_mutex_unlock(&lock);
	pthread_barrier_wait(&begin);
	s_worker();
	pthread_barrier_wait(&end);
	for (;;)
		pause();
	return arg;
}

static void threads(void)
{
	pthread_attr_t attr;
	pthread_t t;
	int i;

	pthread_barrier_init(&begin, NULL, N_WORKERS);
	pthread_barrier_init(&end, NULL, N_WORKERS + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 300 * 1024);
	for (i = 0; i < N_WORKERS; i++)
		CHECK(!pthread_create(&t, &attr, work, NULL));
	pthread_barrier_wait(&end);
}

static void loop(void)
{
	for (;;)
		unmap(map(3), 3);
}

int main(int argc, char **argv)
{
	before_attach = map(50);
	old_to_grow = map(3);
	brk_at_start = sbrk(0);
	ready();
	if (argc > 1 && !strcmp(argv[1], "loop"))
		loop();
	hear("go");
	s_brk();
	parts();
	s_rounded();
	fixed();
	unmap(before_attach + 7 * PAGE, 11);
	unmap(before_attach, 3);
	remaps();
	s_trimmed();
	s_failing();
	s_reserved();
	s_decommitted();
	shared();
	s_malloc();
	threads();
	for (int i = 0; i < N_SITES; i++)
		tell(&sites[i]);
	say("value stack_bytes %ld", stack_bytes);
	say("done");
	hear("exit");
	return 0;
}
