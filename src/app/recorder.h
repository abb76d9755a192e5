/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Recording a run: snapshots into the private directory (store.h), and into -o FILE.memprobe.
 *
 * Intermediate snapshots are taken once a second at first, then less and less often: at t seconds every t/32, and
 * never so often that they take more than a fiftieth of the time, reading the kernel's tables included; none when the
 * file has reached 32 MiB. The last one is always written. What goes wrong in the private directory is a warning and
 * ends the saving; in -o FILE it is an error of the run. Either way the other copy goes on.
 */
#ifndef MEMPROBE_APP_RECORDER_H
#define MEMPROBE_APP_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "app/output.h"
#include "cli/options.h"
#include "model/profile.h"

struct recorder;

/* NULL: nothing is to be recorded. Gives the profile its run id. */
struct recorder *recorder_new(const struct options *o, struct output *out, struct profile *p);
void recorder_free(struct recorder *r);
/* When the next intermediate snapshot is due; UINT64_MAX without a recorder. */
uint64_t recorder_due_ns(const struct recorder *r);
/* Is there still something that it writes to? */
bool recorder_works(const struct recorder *r);
/* A snapshot, of this moment of the monotonic clock; it took cost_ns so far. 0 or -errno, of -o only: once or again. */
int recorder_add(struct recorder *r, const struct profile *p, uint64_t now_ns, uint64_t cost_ns);
/* After the last snapshot: the recording gets its name, and the user is told. 0 or -errno, of -o only, not -EPIPE. */
int recorder_finish(struct recorder *r);

#endif
