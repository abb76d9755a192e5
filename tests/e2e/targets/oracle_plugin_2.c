/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -fomit-frame-pointer */
/* Opened by oracle_dlopen.c: the code of oracle_plugin_1.c with larger frames. */
#define PLUGIN_SHAPE 0
#define PLUGIN_ROOM 1536
#include "oracle_plugin.h"
