/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Reading a snapshot: all sections up to it, one after the other, since each tells what is new. Every number is
 * checked before it is used; what makes no sense ends the reading. Memory grows with what was really read,
 * up to the limits of codec.h. Pure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "model/codec_internal.h"

struct reader {
	struct profile *p;
	struct codec_unpacker unpacker;
	struct codec_column column;
	struct codec_snap snap; /* of the snapshot that is being read */
	uint64_t string_bytes;
	uint32_t *frame_of; /* index in the profile; equal frames of the file are one there */
	size_t n_frames, frames_cap;
	struct profile_stack *figures; /* [p->n_stacks] or less */
	size_t n_figures, figures_cap;
	struct profile_proc *procs;
	size_t n_procs, procs_cap;
	size_t figures_at, procs_at; /* read of this snapshot */
};

/* How many records follow; more than there is room for is bad. */
static size_t read_count(struct codec_in *in, uint64_t most)
{
	uint64_t n = codec_in_number(in);

	if (n > most || n > (size_t)(in->end - in->p))
		in->bad = true;
	return in->bad ? 0 : (size_t)n;
}

static struct codec_bounds bounds_of(const struct reader *r)
{
	return (struct codec_bounds){ .n_strings = r->p->strings.n, .n_procs = r->snap.n_procs };
}

static void read_snap(struct reader *r, struct codec_in *in)
{
	if (!codec_snap_read(&r->snap, in) || r->snap.n_strings < r->p->strings.n || r->snap.n_frames < r->n_frames ||
	    r->snap.n_procs < r->n_procs || r->snap.n_stacks < r->p->n_stacks)
		in->bad = true;
	r->figures_at = r->procs_at = 0;
}

static void read_strings(struct reader *r, struct codec_in *in)
{
	while (in->p < in->end && !in->bad) {
		const char *s = codec_in_string(in);
		size_t id = r->p->strings.n, len = strlen(s);

		r->string_bytes += len;
		if (id >= r->snap.n_strings || len > CODEC_MAX_STRING || r->string_bytes > CODEC_MAX_STRING_BYTES ||
		    in->bad || profile_string(r->p, s) != id)
			in->bad = true;
	}
}

static void read_frames(struct reader *r, struct codec_in *in)
{
	size_t n = read_count(in, r->snap.n_frames - r->n_frames), i;
	struct profile_frame *v = xcalloc(n ? n : 1, sizeof(*v));
	struct codec_bounds bounds = bounds_of(r);

	codec_records_read(&r->column, in, &codec_frames, v, n, &bounds);
	for (i = 0; i < n && !in->bad; i++) {
		XGROW(r->frame_of, r->n_frames, r->frames_cap);
		r->frame_of[r->n_frames++] = profile_frame(r->p, &v[i]);
	}
	free(v);
}

static void read_procs(struct reader *r, struct codec_in *in)
{
	size_t n = read_count(in, r->snap.n_procs - r->procs_at);
	struct codec_bounds bounds = bounds_of(r);

	for (; r->n_procs < r->procs_at + n; r->n_procs++) {
		XGROW(r->procs, r->n_procs, r->procs_cap);
		r->procs[r->n_procs] = (struct profile_proc){ 0 };
	}
	if (n)
		codec_records_read(&r->column, in, &codec_procs, r->procs + r->procs_at, n, &bounds);
	r->procs_at += n;
}

/* ---- stacks ---- */

struct shape {
	uint64_t proc, end, back, shared, rest, id;
};

static void read_shapes(struct reader *r, struct codec_in *in, struct shape *v, size_t n)
{
	size_t i, k;

	for (k = 0; k < 5; k++) {
		codec_column_read(&r->column, in, n);
		for (i = 0; i < n && !in->bad; i++)
			(&v[i].proc)[k] = r->column.v[i];
	}
	if ((size_t)(in->end - in->p) < 8 * n)
		in->bad = true;
	for (i = 0; i < n && !in->bad; i++, in->p += 8)
		v[i].id = codec_u32(in->p) | (uint64_t)codec_u32(in->p + 4) << 32;
}

static bool makes_sense(const struct reader *r, const struct shape *s)
{
	size_t at = r->p->n_stacks;

	return s->proc < r->snap.n_procs && s->end < MP_END_NR && s->back <= at && s->rest <= CODEC_MAX_DEPTH &&
	       s->shared + s->rest <= CODEC_MAX_DEPTH && s->shared <= CODEC_MAX_DEPTH &&
	       r->p->n_stack_frames + s->shared + s->rest <= CODEC_MAX_STACK_FRAMES &&
	       s->shared <= (s->back ? r->p->stacks[at - s->back].n_frames : 0) &&
	       profile_find_stack(r->p, s->id) == UINT32_MAX;
}

