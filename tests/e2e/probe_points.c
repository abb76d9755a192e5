/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Proof of the probe points: functions probed at their entry and at the place that
 * probe_point_find() gives, both at once, while a target calls them.
 *
 *	probe_points [-a] PROGRAM [LIBRARY]
 *
 * PROGRAM is tests/e2e/targets/shapes, run with LIBRARY preloaded; -a: only the allocator's
 * functions. For each function the place must be where the assembler put it, if that is known; and
 * there as at the entry the hits, the sums of the arguments and the stack pointers must be those of
 * the calls that the target counts itself; and so must the results of a return probe at that place.
 * Results are the same as without probes. Last line `N passed, N failed, N skipped`; exit 0, 1, or
 * 77 (skipped).
 *
 * Loads its three programs as instructions and attaches them by bpf(2), so that nothing of memprobe
 * but the decoder, the allocator table's masks and the ELF and maps readers is under test.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc/probe_point.h"
#include "proc/maps.h"
#include "symbol/elf_file.h"

#define FORM_CALLS 10007
#define ALLOCATOR_CALLS 100003
#define STAYING_CALLS 20011 /* where there is only the entry, single-stepped */
#define MAX_SUBJECTS 64
#define MAX_CODE_BYTES 65536

static unsigned int n_passed, n_failed;

static void result(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void result(bool ok, const char *format, ...)
{
	va_list ap;

	printf("%s", ok ? "ok   " : "FAIL ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	if (ok)
		n_passed++;
	else
		n_failed++;
}

static int finish(const char *why_skipped)
{
	if (why_skipped)
		printf("skip: %s\n", why_skipped);
	printf("%u passed, %u failed, %u skipped\n", n_passed, n_failed, why_skipped ? 1u : 0u);
	return n_failed ? 1 : why_skipped ? 77 : 0;
}

/* ---- the kernel's side ---- */

enum { AT_ENTRY, AT_PLACE, AT_RETURN, N_SLOTS };

/* What the programs add up; the attach cookie is the index. */
struct slot {
	uint64_t hits, sum[6], sp; /* sum: of the registers in the order of MP_MOVED */
};

enum { ENTRY_PROGRAM, RETURN_PROGRAM, RETURN_INT_PROGRAM, N_PROGRAMS };

static int slots_fd = -1, program_fd[N_PROGRAMS];

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(__NR_bpf, command, attr, sizeof(*attr));
}

#define INSN(op, d, s, o, i) \
	((struct bpf_insn){ .code = (op), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOVE(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define CALL(helper) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
/* slot in r0: field += r1 */
#define ADD_TO(field) \
	INSN(BPF_STX | BPF_DW | BPF_ATOMIC, 0, 1, (short)offsetof(struct slot, field), BPF_ADD)
/* r1 = a register of the probed thread, by its place in pt_regs; ctx in r6 */
#define REGISTER(size, offset) INSN(BPF_LDX | (size) | BPF_MEM, 1, 6, offset, 0)

#define PT_R8 72
#define PT_RAX 80
#define PT_RCX 88
#define PT_RDX 96
#define PT_RSI 104
#define PT_RDI 112
#define PT_RSP 152

/* r6 = ctx; r0 = the slot that the cookie names, or exit */
#define BEGIN(exit_distance)                                                        \
	MOVE(6, 1), CALL(BPF_FUNC_get_attach_cookie),                               \
		INSN(BPF_STX | BPF_W | BPF_MEM, 10, 0, -4, 0), MOVE(2, 10),         \
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),                     \
		INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, slots_fd), \
		INSN(0, 0, 0, 0, 0), CALL(BPF_FUNC_map_lookup_elem),                \
		INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, exit_distance, 0), SET(1, 1), ADD_TO(hits)

#define END SET(0, 0), INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int load_program(const struct bpf_insn *insns, size_t n)
{
	static char log[65536];
	union bpf_attr attr = { 0 };
	long fd;

	attr.prog_type = BPF_PROG_TYPE_KPROBE;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uintptr_t) "Dual BSD/GPL";
	attr.expected_attach_type = 48; /* BPF_TRACE_UPROBE_MULTI */
	attr.log_buf = (uintptr_t)log;
	attr.log_size = sizeof(log);
	attr.log_level = 1;
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0 && errno != EPERM)
		fputs(log, stderr);
	return fd < 0 ? -errno : (int)fd;
}

