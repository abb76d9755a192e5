/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -fomit-frame-pointer */
/* Opened by oracle_dlopen.c: frames of varying size. */
#define PLUGIN_SHAPE 1
#define PLUGIN_ROOM 700
#include "oracle_plugin.h"
