/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * One that takes many generations. Words:
 *
 *	fork     a first child, that ends at once: with it come probes for all
 *	churn    as many children as the first argument says, one after the other, that allocate at s_forked, exec,
 *		 allocate at s_image, and end; their sums are told
 *	execs    it executes itself 15 times
 *	burn     allocations at s_burnt in turns with other work, for 2.5 s of its CPU time
 *	keep     some blocks at s_kept
 */
#include <sys/wait.h>
#include <time.h>

#include "truth.h"

#define N_EXECS 15

struct site forked = { .name = "s_forked" }, image = { .name = "s_image" };

static void blocks(struct site *s, size_t n, size_t size)
{
	for (size_t i = 0; i < n; i++) {
		void *p = malloc(size + i % 7);

		KEEP(p);
		count_alloc(s, size + i % 7);
		if (i % 3 == 0) {
			free(p);
			count_free(s, size + i % 7);
		}
	}
}

SITE void s_forked(struct site *s)
{
	blocks(s, 11, 300);
	NO_TAIL();
}

SITE void s_image(struct site *s, size_t i)
{
	blocks(s, 13, 500 + i % 101);
	NO_TAIL();
}

SITE void s_kept(struct site *s)
{
	blocks(s, 1009, 200);
	NO_TAIL();
}

SITE void s_burnt(void)
{
	void *p = malloc(100);

	KEEP(p);
	free(p);
	NO_TAIL();
}

static void add(struct site *sum, const struct site *s)
{
	sum->live_bytes += s->live_bytes;
	sum->live_blocks += s->live_blocks;
	sum->alloc_bytes += s->alloc_bytes;
	sum->alloc_blocks += s->alloc_blocks;
}

static void child(int out, size_t i)
{
	struct site s = { 0 };
	char fd[16], number[32];

	s_forked(&s);
	CHECK(write(out, &s, sizeof(s)) == sizeof(s));
	snprintf(fd, sizeof(fd), "%d", out);
	snprintf(number, sizeof(number), "%zu", i);
	execl("/proc/self/exe", "generations", "image", fd, number, (char *)NULL);
	_exit(93);
}

static int be_image(int out, size_t i)
{
	struct site s = { 0 };

	s_image(&s, i);
	CHECK(write(out, &s, sizeof(s)) == sizeof(s));
	return 0;
}

static void churn(size_t n)
{
	struct site s[2];
	int fds[2];

	CHECK(pipe(fds) == 0);
	for (size_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid)
			child(fds[1], i);
		CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
		CHECK(read(fds[0], s, sizeof(s)) == sizeof(s));
		add(&forked, &s[0]);
		add(&image, &s[1]);
	}
	tell(&forked);
	tell(&image);
}

static void fork_first(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	usleep(300000);
}

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void burn(void)
{
	double end = cpu_s() + 2.5;

	while (cpu_s() < end) {
		s_burnt();
		for (int i = 0; i < 60000; i++)
			NO_TAIL();
	}
}

static void keep(void)
{
	struct site s = { .name = "s_kept" };

	s_kept(&s);
	tell(&s);
}

/* The word goes on in the next image. */
static void exec_self(char *n_children, int left)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", left);
	execl("/proc/self/exe", "generations", n_children, number, (char *)NULL);
	_exit(93);
}

static void obey(const char *word, char *n_children)
{
	if (!strcmp(word, "fork"))
		fork_first();
	else if (!strcmp(word, "churn"))
		churn((size_t)atoi(n_children));
	else if (!strcmp(word, "execs"))
		exec_self(n_children, N_EXECS - 1);
	else if (!strcmp(word, "burn"))
		burn();
	else if (!strcmp(word, "keep"))
		keep();
	else
		exit(0);
	say("done");
}

int main(int argc, char **argv)
{
	char line[16];
	size_t n = 0;

	CHECK(argc > 1);
	if (argc > 3 && !strcmp(argv[1], "image"))
		return be_image(atoi(argv[2]), (size_t)atoi(argv[3]));
	if (argc > 2) {
		usleep(20000);
		if (atoi(argv[2]))
			exec_self(argv[1], atoi(argv[2]) - 1);
		say("done");
	} else {
		ready();
	}
	while (n < sizeof(line) && read(STDIN_FILENO, &line[n], 1) == 1) {
		if (line[n++] != '\n')
			continue;
		line[n - 1] = 0;
		n = 0;
		obey(line, argv[1]);
	}
	return 0;
}