/* rest: frames of the file, from the outermost. False: one of them is none. */
static bool add_stack(struct reader *r, const struct shape *s, const uint64_t *rest)
{
	uint32_t frames[CODEC_MAX_DEPTH], n = 0, i;

	for (i = (uint32_t)s->rest; i-- > 0; n++) {
		if (rest[i] >= r->n_frames)
			return false;
		frames[n] = r->frame_of[rest[i]];
	}
	if (s->shared) {
		const struct profile_stack *base = &r->p->stacks[r->p->n_stacks - s->back];
		const uint32_t *outer = r->p->stack_frames + base->first_frame + base->n_frames - s->shared;

		memcpy(frames + n, outer, s->shared * sizeof(*outer));
	}
	profile_add_stack(r->p, s->id, (uint32_t)s->proc, frames, n + (uint32_t)s->shared, (enum mp_stack_end)s->end);
	return true;
}

static void read_renames(struct reader *r, struct codec_in *in)
{
	size_t n = read_count(in, CODEC_CHUNK_RENAMES), i;

	codec_column_read(&r->column, in, 2 * n);
	for (i = 0; i < n && !in->bad; i++) {
		uint64_t at = r->column.v[2 * i], frame = r->column.v[2 * i + 1];

		if (at >= r->p->n_stack_frames || frame >= r->n_frames)
			in->bad = true;
		else
			r->p->stack_frames[at] = r->frame_of[frame];
	}
}

static void read_stacks(struct reader *r, struct codec_in *in)
{
	size_t n = read_count(in, r->snap.n_stacks - r->p->n_stacks), i, at = 0;
	uint64_t n_rest = codec_in_number(in);
	struct shape *v = xcalloc(n ? n : 1, sizeof(*v));

	read_shapes(r, in, v, n);
	if (!in->bad)
		codec_column_read(&r->column, in, n_rest);
	for (i = 0; i < n && !in->bad; at += v[i++].rest) {
		if (!makes_sense(r, &v[i]) || v[i].rest > n_rest - at || !add_stack(r, &v[i], r->column.v + at))
			in->bad = true;
	}
	in->bad |= at != n_rest;
	free(v);
}

static void read_figures(struct reader *r, struct codec_in *in)
{
	size_t n = read_count(in, r->p->n_stacks - r->figures_at);
	struct codec_bounds bounds = bounds_of(r);

	for (; r->n_figures < r->figures_at + n; r->n_figures++) {
		XGROW(r->figures, r->n_figures, r->figures_cap);
		r->figures[r->n_figures] = (struct profile_stack){ 0 };
	}
	if (n)
		codec_records_read(&r->column, in, &codec_figures, r->figures + r->figures_at, n, &bounds);
	r->figures_at += n;
}

/* ---- facts: the end of a snapshot ---- */

static void read_losses(struct profile *p, struct codec_in *in)
{
	size_t n = read_count(in, MP_LOSS_NR), i;
	int k;

	memset(p->losses, 0, sizeof(p->losses));
	for (i = 0; i < n && !in->bad; i++) {
		const char *name = codec_in_string(in);

		for (k = 0; k < MP_LOSS_NR && strcmp(name, loss_name(k)) != 0; k++)
			;
		if (k == MP_LOSS_NR) {
			in->bad = true; /* a loss must not be left out */
			return;
		}
		p->losses[k].events = codec_in_number(in);
		p->losses[k].bytes = codec_in_number(in);
		if (p->losses[k].events > CODEC_MAX_BYTES || p->losses[k].bytes > CODEC_MAX_BYTES)
			in->bad = true;
	}
}

/* Earlier recordings end before them. */
static void read_bridges(struct reader *r, struct codec_in *in, const struct codec_bounds *bounds)
{
	struct profile *p = r->p;

	memset(p->bridges, 0, sizeof(p->bridges));
	p->n_bridges = 0;
	if (in->p == in->end)
		return;
	p->n_bridges = read_count(in, PROFILE_MAX_BRIDGES);
	codec_records_read(&r->column, in, &codec_bridges, p->bridges, p->n_bridges, bounds);
}

static bool is_amount(int64_t v)
{
	return v <= (int64_t)CODEC_MAX_BYTES && v >= -(int64_t)CODEC_MAX_BYTES;
}

