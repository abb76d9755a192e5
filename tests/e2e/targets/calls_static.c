/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer -static */
/* The allocator in the executable: calls.c without shared libraries. */
#include "calls.c"
