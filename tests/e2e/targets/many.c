/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Many small processes, each an exec of its own, none with the same count as another. The argument is their
 * number. Words:
 *
 *	go          child i keeps i + 1 blocks of 101 + i bytes at s_leak, and tells `site s_leak@PID ...`
 *	half        every second one ends
 */
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "truth.h"

#define MAX_CHILDREN 1000

struct child {
	pid_t pid;
	int ask; /* write end */
};

static struct child children[MAX_CHILDREN];
static int n_children, answers[2];

SITE void s_leak(struct site *s, int i)
{
	for (int k = 0; k <= i; k++) {
		void *p = malloc(101 + (size_t)i), *q = malloc(57);

		KEEP(p);
		KEEP(q);
		count_alloc(s, 101 + (size_t)i);
		count_alloc(s, 57);
		free(q);
		count_free(s, 57);
	}
	NO_TAIL();
}

static void child(int i)
{
	struct site s = { 0 };
	char name[64], c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name, sizeof(name), "s_leak@%d", (int)getpid());
	s.name = name;
	CHECK(write(3, "x", 1) == 1);
	while (read(4, &c, 1) == 1 && c == 'g') {
		s_leak(&s, i);
		tell(&s);
		CHECK(write(3, "x", 1) == 1);
	}
	_exit(0);
}

static void await(int n)
{
	char c;

	for (int i = 0; i < n; i++)
		CHECK(read(answers[0], &c, 1) == 1);
}

static void add_child(char *path, int i)
{
	char number[16];
	char *argv[] = { path, "child", number, NULL };
	int ask[2];

	snprintf(number, sizeof(number), "%d", i);
	CHECK(pipe(ask) == 0);
	children[i].pid = fork();
	if (!children[i].pid) {
		CHECK(dup2(answers[1], 100) == 100 && dup2(ask[0], 101) == 101);
		CHECK(dup2(100, 3) == 3 && dup2(101, 4) == 4);
		for (int fd = 5; fd < 2 * MAX_CHILDREN; fd++)
			close(fd);
		execv(path, argv);
		_exit(96);
	}
	close(ask[0]);
	children[i].ask = ask[1];
}

static void go(void)
{
	int n = 0;

	for (int i = 0; i < n_children; i++)
		n += children[i].ask && write(children[i].ask, "g", 1) == 1;
	await(n);
}

static void half(void)
{
	for (int i = 0; i < n_children; i += 2) {
		close(children[i].ask);
		children[i].ask = 0;
		CHECK(waitpid(children[i].pid, NULL, 0) == children[i].pid);
	}
}

static bool obey(const char *word)
{
	if (!strcmp(word, "go"))
		go();
	else if (!strcmp(word, "half"))
		half();
	else
		return false;
	say("done");
	return true;
}

int main(int argc, char **argv)
{
	char line[16];
	size_t n = 0;

	if (argc > 2)
		child(atoi(argv[2]));
	CHECK(argc == 2 && atoi(argv[1]) <= MAX_CHILDREN && pipe(answers) == 0);
	for (n_children = 0; n_children < atoi(argv[1]); n_children++)
		add_child(argv[0], n_children);
	await(n_children);
	ready();
	for (n = 0; n < sizeof(line) && read(STDIN_FILENO, &line[n], 1) == 1;) {
		if (line[n++] != '\n')
			continue;
		line[n - 1] = 0;
		n = 0;
		if (!obey(line))
			break;
	}
	return 0;
}
