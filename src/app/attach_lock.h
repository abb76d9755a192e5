/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One memprobe at a time looks for others' links on a file and attaches its own: else two that begin together
 * would both find nobody (kern.h, kern_others_on says what comes of that).
 *
 * An advisory lock (flock) on a file of the kernel's that every memprobe can open and nobody else locks; it goes with
 * its holder, however that ends. Not shared by processes of other network namespaces, where that file is another one:
 * what they miss so is found by looking again while the run goes on.
 */
#ifndef MEMPROBE_APP_ATTACH_LOCK_H
#define MEMPROBE_APP_ATTACH_LOCK_H

/*
 * Waits up to 5 s; meanwhile busy(ctx) is called every few milliseconds, as the holder may wait for what we do there.
 * The file, or -1: without a lock.
 */
int attach_lock(void (*busy)(void *ctx), void *ctx);
void attach_unlock(int fd);

#endif
