/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Is there room for attaching, before anything is attached? The kernel charges a probe to whom it is put into: a copy
 * of each page of code that gets one, the page that returns go through, page tables. At the limit of a control
 * group that is what the kernel kills a process for. Tables are charged to memprobe's own group. Depends on proc.
 */
#ifndef MEMPROBE_APP_ROOM_CHECK_H
#define MEMPROBE_APP_ROOM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Says which group has too little left, with the figures. must_fit (processes that were named): STATUS_FAILED
 * then; else (those that only run the same code) STATUS_OK.
 */
int room_check(const pid_t *pids, size_t n, bool must_fit);
/* For memprobe itself. max_memory_bytes: as asked for, 0: by default. An exit status. */
int room_check_own(uint64_t max_memory_bytes);

#endif
