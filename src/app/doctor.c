/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The dry run; see doctor.h. Sections are doctor_machine.c and doctor_process.c. */
#include "app/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/doctor_internal.h"
#include "app/session_internal.h"
#include "base/log.h"

void doctor_label(struct buf *out, const char *label)
{
	buf_addf(out, "  %-17s ", label);
}

/* What is known so far, as trials take their time. */
static int flush(struct doctor *d)
{
	size_t n = fwrite(d->out.data, 1, d->out.len, stdout);

	if (n != d->out.len || fflush(stdout)) {
		log_error("cannot write standard output: %s", strerror(errno));
		return STATUS_FAILED;
	}
	buf_reset(&d->out);
	return STATUS_OK;
}

static int look_at_processes(struct doctor *d)
{
	struct session s = { .o = d->o };
	int status = session_check_targets(&s), err;
	size_t i;

	for (i = 0; i < d->o->n_pids && !status; i++) {
		status = doctor_process(d, d->o->pids[i]);
		err = flush(d);
		if (err)
			return err;
	}
	return status;
}

static int status_of_kernel(const struct doctor *d)
{
	if (!d->kern_err)
		return STATUS_OK;
	return d->kern_err == -EPERM || d->kern_err == -EOPNOTSUPP ? STATUS_PRIVILEGE : STATUS_FAILED;
}

static int examine(struct doctor *d)
{
	static void (*const sections[])(struct doctor *d) = {
		doctor_machine,
		doctor_rights,
		doctor_kernel,
		doctor_choice,
	};
	int status, err;
	size_t i;

	for (i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		sections[i](d);
		err = flush(d);
		if (err)
			return err;
	}
	status = look_at_processes(d);
	return status ? status : status_of_kernel(d);
}

int doctor_run(const struct options *o)
{
	struct doctor d = { .o = o, .out = BUF_INIT };
	int status = examine(&d);

	buf_release(&d.out);
	return status;
}
