/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -static -fno-omit-frame-pointer */
/* ticker.c with a malloc of its own. */
#include "ticker.c"
