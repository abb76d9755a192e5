/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A recording on the command line: FILE or FILE@TIME. Whether the file exists is not looked at. */
#include <string.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "cli/options.h"

void file_option_parse(struct file_option *f, const char *arg)
{
	const char *at = strrchr(arg, '@');

	*f = (struct file_option){ 0 };
	f->has_time = at && at != arg && !units_parse_duration(at + 1, &f->time_ns);
	f->path = f->has_time ? xstrndup(arg, (size_t)(at - arg)) : xstrdup(arg);
}
