/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Erlang processes and their memory, read from outside; see beam_layout.h.
 */
#include <errno.h>

#include "runtime/beam_layout.h"

int beam_census(struct runtime *r, struct runtime_census *out)
{
	(void)r;
	(void)out;
	return -ENOTSUP;
}
