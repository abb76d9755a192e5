/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Why the kernel side cannot be had, as messages that name the remedy. What the kernel says (an error
 * number) is joined to what this process may do (proc/privilege.h).
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/roots.h"
#include "kern/kern_internal.h"
#include "proc/privilege.h"

/* The kernel refused: which right is missing, or what else forbids it. */
static void explain_refusal(const char *what, int err)
{
	struct buf b = BUF_INIT;
	struct privilege p;

	privilege_read(&p, PROC_ROOT, SYS_ROOT);
	if (privilege_can_load(&p) || p.user_namespace) {
		privilege_refusal(&b, &p);
		log_error("cannot %s: %s: %s", what, strerror(-err), b.data);
	} else {
		privilege_missing(&b, &p);
		buf_adds(&b, ". To give them, ");
		privilege_remedy(&b, PROC_ROOT);
		log_error("cannot %s: %s", what, b.data);
	}
	buf_release(&b);
}

int kern_check_rights(void)
{
	struct privilege p;

	privilege_read(&p, PROC_ROOT, SYS_ROOT);
	if (privilege_can_load(&p))
		return 0;
	explain_refusal("load BPF programs", -EPERM);
	return -EPERM;
}

static bool is_refusal(int err)
{
	return err == -EPERM || err == -EACCES;
}

int explain_load(int err)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		log_error("cannot load BPF programs: this kernel has no BTF (/sys/kernel/btf/vmlinux); "
			  "use a kernel built with CONFIG_DEBUG_INFO_BTF");
		return -EOPNOTSUPP;
	}
	if (is_refusal(err)) {
		explain_refusal("load BPF programs", err);
		return -EPERM;
	}
	if (err == -ENOMEM) {
		log_error("cannot load BPF programs: %s, perhaps by the limit of memprobe's own control group: "
			  "--max-memory takes less",
			  strerror(-err));
		return err;
	}
	log_error("cannot load BPF programs: %s: kernel 6.1 or later is needed (-v shows why it refused)",
		  strerror(-err));
	return -EOPNOTSUPP;
}

/* Perf events are for CAP_SYS_ADMIN alone, where the others do with CAP_BPF and CAP_PERFMON. */
static bool lacks_admin(const struct kern *k)
{
	struct privilege p;

	privilege_read(&p, PROC_ROOT, SYS_ROOT);
	return k->kind == ATTACH_PERF && privilege_can_load(&p) && !p.user_namespace &&
	       !(p.caps >> CAP_SYS_ADMIN & 1);
}

#define ADMIN_TEXT "this kernel has no uprobe_multi links (6.6), and uprobes by perf events need CAP_SYS_ADMIN: " \
		   "run with sudo"

/* No kind of link works, by trial on a scratch process. */
int explain_links(const struct kern *k, int err)
{
	if (err == -EOPNOTSUPP) {
		log_error("a return probe (%s) kills a program under a seccomp filter on this kernel, tried on "
			  "a process of memprobe's own: nothing is probed. Kernels 6.11 to 6.13 have this "
			  "fault: use 6.14, or a stable version with the fix",
			  kern_attach_kind(k));
		return err;
	}
	if (is_refusal(err) && lacks_admin(k)) {
		log_error("cannot attach probes: " ADMIN_TEXT);
		return -EPERM;
	}
	if (is_refusal(err)) {
		explain_refusal("load and attach BPF programs", err);
		return -EPERM;
	}
	log_error("cannot attach probes: tried uprobe session, uprobe multi and perf uprobe links on a "
		  "process of memprobe's own: %s (-v shows each)",
		  err == -ENODATA ? "none of them fires" : strerror(-err));
	return -EOPNOTSUPP;
}

int explain_attach(const struct kern *k, const char *path, int err)
{
	if (is_refusal(err) && lacks_admin(k))
		log_error("attach: %s: " ADMIN_TEXT, path);
	else
		log_error("attach: %s: %s", path, err == -ESRCH ? "its process has ended" : strerror(-err));
	return is_refusal(err) ? -EPERM : err;
}
