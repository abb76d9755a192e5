/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Calibrates the cost of a trap with each kind of link that works here, three times.
 *
 *	trap_cost     prints "KIND: ENTRY_NS PAIR_NS STEPPED_NS MS ERRNO" per calibration
 *
 * and "children N" last, which must be 0.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "kern/calibrate.h"
#include "kern/kern_internal.h"

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(void)
{
	static const struct mp_shape shape = { .op = MP_OP_FREE };
	const struct kern_opts ko = { .max_memory_bytes = 1 << 24, .shapes = &shape, .n_shapes = 1 };
	struct kern_trap_cost c;
	struct kern *k;
	enum attach_kind kind;
	double begin;
	int i, err;

	if (kern_open(&k, &ko))
		return 77;
	for (kind = k->kind; kind <= ATTACH_PERF; kind++)
		for (i = 0; i < 3; i++) {
			k->kind = kind;
			begin = now_ms();
			err = kern_calibrate(k, &c);
			printf("%s: %u %u %u %.1f %d\n", kern_attach_kind(k), c.entry_ns,
			       c.pair_ns, c.stepped_ns, now_ms() - begin, -err);
		}
	kern_close(k);
	i = waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD ? 0 : 1;
	printf("children %d\n", i);
	return 0;
}
