/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What memprobe does, one row each: its name, the options and operands it takes, the text around them in --help. */
#ifndef MEMPROBE_CLI_VERBS_H
#define MEMPROBE_CLI_VERBS_H

#include "cli/options.h"

struct verb_row {
	const char *name;    /* "": no sub-command */
	const char *options; /* names between blanks; NULL: all */
	size_t n_files;	     /* operands: recordings */
	const char *help;    /* first part of --help */
	const char *ending;  /* last part */
};

extern const struct verb_row verbs[]; /* by enum verb */

const char *verb_name(enum verb verb);
/* VERB_PROFILE when it is none. */
enum verb verb_find(const char *name);

#endif
