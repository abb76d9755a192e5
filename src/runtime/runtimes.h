/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The runtimes' ops, each in a file of its own. Only for runtime.c and the tests. */
#ifndef MEMPROBE_RUNTIME_RUNTIMES_H
#define MEMPROBE_RUNTIME_RUNTIMES_H

#include "runtime/runtime.h"

#define RUNTIME(ops) extern const struct runtime_ops ops;
#include "runtime/runtimes.def"
#undef RUNTIME

#endif
