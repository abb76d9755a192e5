/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A stack as folded writes it, without its value. */
#ifndef MEMPROBE_RENDER_FOLDED_TEXT_H
#define MEMPROBE_RENDER_FOLDED_TEXT_H

#include "model/profile.h"

/* "gatewayd-4242;main;malloc"; "gatewayd;..." where the process has no number. The caller frees. */
char *folded_text(const struct profile *p, const struct profile_stack *s);

#endif