static int load_return_program(unsigned int size)
{
	const struct bpf_insn insns[] = { BEGIN(4), REGISTER(size, PT_RAX), ADD_TO(sum[0]), END };

	return load_program(insns, sizeof(insns) / sizeof(insns[0]));
}

static int load(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY,
				.key_size = 4,
				.value_size = sizeof(struct slot),
				.max_entries = N_SLOTS };
	int i;

	slots_fd = (int)bpf(BPF_MAP_CREATE, &attr);
	if (slots_fd < 0)
		return -errno;
	const struct bpf_insn entry[] = { BEGIN(16),      REGISTER(BPF_DW, PT_RDI),
					  ADD_TO(sum[0]), REGISTER(BPF_DW, PT_RSI),
					  ADD_TO(sum[1]), REGISTER(BPF_DW, PT_RDX),
					  ADD_TO(sum[2]), REGISTER(BPF_DW, PT_RCX),
					  ADD_TO(sum[3]), REGISTER(BPF_DW, PT_R8),
					  ADD_TO(sum[4]), REGISTER(BPF_DW, PT_RAX),
					  ADD_TO(sum[5]), REGISTER(BPF_DW, PT_RSP),
					  ADD_TO(sp),     END };

	program_fd[ENTRY_PROGRAM] = load_program(entry, sizeof(entry) / sizeof(entry[0]));
	program_fd[RETURN_PROGRAM] = load_return_program(BPF_DW);
	program_fd[RETURN_INT_PROGRAM] = load_return_program(BPF_W);
	for (i = 0; i < N_PROGRAMS; i++)
		if (program_fd[i] < 0)
			return program_fd[i];
	return 0;
}

static void slots_reset(void)
{
	struct slot zero = { 0 };
	union bpf_attr attr = { 0 };
	uint32_t i;

	for (i = 0; i < N_SLOTS; i++) {
		attr.map_fd = (uint32_t)slots_fd;
		attr.key = (uintptr_t)&i;
		attr.value = (uintptr_t)&zero;
		bpf(BPF_MAP_UPDATE_ELEM, &attr);
	}
}

static struct slot slot_read(uint32_t i)
{
	struct slot s = { 0 };
	union bpf_attr attr = { 0 };

	attr.map_fd = (uint32_t)slots_fd;
	attr.key = (uintptr_t)&i;
	attr.value = (uintptr_t)&s;
	bpf(BPF_MAP_LOOKUP_ELEM, &attr);
	return s;
}

/* One uprobe_multi link in one process. The structure of linux/bpf.h 6.6, link_create.uprobe_multi.
 */
static int attach(int program, const char *path, const unsigned long *offsets,
		  const uint64_t *cookies, uint32_t n, bool is_return, pid_t pid)
{
	struct {
		uint32_t prog_fd, target_fd, attach_type, flags;
		uint64_t path, offsets, ref_ctr_offsets, cookies;
		uint32_t cnt, multi_flags, pid, zero;
	} attr = { .prog_fd = (uint32_t)program_fd[program],
		   .attach_type = 48,
		   .path = (uintptr_t)path,
		   .offsets = (uintptr_t)offsets,
		   .cookies = (uintptr_t)cookies,
		   .cnt = n,
		   .multi_flags = is_return,
		   .pid = (uint32_t)pid };
	long fd = syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

/* ---- the target ---- */

struct target {
	pid_t pid;
	FILE *out; /* what it says */
	FILE *in;
	struct proc_maps maps;
};

/* One function, as the target describes it. */
struct subject {
	char name[64];
	uint64_t address;
	unsigned int arguments; /* mask */
	int result_bytes;       /* 0: its entry only */
	int place;              /* -1: not known */
};

/* What the target counted. */
struct truth {
	uint64_t calls, argument[3], result;
};

static int target_start(struct target *t, const char *program, const char *library)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return -errno;
	t->pid = fork();
	if (t->pid < 0)
		return -errno;
	if (!t->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		if (library)
			setenv("LD_PRELOAD", library, 1);
		setenv("TCMALLOC_LARGE_ALLOC_REPORT_THRESHOLD", "9223372036854775807", 1);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	t->in = fdopen(in[1], "w");
	t->out = fdopen(out[0], "r");
	return 0;
}

static size_t target_describe(struct target *t, struct subject *v)
{
	char line[256];
	size_t n = 0;

	while (n < MAX_SUBJECTS && fgets(line, sizeof(line), t->out) && strcmp(line, "end\n")) {
		struct subject *s = &v[n];

		if (sscanf(line, "%63s %" SCNx64 " arguments %u return %d place %d", s->name,
			   &s->address, &s->arguments, &s->result_bytes, &s->place) == 5)
			n++;
	}
	return proc_maps_read(&t->maps, "/proc", t->pid) ? 0 : n;
}

static bool target_run(struct target *t, const char *name, unsigned int calls, struct truth *out)
{
	char line[256];

	memset(out, 0, sizeof(*out));
	fprintf(t->in, "%s %u\n", name, calls);
	fflush(t->in);
	return fgets(line, sizeof(line), t->out) &&
	       sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &out->calls,
		      &out->argument[0], &out->argument[1], &out->argument[2], &out->result) == 5;
}

