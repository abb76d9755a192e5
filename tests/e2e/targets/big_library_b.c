/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -fomit-frame-pointer */
/* One of the libraries of big_libraries.c, with an unwind table of its own size. */
#define BIG_TABLE_ROWS 100000
#define BIG_LIBRARY_SITE s_b
#include "big_library.h"
