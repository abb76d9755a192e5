/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * A master and its workers, as servers that fork have them. The first argument is the number of workers
 * from before `ready`, each below the one before when the second is `chain`. Words:
 *
 *	go          master and all living workers allocate at s_master and s_worker
 *	fork        one more worker, whose first act is to allocate at s_young; it stays
 *	storm       20 children at once, 1009 blocks each at s_storm, which end
 *	spawn       20 children by posix_spawn that allocate at s_image, and end
 *
 * A worker tells its site with its process id: `site s_young@4242 ...`.
 */
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "truth.h"

#define MAX_WORKERS 64
#define N_CHILDREN 20

extern char **environ;

struct worker {
	pid_t pid;
	int ask; /* write end */
};

static struct worker workers[MAX_WORKERS];
static int n_workers, answers[2]; /* one byte for each thing done */

SITE void s_blocks(struct site *s, size_t n, size_t size)
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

SITE void s_master(struct site *s)
{
	s_blocks(s, 101, 1000);
	NO_TAIL();
}

SITE void s_worker(struct site *s)
{
	s_blocks(s, 103, 2000);
	NO_TAIL();
}

SITE void s_young(struct site *s)
{
	s_blocks(s, 1009, 300);
	NO_TAIL();
}

SITE void s_storm(struct site *s)
{
	s_blocks(s, 1009, 500);
	NO_TAIL();
}

SITE void s_image(struct site *s)
{
	s_blocks(s, 107, 700);
	NO_TAIL();
}

static void tell_own(struct site *s, const char *name)
{
	char with_pid[64];

	snprintf(with_pid, sizeof(with_pid), "%s@%d", name, (int)getpid());
	s->name = with_pid;
	tell(s);
}

static void answer(void)
{
	CHECK(write(answers[1], "x", 1) == 1);
}

static void await_answers(int n)
{
	char c;

	for (int i = 0; i < n; i++)
		CHECK(read(answers[0], &c, 1) == 1);
}

/* A worker does as it is told until its master ends. */
static void work(int ask)
{
	struct site s = { 0 };
	char c;

	while (read(ask, &c, 1) == 1) {
		s_worker(&s);
		tell_own(&s, "s_worker");
		answer();
	}
	_exit(0);
}

static void add_worker(bool is_young)
{
	struct worker *w = &workers[n_workers++];
	struct site s = { 0 };
	int ask[2];

	CHECK(n_workers <= MAX_WORKERS && pipe(ask) == 0);
	w->ask = ask[1];
	w->pid = fork();
	if (w->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(ask[1]);
	if (is_young) {
		s_young(&s);
		tell_own(&s, "s_young");
		answer();
	}
	work(ask[0]);
}

/* Each the child of the one before. */
static void add_chain(int n)
{
	int ask[MAX_WORKERS][2];

	for (int i = 0; i < n; i++) {
		CHECK(pipe(ask[i]) == 0);
		workers[i].ask = ask[i][1];
	}
	n_workers = n;
	for (int i = 0; i < n; i++) {
		if (fork())
			return i ? work(ask[i - 1][0]) : (void)0;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int k = 0; k < n; k++)
			close(ask[k][1]);
	}
	work(ask[n - 1][0]);
}

static void storm(void)
{
	for (int i = 0; i < N_CHILDREN; i++) {
		struct site s = { 0 };

		if (fork())
			continue;
		s_storm(&s);
		tell_own(&s, "s_storm");
		_exit(0);
	}
	for (int i = 0; i < N_CHILDREN; i++)
		CHECK(waitpid(-1, NULL, 0) > 0);
}

static void spawn(void)
{
	char *argv[] = { "family", "image", NULL };
	pid_t pids[N_CHILDREN];

	for (int i = 0; i < N_CHILDREN; i++)
		CHECK(posix_spawn(&pids[i], "/proc/self/exe", NULL, NULL, argv, environ) == 0);
	for (int i = 0; i < N_CHILDREN; i++)
		CHECK(waitpid(pids[i], NULL, 0) == pids[i]);
}

static void go(void)
{
	struct site s = { .name = "s_master" };

	s_master(&s);
	tell(&s);
	for (int i = 0; i < n_workers; i++)
		CHECK(write(workers[i].ask, "x", 1) == 1);
	await_answers(n_workers);
}

static void image(void)
{
	struct site s = { 0 };

	s_image(&s);
	tell_own(&s, "s_image");
}

static void obey(const char *word)
{
	if (!strcmp(word, "go")) {
		go();
	} else if (!strcmp(word, "fork")) {
		add_worker(true);
		await_answers(1);
	} else if (!strcmp(word, "storm")) {
		storm();
	} else if (!strcmp(word, "spawn")) {
		spawn();
	} else {
		exit(0);
	}
	say("done");
}

int main(int argc, char **argv)
{
	char line[16];
	size_t n = 0;

	if (argc > 1 && !strcmp(argv[1], "image")) {
		image();
		return 0;
	}
	CHECK(pipe(answers) == 0);
	if (argc > 2 && !strcmp(argv[2], "chain"))
		add_chain(atoi(argv[1]));
	else
		for (int i = 0; argc > 1 && i < atoi(argv[1]); i++)
			add_worker(false);
	ready();
	while (n < sizeof(line) && read(STDIN_FILENO, &line[n], 1) == 1) {
		if (line[n++] != '\n')
			continue;
		line[n - 1] = 0;
		n = 0;
		obey(line);
	}
	return 0;
}