static void target_end(struct target *t)
{
	if (t->in)
		fclose(t->in); /* it ends with its input */
	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, NULL, 0);
	}
	if (t->out)
		fclose(t->out);
	proc_maps_release(&t->maps);
}

/* ---- one function ---- */

struct place {
	char *path;      /* to attach to */
	uint64_t offset; /* of the function, in the file */
	size_t size;
	struct probe_point at;
	uint8_t code[MAX_CODE_BYTES];
};

static int take_size(void *ctx, const struct elf_symbol *sym)
{
	struct place *p = ctx;

	if (sym->offset == p->offset && sym->size_bytes)
		p->size = sym->size_bytes;
	return 0;
}

static bool read_code(struct place *p, int fd)
{
	struct elf_file *f;
	bool ok;

	if (elf_file_open(&f, fd))
		return false;
	elf_file_each_function(f, take_size, p);
	ok = p->size && p->size <= sizeof(p->code) &&
	     elf_file_read(f, p->offset, p->code, p->size) == (long)p->size;
	elf_file_close(f);
	return ok;
}

static bool find_place(const struct target *t, const struct subject *s, struct place *p)
{
	const struct proc_map *m = proc_maps_find(&t->maps, s->address);
	int fd;

	if (!m)
		return false;
	p->offset = s->address - m->start + m->offset;
	fd = proc_map_open("/proc", t->pid, m);
	if (fd < 0 || !read_code(p, fd))
		return false;
	probe_point_find(&p->at, p->code, p->size, s->arguments, s->result_bytes != 0);
	p->path = proc_map_attach_path("/proc", t->pid, m);
	return p->path != NULL;
}

static int attach_both(const struct subject *s, const struct place *p, pid_t pid, int fd[2])
{
	unsigned long offsets[] = { p->offset, p->offset + p->at.offset };
	uint64_t cookies[] = { AT_ENTRY, AT_PLACE }, return_cookie = AT_RETURN;
	int program = s->result_bytes == 4 ? RETURN_INT_PROGRAM : RETURN_PROGRAM;

	fd[1] = -1;
	fd[0] = attach(ENTRY_PROGRAM, p->path, offsets, cookies, p->at.offset ? 2 : 1, false, pid);
	if (fd[0] < 0)
		return fd[0];
	if (!s->result_bytes)
		return 0;
	fd[1] = attach(program, p->path, &offsets[1], &return_cookie, 1, true, pid);
	return fd[1] < 0 ? fd[1] : 0;
}

static bool is_equal(const struct slot *slot, const struct truth *truth, unsigned int arguments,
		     uint32_t moved)
{
	unsigned int i;

	if (slot->hits != truth->calls)
		return false;
	for (i = 0; i < 3; i++)
		if (arguments >> i & 1 && slot->sum[i ^ (moved >> 4 * i & 7)] != truth->argument[i])
			return false;
	return true;
}

