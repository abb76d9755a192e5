/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fomit-frame-pointer */
/* full_table.c without frame pointers: without its table nobody can walk through it. */
#include "full_table.c"
