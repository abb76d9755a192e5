/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Touches memory in every way, and gives it back in every way: how many pages, by its own count.
 *
 *	harness: CASE                  (one line: what to do next)
 *	target:  value PAGES n         pages of its own memory that the site touched, or gave back
 *	target:  done
 *
 * Each case is a function of its name, with no page of its own stack or data touched for the first time in it. What the
 * kernel says of a mapping is read from pagemap and smaps, not assumed: `value present n` is from there.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "truth.h"

#define PAGE 4096ul
#define HUGE (2ul << 20)

static int pagemap_fd = -1;
static unsigned long entries[4096];
static char *kept; /* of the case before */

static char *map(size_t pages, int flags)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	CHECK(p != MAP_FAILED);
	if (!(flags & MAP_POPULATE))
		CHECK(!madvise(p, pages * PAGE, MADV_NOHUGEPAGE));
	return p;
}

/* Pages that the page tables hold, present or swapped. */
static long present(const char *p, size_t pages)
{
	size_t i;
	long n = 0;

	CHECK(pages <= sizeof(entries) / sizeof(entries[0]));
	CHECK(pread(pagemap_fd, entries, pages * 8, (off_t)((unsigned long)p / PAGE * 8)) == (ssize_t)(pages * 8));
	for (i = 0; i < pages; i++)
		n += entries[i] >> 62 != 0;
	return n;
}

static void result(long pages, long there)
{
	say("value pages %ld", pages);
	say("value present %ld", there);
}

SITE void s_write(char *p, size_t pages)
{
	size_t i;

	for (i = 0; i < pages; i++)
		((volatile char *)p)[i * PAGE] = 1;
	NO_TAIL();
}

SITE long s_look(char *p, size_t pages)
{
	long sum = 0;
	size_t i;

	for (i = 0; i < pages; i++)
		sum += ((volatile char *)p)[i * PAGE];
	NO_TAIL();
	return sum;
}

SITE void s_read_call(int fd, char *p, size_t bytes)
{
	CHECK(read(fd, p, bytes) == (ssize_t)bytes);
	NO_TAIL();
}

SITE char *s_populate(size_t pages)
{
	char *p = map(pages, MAP_POPULATE);

	NO_TAIL();
	return p;
}

SITE void s_mlock(char *p, size_t pages)
{
	CHECK(!mlock(p, pages * PAGE));
	NO_TAIL();
}

SITE void s_huge(char *p)
{
	*(volatile char *)p = 1;
	NO_TAIL();
}

SITE void s_shared(char *p, size_t pages)
{
	s_write(p, pages);
	NO_TAIL();
}

SITE void s_child(char *p, size_t pages)
{
	s_write(p, pages);
	NO_TAIL();
}

SITE void s_brk(char *p, size_t pages)
{
	s_write(p, pages);
	NO_TAIL();
}

SITE char *s_block(size_t bytes, size_t touched)
{
	char *p = malloc(bytes);

	CHECK(p);
	memset(p, 1, touched);
	KEEP(p);
	return p;
}

SITE char *s_make(size_t bytes)
{
	char *p = malloc(bytes);

	CHECK(p);
	NO_TAIL();
	return p;
}

SITE void s_fill(char *p, size_t pages)
{
	s_write(p, pages);
	NO_TAIL();
}

/* ---- cases ---- */

static void do_write(void)
{
	kept = map(1000, 0);
	s_write(kept, 1000);
	result(1000, present(kept, 1000));
}

static void do_zero_page(void)
{
	char *p = map(1000, 0);

	CHECK(!s_look(p, 1000));
	result(0, 0);
}

static void do_read_call(void)
{
	char *p = map(700, 0);
	int fd = open("/dev/zero", O_RDONLY);

	CHECK(fd >= 0);
	s_read_call(fd, p, 700 * PAGE);
	close(fd);
	result(700, present(p, 700));
}

static void do_populate(void)
{
	result(600, present(s_populate(600), 600));
}

static void do_mlock(void)
{
	char *p = map(10, 0);

	s_mlock(p, 10);
	result(10, present(p, 10));
}

static void do_huge(void)
{
	char *p = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	CHECK(p != MAP_FAILED);
	p = (char *)(((unsigned long)p + HUGE - 1) & ~(HUGE - 1));
	err = madvise(p, HUGE, MADV_HUGEPAGE);
	s_huge(p);
	result(err ? 1 : present(p, 512), present(p, 512));
}

