/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The scratch process; see scratch.h. One record goes down a socket, one comes back. */
#include "kern/scratch.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

/*
 * The functions. On x86-64 `push` of a register is emulated and `xor` single-stepped (src/alloc/x86_insn.h);
 * on arm64 a branch is simulated and a move is not (arch/arm64/kernel/probes/decode-insn.c).
 */
void scratch_entry(void);
void scratch_stepped(void);
void scratch_pair(void);

#define FUNCTION(name, body)                                                      \
	__asm__(".text\n.balign 16\n.globl " #name "\n.type " #name ", %function\n" \
		#name ":\n" body "\n.size " #name ", . - " #name "\n")

#if defined(__x86_64__)
FUNCTION(scratch_entry, "push %rbp\npop %rbp\nret");
FUNCTION(scratch_stepped, "xor %eax, %eax\nret");
FUNCTION(scratch_pair, "push %rbp\npop %rbp\nret");
#elif defined(__aarch64__)
FUNCTION(scratch_entry, "b 1f\n1: ret");
FUNCTION(scratch_stepped, "mov x0, x0\nret");
FUNCTION(scratch_pair, "b 1f\n1: ret");
#else
#error "scratch functions for this architecture"
#endif

static void (*const functions[SCRATCH_N_SITES])(void) = {
	[SCRATCH_ENTRY] = scratch_entry,
	[SCRATCH_STEPPED] = scratch_stepped,
	[SCRATCH_PAIR] = scratch_pair,
};

/* "site": a filter is wanted. */
#define LOCK_UP SCRATCH_N_SITES

#define OTHER_STACK_BYTES 16384

enum caller { BY_MAIN, BY_THREAD, BY_PROCESS };

struct request {
	uint32_t site, n; /* LOCK_UP: n is the first killed system call */
	enum caller caller;
};

struct answer {
	uint64_t cpu_ns;
	int err;
};

unsigned long scratch_offset(enum scratch_site site)
{
	unsigned long start, end, off, addr = (unsigned long)functions[site], found = 0;
	char line[PATH_MAX + 128];
	FILE *f = fopen("/proc/self/maps", "re");

	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %*4s %lx", &start, &end, &off) == 3 && addr >= start &&
		    addr < end)
			found = addr - start + off;
	fclose(f);
	return found;
}

/* ---- the child: system calls and its functions, nothing else ---- */

static uint64_t cpu_time_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int lock_up(uint32_t first_killed)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first_killed, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -errno;
	return 0;
}

static int call_function(void *arg)
{
	const struct request *rq = arg;
	uint32_t i;

	for (i = 0; i < rq->n; i++)
		functions[rq->site]();
	return 0;
}

/* No pthread_create, whose system calls a filter may not know: the other does nothing but to call and to end. */
static int call_by_other(struct request *rq)
{
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
	char stack[OTHER_STACK_BYTES] __attribute__((aligned(16)));
	pid_t lives = 1, pid; /* the kernel makes it 0 when the stack is no longer needed */

	if (rq->caller == BY_THREAD)
		flags |= CLONE_SIGHAND | CLONE_THREAD;
	pid = clone(call_function, stack + sizeof(stack), flags, rq, NULL, NULL, &lives);
	if (pid < 0)
		return -errno;
	while (__atomic_load_n(&lives, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &lives, FUTEX_WAIT, 1, NULL, NULL, 0);
	if (rq->caller == BY_PROCESS)
		waitpid(pid, NULL, __WALL);
	return 0;
}

static void serve(int fd, pid_t parent)
{
	struct request rq;
	struct answer a;
	uint64_t begin;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0); /* a core of memprobe for a failed trial helps nobody */
	if (getppid() != parent)
		_exit(0);
	while (read(fd, &rq, sizeof(rq)) == sizeof(rq)) {
		a = (struct answer){ 0 };
		if (rq.site == LOCK_UP) {
			a.err = lock_up(rq.n);
		} else if (rq.caller != BY_MAIN) {
			a.err = call_by_other(&rq);
		} else {
			begin = cpu_time_ns();
			call_function(&rq);
			a.cpu_ns = cpu_time_ns() - begin;
		}
		if (write(fd, &a, sizeof(a)) != sizeof(a))
			break;
	}
	_exit(0);
}

/* ---- the parent ---- */

int scratch_start(struct scratch *s)
{
	pid_t parent = getpid();
	int fd[2];

	*s = (struct scratch){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
		return -errno;
	s->pid = fork();
	if (s->pid == 0) {
		close(fd[0]);
		serve(fd[1], parent);
	}
	close(fd[1]);
	if (s->pid < 0) {
		close(fd[0]);
		*s = (struct scratch){ .fd = -1 };
		return -errno;
	}
	s->fd = fd[0];
	return 0;
}

void scratch_stop(struct scratch *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL); /* ours until it is reaped */
	while (waitpid(s->pid, &s->status, 0) < 0 && errno == EINTR)
		;
	close(s->fd);
	s->fd = -1;
	s->pid = 0;
}

static int ask(struct scratch *s, const struct request *rq, unsigned int timeout_ms, uint64_t *cpu_ns)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	struct answer a;
	int ready;

	if (s->pid <= 0)
		return -ECHILD;
	if (send(s->fd, rq, sizeof(*rq), MSG_NOSIGNAL) != sizeof(*rq))
		return errno == EPIPE || errno == ECONNRESET ? -ECHILD : -errno;
	do
		ready = poll(&p, 1, (int)timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (!ready)
		return -ETIMEDOUT;
	if (ready < 0)
		return -errno;
	if (recv(s->fd, &a, sizeof(a), 0) != sizeof(a))
		return -ECHILD;
	*cpu_ns = a.cpu_ns ? a.cpu_ns : 1;
	return a.err;
}

int scratch_run(struct scratch *s, enum scratch_site site, uint32_t n, unsigned int timeout_ms,
		uint64_t *cpu_ns)
{
	return ask(s, &(struct request){ .site = site, .n = n }, timeout_ms, cpu_ns);
}

int scratch_run_other(struct scratch *s, enum scratch_site site, uint32_t n, unsigned int timeout_ms, bool is_process)
{
	const struct request rq = { .site = site, .n = n, .caller = is_process ? BY_PROCESS : BY_THREAD };
	uint64_t none;

	return ask(s, &rq, timeout_ms, &none);
}

int scratch_lock_up(struct scratch *s, uint32_t first_killed, unsigned int timeout_ms)
{
	uint64_t none;

	return ask(s, &(struct request){ .site = LOCK_UP, .n = first_killed }, timeout_ms, &none);
}
