/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The machine, as doctor shows it: what it is, what memprobe may do, what the kernel can do by trial,
 * what a run would use, what a trap costs.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "alloc/allocator.h"
#include "app/doctor_internal.h"
#include "app/limits.h"
#include "base/units.h"
#include "kern/kern.h"
#include "kern/trial.h"
#include "proc/process.h"

#define BTF_PATH SYS_ROOT "/kernel/btf/vmlinux"
#define PREEMPT_PATH SYS_ROOT "/kernel/debug/sched/preempt"

/* "none voluntary (full) lazy" where it can be read, else what the kernel was built for. */
static void add_preemption(struct buf *out, const struct utsname *u)
{
	struct buf b = BUF_INIT;
	const char *built = strstr(u->version, "PREEMPT");
	const char *open, *close;

	doctor_label(out, "preemption");
	if (!buf_read_file(&b, PREEMPT_PATH, 256) && (open = strchr(b.data, '(')) &&
	    (close = strchr(open, ')')))
		buf_addf(out, "%.*s\n", (int)(close - open - 1), open + 1);
	else if (built)
		buf_addf(out, "%.*s (the model in use stands in debugfs, which is not readable here)\n",
			 (int)strcspn(built, " "), built);
	else
		buf_adds(out, "none or voluntary\n");
	buf_release(&b);
}

static void add_memory(struct doctor *d)
{
	char avail[16], total[16], limit[16], used[16], most[16];
	struct buf *out = &d->out;
	struct proc_meminfo m;
	struct proc_limit l;

	if (!proc_meminfo_read(&m, PROC_ROOT)) {
		doctor_label(out, "memory");
		buf_addf(out, "%s available of %s\n", units_format_size(avail, m.available_bytes),
			 units_format_size(total, m.total_bytes));
	}
	doctor_label(out, "memprobe's limit");
	if (proc_limit_read(&l, PROC_ROOT, CGROUP_ROOT, getpid()))
		buf_adds(out, "not readable\n");
	else
		buf_addf(out, "%s (%s), %s of it used\n", units_format_size(limit, l.limit_bytes), l.name,
			 units_format_size(used, l.used_bytes));
	doctor_label(out, "would take");
	buf_addf(out, "%s at most, kernel tables and memprobe itself (--max-memory)\n",
		 units_format_size(most, d->o->max_memory_bytes ? d->o->max_memory_bytes
								: limits_max_memory(PROC_ROOT, CGROUP_ROOT)));
}

void doctor_machine(struct doctor *d)
{
	struct buf *out = &d->out;
	struct utsname u;
	struct stat st;
	char size[16];

	uname(&u);
	buf_adds(out, "MACHINE\n");
	doctor_label(out, "kernel");
	buf_addf(out, "%s, %s, %ld CPUs\n", u.release, u.machine, sysconf(_SC_NPROCESSORS_ONLN));
	add_preemption(out, &u);
	doctor_label(out, "BTF");
	if (stat(BTF_PATH, &st))
		buf_addf(out, "%s: %s: a kernel built with CONFIG_DEBUG_INFO_BTF is needed\n", BTF_PATH,
			 strerror(errno));
	else
		buf_addf(out, "%s, %s\n", BTF_PATH, units_format_size(size, (uint64_t)st.st_size));
	add_memory(d);
}

/* ---- rights ---- */

void doctor_rights(struct doctor *d)
{
	struct privilege *p = &d->privilege;
	struct buf *out = &d->out;
	const struct privilege_need *needs;
	bool complete = true;
	size_t n, i;

	privilege_read(p, PROC_ROOT, SYS_ROOT);
	needs = privilege_needs(&n);
	buf_adds(out, "\nRIGHTS\n");
	for (i = 0; i < n; i++) {
		bool have = privilege_has(p, &needs[i]);

		complete &= have;
		buf_addf(out, "  %-8s %-24s %s\n",
			 have ? "ok" : needs[i].required ? "MISSING" : "no", needs[i].name,
			 needs[i].for_what);
	}
	if (p->user_namespace || p->lockdown) {
		buf_adds(out, "  ");
		privilege_refusal(out, p);
		buf_addc(out, '\n');
	}
	if (complete)
		return;
	buf_adds(out, "  ");
	if (privilege_can_load(p))
		buf_adds(out, "enough for processes of this user; for others");
	else
		privilege_missing(out, p);
	buf_adds(out, ":\n  ");
	privilege_remedy(out, PROC_ROOT);
	buf_addc(out, '\n');
}

