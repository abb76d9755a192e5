/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Writing recordings: codec.h has the format. Each section is made in memory, packed and given to the sink; of
 * what was written before only counts, the figures and the processes are kept. Uses zlib. Pure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/xalloc.h"
#include "model/codec_internal.h"

/*
 * Recordings are made while the run goes on: level 6 takes twice the time for each snapshot, for a fifth fewer bytes.
 */
#define LEVEL 1

/* Stacks are compared with the last one that had the same outermost 4, 8, 16... frames. */
#define N_LENGTHS 5
#define LEAST_LENGTH 4u
#define N_CANDIDATES 4096u

struct codec_writer {
	codec_sink *sink;
	void *ctx;
	int err;
	uint64_t run_id, written_bytes;
	bool has_head;
	z_stream z;
	struct buf plain, packed; /* of the section that is being made */
	struct codec_column column;
	size_t n_strings, n_frames, n_procs, n_stacks, n_stack_frames; /* written */
	size_t n_renames; /* written, or not needed */
	uint64_t n_snapshots, string_bytes;
	struct profile_stack *figures; /* as written last, [n_stacks] */
	size_t figures_cap;
	struct profile_stack *now; /* of a chunk */
	struct profile_proc *procs; /* as written last, [n_procs] */
	size_t procs_cap;
	uint32_t candidates[N_LENGTHS][N_CANDIDATES]; /* index + 1 */
};

struct codec_writer *codec_writer_new(codec_sink *sink, void *ctx, uint64_t run_id)
{
	struct codec_writer *w = xcalloc(1, sizeof(*w));

