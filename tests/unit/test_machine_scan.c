/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* All processes of a made-up /proc, looked at again and again; the machine's memory; names of control groups. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "proc/machine_memory.h"
#include "proc/machine_scan.h"
#include "tests/unit/made_tree.h"

static void put_process(int pid, int ppid, const char *name, unsigned int resident_pages, unsigned int anon_kib)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "%d/statm", pid);
	snprintf(text, sizeof(text), "90000 %u 100 10 0 500 0\n", resident_pages);
	put(path, text);
	snprintf(path, sizeof(path), "%d/status", pid);
	snprintf(text, sizeof(text),
		 "Name:\t%s\nState:\tS (sleeping)\nTgid:\t%d\nPid:\t%d\nPPid:\t%d\nUid:\t0 0 0 0\nThreads:\t1\n"
		 "VmSize:\t 360000 kB\nVmRSS:\t %u kB\nRssAnon:\t %u kB\nRssFile:\t 400 kB\nRssShmem:\t 8 kB\nVmSwap:\t 16 kB\n",
		 name, pid, pid, ppid, resident_pages * 4, anon_kib);
	put(path, text);
	snprintf(path, sizeof(path), "%d/cgroup", pid);
	put(path, "4:memory:/system.slice/web.service\n1:cpu:/other\n0::/unified\n");
}

static void processes_come_change_and_go(void **state)
{
	const struct proc_scanned *p;
	struct proc_scan s;
	char *gone;
	uint64_t id;

	(void)state;
	put_process(100, 1, "web", 1000, 3000);
	put_process(101, 100, "web", 500, 900);
	put("7/statm", "0 0 0 0 0 0 0\n"); /* a kernel thread */
	put("7/status", "Name:\tkthreadd\nState:\tS\nTgid:\t7\nPPid:\t2\nThreads:\t1\n");
	proc_scan_init(&s, root);
	assert_int_equal(proc_scan_look(&s), 0);
	assert_int_equal(s.n, 2);
	p = proc_scan_find(&s, 100);
	id = p->id;
	assert_string_equal(p->name, "web");
	assert_string_equal(p->cgroup, "/system.slice/web.service");
	assert_int_equal(p->anon_bytes, 3000 * KIB);
	assert_int_equal(p->shmem_bytes, 8 * KIB);
	assert_int_equal(p->swap_bytes, 16 * KIB);
	assert_int_equal(proc_scan_find(&s, 101)->ppid, 100);

	put_process(100, 1, "web", 1100, 3400);
	put_process(102, 100, "web", 10, 20);
	gone = xasprintf("rm -r %s/101", root);
	assert_int_equal(system(gone), 0);
	free(gone);
	assert_int_equal(proc_scan_look(&s), 0);
	p = proc_scan_find(&s, 100);
	assert_int_equal(p->id, id);
	assert_int_equal(p->anon_bytes, 3400 * KIB);
	assert_false(p->is_new);
	assert_true(proc_scan_find(&s, 102)->is_new);
	assert_null(proc_scan_find(&s, 101));
	assert_int_equal(s.n, 3); /* the one that ended is told of once */
	assert_int_equal(s.n_came, 1);
	assert_int_equal(s.n_went, 1);
	assert_int_equal(proc_scan_look(&s), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(proc_scan_find(&s, 100)->id, id);
	proc_scan_release(&s);
}

/* Words end by a zero byte, as in /proc. */
static void put_words(int pid, const char *words)
{
	char *path = xasprintf("%s/%d/cmdline", root, pid), *text = xstrdup(words), *p;
	FILE *f = fopen(path, "w");
	size_t len = strlen(text);

	assert_non_null(f);
	for (p = text; *p; p++)
		if (*p == '|')
			*p = '\0';
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
	free(text);
	free(path);
}

static void interpreters_are_named_by_their_script(void **state)
{
	static const struct {
		const char *comm, *words, *name;
	} cases[] = {
		{ "python3", "python3|-u|/srv/x.py|", "python3 x.py" },
		{ "python3", "python3|-c|import os\nos.pause()|", "python3 -c" },
		{ "python3", "python3|-Ic|import os|", "python3 -Ic" },
		{ "sh", "sh|-e|/srv/job.sh|", "sh job.sh" },
		{ "bash", "bash|-lc|sleep 1; exit|", "bash -lc" },
		{ "node", "node|--eval|f()|", "node --eval" },
		{ "ruby", "ruby|-we|p 1|", "ruby -we" },
		{ "java", "java|-verbose|-cp|", "java" },
		{ "web", "web|-c|x|", "web" },
	};
	struct proc_scan s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_process(300 + (int)i, 1, cases[i].comm, 1000, 3000);
		put_words(300 + (int)i, cases[i].words);
	}
	proc_scan_init(&s, root);
	proc_scan_look(&s);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(proc_scan_find(&s, 300 + (int)i)->name, cases[i].name);
	proc_scan_release(&s);
}

/* Nothing but statm is read where statm is as before. */
static void an_unchanged_process_is_not_read_again(void **state)
{
	struct proc_scan s;

	(void)state;
	put_process(200, 1, "idle", 1000, 3000);
	proc_scan_init(&s, root);
	proc_scan_look(&s);
	put("200/status", "");
	proc_scan_look(&s);
	assert_int_equal(proc_scan_find(&s, 200)->anon_bytes, 3000 * KIB);
	proc_scan_release(&s);
}

