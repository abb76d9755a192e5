/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -fomit-frame-pointer */
/* Opened by oracle_dlopen.c: other functions, many saved registers. */
#define PLUGIN_SHAPE 2
#define PLUGIN_ROOM 1
#include "oracle_plugin.h"
