/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Children that exec. On `fork` a first child ends at once; on `go` each file named by the arguments is run
 * once, one after the other; each is to be a `ticker`.
 */
#include <sys/wait.h>

#include "truth.h"

int main(int argc, char **argv)
{
	pid_t first;

	ready();
	hear("fork");
	first = fork();
	if (!first)
		_exit(0);
	waitpid(first, NULL, 0);
	usleep(200000);
	say("done");
	hear("go");
	for (int i = 1; i < argc; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl(argv[i], argv[i], (char *)NULL);
			_exit(93);
		}
		CHECK(waitpid(pid, NULL, 0) == pid);
	}
	say("done");
	hear("exit");
	return 0;
}
