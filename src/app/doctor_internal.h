/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the parts of doctor share: findings of the machine, and lines of text. Not for others. */
#ifndef MEMPROBE_APP_DOCTOR_INTERNAL_H
#define MEMPROBE_APP_DOCTOR_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/roots.h"
#include "cli/options.h"
#include "kern/calibrate.h"
#include "proc/privilege.h"

struct doctor {
	const struct options *o;
	struct buf out; /* written to stdout section by section */
	struct privilege privilege;
	int kern_err;		  /* of kern_open, or -EPERM: not tried */
	const char *link_kind;	  /* NULL: none works */
	struct kern_trap_cost cost;
	bool has_cost;
};

/* "  label             " */
void doctor_label(struct buf *out, const char *label);

/* doctor_machine.c: each appends a section. */
void doctor_machine(struct doctor *d);
void doctor_rights(struct doctor *d);
void doctor_kernel(struct doctor *d);
void doctor_choice(struct doctor *d); /* loads what a run would load; sets kern_err, link_kind, cost */

/* doctor_process.c: appends a section; 0 or STATUS_NO_TARGET, STATUS_PRIVILEGE. */
int doctor_process(struct doctor *d, pid_t pid);

#endif
