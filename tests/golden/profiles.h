/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Profiles built by hand, for the tests of several formats. The caller releases them. */
#ifndef MEMPROBE_TESTS_GOLDEN_PROFILES_H
#define MEMPROBE_TESTS_GOLDEN_PROFILES_H

#include "model/profile.h"

/* Window, time and cost; no process. */
void make_common(struct profile *p);
struct profile_proc *make_process(struct profile *p, uint32_t gen, int32_t pid, const char *comm);
/* One stack: names innermost first, NULL ends; malloc is put before them. */
struct profile_stack *make_stack(struct profile *p, uint64_t id, uint32_t gen, enum mp_stack_end end,
				 const char *const *names);
/* What is live, and what was allocated and freed again. */
void make_totals(struct profile_stack *s, uint64_t bytes, uint64_t blocks, uint64_t freed_bytes,
		 uint64_t freed_blocks);

void make_growing(struct profile *p); /* one process, three stacks, hostile names */
void make_empty(struct profile *p);   /* one process, nothing live */
void make_many(struct profile *p);    /* three processes, a loss */
/*
 * All that formats carry for other programs: inlined functions, lines, build ids, code without a name,
 * estimates, steps, marks, a loss, processes that ended, stacks that read the same.
 */
void make_rich(struct profile *p);
/* n unique stacks, 24 frames in the mean, 3 000 long names; nearly no two share more than a few frames. */
void make_large(struct profile *p, uint32_t n);
/* A stack from text: `PROCESS-PID;FRAME;...;FRAME BYTES BLOCKS`; line is changed. */
void make_read_stack(struct profile *p, char *line, uint64_t id);

#endif
