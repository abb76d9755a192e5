/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Do the probes work? The kernel makes links that never fire: to a mapping that is shared, to code that
 * the process has replaced by a copy, through a main thread that has ended. A run without a hit proves
 * nothing, as a process may be idle; so the processes that were named are looked at: a probe replaces
 * code, and memory is then not as the file is. Reads memory only.
 */
#include <string.h>

#include "app/session_internal.h"
#include "base/log.h"

/* Where one process stands. */
enum found { FOUND_UNKNOWN, FOUND_PROBES, FOUND_NONE };

static enum found check_process(struct session *s, pid_t pid, bool report_missing)
{
	struct attacher_check c;
	int err = attacher_check_process(s->attacher, pid, &c);

	log_debug("process %d: %u of %u probes in its memory, %u unreadable%s%s", (int)pid, c.n_there,
		  c.n_checked, c.n_unreadable, err ? ": " : "", err ? strerror(-err) : "");
	if (err || !c.n_checked)
		return FOUND_UNKNOWN;
	if (report_missing && c.n_there < c.n_checked)
		log_warn("process %d: %u of %u probes are not in its memory, and do not fire: %s", (int)pid,
			 c.n_checked - c.n_there, c.n_checked, c.path);
	return c.n_there ? FOUND_PROBES : FOUND_NONE;
}

/* True when every process that could be looked at has none. */
static bool none_there(struct session *s, bool report_missing)
{
	const struct options *o = s->o;
	unsigned int n[FOUND_NONE + 1] = { 0 };
	size_t i;

	if (kern_gate_is_shut(s->kern))
		return false;
	if (o->command)
		n[check_process(s, s->command.pid, report_missing)]++;
	for (i = 0; i < o->n_pids; i++)
		n[check_process(s, o->pids[i], report_missing)]++;
	return n[FOUND_NONE] && !n[FOUND_PROBES];
}

static void warn_of_denied(const struct session *s)
{
	const char *first;
	unsigned int n = attacher_n_denied(s->attacher, &first);

	if (n)
		log_warn("%u object%s cannot be read, %s first: an allocator in there is not seen. Run with sudo, or "
			 "add CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
			 n, n == 1 ? "" : "s", first);
}

int session_check_probes(struct session *s)
{
	warn_of_denied(s);
	if (!none_there(s, true))
		return STATUS_OK;
	log_error("no probe can fire: links were made, but the code they are for is not what the process runs. "
		  "Its allocations cannot be seen");
	return STATUS_FAILED;
}

int session_check_fired(struct session *s)
{
	if (collector_profile(s->collector)->cost.probe_hits || kern_gate_is_shut(s->kern) ||
	    !none_there(s, false))
		return STATUS_OK;
	log_error("no probe has fired: the process has replaced or remapped the code that was probed. Its "
		  "allocations were not seen");
	return STATUS_FAILED;
}
