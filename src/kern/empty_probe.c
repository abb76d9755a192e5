/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Probes that do nothing; see empty_probe.h. Perf events without libbpf, whose API wants a whole
 * object file.
 */
#include "kern/empty_probe.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xalloc.h"

#define SELF "/proc/self/exe"
#define PERF_DEVICE "/sys/bus/event_source/devices/uprobe"

static int empty_program(enum bpf_attach_type type, int hits_map)
{
	struct bpf_insn insns[] = {
		/* r1 = the map's first value; *r1 += 1 */
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = hits_map },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1 },
		{ .code = BPF_STX | BPF_DW | BPF_ATOMIC, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_2,
		  .imm = BPF_ADD },
		/* return 0 */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	size_t skip = hits_map < 0 ? 4 : 0;

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "mp_empty", "GPL", insns + skip, 6 - skip, &opts);
}

/* A number in a small file of sysfs, behind a prefix; -errno. */
static int read_number(const char *path, const char *prefix)
{
	struct buf b = BUF_INIT;
	size_t n = strlen(prefix);
	int v = buf_read_file(&b, path, 64);

	if (!v)
		v = strncmp(b.data, prefix, n) ? -EINVAL : atoi(b.data + n);
	buf_release(&b);
	return v;
}

/* Its pid is a thread's, and the links of the kernel's perf events know no others: fine for a scratch. */
static int perf_probe(int prog, bool on_return, unsigned long offset, pid_t pid)
{
	int type = read_number(PERF_DEVICE "/type", "");
	int bit = read_number(PERF_DEVICE "/format/retprobe", "config:");
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.config1 = (uintptr_t)SELF,
		.config2 = offset,
	};
	int fd, err;

	if (type < 0 || bit < 0)
		return type < 0 ? type : bit;
	attr.type = (uint32_t)type;
	attr.config = on_return ? 1ULL << bit : 0;
	fd = (int)syscall(__NR_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog) && !ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int perf_probes(struct kern *k, int prog, bool on_return, const unsigned long *offsets, uint32_t n,
		       pid_t pid)
{
	uint32_t i;
	int fd;

	for (i = 0; i < n; i++) {
		fd = perf_probe(prog, on_return, offsets[i], pid);
		if (fd < 0)
			return fd;
		link_keep(k, fd, NULL);
	}
	return 0;
}

int empty_probe(struct kern *k, enum attach_kind kind, enum empty_half half,
		const unsigned long *offsets, uint32_t n, pid_t pid, int hits_map)
{
	static const uint32_t types[] = { MP_TRACE_UPROBE_SESSION, MP_TRACE_UPROBE_MULTI, 0 };
	uint64_t *cookies;
	int prog, fd, err;

	prog = empty_program((enum bpf_attach_type)types[kind], hits_map);
	if (prog < 0)
		return prog;
	if (kind == ATTACH_PERF) {
		err = perf_probes(k, prog, half == EMPTY_RETURN, offsets, n, pid);
		close(prog);
		return err;
	}
	cookies = xcalloc(n, sizeof(*cookies));
	fd = link_multi(&(struct multi_link){
		.prog_fd = prog, .type = types[kind], .flags = half == EMPTY_RETURN ? MP_UPROBE_MULTI_RETURN : 0, .path = SELF,
		.offsets = offsets, .cookies = cookies, .n = n, .pid = pid,
	});
	free(cookies);
	close(prog);
	if (fd < 0)
		return fd;
	link_keep(k, fd, NULL);
	return 0;
}
