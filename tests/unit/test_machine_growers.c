/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Which processes of a made-up /proc grow fastest, hours after the first look: those of the last minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/units.h"
#include "collect/machine_look.c" /* needs nothing but the pure code, which its directory is no part of */
#include "tests/unit/made_tree.h"

#define BEGAN_S (4 * 3600) /* one leaks from here on */
#define EARLY 100
#define LATE 200

static void put_process(int pid, uint64_t anon_bytes)
{
	unsigned int kib = (unsigned int)(anon_bytes / KIB);
	char path[64], text[512];

	snprintf(path, sizeof(path), "%d/statm", pid);
	snprintf(text, sizeof(text), "90000 %u 100 10 0 500 0\n", kib / 4);
	put(path, text);
	snprintf(path, sizeof(path), "%d/status", pid);
	snprintf(text, sizeof(text),
		 "Name:\tp%d\nState:\tS (sleeping)\nTgid:\t%d\nPid:\t%d\nPPid:\t1\nUid:\t0 0 0 0\nThreads:\t1\n"
		 "VmSize:\t 360000 kB\nVmRSS:\t %u kB\nRssAnon:\t %u kB\nRssFile:\t 0 kB\nRssShmem:\t 0 kB\nVmSwap:\t 0 kB\n",
		 pid, pid, pid, kib, kib);
	put(path, text);
}

/* One grows by 1 MiB/s for the first five minutes; the other by 10 MiB/min after four hours. */
static void put_machine(double t_s)
{
	put_process(EARLY, 50 * MIB + (uint64_t)((t_s < 300 ? t_s : 300) * MIB));
	put_process(LATE, 50 * MIB + (uint64_t)(t_s > BEGAN_S ? (t_s - BEGAN_S) * 10 * MIB / 60 : 0));
}

static bool has(const pid_t *pids, size_t n, pid_t pid)
{
	size_t i;

	for (i = 0; i < n && pids[i] != pid; i++)
		;
	return i < n;
}

static void a_late_leak_is_a_grower_soon__what_has_stopped_is_none(void **state)
{
	uint64_t begin = clock_ns(CLOCK_MONOTONIC);
	double t_s, seen_s = -1;
	struct machine_look *l;
	pid_t pids[4];
	size_t n;

	(void)state;
	put("meminfo", "MemTotal: 16000000 kB\nMemFree: 9000000 kB\nMemAvailable: 10000000 kB\nShmem: 0 kB\nSlab: 1000 kB\n");
	put("uptime", "100000.0 1.0\n");
	put_machine(0);
	l = machine_look_new(root, root);
	assert_non_null(l);
	for (t_s = 1; t_s < BEGAN_S + 60 && seen_s < 0; t_s += t_s < BEGAN_S - 100 ? 10 : 0.5) {
		put_machine(t_s);
		machine_look_tick(l, begin + (uint64_t)(t_s * 1e9) + NS_PER_S);
		n = machine_look_growers(l, pids, 4);
		if (t_s > 10 && t_s < 300)
			assert_true(n == 1 && pids[0] == EARLY);
		else if (t_s > 400)
			assert_false(has(pids, n, EARLY));
		if (has(pids, n, LATE))
			seen_s = t_s - BEGAN_S;
	}
	assert_true(seen_s > 0 && seen_s < 15);
	machine_look_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_late_leak_is_a_grower_soon__what_has_stopped_is_none, make_root,
						remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
