/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: cc=musl-gcc -fno-builtin */
/* musl's allocator: shapes.c, where the C library is the loader. */
#include "shapes.c"
