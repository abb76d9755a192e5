/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Who descends from whom, by the parents that /proc names; see process.h.
 *
 * A process whose parent has ended belongs to the reaper that took it over, and is found no more.
 * Depends on base and libc.
 */
#include <stdlib.h>

#include "base/table.h"
#include "base/xalloc.h"
#include "proc/process.h"

struct member {
	pid_t pid, parent;
	bool is_taken; /* a root, or below one */
};

static int read_members(struct member **v, size_t *n, const char *proc_root)
{
	struct proc_status st;
	size_t i, n_pids;
	pid_t *pids;
	int err = proc_list(&pids, &n_pids, proc_root);

	if (err)
		return err;
	*v = xcalloc(n_pids, sizeof(**v));
	*n = 0;
	for (i = 0; i < n_pids; i++)
		if (!proc_status_read(&st, proc_root, pids[i]))
			(*v)[(*n)++] = (struct member){ .pid = pids[i], .parent = st.ppid };
	free(pids);
	return 0;
}

/* Parents may have greater numbers than their children, so as often as something new is found. */
static void take_children(struct member *v, size_t n, struct table *taken)
{
	bool more = true;
	size_t i;

	while (more) {
		more = false;
		for (i = 0; i < n; i++) {
			if (v[i].is_taken || !table_get(taken, (uint64_t)v[i].parent))
				continue;
			v[i].is_taken = more = true;
			table_put(taken, (uint64_t)v[i].pid, 1);
		}
	}
}

int proc_descendants(pid_t **pids, size_t *n, const char *proc_root, const pid_t *roots, size_t n_roots)
{
	struct table taken = { 0 };
	struct member *v = NULL;
	size_t i, k, n_members = 0, cap = 0;
	int err;

	*pids = NULL;
	*n = 0;
	err = read_members(&v, &n_members, proc_root);
	for (i = 0; i < n_roots; i++)
		table_put(&taken, (uint64_t)roots[i], 1);
	take_children(v, n_members, &taken);
	for (i = 0; i < n_members; i++) {
		for (k = 0; k < n_roots && roots[k] != v[i].pid; k++)
			;
		if (!v[i].is_taken || k < n_roots)
			continue;
		XGROW(*pids, *n, cap);
		(*pids)[(*n)++] = v[i].pid;
	}
	table_release(&taken);
	free(v);
	return err;
}
