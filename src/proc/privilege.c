/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What memprobe may do here; see privilege.h. Measured on 6.18, uid 65534, ambient capabilities. */
#include "proc/privilege.h"

#include <ctype.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "proc/proc_internal.h"
#include "proc/process.h"

#define SETCAP "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search"

/* "         0          0 4294967295": the first namespace maps every id to itself. */
static bool is_first_namespace(const char *uid_map)
{
	unsigned long inside, outside, n;

	return sscanf(uid_map, "%lu %lu %lu", &inside, &outside, &n) != 3 ||
	       (inside == 0 && outside == 0 && n >= 4294967295UL);
}

int privilege_read(struct privilege *p, const char *proc_root, const char *sys_root)
{
	struct buf text = BUF_INIT;
	uint64_t n;
	char *path;
	int err;

	*p = (struct privilege){ 0 };
	err = proc_own_capabilities(&p->caps, proc_root);
	if (err)
		p->caps = UINT64_MAX;
	if (!proc_read_text(&text, proc_root, 0, "self/status") &&
	    text_number(text.data, "Seccomp:", &n))
		p->seccomp = n != 0;
	if (!proc_read_text(&text, proc_root, 0, "self/uid_map"))
		p->user_namespace = !is_first_namespace(text.data);
	path = xasprintf("%s/kernel/security/lockdown", sys_root);
	buf_reset(&text);
	if (!buf_read_file(&text, path, 4096))
		p->lockdown = strstr(text.data, "[confidentiality]") != NULL;
	free(path);
	buf_release(&text);
	return err;
}

const struct privilege_need *privilege_needs(size_t *n)
{
	static const struct privilege_need needs[] = {
		{ CAP_BPF, "CAP_BPF", "loads programs", true },
		{ CAP_PERFMON, "CAP_PERFMON", "lets them read memory, and be attached", true },
		{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "processes of other users, other mount namespaces",
		  false },
		{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "programs that only their user may read",
		  false },
		{ CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE", "files that were deleted or replaced",
		  false },
	};

	*n = sizeof(needs) / sizeof(needs[0]);
	return needs;
}

static bool has(const struct privilege *p, int bit)
{
	return p->caps >> bit & 1;
}

bool privilege_has(const struct privilege *p, const struct privilege_need *need)
{
	bool admin_is_enough = need->bit == CAP_BPF || need->bit == CAP_PERFMON ||
			       need->bit == CAP_CHECKPOINT_RESTORE;

	return has(p, need->bit) || (admin_is_enough && has(p, CAP_SYS_ADMIN));
}

bool privilege_can_load(const struct privilege *p)
{
	size_t n, i;
	const struct privilege_need *needs = privilege_needs(&n);

	for (i = 0; i < n; i++)
		if (needs[i].required && !privilege_has(p, &needs[i]))
			return false;
	return true;
}

void privilege_missing(struct buf *out, const struct privilege *p)
{
	size_t n, i, n_missing = 0;
	const struct privilege_need *needs = privilege_needs(&n);

	buf_adds(out, "needs CAP_BPF and CAP_PERFMON; missing: ");
	for (i = 0; i < n; i++)
		if (needs[i].required && !privilege_has(p, &needs[i]))
			buf_addf(out, "%s%s", n_missing++ ? " and " : "", needs[i].name);
}

void privilege_remedy(struct buf *out, const char *proc_root)
{
	char path[4096];
	char *link = xasprintf("%s/self/exe", proc_root);
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	free(link);
	path[n > 0 ? n : 0] = '\0';
	buf_addf(out, "run with sudo, or: sudo setcap " SETCAP "+ep %s", n > 0 ? path : "memprobe");
}

void privilege_refusal(struct buf *out, const struct privilege *p)
{
	if (p->user_namespace)
		buf_adds(out, "memprobe is in a user namespace, where capabilities do not count for BPF: run it "
			      "on the host, or in a container without user namespace");
	else if (p->lockdown)
		buf_adds(out, "kernel lockdown is \"confidentiality\", which keeps BPF from reading memory: boot "
			      "with lockdown=integrity or without lockdown");
	else if (p->seccomp)
		buf_adds(out, "a seccomp filter restricts memprobe itself: in a container, allow bpf(2) and "
			      "perf_event_open(2) (docker: --security-opt seccomp=unconfined)");
	else
		buf_adds(out, "a security module or the container may refuse even root: look into the kernel log");
}