	w->sink = sink;
	w->ctx = ctx;
	w->run_id = run_id;
	w->n_strings = 1; /* "" needs not be told */
	buf_init(&w->plain);
	buf_init(&w->packed);
	w->now = xcalloc(CODEC_CHUNK_STACKS, sizeof(*w->now));
	if (deflateInit2(&w->z, LEVEL, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		w->err = -ENOMEM;
	return w;
}

void codec_writer_free(struct codec_writer *w)
{
	if (!w)
		return;
	deflateEnd(&w->z);
	buf_release(&w->plain);
	buf_release(&w->packed);
	codec_column_release(&w->column);
	free(w->figures);
	free(w->now);
	free(w->procs);
	free(w);
}

uint64_t codec_written_bytes(const struct codec_writer *w)
{
	return w->written_bytes;
}

static void put(struct codec_writer *w, const struct buf *b)
{
	if (w->err)
		return;
	w->err = w->sink(w->ctx, b->data, b->len);
	if (!w->err)
		w->written_bytes += b->len;
}

static void put_head(struct codec_writer *w)
{
	struct buf b = BUF_INIT;
	uint32_t crc;

	buf_adds(&b, CODEC_MAGIC);
	codec_add_u32(&b, CODEC_VERSION);
	codec_add_u32(&b, 0);
	codec_add_u32(&b, (uint32_t)w->run_id);
	codec_add_u32(&b, (uint32_t)(w->run_id >> 32));
	crc = codec_head_crc((const uint8_t *)b.data);
	b.len = CODEC_FILE_HEAD - 12;
	codec_add_u32(&b, crc);
	codec_add_u32(&b, (uint32_t)w->run_id);
	codec_add_u32(&b, (uint32_t)(w->run_id >> 32));
	put(w, &b);
	buf_release(&b);
	w->has_head = true;
}

/* What is in plain, as a section. */
static void put_section(struct codec_writer *w, enum codec_kind kind)
{
	struct buf head = BUF_INIT;
	size_t most = deflateBound(&w->z, w->plain.len);

	if (w->err)
		return;
	buf_reset(&w->packed);
	buf_reserve(&w->packed, CODEC_SECTION_HEAD + most);
	deflateReset(&w->z);
	w->z.next_in = (Bytef *)w->plain.data;
	w->z.avail_in = (uInt)w->plain.len;
	w->z.next_out = (Bytef *)w->packed.data + CODEC_SECTION_HEAD;
	w->z.avail_out = (uInt)most;
	if (w->plain.len > CODEC_MAX_SECTION || deflate(&w->z, Z_FINISH) != Z_STREAM_END) {
		w->err = -EOVERFLOW;
		return;
	}
	w->packed.len = CODEC_SECTION_HEAD + (most - w->z.avail_out);
	codec_add_u32(&head, kind);
	codec_add_u32(&head, (uint32_t)(w->packed.len - CODEC_SECTION_HEAD));
	codec_add_u32(&head, (uint32_t)w->plain.len);
	memcpy(w->packed.data, head.data, 12);
	head.len = 0;
	codec_add_u32(&head, codec_section_crc((const uint8_t *)w->packed.data, w->packed.len));
	memcpy(w->packed.data + 12, head.data, 4);
	buf_release(&head);
	put(w, &w->packed);
	buf_reset(&w->plain);
}

static size_t at_most(size_t n, size_t limit)
{
	return n < limit ? n : limit;
}

static void put_snap(struct codec_writer *w, const struct profile *p)
{
	codec_add_number(&w->plain, p->window_ns);
	codec_add_number(&w->plain, p->wall_time_ns);
	codec_add_number(&w->plain, p->final);
	codec_add_number(&w->plain, p->strings.n);
	codec_add_number(&w->plain, p->n_frames);
	codec_add_number(&w->plain, p->n_procs);
	codec_add_number(&w->plain, p->n_stacks);
	put_section(w, KIND_SNAP);
}

static void put_strings(struct codec_writer *w, const struct profile *p)
{
	while (w->n_strings < p->strings.n && !w->err) {
		for (; w->n_strings < p->strings.n && w->plain.len < CODEC_CHUNK_STRING_BYTES; w->n_strings++) {
			const char *s = p->strings.strings[w->n_strings];
			size_t len = strlen(s);

			w->string_bytes += len;
			if (len > CODEC_MAX_STRING || w->string_bytes > CODEC_MAX_STRING_BYTES) {
				w->err = -EOVERFLOW;
				return;
			}
			buf_add(&w->plain, s, len + 1);
		}
		put_section(w, KIND_STRS);
	}
}

static void put_frames(struct codec_writer *w, const struct profile *p)
{
	while (w->n_frames < p->n_frames && !w->err) {
		size_t n = at_most(p->n_frames - w->n_frames, CODEC_CHUNK_FRAMES);

		codec_add_number(&w->plain, n);
		codec_records_add(&w->column, &w->plain, &codec_frames, NULL, p->frames + w->n_frames, n);
		put_section(w, KIND_FRMS);
		w->n_frames += n;
	}
}

static void put_procs(struct codec_writer *w, const struct profile *p)
{
	size_t i, n;

	for (; w->n_procs < p->n_procs; w->n_procs++) {
		XGROW(w->procs, w->n_procs, w->procs_cap);
		w->procs[w->n_procs] = (struct profile_proc){ 0 };
	}
	for (i = 0; i < p->n_procs && !w->err; i += n) {
		n = at_most(p->n_procs - i, CODEC_CHUNK_PROCS);
		codec_add_number(&w->plain, n);
		codec_records_add(&w->column, &w->plain, &codec_procs, w->procs + i, p->procs + i, n);
		put_section(w, KIND_PROC);
	}
	if (p->n_procs)
		memcpy(w->procs, p->procs, p->n_procs * sizeof(*w->procs));
}

/* ---- stacks ---- */

/* Of stacks that were written before: the others are written as they are now. */
static void put_renames(struct codec_writer *w, const struct profile *p)
{
	while (w->n_renames < p->n_renames && !w->err) {
		uint64_t *v = codec_column_room(&w->column, 2 * at_most(p->n_renames - w->n_renames, CODEC_CHUNK_RENAMES));
		size_t n = 0;

		for (; w->n_renames < p->n_renames && n < CODEC_CHUNK_RENAMES; w->n_renames++) {
			const struct profile_rename *r = &p->renames[w->n_renames];

			if (r->at >= w->n_stack_frames)
				continue;
			v[2 * n] = r->at;
			v[2 * n++ + 1] = r->frame;
		}
		if (!n)
			break;
		codec_add_number(&w->plain, n);
		codec_column_add(&w->column, &w->plain, 2 * n);
		put_section(w, KIND_RNAM);
	}
}

/* Number of outermost frames that two stacks share. */
static uint32_t n_shared(const struct profile *p, const struct profile_stack *a, const struct profile_stack *b)
{
	const uint32_t *fa = p->stack_frames + a->first_frame + a->n_frames;
	const uint32_t *fb = p->stack_frames + b->first_frame + b->n_frames;
	uint32_t most = a->n_frames < b->n_frames ? a->n_frames : b->n_frames, n = 0;

	while (n < most && *--fa == *--fb)
		n++;
	return n;
}

/* An earlier stack that shares much with the i-th; it becomes a candidate itself. Returns i when there is none. */
static size_t find_base(struct codec_writer *w, const struct profile *p, size_t i, uint32_t *shared)
{
	const struct profile_stack *s = &p->stacks[i];
	const uint32_t *f = p->stack_frames + s->first_frame + s->n_frames;
	uint32_t length = LEAST_LENGTH, k, n = 0;
	uint64_t hash = s->proc;
	size_t base = i;

	*shared = 0;
	for (k = 0; k < N_LENGTHS && length <= s->n_frames; k++, length *= 2) {
		uint32_t *at;

		for (; n < length; n++)
			hash = hash_u64(hash ^ *--f) * 3;
		at = &w->candidates[k][hash % N_CANDIDATES];
		if (*at) {
			uint32_t with = n_shared(p, s, &p->stacks[*at - 1]);

			if (with > *shared) {
				*shared = with;
				base = *at - 1;
			}
		}
		*at = (uint32_t)i + 1;
	}
	return base;
}

struct stack_shape {
	uint32_t back, shared, rest; /* base is `back` stacks before */
};

static void add_stack_columns(struct codec_writer *w, const struct profile *p, const struct stack_shape *shapes,
			      size_t begin, size_t n)
{
	const struct profile_stack *s = p->stacks + begin;
	uint64_t *v = codec_column_room(&w->column, n);
	size_t i;

#define COLUMN(value)                                                                                             \
	do {                                                                                                      \
		for (i = 0; i < n; i++)                                                                           \
			v[i] = (value);                                                                           \
		codec_column_add(&w->column, &w->plain, n);                                                       \
	} while (0)
	COLUMN(s[i].proc);
	COLUMN(s[i].end);
	COLUMN(shapes[i].back);
	COLUMN(shapes[i].shared);
	COLUMN(shapes[i].rest);
#undef COLUMN
	for (i = 0; i < n; i++) { /* no order in them: as they are */
		codec_add_u32(&w->plain, (uint32_t)s[i].id);
		codec_add_u32(&w->plain, (uint32_t)(s[i].id >> 32));
	}
}

/* The frames that are not shared, of all stacks of the chunk, from the outermost. */
static void add_rest(struct codec_writer *w, const struct profile *p, const struct stack_shape *shapes, size_t begin,
		     size_t n, size_t n_rest)
{
	uint64_t *v = codec_column_room(&w->column, n_rest);
	size_t i, k = 0;
	uint32_t j;

	for (i = 0; i < n; i++) {
		const struct profile_stack *s = &p->stacks[begin + i];

		for (j = shapes[i].rest; j-- > 0;)
			v[k++] = p->stack_frames[s->first_frame + j];
	}
	codec_column_add(&w->column, &w->plain, n_rest);
}

static void put_stacks(struct codec_writer *w, const struct profile *p)
{
	struct stack_shape *shapes = xcalloc(CODEC_CHUNK_STACKS, sizeof(*shapes));

	while (w->n_stacks < p->n_stacks && !w->err) {
		size_t n = 0, n_rest = 0, i;

		for (i = w->n_stacks; i < p->n_stacks && n < CODEC_CHUNK_STACKS && n_rest < CODEC_CHUNK_STACK_FRAMES;
		     i++, n++) {
			uint32_t shared;

			shapes[n].back = (uint32_t)(i - find_base(w, p, i, &shared));
			shapes[n].shared = shared;
			shapes[n].rest = p->stacks[i].n_frames - shared;
			n_rest += shapes[n].rest;
			if (p->stacks[i].n_frames > CODEC_MAX_DEPTH)
				w->err = -EOVERFLOW;
		}
		codec_add_number(&w->plain, n);
		codec_add_number(&w->plain, n_rest);
		add_stack_columns(w, p, shapes, w->n_stacks, n);
		add_rest(w, p, shapes, w->n_stacks, n, n_rest);
		put_section(w, KIND_STKS);
		w->n_stacks += n;
	}
	w->n_stack_frames = p->n_stack_frames;
	free(shapes);
}

static void put_figures(struct codec_writer *w, const struct profile *p, size_t n_before)
{
	size_t i, k, n;

	for (i = n_before; i < p->n_stacks; i++) {
		XGROW(w->figures, i, w->figures_cap);
		w->figures[i] = (struct profile_stack){ 0 };
	}
	for (i = 0; i < p->n_stacks && !w->err; i += n) {
		n = at_most(p->n_stacks - i, CODEC_CHUNK_STACKS);
		for (k = 0; k < n; k++)
			w->now[k] = codec_figures_of(&p->stacks[i + k]);
		codec_add_number(&w->plain, n);
		codec_records_add(&w->column, &w->plain, &codec_figures, w->figures + i, w->now, n);
		put_section(w, KIND_FIGS);
		memcpy(w->figures + i, w->now, n * sizeof(*w->now));
	}
}

static void put_holders(struct codec_writer *w, const struct holders *h)
{
	if (!h->is_there)
		return;
	codec_records_add(&w->column, &w->plain, &codec_holders, NULL, &h->all, 1);
	codec_add_number(&w->plain, h->n_rows);
	codec_records_add(&w->column, &w->plain, &codec_holders, NULL, h->rows, h->n_rows);
	codec_add_number(&w->plain, h->n_names);
	codec_records_add(&w->column, &w->plain, &codec_holders, NULL, h->names, h->n_names);
	codec_add_number(&w->plain, h->n_sites);
	codec_records_add(&w->column, &w->plain, &codec_holder_sites, NULL, h->sites, h->n_sites);
}

static void put_facts(struct codec_writer *w, const struct profile *p)
{
	uint64_t n = 0;
	int i;

	codec_records_add(&w->column, &w->plain, &codec_facts, NULL, p, 1);
	codec_add_number(&w->plain, p->watch.n_steps);
	codec_records_add(&w->column, &w->plain, &codec_steps, NULL, p->watch.steps, p->watch.n_steps);
	codec_add_number(&w->plain, p->n_marks);
	codec_records_add(&w->column, &w->plain, &codec_marks, NULL, p->marks, p->n_marks);
	for (i = 0; i < MP_LOSS_NR; i++)
		n += p->losses[i].events || p->losses[i].bytes;
	codec_add_number(&w->plain, n);
	for (i = 0; i < MP_LOSS_NR; i++) {
		if (!p->losses[i].events && !p->losses[i].bytes)
			continue;
		buf_add(&w->plain, loss_name(i), strlen(loss_name(i)) + 1);
		codec_add_number(&w->plain, p->losses[i].events);
		codec_add_number(&w->plain, p->losses[i].bytes);
	}
	codec_add_number(&w->plain, p->n_bridges);
	codec_records_add(&w->column, &w->plain, &codec_bridges, NULL, p->bridges, p->n_bridges);
	codec_add_number(&w->plain, p->machine.n_rows);
	codec_records_add(&w->column, &w->plain, &codec_machine_rows, NULL, p->machine.rows, p->machine.n_rows);
	codec_add_number(&w->plain, p->machine.n_groups);
	codec_records_add(&w->column, &w->plain, &codec_machine_groups, NULL, p->machine.groups, p->machine.n_groups);
	codec_add_number(&w->plain, p->lifetimes.n);
	codec_records_add(&w->column, &w->plain, &codec_lifetimes, NULL, p->lifetimes.rows, p->lifetimes.n);
	codec_add_number(&w->plain, p->lifetimes.n_survivors);
	codec_records_add(&w->column, &w->plain, &codec_survivors, NULL, p->lifetimes.survivors, p->lifetimes.n_survivors);
	put_holders(w, &p->holders);
	if (p->objects.is_there) {
		codec_add_number(&w->plain, p->objects.n_rows);
		codec_records_add(&w->column, &w->plain, &codec_objects, NULL, p->objects.rows, p->objects.n_rows);
	}
	put_section(w, KIND_FACT);
}

static bool is_within_limits(const struct codec_writer *w, const struct profile *p)
{
	return p->strings.n <= CODEC_MAX_STRINGS && p->n_frames <= CODEC_MAX_FRAMES && p->n_procs <= CODEC_MAX_PROCS &&
	       p->n_stacks <= CODEC_MAX_STACKS && p->n_stack_frames <= CODEC_MAX_STACK_FRAMES &&
	       w->n_snapshots < CODEC_MAX_SNAPSHOTS;
}

int codec_write(struct codec_writer *w, const struct profile *p)
{
	size_t n_before = w->n_stacks;

	if (!w->err && !is_within_limits(w, p))
		w->err = -EOVERFLOW;
	if (!w->has_head)
		put_head(w);
	put_snap(w, p);
	put_strings(w, p);
	put_frames(w, p);
	put_procs(w, p);
	put_renames(w, p);
	put_stacks(w, p);
	put_figures(w, p, n_before);
	put_facts(w, p);
	w->n_snapshots++;
	return w->err;
}

int codec_finish(struct codec_writer *w)
{
	if (!w->has_head)
		put_head(w);
	codec_add_number(&w->plain, w->n_snapshots);
	put_section(w, KIND_ENDS);
	return w->err;
}
