/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A run for the tests of recordings: what is in it is made up, and the same each time. */
#ifndef MEMPROBE_TESTS_UNIT_CODEC_RUN_H
#define MEMPROBE_TESTS_UNIT_CODEC_RUN_H

#include <stddef.h>

#include "base/buf.h"
#include "model/codec.h"

#define CODEC_RUN_N 4

uint32_t codec_run_frame(struct profile *p, const char *name, uint32_t line);
uint32_t codec_run_process(struct profile *p, uint32_t gen, uint64_t seed);
void codec_run_begin(struct profile *p);
/* Each step adds stacks, and changes the figures of those before. */
void codec_run_grow(struct profile *p, uint32_t step);
/* The profile as it is at snapshot n, of CODEC_RUN_N. */
void codec_run_make(struct profile *p, size_t n);
/* A finished recording of all; ends: where each snapshot ends. */
void codec_run_record(struct buf *out, size_t ends[CODEC_RUN_N]);
/* A sink: ctx is a struct buf. */
int codec_run_sink(void *ctx, const void *data, size_t len);

#endif
