/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Limits that follow from this machine's memory. Rooted at a path argument. Depends on proc. */
#ifndef MEMPROBE_APP_LIMITS_H
#define MEMPROBE_APP_LIMITS_H

#include <stdint.h>

/* Without --max-memory: 256 MiB, or a tenth of available memory where that is less. */
uint64_t limits_max_memory(const char *proc_root);
/* Sizes that operator new cannot fail for: an eighth of available memory, 0 under strict overcommit. */
uint64_t limits_throwing_new(const char *proc_root);

#endif
