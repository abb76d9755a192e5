/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * PyPy: recognised by its library, and no more. Its compiled code has no unwind tables and its frames are no CPython's,
 * so nothing of them is named; its objects are in a heap of its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtimes.h"

static bool pypy_is_own_object(const char *module)
{
	return !strncmp(module, "libpypy", 7) || !strncmp(module, "pypy", 4);
}

/* libpypy3.11-c.so is of the language's version 3.11. */
static int pypy_open(struct runtime *r)
{
	size_t i;

	for (i = 0; i < r->process.n_objects; i++)
		if (sscanf(r->process.objects[i].name, "libpypy%15[0-9.]", r->version) == 1)
			break;
	if (i == r->process.n_objects)
		return -ENOENT;
	snprintf(r->reason, sizeof(r->reason), "its frames are not read: native stacks only");
	return 0;
}

const struct runtime_ops pypy_runtime = {
	.name = "PyPy",
	.kind = MP_RT_NONE,
	.open = pypy_open,
	.close = runtime_free_state,
	.is_own_object = pypy_is_own_object,
};
