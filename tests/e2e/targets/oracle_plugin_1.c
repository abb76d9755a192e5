/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -fomit-frame-pointer */
/* Opened by oracle_dlopen.c: see oracle_plugin.h. */
#define PLUGIN_SHAPE 0
#define PLUGIN_ROOM 512
#include "oracle_plugin.h"