static void read_machine(struct reader *r, struct codec_in *in, const struct codec_bounds *bounds)
{
	struct machine *m = &r->p->machine;
	size_t i;

	memset(m->rows, 0, sizeof(m->rows));
	memset(m->groups, 0, sizeof(m->groups));
	m->n_rows = m->n_groups = 0;
	if (in->p == in->end)
		return;
	m->n_rows = read_count(in, MACHINE_MOST_ROWS);
	codec_records_read(&r->column, in, &codec_machine_rows, m->rows, m->n_rows, bounds);
	for (i = 0; i < m->n_rows; i++)
		if (!is_amount(m->rows[i].bytes) || !is_amount(m->rows[i].growth_bytes) ||
		    !is_amount(m->rows[i].worker_growth))
			in->bad = true;
	m->n_groups = read_count(in, MACHINE_MOST_GROUPS);
	codec_records_read(&r->column, in, &codec_machine_groups, m->groups, m->n_groups, bounds);
}

/* Of stacks and marks that are there. */
static void read_lifetimes(struct reader *r, struct codec_in *in, const struct codec_bounds *bounds)
{
	struct profile *p = r->p;
	struct lifetimes *l = &p->lifetimes;
	size_t i;

	memset(l->rows, 0, sizeof(l->rows));
	memset(l->survivors, 0, sizeof(l->survivors));
	l->n = l->n_survivors = 0;
	if (in->p == in->end)
		return;
	l->n = read_count(in, LIFETIMES_STACKS);
	codec_records_read(&r->column, in, &codec_lifetimes, l->rows, l->n, bounds);
	l->n_survivors = read_count(in, LIFETIMES_MOST_SURVIVORS);
	codec_records_read(&r->column, in, &codec_survivors, l->survivors, l->n_survivors, bounds);
	for (i = 0; i < l->n; i++)
		in->bad |= l->rows[i].stack >= p->n_stacks;
	for (i = 0; i < l->n_survivors; i++)
		in->bad |= l->survivors[i].interval > p->n_marks + 1 ||
			   (l->survivors[i].stack != LIFETIMES_REST && l->survivors[i].stack >= p->n_stacks);
}

/* The first fields of it are facts. */
static void read_holders(struct reader *r, struct codec_in *in, const struct codec_bounds *bounds)
{
	struct holders *h = &r->p->holders;
	size_t i;

	memset(&h->all, 0, sizeof(h->all));
	memset(h->rows, 0, sizeof(h->rows));
	memset(h->names, 0, sizeof(h->names));
	memset(h->sites, 0, sizeof(h->sites));
	h->n_rows = h->n_names = h->n_sites = 0;
	if (!h->is_there)
		return;
	codec_records_read(&r->column, in, &codec_holders, &h->all, 1, bounds);
	h->n_rows = read_count(in, HOLDERS_ROWS);
	codec_records_read(&r->column, in, &codec_holders, h->rows, h->n_rows, bounds);
	h->n_names = read_count(in, HOLDERS_NAMES);
	codec_records_read(&r->column, in, &codec_holders, h->names, h->n_names, bounds);
	h->n_sites = read_count(in, HOLDERS_SITES);
	codec_records_read(&r->column, in, &codec_holder_sites, h->sites, h->n_sites, bounds);
	for (i = 0; i < h->n_sites; i++)
		in->bad |= h->sites[i].stack >= r->p->n_stacks;
	in->bad |= (h->is_there && h->proc >= bounds->n_procs) || !codec_sums_fit(&codec_holders, &h->all, 1) ||
		   !codec_sums_fit(&codec_holders, h->rows, h->n_rows) ||
		   !codec_sums_fit(&codec_holders, h->names, h->n_names) ||
		   !codec_sums_fit(&codec_holder_sites, h->sites, h->n_sites);
}

static void read_objects(struct reader *r, struct codec_in *in, const struct codec_bounds *bounds)
{
	struct objects *o = &r->p->objects;
	size_t i;

	memset(o->rows, 0, sizeof(o->rows));
	o->n_rows = 0;
	if (!o->is_there)
		return;
	o->n_rows = read_count(in, OBJECTS_ROWS);
	codec_records_read(&r->column, in, &codec_objects, o->rows, o->n_rows, bounds);
	for (i = 0; i < o->n_rows; i++)
		in->bad |= o->rows[i].proc >= bounds->n_procs;
	in->bad |= !codec_sums_fit(&codec_objects, o->rows, o->n_rows) || o->births > CODEC_MAX_BYTES;
}

