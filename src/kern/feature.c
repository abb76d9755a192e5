/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What this kernel can do, found by trying: a two-instruction program is loaded and linked
 * to a function of memprobe's own. Never by version number: distributions backport.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "base/log.h"
#include "kern/kern_internal.h"

/* The function that trial links are put on. Never called while probed. */
__attribute__((noinline, used)) static void trial_site(void)
{
	__asm__ volatile("nop; nop; nop; nop" ::: "memory");
}

/* File offset of trial_site in /proc/self/exe, from our own maps; 0 when not found. */
static unsigned long trial_offset(void)
{
	unsigned long start, end, off, addr = (unsigned long)trial_site, found = 0;
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

static int trial_program(enum bpf_attach_type type)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "mp_trial", "GPL", insns, 2, &opts);
}

static bool can_link(uint32_t type)
{
	unsigned long off = trial_offset();
	uint64_t cookie = 1;
	int prog, link;

	if (!off)
		return false;
	prog = trial_program((enum bpf_attach_type)type);
	if (prog < 0)
		return false;
	link = link_multi(prog, type, "/proc/self/exe", &off, &cookie, 1, 0, getpid());
	log_debug("trial: uprobe link type %u: %s", type, link < 0 ? strerror(-link) : "works");
	if (link >= 0)
		close(link);
	close(prog);
	return link >= 0;
}

enum attach_kind feature_attach_kind(void)
{
	if (can_link(MP_TRACE_UPROBE_SESSION))
		return ATTACH_SESSION;
	if (can_link(MP_TRACE_UPROBE_MULTI))
		return ATTACH_MULTI;
	return ATTACH_PERF;
}
