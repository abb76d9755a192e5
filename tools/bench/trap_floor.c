/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -I. -lbpf */
/*
 * The floor of any exact heap profiler by uprobes: empty programs on malloc (entry and return) and on free, for
 * one process, until stdin ends.
 *
 *	trap_floor PID PATH MALLOC_OFFSET FREE_OFFSET        (file offsets; prints "armed")
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

struct link_create_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid, path_fd;
};

static int attach(const char *path, unsigned long offset, uint32_t type, int pid)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)type);
	struct link_create_attr attr = { .attach_type = type, .path = (uintptr_t)path,
					 .offsets = (uintptr_t)&offset, .cnt = 1, .pid = (uint32_t)pid };
	int prog = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "floor", "GPL", insns, 2, &opts);

	if (prog < 0)
		return prog;
	attr.prog_fd = (uint32_t)prog;
	return (int)syscall(__NR_bpf, 28, &attr, sizeof(attr));
}

int main(int argc, char **argv)
{
	char c;

	if (argc != 5)
		return 2;
	if (attach(argv[2], strtoul(argv[4], NULL, 0), 48, atoi(argv[1])) < 0 ||
	    attach(argv[2], strtoul(argv[3], NULL, 0), 57, atoi(argv[1])) < 0) {
		fprintf(stderr, "trap_floor: cannot attach: %s\n", strerror(errno));
		return 77;
	}
	puts("armed");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
