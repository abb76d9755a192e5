/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The managed runtimes of the targets; part of the collector. Finds out who runs in a process (again and again while
 * an interpreter starts), tells the kernel side how to read its frames, and names them as they come.
 */
#ifndef MEMPROBE_COLLECT_MANAGED_H
#define MEMPROBE_COLLECT_MANAGED_H

#include "collect/collector_internal.h"
#include "runtime/runtime.h"

struct managed;

struct managed *managed_new(void);
void managed_free(struct managed *m);

/* A process has become a target, under a generation; begins: by an exec. Looked at now, or by managed_poll. */
void managed_add(struct collector *c, uint32_t gen, pid_t pid, bool begins, bool now);
/* It mapped code that may bring a runtime. */
void managed_on_map(struct collector *c, uint32_t gen, pid_t pid, const char *path);
/* It ended, or became another image at exec_ns (CLOCK_MONOTONIC; 0: it did not). */
void managed_end(struct collector *c, uint32_t gen, uint64_t exec_ns);
/* To be called often: looks at those that wait for it. */
void managed_poll(struct collector *c);
/* Is an interpreter in its first second, in the first of the run, and to be looked at soon? What takes long waits. */
bool managed_is_starting(const struct collector *c);
/* CLOCK_MONOTONIC, when the next one is to be looked at; UINT64_MAX: none waits. */
uint64_t managed_due_ns(const struct collector *c);
/* How often the runtimes of living processes have collected since they were found, or began; into the profile. */
void managed_count_collections(struct collector *c);
/* Often, t_s seconds after the arming: the classes of objects, when a full collection has come since the last look. */
void managed_look_at_classes(struct collector *c, double t_s);
/* Classes that have grown, into the profile: a last census. */
void managed_find_growth(struct collector *c);
/* The runtime of a generation, or NULL. */
struct runtime *managed_runtime(struct collector *c, uint32_t gen);

/* A word of a process with a runtime; 0 when it cannot be read. */
uint64_t managed_word(struct collector *c, uint32_t gen, uint64_t addr);

/* A frame that has come, NULL: not known. Valid until the next is added to the profile. */
const struct profile_frame *managed_frame(struct collector *c, uint32_t gen, const struct mp_rt_frame *f);
/* Frames as they came, before their stack; with hash 0 there is none, they are to be named. */
void managed_on_frames(struct collector *c, const struct mp_ev_runtime *e);
/* Those of the stack of that hash, into *v (malloc'ed); how many. False: n were sent and are not here. */
bool managed_take_frames(struct collector *c, uint64_t hash, uint32_t n, struct mp_rt_frame **v);

#define MANAGED_MOST_FRAMES (MP_RT_FRAMES * (1 + RUNTIME_MOST_INLINED))

/*
 * Is the stack of a process with a runtime, whole, and outside of its language: none of that code was being run (the
 * runtime starts, another thread), or it had called the collector or the scheduler? frames, first: the names of the
 * native frames, and where those of each begin.
 */
bool managed_is_outside(struct collector *c, const struct raw_stack *r, const uint32_t *frames, const uint32_t *first);
/* How many of a stack's native frames are to be shown: where the language's code begins, its own frames tell the rest. */
uint32_t managed_n_native(struct collector *c, const struct raw_stack *r);
/*
 * Put the runtime's frames of a stack between the native ones, where they belong. first[i] is where the names of native
 * frame i begin in frames, first[n_native] is their number; out has room for these and MANAGED_MOST_FRAMES. Returns how
 * many are in out.
 */
uint32_t managed_merge(struct collector *c, const struct raw_stack *r, const uint32_t *frames, const uint32_t *first,
		       uint32_t n_native, uint32_t *out);

#endif