static void compare(const struct subject *s, const struct place *p, const struct truth *truth)
{
	struct slot entry = slot_read(AT_ENTRY), shifted = slot_read(AT_PLACE),
		    returned = slot_read(AT_RETURN);

	result(is_equal(&entry, truth, s->arguments, 0),
	       "%s: at the entry %" PRIu64 " hits of %" PRIu64 " calls", s->name, entry.hits,
	       truth->calls);
	if (p->at.offset) {
		result(is_equal(&shifted, truth, s->arguments, p->at.moved),
		       "%s: at +%u %" PRIu64 " hits of %" PRIu64 " calls, arguments as passed",
		       s->name, p->at.offset, shifted.hits, truth->calls);
		result(shifted.sp + shifted.hits * 8 * p->at.pushes == entry.sp,
		       "%s: at +%u the stack pointer is %u words down", s->name, p->at.offset,
		       p->at.pushes);
	}
	if (s->result_bytes)
		result(returned.hits == truth->calls && returned.sum[0] == truth->result,
		       "%s: from +%u %" PRIu64 " returns of %" PRIu64 " calls, results as returned",
		       s->name, p->at.offset, returned.hits, truth->calls);
}

static unsigned int n_calls(const struct subject *s, const struct place *p)
{
	if (s->place >= 0)
		return FORM_CALLS;
	return p->at.offset || p->at.cost == PROBE_EMULATED ? ALLOCATOR_CALLS : STAYING_CALLS;
}

/* 0, or why not to go on: -errno of the first attach. */
static int check(struct target *t, const struct subject *s)
{
	static struct place p;
	struct truth before, truth;
	unsigned int calls;
	int fd[2] = { -1, -1 }, err;

	memset(&p, 0, sizeof(p));
	if (!find_place(t, s, &p)) {
		result(false, "%s: its code was not found", s->name);
		goto out;
	}
	calls = n_calls(s, &p);
	if (s->place >= 0)
		result((int)p.at.offset == s->place, "%s: +%u, the assembler's +%d (%s)", s->name,
		       p.at.offset, s->place, p.at.why);
	if (p.at.offset && p.at.cost != PROBE_EMULATED)
		result(false, "%s: shifted to what is single-stepped", s->name);
	if (!target_run(t, s->name, calls, &before)) {
		result(false, "%s: the target ended", s->name);
		goto out;
	}
	slots_reset();
	err = attach_both(s, &p, t->pid, fd);
	if (err) {
		free(p.path);
		return err;
	}
	if (!target_run(t, s->name, calls, &truth))
		result(false, "%s: the target ended", s->name);
	else
		compare(s, &p, &truth);
	if (s->place >= 0) /* allocators give other addresses each time */
		result(truth.result == before.result, "%s: the same results as without probes",
		       s->name);
out:
	free(p.path);
	if (fd[0] >= 0)
		close(fd[0]);
	if (fd[1] >= 0)
		close(fd[1]);
	return 0;
}

static int check_all(struct target *t, bool only_allocator)
{
	struct subject subjects[MAX_SUBJECTS];
	size_t n = target_describe(t, subjects), i;
	int err;

	if (!n)
		result(false, "the target described nothing");
	for (i = 0; i < n; i++) {
		if (only_allocator && subjects[i].place >= 0)
			continue;
		err = check(t, &subjects[i]);
		if (err)
			return err;
	}
	return 0;
}

int main(int argc, char **argv)
{
	bool only_allocator = argc > 1 && !strcmp(argv[1], "-a");
	char **args = argv + 1 + only_allocator;
	struct target t = { 0 };
	static char why[128];
	int err;

	if (!args[0]) {
		fprintf(stderr, "usage: %s [-a] PROGRAM [LIBRARY]\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
#if !defined(__x86_64__)
	return finish("probes are shifted on x86-64 only");
#endif
	err = load();
	if (err == -EPERM || err == -EACCES)
		return finish("no right to load BPF programs");
	if (!err)
		err = target_start(&t, args[0], args[1]);
	if (!err)
		err = check_all(&t, only_allocator);
	target_end(&t);
	if (err) {
		snprintf(why, sizeof(why), "no uprobe_multi links: %s", strerror(-err));
		return finish(why);
	}
	return finish(NULL);
}