static void read_facts(struct reader *r, struct codec_in *in)
{
	struct codec_bounds bounds = bounds_of(r);
	struct profile *p = r->p;

	if (p->strings.n != r->snap.n_strings || r->n_frames != r->snap.n_frames ||
	    r->procs_at != r->snap.n_procs || p->n_stacks != r->snap.n_stacks || r->figures_at != p->n_stacks)
		in->bad = true;
	codec_fields_reset(&codec_facts, p);
	codec_records_read(&r->column, in, &codec_facts, p, 1, &bounds);
	memset(p->watch.steps, 0, sizeof(p->watch.steps));
	p->watch.n_steps = read_count(in, LADDER_MAX_CHANGES);
	codec_records_read(&r->column, in, &codec_steps, p->watch.steps, p->watch.n_steps, &bounds);
	memset(p->marks, 0, sizeof(p->marks));
	p->n_marks = read_count(in, PROFILE_MAX_MARKS);
	codec_records_read(&r->column, in, &codec_marks, p->marks, p->n_marks, &bounds);
	read_losses(p, in);
	read_bridges(r, in, &bounds);
	read_machine(r, in, &bounds);
	read_lifetimes(r, in, &bounds);
	read_holders(r, in, &bounds);
	read_objects(r, in, &bounds);
	p->window_ns = r->snap.window_ns;
	p->wall_time_ns = r->snap.wall_time_ns;
	p->final = r->snap.final;
}

/* What was read becomes the profile. False: the figures are beyond all measure. */
static bool finish(struct reader *r)
{
	struct profile *p = r->p;
	uint64_t bytes = CODEC_MAX_BYTES, blocks = CODEC_MAX_BYTES;
	size_t i;

	if (!codec_sums_fit(&codec_figures, r->figures, r->n_figures) ||
	    !codec_sums_fit(&codec_procs, r->procs, r->n_procs) || !codec_sums_fit(&codec_marks, p->marks, p->n_marks))
		return false;
	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &p->stacks[i];

		codec_figures_apply(s, &r->figures[i]);
		if (s->live_bytes > bytes || s->live_blocks > blocks)
			return false;
		bytes -= s->live_bytes;
		blocks -= s->live_blocks;
	}
	for (i = 0; i < r->n_procs; i++) {
		if (profile_proc(p, r->procs[i].gen) != i)
			return false;
		p->procs[i] = r->procs[i];
	}
	return true;
}

static bool read_snapshot(struct reader *r, const struct codec_recording *rec, const struct codec_snapshot *s)
{
	struct codec_section section;
	size_t at;

	for (at = s->begin; at < s->end; at = section.end) {
		struct codec_in in;

		if (codec_section_at(rec->data, rec->len, at, &section) != FOUND_SECTION)
			return false;
		in = codec_unpack(&r->unpacker, &section);
		switch (in.bad ? 0 : (enum codec_kind)section.kind) {
		case KIND_SNAP:
			read_snap(r, &in);
			break;
		case KIND_STRS:
			read_strings(r, &in);
			break;
		case KIND_FRMS:
			read_frames(r, &in);
			break;
		case KIND_PROC:
			read_procs(r, &in);
			break;
		case KIND_RNAM:
			read_renames(r, &in);
			break;
		case KIND_STKS:
			read_stacks(r, &in);
			break;
		case KIND_FIGS:
			read_figures(r, &in);
			break;
		case KIND_FACT:
			read_facts(r, &in);
			break;
		default:
			break; /* of a later version */
		}
		if (in.bad)
			return false;
	}
	return true;
}

static void tell_senseless(struct codec_recording *r, size_t k)
{
	r->n = k;
	r->is_complete = false;
	buf_reset(&r->problem);
	buf_addf(&r->problem, "what its snapshot %zu says makes no sense here (damaged, or of a newer memprobe): %zu before "
		 "it can be read", k + 1, k);
}

int codec_read(struct codec_recording *rec, size_t i, struct profile *p)
{
	struct reader r = { .p = p };
	size_t k;
	bool ok = true;

	profile_init(p);
	p->run_id = rec->run_id;
	codec_unpacker_init(&r.unpacker);
	for (k = 0; k <= i && ok; k++)
		ok = read_snapshot(&r, rec, &rec->snapshots[k]);
	ok = ok && finish(&r);
	if (!ok)
		tell_senseless(rec, k - 1);
	codec_unpacker_release(&r.unpacker);
	codec_column_release(&r.column);
	free(r.frame_of);
	free(r.figures);
	free(r.procs);
	return ok ? 0 : -EBADMSG;
}
