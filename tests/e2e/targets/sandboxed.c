/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * A program whose seccomp filter kills it for any system call that is not on a short list,
 * numbers that the filter's author could not know included: the kernel's own system call for
 * return probes (x86-64: 335) is one of them. The argument is the number of malloc/free pairs.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "truth.h"

#define ALLOW(nr)                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct site site = { .name = "s_sandboxed" };

static void lock_up(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_read),
		ALLOW(SYS_write),
		ALLOW(SYS_brk),
		ALLOW(SYS_mmap),
		ALLOW(SYS_munmap),
		ALLOW(SYS_getrandom),
		ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

SITE void s_sandboxed(long n)
{
	for (long i = 0; i < n; i++) {
		void *p = malloc(88);

		KEEP(p);
		count_alloc(&site, 88);
		if (i % 10007) {
			free(p);
			count_free(&site, 88);
		}
	}
}

int main(int argc, char **argv)
{
	ready();
	lock_up();
	hear("go");
	s_sandboxed(argc > 1 ? atol(argv[1]) : 1000);
	tell(&site);
	say("done");
	hear("exit");
	return 0;
}
