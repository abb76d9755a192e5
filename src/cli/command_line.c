/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The command line as it was given, for a shell: what outputs say about where they come from. */
#include <string.h>

#include "cli/options.h"

/* Words with anything but these are quoted. */
static const char plain_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-+./,:=@%^";

void options_command_line(struct buf *out, const struct options *o)
{
	char **a;
	const char *s;

	buf_adds(out, "memprobe");
	for (a = o->argv + 1; o->argv[0] && *a; a++) {
		buf_addc(out, ' ');
		if (**a && (*a)[strspn(*a, plain_letters)] == '\0') {
			buf_adds(out, *a);
			continue;
		}
		buf_addc(out, '\'');
		for (s = *a; *s; s++)
			buf_adds(out, *s == '\'' ? "'\\''" : (char[]){ *s, '\0' });
		buf_addc(out, '\'');
	}
}
