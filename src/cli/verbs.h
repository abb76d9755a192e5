/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What memprobe does, one row each: its name, the options and operands it takes, the text around them in --help. */
#ifndef MEMPROBE_CLI_VERBS_H
#define MEMPROBE_CLI_VERBS_H

#include "cli/options.h"

/* What an option means to a sub-command, where that is not what it means to a run. */
struct verb_option {
	const char *name; /* NULL after the last */
	const char *help;
};

struct verb_row {
	const char *name;    /* "": no sub-command */
	const char *options; /* names between blanks; NULL: all */
	size_t n_files;	     /* operands: recordings */
	const char *help;    /* first part of --help */
	const char *ending;  /* last part */
	const struct verb_option *own; /* NULL: none */
};

extern const struct verb_row verbs[]; /* by enum verb */

const char *verb_name(enum verb verb);
/* VERB_PROFILE when it is none. */
enum verb verb_find(const char *name);
/* NULL: the help of a run holds. */
const char *verb_option_help(enum verb verb, const char *option);

#endif
