/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Recordings: struct profile as bytes (.memprobe), one snapshot after the other, so that whatever a run
 * knew can be rendered again without a kernel, byte for byte. Pure: the caller writes and reads files.
 *
 *	file	  "MEMPROBE", u32 version, u32 CRC-32 (of the magic, the version and the run id), u64 run id;
 *		  then sections
 *	section	  u32 kind, u32 packed bytes, u32 plain bytes, u32 CRC-32 (of these three words and what follows);
 *		  then the packed bytes: raw deflate. Words are little-endian
 *	snapshot  SNAP: window, time, is it the last, and how many strings, frames, processes, stacks there are
 *		  STRS FRMS PROC STKS: what is new since the snapshot before; PROC: all processes again
 *		  FIGS: figures of all stacks, as differences to the snapshot before
 *		  FACT: losses, cost, how it was watched, marks; ends the snapshot
 *	end	  ENDS: number of snapshots. Without it the recording was cut
 *
 * Numbers are LEB128, differences zigzag (0 -1 1 -2 -> 0 1 2 3, modulo 2^64). A table of records is written by
 * columns (codec_internal.h); a reader takes the columns that it knows, and 0 for those that are missing, so that
 * a new field at the end of a table needs no new version; sections of a kind that it does not know are skipped.
 * Whatever else changes needs a new version. A loss kind or a value of an enum that a reader does not know ends
 * what it can read: nothing is left out in silence.
 *
 * A stack is written as what it shares with an earlier one, counted from the outermost frame, and the rest:
 *
 *	stack 0	 main run step malloc	back 0 shared 0 rest 4: main run step malloc
 *	stack 1	 main run step free_all	back 1 shared 3 rest 1: free_all
 *
 * and a snapshot in which stack 0 has allocated 300 bytes in 3 blocks, and then 400 in 4, has in FIGS the columns
 *
 *	alloc_bytes 600 0, alloc_blocks 6 0, ...	differences +300 and 0, +3 and 0
 *	alloc_bytes 200 0, alloc_blocks 2 0, ...	+100 and 0, +1 and 0
 *
 * doc/recording.md describes all of it.
 */
#ifndef MEMPROBE_MODEL_CODEC_H
#define MEMPROBE_MODEL_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/profile.h"

#define CODEC_VERSION 1

/* A reader refuses what is larger, whatever the file says; so does a writer (-EOVERFLOW). */
#define CODEC_MAX_SECTION (4u << 20)	    /* plain bytes */
#define CODEC_MAX_STRING (1u << 20)
#define CODEC_MAX_STRINGS (1u << 20)
#define CODEC_MAX_STRING_BYTES (1u << 27) /* of all */
#define CODEC_MAX_FRAMES (1u << 20)
#define CODEC_MAX_PROCS (1u << 18)
#define CODEC_MAX_STACKS (1u << 20)
#define CODEC_MAX_DEPTH 4096u
#define CODEC_MAX_STACK_FRAMES (1u << 25) /* of all stacks */
#define CODEC_MAX_SNAPSHOTS (1u << 16)
#define CODEC_MAX_BYTES (1ULL << 58)	    /* sum of any figure over all stacks or processes */
#define CODEC_MAX_PLAIN (1ULL << 32)	    /* of all sections */
#define CODEC_MAX_NS (1ULL << 62)	    /* of a time */

/* ---- writing ---- */

/* Takes the next bytes; 0 or -errno. */
typedef int codec_sink(void *ctx, const void *data, size_t len);

struct codec_writer;

/* run_id: equal in all recordings of one run, different in others. Nothing is written yet. */
struct codec_writer *codec_writer_new(codec_sink *sink, void *ctx, uint64_t run_id);
void codec_writer_free(struct codec_writer *w);
/*
 * One more snapshot of the same profile: strings, frames, stacks and processes may have been added, none
 * removed or changed. 0, or the sink's -errno, which every later call returns too. -EOVERFLOW: beyond a limit above.
 */
int codec_write(struct codec_writer *w, const struct profile *p);
int codec_finish(struct codec_writer *w);
uint64_t codec_written_bytes(const struct codec_writer *w);

/* ---- reading ---- */

struct codec_snapshot {
	size_t begin, end; /* in the data */
	uint64_t window_ns, wall_time_ns;
	bool final;
};

struct codec_recording {
	const uint8_t *data; /* the caller's; not changed, and needed until the end */
	size_t len;
	uint64_t run_id;
	struct codec_snapshot *snapshots; /* those that are whole */
	size_t n, cap;
	bool is_complete;
	struct buf problem; /* what is missing, or why nothing can be read; "" when it is complete */
};

/*
 * Finds the whole snapshots. 0, also when there are none (see problem); -ENODATA: empty; -EINVAL: not a recording;
 * -EPROTONOSUPPORT: of a newer version. problem has the words for each.
 */
int codec_open(struct codec_recording *r, const void *data, size_t len);
void codec_close(struct codec_recording *r);
/*
 * Snapshot i as a profile (the caller releases it). -EBADMSG: the sections are whole, but what they say makes no
 * sense from some snapshot on: n is then what can still be read, and problem says so.
 */
int codec_read(struct codec_recording *r, size_t i, struct profile *p);
/* The snapshot whose window is nearest to that long. n must not be 0. */
size_t codec_find(const struct codec_recording *r, uint64_t window_ns);

#endif
