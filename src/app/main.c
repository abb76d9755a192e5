/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Entry point: parse, run the sub-command, pass the status on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "app/census.h"
#include "app/doctor.h"
#include "app/replay.h"
#include "app/session.h"
#include "app/top.h"
#include "base/buf.h"
#include "base/log.h"
#include "cli/options.h"

/* --help and --version: a full disk is an error here too. */
static int print_and_exit(const struct buf *text)
{
	if (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout)) {
		log_error("cannot write standard output: %s", strerror(errno));
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

static int (*const run[])(const struct options *o) = {
	[VERB_PROFILE] = session_run,
	[VERB_DOCTOR] = doctor_run,
	[VERB_REPORT] = replay_run,
	[VERB_DIFF] = compare_run,
	[VERB_TOP] = top_run,
	[VERB_CENSUS] = census_run,
};

/*
 * With one of them closed, the next file that is opened would take its number, and messages would go into a recording.
 * Writing to a standard output that was closed stays an error.
 */
static void hold_standard_files(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY) < 0)
			return;
}

int main(int argc, char **argv)
{
	struct buf text = BUF_INIT;
	struct options o;
	int status;

	hold_standard_files();
	switch (options_parse(&o, argc, argv, &text)) {
	case OPTIONS_EXIT_OK:
		status = print_and_exit(&text);
		break;
	case OPTIONS_USAGE:
		fputs(text.data, stderr);
		status = STATUS_USAGE;
		break;
	default:
		log_level = o.quiet ? LOG_QUIET : o.verbose ? LOG_VERBOSE : LOG_NORMAL;
		status = run[o.verb](&o);
		break;
	}
	options_release(&o);
	buf_release(&text);
	return status;
}