/* ---- the kernel ---- */

static void add_trial(struct buf *out, const struct kern_trial *t)
{
	if (!t->err) {
		buf_addf(out, "  %-8s %s\n", "ok", t->name);
		return;
	}
	buf_addf(out, "  %-8s %-22s %s", "no", t->name,
		 t->err == -ENODATA ? "does not fire" : strerror(-t->err));
	if (t->since && t->err != -EPERM && t->err != -EACCES)
		buf_addf(out, " (Linux %s has it)", t->since);
	buf_addf(out, "\n  %-8s %-22s without it: %s\n", "", "", t->without);
}

void doctor_kernel(struct doctor *d)
{
	struct kern_trial trials[KERN_TRIAL_NR];
	size_t i;

	buf_adds(&d->out, "\nKERNEL, EACH BY TRYING IT\n");
	if (!privilege_can_load(&d->privilege)) {
		buf_adds(&d->out, "  not tried: rights are missing (above)\n");
		return;
	}
	kern_trials(trials);
	for (i = 0; i < KERN_TRIAL_NR; i++)
		add_trial(&d->out, &trials[i]);
}

/* ---- what a run would use ---- */

static int open_as_a_run_would(struct doctor *d, struct kern **k)
{
	struct mp_shape shapes[MP_MAX_SHAPES];
	const struct alloc_function *f;
	struct kern_opts ko;
	size_t n, i;

	f = alloc_functions(&n);
	for (i = 0; i < n; i++)
		shapes[i] = f[i].shape;
	ko = (struct kern_opts){
		.max_memory_bytes = d->o->max_memory_bytes ? d->o->max_memory_bytes
							   : limits_max_memory(PROC_ROOT, CGROUP_ROOT),
		.new_limit_bytes = limits_throwing_new(PROC_ROOT),
		.shapes = shapes,
		.n_shapes = n,
	};
	if (kern_check_rights())
		return -EPERM;
	return kern_open(k, &ko);
}

static void add_cost(struct doctor *d)
{
	char entry[32], pair[32], stepped[32];

	doctor_label(&d->out, "a trap");
	if (!d->has_cost) {
		buf_adds(&d->out, "could not be measured\n");
		return;
	}
	units_format_count(entry, d->cost.entry_ns);
	units_format_count(pair, d->cost.pair_ns);
	units_format_count(stepped, d->cost.stepped_ns);
	buf_addf(&d->out, "%s ns at an entry, %s with the return, %s where single-stepped\n", entry,
		 pair, stepped);
	doctor_label(&d->out, "");
	buf_adds(&d->out, "(measured now, with an empty program; counting and the stack come on top)\n");
}

void doctor_choice(struct doctor *d)
{
	struct buf *out = &d->out;
	struct kern *k;

	buf_adds(out, "\nA RUN WOULD USE\n");
	d->kern_err = open_as_a_run_would(d, &k);
	if (d->kern_err) {
		buf_addf(out, "  nothing: memprobe cannot run here: %s\n", strerror(-d->kern_err));
		return;
	}
	d->link_kind = kern_attach_kind(k);
	d->has_cost = !kern_calibrate(k, &d->cost);
	doctor_label(out, "links");
	buf_addf(out, "%s\n", d->link_kind);
	doctor_label(out, "stacks");
	buf_addf(out, "%s\n", kern_unwinder(k));
	add_cost(d);
	kern_close(k);
}
