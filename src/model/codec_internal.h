/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the files of the codec share. Not for others.
 *
 * A column is the same field of many records. Its bytes are written by planes: all first bytes of the numbers, then
 * the second bytes of those that have one, and so on. Low bytes of numbers are random and high ones are not: apart
 * from each other both are packed better.
 *
 *	5 300 7	->  05 ac 07  02	(300 is ac 02)
 */
#ifndef MEMPROBE_MODEL_CODEC_INTERNAL_H
#define MEMPROBE_MODEL_CODEC_INTERNAL_H

#include <zlib.h>

#include "model/codec.h"

#define CODEC_MAGIC "MEMPROBE"
#define CODEC_FILE_HEAD 24
#define CODEC_SECTION_HEAD 16

enum codec_kind {
	KIND_SNAP = 0x50414e53, /* "SNAP" */
	KIND_STRS = 0x53525453,
	KIND_FRMS = 0x534d5246,
	KIND_PROC = 0x434f5250,
	KIND_RNAM = 0x4d414e52,
	KIND_STKS = 0x534b5453,
	KIND_FIGS = 0x53474946,
	KIND_FACT = 0x54434146,
	KIND_ENDS = 0x53444e45,
};

/* Records of a section, so that none comes near CODEC_MAX_SECTION. */
#define CODEC_CHUNK_FRAMES 16384u
#define CODEC_CHUNK_PROCS 2048u
#define CODEC_CHUNK_RENAMES 65536u
#define CODEC_CHUNK_STACKS 8192u
#define CODEC_CHUNK_STACK_FRAMES 262144u /* one more stack may go beyond */
#define CODEC_CHUNK_STRING_BYTES 262144u

/* ---- fields ---- */

enum field_kind {
	FIELD_NUMBER,
	FIELD_BYTES,  /* its sum over all records has a limit */
	FIELD_STRING, /* id of a string */
	FIELD_ENUM,   /* smaller than `below` */
	FIELD_FLOAT,  /* a double, finite */
	FIELD_PROC,   /* index of a process, or UINT32_MAX */
};

struct codec_field {
	uint16_t offset;
	uint8_t size;
	uint8_t kind;
	uint32_t below;
};

struct codec_table {
	const struct codec_field *fields;
	size_t n, record_size;
};

extern const struct codec_table codec_frames;  /* struct profile_frame */
extern const struct codec_table codec_procs;   /* struct profile_proc */
extern const struct codec_table codec_figures; /* struct profile_stack, see below */
extern const struct codec_table codec_facts;   /* struct profile: what is one number each */
extern const struct codec_table codec_steps;   /* struct profile_step */
extern const struct codec_table codec_marks;   /* struct profile_mark */
extern const struct codec_table codec_bridges; /* struct bridge */
extern const struct codec_table codec_machine_rows, codec_machine_groups;
extern const struct codec_table codec_lifetimes, codec_survivors, codec_holders, codec_holder_sites;
extern const struct codec_table codec_objects; /* struct object_row */

/*
 * The figures of a stack as they are recorded: live_bytes and live_blocks are what they are more than the totals say,
 * which is 0 without filters. What is in no row of codec_figures (id, frames) is not among them.
 */
struct profile_stack codec_figures_of(const struct profile_stack *s);
void codec_figures_apply(struct profile_stack *s, const struct profile_stack *f);

/* What values of a field may be. */
struct codec_bounds {
	size_t n_strings, n_procs;
};

uint64_t codec_field_get(const void *record, const struct codec_field *f);
/* False: out of bounds, and not set. */
bool codec_field_set(void *record, const struct codec_field *f, uint64_t v, const struct codec_bounds *b);
void codec_fields_reset(const struct codec_table *t, void *record); /* to 0 */
/* The records' sums stay within CODEC_MAX_BYTES, in each field of FIELD_BYTES. */
bool codec_sums_fit(const struct codec_table *t, const void *records, size_t n);

/* ---- sections ---- */

/* A bounded reader of plain bytes. After the first thing that makes no sense it is bad, and reads zeros. */
struct codec_in {
	const uint8_t *p, *end;
	bool bad;
};

struct codec_section {
	uint32_t kind, packed_bytes, plain_bytes;
	const uint8_t *packed;
	size_t end; /* in the file */
};

enum codec_found { FOUND_SECTION, FOUND_CUT, FOUND_DAMAGE };

enum codec_found codec_section_at(const uint8_t *data, size_t len, size_t at, struct codec_section *s);

/* Unpacks sections, one after the other. */
struct codec_unpacker {
	z_stream z;
	struct buf plain;
};

void codec_unpacker_init(struct codec_unpacker *u);
void codec_unpacker_release(struct codec_unpacker *u);

/* Of the file's head, CODEC_FILE_HEAD bytes, and of a section from its head on; both without the sum itself. */
uint32_t codec_head_crc(const uint8_t *head);
uint32_t codec_section_crc(const uint8_t *section, size_t len);

/* The section's bytes, valid until the next one; bad when they are not what its head says. */
struct codec_in codec_unpack(struct codec_unpacker *u, const struct codec_section *s);

/* What SNAP says. */
struct codec_snap {
	uint64_t window_ns, wall_time_ns, final, n_strings, n_frames, n_procs, n_stacks;
};

/* False when it makes no sense. */
bool codec_snap_read(struct codec_snap *s, struct codec_in *in);

/* ---- numbers ---- */

static inline uint64_t codec_zigzag(uint64_t difference)
{
	return difference << 1 ^ (0 - (difference >> 63));
}

static inline uint64_t codec_unzigzag(uint64_t v)
{
	return v >> 1 ^ (0 - (v & 1));
}

uint32_t codec_u32(const uint8_t *p);
void codec_add_u32(struct buf *b, uint32_t v);
void codec_add_number(struct buf *b, uint64_t v);

uint64_t codec_in_number(struct codec_in *in);
/* A NUL-terminated string inside the section; "" when bad. */
const char *codec_in_string(struct codec_in *in);

/* Working space for columns. */
struct codec_column {
	uint64_t *v;
	uint32_t *left;
	size_t cap;
};

uint64_t *codec_column_room(struct codec_column *c, size_t n);
void codec_column_release(struct codec_column *c);
/* Appends v[0..n); what is in v is used up. */
void codec_column_add(struct codec_column *c, struct buf *b, size_t n);
void codec_column_read(struct codec_column *c, struct codec_in *in, size_t n);

/* Records as differences to `before` (NULL: to zeros); reading, to what is in records. */
void codec_records_add(struct codec_column *c, struct buf *b, const struct codec_table *t, const void *before,
		       const void *records, size_t n);
void codec_records_read(struct codec_column *c, struct codec_in *in, const struct codec_table *t, void *records,
			size_t n, const struct codec_bounds *bounds);

#endif
