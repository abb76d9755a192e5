/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/* deep.c with frame pointers, so that the kernel's walk sees its frames too. */
#include "deep.c"
