/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What grew before a process ran out of memory: fills profile_proc.death; part of the collector. The kernel side's
 * tables outlive the process, names are taken while it lives; what lived some seconds ago is kept here. It prints one
 * line at the time of death, nothing else.
 */
#ifndef MEMPROBE_COLLECT_BLACKBOX_H
#define MEMPROBE_COLLECT_BLACKBOX_H

#include "collect/collector_internal.h"

/* To be called often. */
void blackbox_look(struct collector *c);
/* A process has ended, as its events tell; it is still in the profile as running. */
void blackbox_on_exit(struct collector *c, const struct mp_ev_proc *e);
void blackbox_release(struct collector *c);

#endif
