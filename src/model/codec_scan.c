/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Opening a recording: which snapshots are whole. Everything in the data is hostile until its check sum is
 * right, and makes sense only after codec_read.c has read it. Uses zlib. Pure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "model/codec_internal.h"

uint32_t codec_head_crc(const uint8_t *head)
{
	uLong crc = crc32(0, head, 12);

	return (uint32_t)crc32(crc, head + 16, 8);
}

uint32_t codec_section_crc(const uint8_t *section, size_t len)
{
	uLong crc = crc32(0, section, 12);

	return (uint32_t)crc32(crc, section + CODEC_SECTION_HEAD, (uInt)(len - CODEC_SECTION_HEAD));
}

enum codec_found codec_section_at(const uint8_t *data, size_t len, size_t at, struct codec_section *s)
{
	const uint8_t *head = data + at;
	size_t left = len - at;

	if (left < CODEC_SECTION_HEAD)
		return FOUND_CUT;
	s->kind = codec_u32(head);
	s->packed_bytes = codec_u32(head + 4);
	s->plain_bytes = codec_u32(head + 8);
	s->packed = head + CODEC_SECTION_HEAD;
	if (s->plain_bytes > CODEC_MAX_SECTION)
		return FOUND_DAMAGE;
	if (s->packed_bytes > left - CODEC_SECTION_HEAD)
		return FOUND_CUT;
	s->end = at + CODEC_SECTION_HEAD + s->packed_bytes;
	if (codec_section_crc(head, s->end - at) != codec_u32(head + 12))
		return FOUND_DAMAGE;
	return FOUND_SECTION;
}

void codec_unpacker_init(struct codec_unpacker *u)
{
	*u = (struct codec_unpacker){ .plain = BUF_INIT };
	if (inflateInit2(&u->z, -MAX_WBITS) != Z_OK)
		xmalloc(SIZE_MAX / 2); /* out of memory: says so and exits */
}

void codec_unpacker_release(struct codec_unpacker *u)
{
	inflateEnd(&u->z);
	buf_release(&u->plain);
}

struct codec_in codec_unpack(struct codec_unpacker *u, const struct codec_section *s)
{
	struct codec_in in = { .bad = true };

	buf_reset(&u->plain);
	buf_reserve(&u->plain, s->plain_bytes + 1); /* never of length 0 */
	inflateReset(&u->z);
	u->z.next_in = (Bytef *)s->packed;
	u->z.avail_in = s->packed_bytes;
	u->z.next_out = (Bytef *)u->plain.data;
	u->z.avail_out = s->plain_bytes;
	if (inflate(&u->z, Z_FINISH) != Z_STREAM_END || u->z.avail_out || u->z.avail_in)
		return in;
	in.p = (const uint8_t *)u->plain.data;
	in.end = in.p + s->plain_bytes;
	in.bad = false;
	return in;
}

bool codec_snap_read(struct codec_snap *s, struct codec_in *in)
{
	uint64_t *const v[] = { &s->window_ns, &s->wall_time_ns, &s->final, &s->n_strings, &s->n_frames, &s->n_procs,
				&s->n_stacks };
	size_t i;

	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		*v[i] = codec_in_number(in);
	/* times are added and compared as int64_t elsewhere */
	return !in->bad && s->window_ns < CODEC_MAX_NS && s->wall_time_ns < CODEC_MAX_NS && s->final < 2 &&
	       s->n_strings && s->n_strings <= CODEC_MAX_STRINGS && s->n_frames <= CODEC_MAX_FRAMES &&
	       s->n_procs <= CODEC_MAX_PROCS && s->n_stacks <= CODEC_MAX_STACKS;
}

