/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What memprobe may do here, and if not, why not and what to do: capabilities, user namespace, seccomp
 * filter, kernel lockdown. Texts are parts of messages, without an end. Rooted at path arguments, so that
 * tests run on fixture trees. Depends on base.
 */
#ifndef MEMPROBE_PROC_PRIVILEGE_H
#define MEMPROBE_PROC_PRIVILEGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct privilege {
	uint64_t caps;	     /* effective, bit numbers of linux/capability.h */
	bool user_namespace; /* not the first one: what caps says does not count for BPF */
	bool seccomp;	     /* a filter restricts memprobe's own system calls */
	bool lockdown;	     /* "confidentiality" */
};

/* What cannot be read is taken as no hindrance. 0 or -errno (caps unknown: all set). */
int privilege_read(struct privilege *p, const char *proc_root, const char *sys_root);

/* One capability: what it is good for. */
struct privilege_need {
	int bit;
	const char *name; /* "CAP_BPF" */
	const char *for_what;
	bool required; /* nothing works without it */
};

/* In the order in which one would give them; n entries. CAP_SYS_ADMIN stands for the required ones. */
const struct privilege_need *privilege_needs(size_t *n);
/* By itself or through CAP_SYS_ADMIN where the kernel takes that for it. */
bool privilege_has(const struct privilege *p, const struct privilege_need *need);
/* Capabilities suffice to load and attach. */
bool privilege_can_load(const struct privilege *p);

/* "needs CAP_BPF and CAP_PERFMON; missing: CAP_PERFMON" */
void privilege_missing(struct buf *out, const struct privilege *p);
/* How to give them: "run with sudo, or: sudo setcap cap_bpf,...+ep /usr/bin/memprobe" */
void privilege_remedy(struct buf *out, const char *proc_root);
/* The kernel refused (EPERM) though capabilities suffice: the likely reason, and what to do. */
void privilege_refusal(struct buf *out, const struct privilege *p);

#endif
