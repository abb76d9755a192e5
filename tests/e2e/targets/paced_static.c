/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer -static */
/* paced.c with an allocator of its own: nobody else has probes on it. */
#include "paced.c"
