/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Announced code whose table is not to be had for now. Its placeholder stays meanwhile, and keeps the kernel side
 * quiet: without that each hit would announce it again.
 */
#ifndef MEMPROBE_KERN_PUT_OFF_H
#define MEMPROBE_KERN_PUT_OFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/unwind.h"

struct put_off_entry {
	struct uw_object_key key;
	uint64_t until_ns;
};

struct put_off {
	struct put_off_entry *v; /* oldest first */
	size_t n, cap;
	uint64_t stale_since_ns;
	uint32_t n_stale; /* since then */
};

void put_off_add(struct put_off *p, const struct uw_object_key *key);
/* One whose time has come, out of the list; false: there is none. */
bool put_off_next(struct put_off *p, struct uw_object_key *key);
/* Other code than was hit lies there, once more: a race that ends (false), or is it so time and again? */
bool put_off_is_often(struct put_off *p);
void put_off_release(struct put_off *p);

#endif