static void do_shared(void)
{
	char *p = mmap(NULL, 300 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	s_shared(p, 300);
	result(300, present(p, 300));
}

static void do_dontneed(void)
{
	CHECK(!madvise(kept, 250 * PAGE, MADV_DONTNEED));
	result(250, present(kept, 1000));
}

static void do_munmap(void)
{
	CHECK(!munmap(kept + 250 * PAGE, 750 * PAGE));
	result(750, present(kept, 1000));
}

/* Stays resident until the kernel wants it. */
static void do_free(void)
{
	char *p = map(500, 0);

	s_write(p, 500);
	CHECK(!madvise(p, 500 * PAGE, MADV_FREE));
	result(500, present(p, 500));
}

static void do_brk(void)
{
	char *begin = (char *)syscall(SYS_brk, 0), *p;

	p = (char *)(((unsigned long)begin + PAGE - 1) & ~(PAGE - 1));
	CHECK(syscall(SYS_brk, p + 400 * PAGE) == (long)(p + 400 * PAGE));
	CHECK(!madvise(p, 400 * PAGE, MADV_NOHUGEPAGE));
	s_brk(p, 400);
	CHECK(present(p, 400) == 400);
	CHECK(syscall(SYS_brk, p) == (long)p);
	result(400, present(p, 400));
}

/* What the parent had is the child's from the fork on; a page of its own in place of a shared one is no more. */
static void do_fork(void)
{
	char *p = map(200, 0);
	int fds[2], status;
	char c;
	pid_t pid;

	s_write(p, 200);
	CHECK(!pipe(fds));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		s_child(p, 200); /* copies */
		p = map(64, 0);
		s_child(p, 64); /* new */
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	CHECK(read(fds[0], &c, 1) == 1);
	say("value child %d", (int)pid);
	result(64, 64);
	hear("end child");
	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, &status, 0) == pid);
	say("done");
}

static void do_blocks(void)
{
	KEEP(kept);
	s_block(8 << 20, 1 << 20);
	s_block(1 << 20, 1 << 20);
	result(0, 0);
}

/*
 * One makes a block of 1000 pages and a mapping of 500, another touches 300 and 200 of them and gives 100 and 50 back. The
 * block is a mapping of its own, whose first page malloc has touched.
 */
static void do_handed(void)
{
	char *p = s_make(1000 * PAGE), *pages = (char *)(((unsigned long)p + PAGE - 1) & ~(PAGE - 1)), *q;

	CHECK(!madvise(pages, 999 * PAGE, MADV_NOHUGEPAGE));
	s_fill(pages, 300);
	CHECK(!madvise(pages + 100 * PAGE, 100 * PAGE, MADV_DONTNEED));
	q = map(500, 0);
	s_fill(q, 200);
	CHECK(!munmap(q, 50 * PAGE));
	say("value block %ld", present(pages, 999) * (long)PAGE + (pages - p));
	say("value mapping %ld", present(q + 50 * PAGE, 450) * (long)PAGE);
	result(500, present(pages, 999) + present(q + 50 * PAGE, 450));
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "write", do_write }, { "zero page", do_zero_page }, { "read call", do_read_call }, { "populate", do_populate },
	{ "mlock", do_mlock }, { "huge", do_huge },	      { "shared", do_shared },	     { "dontneed", do_dontneed },
	{ "munmap", do_munmap }, { "free", do_free },	      { "brk", do_brk },	     { "fork", do_fork },
	{ "blocks", do_blocks }, { "handed", do_handed },
};

static int find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!strcmp(name, cases[i].name))
			return (int)i;
	return -1;
}

int main(void)
{
	char line[64];
	size_t n;
	int at;

	memset(entries, 1, sizeof(entries));
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY);
	CHECK(pagemap_fd >= 0);
	ready();
	for (;;) {
		for (n = 0;; n++) {
			if (read(STDIN_FILENO, line + n, 1) != 1)
				return 0;
			if (line[n] == '\n')
				break;
			CHECK(n + 1 < sizeof(line));
		}
		line[n] = 0;
		if (!strcmp(line, "exit"))
			return 0;
		at = find(line);
		CHECK(at >= 0);
		cases[at].run();
		say("done");
	}
}
