/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The trial of links at the start of a run, by itself.
 *
 *	link_trial             prints "KIND: ERRNO MS", three times
 *	link_trial sandbox     the same in a sandbox that kills it for asking its CPU time, as a faulty
 *	                       kernel kills a sandboxed program for returning through a probe
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/xalloc.h"
#include "kern/kern_internal.h"
#include "kern/scratch.h"

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	bool sandbox = argc > 1 && !strcmp(argv[1], "sandbox");
	struct kern *k = xcalloc(1, sizeof(*k));
	double begin;
	int i, err;

	for (i = 0; i < 3; i++) {
		begin = now_ms();
		err = feature_find_links(k, sandbox ? __NR_clock_gettime : SCRATCH_UNKNOWN_SYSCALLS);
		printf("%s: %d %.1f\n", kern_attach_kind(k), -err, now_ms() - begin);
		if (err)
			explain_links(k, err);
	}
	links_close(k->links, k->n_links);
	return 0;
}
