/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What store.c and store_prune.c share. Not for others. */
#ifndef MEMPROBE_APP_STORE_INTERNAL_H
#define MEMPROBE_APP_STORE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "app/store.h"

#define STORE_PART ".memprobe.part"

struct store_user {
	uid_t uid;
	gid_t gid;
	bool is_other; /* not the one that we are: his rights are taken for each step */
};

/* Keeps `own`, and the newest of the others: so many, of so many bytes, all together. */
void store_prune(int dir_fd, const char *own, size_t max_files, uint64_t max_bytes);

#endif
