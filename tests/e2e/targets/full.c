/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Many live blocks, then churn: fills a profiler's table of live blocks. The first argument is
 * the number of blocks that stay, the second one that of the churn. A second `go` frees all.
 */
#include "truth.h"

static struct site keep = { .name = "s_keep" }, churn = { .name = "s_churn" };

SITE void s_keep(void **list, long n)
{
	for (long i = 0; i < n; i++) {
		list[i] = malloc(16);
		KEEP(list[i]);
		count_alloc(&keep, 16);
	}
}

SITE void s_churn(long n)
{
	for (long i = 0; i < n; i++) {
		void *p = malloc(24);

		KEEP(p);
		count_alloc(&churn, 24);
		free(p);
		count_free(&churn, 24);
	}
}

int main(int argc, char **argv)
{
	long n_keep = argc > 2 ? atol(argv[1]) : 1000200,
	     n_churn = argc > 2 ? atol(argv[2]) : 200000;
	void **list = calloc((size_t)n_keep, sizeof(*list));

	CHECK(list);
	ready();
	hear("go");
	s_keep(list, n_keep);
	s_churn(n_churn);
	tell(&keep);
	tell(&churn);
	say("done");
	hear("go");
	for (long i = 0; i < n_keep; i++) {
		free(list[i]);
		count_free(&keep, 16);
	}
	tell(&keep);
	tell(&churn);
	say("done");
	hear("exit");
	return 0;
}