static void the_machine_is_read(void **state)
{
	struct proc_machine m;

	(void)state;
	put("meminfo", "MemTotal: 1000000 kB\nMemAvailable: 600000 kB\nActive(file): 100 kB\nInactive(file): 100 kB\n"
		       "SwapTotal: 2000 kB\nSwapFree: 1500 kB\nShmem: 70 kB\nKReclaimable: 40 kB\nSUnreclaim: 50 kB\n"
		       "KernelStack: 10 kB\nPageTables: 20 kB\nSecPageTables: 5 kB\nVmallocUsed: 17 kB\nPercpu: 3 kB\nHugetlb: 4096 kB\n");
	put("vmstat", "nr_free_pages 1\noom_kill 3\n");
	put("pressure/memory", "some avg10=11.20 avg60=4.00 avg300=1.00 total=8450\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n");
	/*
	 * reserves: min(high + most of protection, managed) of each zone: 36 + 64 and 50; low 30 + 40; caches: 25 and 5
	 * pages
	 */
	put("zoneinfo", "Node 0, zone      DMA\n  pages free 9\n        low      30\n        high     36\n        managed  3840\n"
			"        protection: (0, 64, 12)\nNode 0, zone   Normal\n        low      40\n        high     60\n"
			"        managed  50\n        protection: (0, 0, 0)\n");
	assert_int_equal(proc_machine_read(&m, root), 0);
	assert_int_equal(m.total_bytes, 1000000 * KIB);
	assert_int_equal(m.swap_free_bytes, 1500 * KIB);
	assert_int_equal(m.slab_bytes, 50 * KIB);
	assert_int_equal(m.slab_cache_bytes, 40 * KIB);
	assert_int_equal(m.page_table_bytes, 25 * KIB);
	assert_int_equal(m.other_kernel_bytes, 10 * KIB);
	assert_int_equal(m.hugetlb_bytes, 4096 * KIB);
	assert_int_equal(m.oom_kills, 3);
	assert_true(m.stall_10s > 0.111 && m.stall_10s < 0.113);
	if (sysconf(_SC_PAGESIZE) == 4096)
		assert_int_equal(m.kept_free_bytes, (100 + 50 + 25 + 5) * 4096);
}

static void what_a_process_has_for_itself(void **state)
{
	struct proc_rollup r;

	(void)state;
	put("300/smaps_rollup", "Rss: 900 kB\nPss: 500 kB\nPss_Anon: 300 kB\nPss_File: 150 kB\nPss_Shmem: 50 kB\n"
				"Private_Clean: 90 kB\nPrivate_Dirty: 210 kB\nAnonymous: 400 kB\nSwap: 40 kB\nSwapPss: 30 kB\n");
	assert_int_equal(proc_rollup_read(&r, root, 300), 0);
	assert_int_equal(r.pss_bytes, 380 * KIB);
	assert_int_equal(r.pss_shmem_bytes, 50 * KIB);
	assert_int_equal(r.private_bytes, 240 * KIB);
	assert_int_equal(r.all_bytes, 440 * KIB);
	assert_int_equal(proc_rollup_read(&r, root, 301), -ESRCH);
}

static void control_groups_have_short_names(void **state)
{
	static const struct {
		const char *path, *host, *name;
	} rows[] = {
		{ "/", "", "-" },
		{ "", "", "-" },
		{ "/system.slice/checkout.service", "", "checkout.service" },
		{ "/system.slice/docker-3f2a9c1b77d0aaaabbbbccccddddeeeeffff0000111122223333444455556666.scope", "",
		  "docker 3f2a9c1b77d0" },
		{ "/docker/3f2a9c1b77d0aaaabbbbccccddddeeeeffff0000111122223333444455556666", "", "3f2a9c1b77d0" },
		{ "/kubepods/burstable/pod1b2c3d4e-1111-2222-3333-444455556666/3f2a9c1b77d0aaaabbbbccccddddeeee", "",
		  "pod 1b2c3d4e" },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b2c3d4e_1111.slice/"
		  "cri-containerd-3f2a9c1b77d0aaaabbbbccccddddeeee.scope",
		  "mailer-7d9f", "pod mailer-7d9f" },
		{ "/user.slice/user-0.slice/session-3.scope", "", "session-3.scope" },
	};
	char name[48];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		proc_cgroup_short(name, sizeof(name), rows[i].path, rows[i].host);
		assert_string_equal(name, rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(processes_come_change_and_go, make_root, remove_root),
		cmocka_unit_test_setup_teardown(interpreters_are_named_by_their_script, make_root, remove_root),
		cmocka_unit_test_setup_teardown(an_unchanged_process_is_not_read_again, make_root, remove_root),
		cmocka_unit_test_setup_teardown(the_machine_is_read, make_root, remove_root),
		cmocka_unit_test_setup_teardown(what_a_process_has_for_itself, make_root, remove_root),
		cmocka_unit_test(control_groups_have_short_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