/* 0 to go on, 1 at the end, or -errno. */
static int check_head(struct codec_recording *r)
{
	size_t n = r->len < strlen(CODEC_MAGIC) ? r->len : strlen(CODEC_MAGIC);
	uint32_t version;

	if (!r->len) {
		buf_adds(&r->problem, "it is empty");
		return -ENODATA;
	}
	if (memcmp(r->data, CODEC_MAGIC, n) != 0) {
		buf_adds(&r->problem, "it is no recording of memprobe");
		return -EINVAL;
	}
	if (r->len < CODEC_FILE_HEAD) {
		buf_addf(&r->problem, "it was cut after %zu bytes: nothing can be read", r->len);
		return 1;
	}
	version = codec_u32(r->data + 8);
	if (version > CODEC_VERSION) {
		buf_addf(&r->problem, "its format is version %u, of a newer memprobe: this one reads up to version %u",
			 version, CODEC_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (!version || codec_head_crc(r->data) != codec_u32(r->data + 12)) {
		buf_adds(&r->problem, "its first bytes are damaged");
		return -EINVAL;
	}
	r->run_id = codec_u32(r->data + 16) | (uint64_t)codec_u32(r->data + 20) << 32;
	return 0;
}

static void add_snapshot(struct codec_recording *r, size_t begin, size_t end, const struct codec_snap *s)
{
	XGROW(r->snapshots, r->n, r->cap);
	r->snapshots[r->n++] = (struct codec_snapshot){
		.begin = begin,
		.end = end,
		.window_ns = s->window_ns,
		.wall_time_ns = s->wall_time_ns,
		.final = s->final,
	};
}

static void tell_end(struct codec_recording *r, size_t at, const char *what)
{
	buf_addf(&r->problem, "it %s %zu bytes: ", what, at);
	if (r->n)
		buf_addf(&r->problem, "the first %zu snapshot%s can be read", r->n, r->n == 1 ? "" : "s");
	else
		buf_adds(&r->problem, "no snapshot before is whole");
}

/* Is this section in its place? begin: of the snapshot, 0 between two of them. */
static bool is_in_place(const struct codec_recording *r, const struct codec_section *s, size_t begin)
{
	if (s->kind == KIND_SNAP || s->kind == KIND_ENDS)
		return !begin && r->n < CODEC_MAX_SNAPSHOTS;
	return begin != 0;
}

static void scan(struct codec_recording *r, struct codec_unpacker *u)
{
	size_t at = CODEC_FILE_HEAD, begin = 0;
	uint64_t n_plain = 0;
	struct codec_section s;
	struct codec_snap snap = { 0 };

	for (; at < r->len; at = s.end) {
		enum codec_found found = codec_section_at(r->data, r->len, at, &s);
		struct codec_in in;

		if (found == FOUND_CUT)
			break;
		n_plain += s.plain_bytes;
		if (found == FOUND_DAMAGE || n_plain > CODEC_MAX_PLAIN || !is_in_place(r, &s, begin)) {
			tell_end(r, at, "is damaged after");
			return;
		}
		if (s.kind == KIND_SNAP || s.kind == KIND_ENDS) {
			in = codec_unpack(u, &s);
			if (s.kind == KIND_ENDS && codec_in_number(&in) == r->n && !in.bad && s.end == r->len) {
				r->is_complete = true;
				return;
			}
			if (s.kind == KIND_ENDS || !codec_snap_read(&snap, &in)) {
				tell_end(r, at, "is damaged after");
				return;
			}
			begin = at;
		} else if (s.kind == KIND_FACT) {
			add_snapshot(r, begin, s.end, &snap);
			begin = 0;
		}
	}
	tell_end(r, r->len, "was cut after");
}

int codec_open(struct codec_recording *r, const void *data, size_t len)
{
	struct codec_unpacker u;
	int err;

	*r = (struct codec_recording){ .data = data, .len = len, .problem = BUF_INIT };
	err = check_head(r);
	if (err)
		return err < 0 ? err : 0;
	codec_unpacker_init(&u);
	scan(r, &u);
	codec_unpacker_release(&u);
	return 0;
}

void codec_close(struct codec_recording *r)
{
	free(r->snapshots);
	buf_release(&r->problem);
	*r = (struct codec_recording){ .problem = BUF_INIT };
}

size_t codec_find(const struct codec_recording *r, uint64_t window_ns)
{
	uint64_t least = UINT64_MAX;
	size_t i, best = 0;

	for (i = 0; i < r->n; i++) {
		uint64_t t = r->snapshots[i].window_ns, d = t > window_ns ? t - window_ns : window_ns - t;

		if (d <= least)
			best = i;
		least = d < least ? d : least;
	}
	return best;
}
