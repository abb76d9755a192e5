/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -static -pthread */
/* heap_arenas without a dynamic linker: main_arena lies in the program's own data. */
#include "heap_arenas.c"
