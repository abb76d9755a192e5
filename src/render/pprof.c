/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * pprof: profile.proto of github.com/google/pprof, compressed by gzip, for go tool pprof and for what
 * stores profiles (Pyroscope, Parca, Grafana). One sample per stack, four values each:
 *
 *	alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes
 *
 * as Go's own heap profile has them; -m chooses the one that tools show first. Values are final:
 * what was sampled is scaled already. duration_nanos stays 0, as in every heap profile: tools take a profile with a
 * duration for an increase. Labels: process (comm), pid. Where a stack was cut, the note is its outermost frame.
 * Comments: origin.h, losses among them.
 *
 * The profile has names, not addresses: a location is a function and its line, with the functions that
 * were inlined into it. Only code without a name has its address, in the object's own terms, and a mapping
 * apart: tools look for names afterwards by mapping, and for all of its locations. That mapping has no range, so that
 * addresses are taken as they are (pprof, elfexec.GetBase); the named one's is a page, since pprof makes mappings of
 * one build id and size one (profile/merge.go).
 *
 * Messages are compressed as they are made; of the profile only tables of what is distinct are held.
 * The same profile gives the same bytes. Depends on base, model and zlib.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "render/formats.h"
#include "render/gzip.h"
#include "render/origin.h"
#include "render/protobuf.h"
#include "render/stack_order.h"

/* Field numbers of profile.proto, by message. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING, PROFILE_LOCATION, PROFILE_FUNCTION, PROFILE_STRING,
       PROFILE_TIME_NANOS = 9, PROFILE_PERIOD_TYPE = 11, PROFILE_PERIOD, PROFILE_COMMENT, PROFILE_DEFAULT_SAMPLE_TYPE };
enum { VALUE_TYPE = 1, VALUE_UNIT };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_STR, LABEL_NUM };
enum { MAPPING_ID = 1, MAPPING_LIMIT = 3, MAPPING_FILENAME = 5, MAPPING_BUILD_ID, MAPPING_HAS_FUNCTIONS, MAPPING_HAS_FILENAMES,
       MAPPING_HAS_LINES, MAPPING_HAS_INLINED };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1, LINE_LINE };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILENAME };

#define NAMED_RANGE 4096

/* Frames [at, at + n) of a stack, innermost first: one address. n 0: a cut stack's mark, string `at` of the file. */
struct location {
	uint32_t at, n;
	uint32_t mapping; /* 0: none */
};

/* Ids count from 1: index + 1. */
struct mapping {
	uint32_t module, build_id; /* strings of the profile */
	bool is_named;
};

struct function {
	uint32_t name, file; /* strings of the profile; the text of a note: see note */
	const char *note;    /* or NULL */
};

struct writer {
	const struct profile *p;
	struct gzip gz;
	struct buf message, part, ids, mark; /* reused */
	struct intern strings;
	uint32_t *string_of; /* by string of the profile: id + 1; 0: not written yet */
	struct location *locations;
	struct mapping *mappings;
	struct function *functions;
	size_t n_locations, locations_cap, n_mappings, mappings_cap, n_functions, functions_cap;
	struct table location_ids, function_ids; /* -> id */
	struct table mark_ids;			 /* mark of a cut stack, a string of the file -> location */
};

/* ---- strings ---- */

static uint64_t text_id(struct writer *w, const char *text)
{
	struct buf b = BUF_INIT;
	uint64_t id;

	buf_add_plain(&b, text);
	id = intern_id(&w->strings, b.data);
	buf_release(&b);
	return id;
}

static uint64_t string_id(struct writer *w, uint32_t s)
{
	if (!w->string_of[s])
		w->string_of[s] = (uint32_t)text_id(w, profile_str(w->p, s)) + 1;
	return w->string_of[s] - 1;
}

/* The message that was made, as a field of the profile. */
static void put(struct writer *w, unsigned int field)
{
	buf_reset(&w->part);
	pb_add_buf(&w->part, field, &w->message);
	gzip_add(&w->gz, w->part.data, w->part.len);
	buf_reset(&w->message);
}

/* ---- what is distinct ---- */

static const struct profile_frame *frame_at(const struct profile *p, uint32_t at)
{
	return &p->frames[p->stack_frames[at]];
}

/* Of an object, or none. There are a few dozen. */
static uint32_t mapping_id(struct writer *w, const struct profile_frame *f)
{
	struct mapping m = { f->module, f->build_id, f->class != FRAME_UNKNOWN };
	size_t i;

	if (!*profile_str(w->p, f->module))
		return 0;
	for (i = 0; i < w->n_mappings; i++) {
		const struct mapping *o = &w->mappings[i];

		if (o->module == m.module && o->build_id == m.build_id && o->is_named == m.is_named)
			return (uint32_t)i + 1;
	}
	XGROW(w->mappings, w->n_mappings, w->mappings_cap);
	w->mappings[w->n_mappings] = m;
	return (uint32_t)++w->n_mappings;
}

static uint64_t add_function(struct writer *w, uint32_t name, uint32_t file, const char *note)
{
	XGROW(w->functions, w->n_functions, w->functions_cap);
	w->functions[w->n_functions] = (struct function){ name, file, note };
	return ++w->n_functions;
}

static uint64_t function_id(struct writer *w, const struct profile_frame *f)
{
	uint64_t *id = table_put(&w->function_ids, (uint64_t)f->name << 32 | f->file, 0);

	if (!*id)
		*id = add_function(w, f->name, f->file, NULL);
	return *id;
}

static uint64_t add_location(struct writer *w, uint32_t at, uint32_t n, uint32_t mapping)
{
	XGROW(w->locations, w->n_locations, w->locations_cap);
	w->locations[w->n_locations] = (struct location){ at, n, mapping };
	return ++w->n_locations;
}

static uint64_t location_id(struct writer *w, uint32_t at, uint32_t n)
{
	const uint32_t *frames = &w->p->stack_frames[at];
	uint64_t h = hash_bytes(frames, n * sizeof(*frames)), *id;

	for (;; h++) {
		const struct location *l;

		id = table_put(&w->location_ids, h, 0);
		if (!*id)
			return *id = add_location(w, at, n, mapping_id(w, frame_at(w->p, at + n - 1)));
		l = &w->locations[*id - 1];
		if (l->n == n && !memcmp(&w->p->stack_frames[l->at], frames, n * sizeof(*frames)))
			return *id;
	}
}

static uint64_t mark_id(struct writer *w)
{
	uint64_t text = text_id(w, w->mark.data), *id = table_put(&w->mark_ids, text, 0);

	if (!*id)
		*id = add_location(w, (uint32_t)text, 0, 0);
	return *id;
}

/* The program itself has the first mapping, as tools expect: the object where the heaviest stack begins. */
static void choose_program(struct writer *w, const struct stack_order *order)
{
	size_t i;
	uint32_t k;

	for (i = 0; i < order->n; i++) {
		const struct profile_stack *s = order->v[i].s;

		for (k = s->n_frames; k-- > 0;) {
			const struct profile_frame *f = frame_at(w->p, s->first_frame + k);

			if (f->class == FRAME_APP && !strstr(profile_str(w->p, f->module), ".so") && mapping_id(w, f))
				return;
		}
	}
}

/* ---- messages ---- */

static void put_value_type(struct writer *w, unsigned int field, const char *type, const char *unit)
{
	pb_add_uint(&w->message, VALUE_TYPE, text_id(w, type));
	pb_add_uint(&w->message, VALUE_UNIT, text_id(w, unit));
	put(w, field);
}

static void add_label(struct writer *w, const char *key, uint64_t str, uint64_t num)
{
	struct buf label = BUF_INIT;

	pb_add_uint(&label, LABEL_KEY, text_id(w, key));
	pb_add_uint(&label, LABEL_STR, str);
	pb_add_uint(&label, LABEL_NUM, num);
	pb_add_buf(&w->message, SAMPLE_LABEL, &label);
	buf_release(&label);
}

/* int64 in the format, and tools take negative ones for a difference. */
static void add_value(struct writer *w, uint64_t n)
{
	pb_add_varint(&w->ids, n < INT64_MAX ? n : INT64_MAX);
}

/* The name in "[thread worker]", if the outermost frame is one. */
static void add_thread(struct writer *w, const struct profile_stack *s)
{
	const struct profile_frame *f = s->n_frames ? frame_at(w->p, s->first_frame + s->n_frames - 1) : NULL;
	const char *name = f ? profile_str(w->p, f->name) : "";
	size_t head = strlen(PROFILE_THREAD_FRAME), len = strlen(name);
	struct buf text = BUF_INIT;

	if (!f || f->class != FRAME_NOTE || strncmp(name, PROFILE_THREAD_FRAME, head) || len <= head)
		return;
	buf_add(&text, name + head, len - head - 1);
	add_label(w, "thread", text_id(w, text.data), 0);
	buf_release(&text);
}

static void put_sample(struct writer *w, const struct ordered_stack *o)
{
	const struct profile_stack *s = o->s;
	const struct profile_proc *proc = &w->p->procs[s->proc];
	uint32_t i, n;

	buf_reset(&w->ids);
	for (i = 0; i < s->n_frames; i += n) {
		for (n = 1; i + n < s->n_frames && frame_at(w->p, s->first_frame + i + n - 1)->inlined;)
			n++;
		pb_add_varint(&w->ids, location_id(w, s->first_frame + i, n));
	}
	if (*stack_mark(w->p, s, &w->mark))
		pb_add_varint(&w->ids, mark_id(w));
	pb_add_buf(&w->message, SAMPLE_LOCATION, &w->ids);
	buf_reset(&w->ids);
	add_value(w, o->t.alloc_blocks);
	add_value(w, o->t.alloc_bytes);
	add_value(w, o->live_blocks);
	add_value(w, o->live_bytes);
	pb_add_buf(&w->message, SAMPLE_VALUE, &w->ids);
	add_label(w, "process", string_id(w, proc->comm), 0);
	add_label(w, "pid", 0, (uint64_t)proc->tgid);
	add_thread(w, s);
	put(w, PROFILE_SAMPLE);
}

static void add_line(struct writer *w, uint64_t function, uint64_t line)
{
	struct buf b = BUF_INIT;

	pb_add_uint(&b, LINE_FUNCTION, function);
	pb_add_uint(&b, LINE_LINE, line);
	pb_add_buf(&w->message, LOCATION_LINE, &b);
	buf_release(&b);
}

static void put_location(struct writer *w, uint64_t id, const struct location *l)
{
	uint32_t i;

	pb_add_uint(&w->message, LOCATION_ID, id);
	pb_add_uint(&w->message, LOCATION_MAPPING, l->mapping);
	if (l->n)
		pb_add_uint(&w->message, LOCATION_ADDRESS, frame_at(w->p, l->at + l->n - 1)->vaddr);
	else
		add_line(w, add_function(w, 0, 0, intern_str(&w->strings, l->at)), 0);
	for (i = 0; i < l->n; i++) {
		const struct profile_frame *f = frame_at(w->p, l->at + i);

		add_line(w, function_id(w, f), f->line);
	}
	put(w, PROFILE_LOCATION);
}

static void put_function(struct writer *w, uint64_t id, const struct function *f)
{
	uint64_t name = f->note ? text_id(w, f->note) : string_id(w, f->name);

	if (!name)
		name = text_id(w, "[unknown]");
	pb_add_uint(&w->message, FUNCTION_ID, id);
	pb_add_uint(&w->message, FUNCTION_NAME, name);
	pb_add_uint(&w->message, FUNCTION_SYSTEM_NAME, name);
	pb_add_uint(&w->message, FUNCTION_FILENAME, f->note ? 0 : string_id(w, f->file));
	put(w, PROFILE_FUNCTION);
}

static void put_mapping(struct writer *w, uint64_t id, const struct mapping *m)
{
	pb_add_uint(&w->message, MAPPING_ID, id);
	pb_add_uint(&w->message, MAPPING_LIMIT, m->is_named ? NAMED_RANGE : 0);
	pb_add_uint(&w->message, MAPPING_FILENAME, string_id(w, m->module));
	pb_add_uint(&w->message, MAPPING_BUILD_ID, string_id(w, m->build_id));
	/* all four, or tools would look for what is missing by addresses that are not there */
	pb_add_uint(&w->message, MAPPING_HAS_FUNCTIONS, m->is_named);
	pb_add_uint(&w->message, MAPPING_HAS_FILENAMES, m->is_named);
	pb_add_uint(&w->message, MAPPING_HAS_LINES, m->is_named);
	pb_add_uint(&w->message, MAPPING_HAS_INLINED, m->is_named);
	put(w, PROFILE_MAPPING);
}

/* ---- the profile ---- */

static void put_samples(struct writer *w, const struct stack_order *order)
{
	size_t i;

	put_value_type(w, PROFILE_SAMPLE_TYPE, "alloc_objects", "count");
	put_value_type(w, PROFILE_SAMPLE_TYPE, "alloc_space", "bytes");
	put_value_type(w, PROFILE_SAMPLE_TYPE, "inuse_objects", "count");
	put_value_type(w, PROFILE_SAMPLE_TYPE, "inuse_space", "bytes");
	for (i = 0; i < order->n; i++)
		put_sample(w, &order->v[i]);
}

static void put_tables(struct writer *w)
{
	size_t i;

	for (i = 0; i < w->n_mappings; i++)
		put_mapping(w, i + 1, &w->mappings[i]);
	for (i = 0; i < w->n_locations; i++)
		put_location(w, i + 1, &w->locations[i]);
	for (i = 0; i < w->n_functions; i++)
		put_function(w, i + 1, &w->functions[i]);
}

/* Field 13 of the profile, packed: the ids of the comments' strings. */
static void add_comments(struct writer *w, const struct stack_order *order)
{
	struct buf text = BUF_INIT;
	char *line, *end;

	origin_add_lines(&text, w->p, order->n_hidden, order->hidden_bytes);
	buf_reset(&w->ids);
	for (line = text.data; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		pb_add_varint(&w->ids, text_id(w, line));
	}
	pb_add_buf(&w->message, PROFILE_COMMENT, &w->ids);
	buf_release(&text);
}

static void put_end(struct writer *w, const struct stack_order *order, enum profile_metric metric)
{
	static const char *const types[METRIC_NR] = {
		[METRIC_LIVE_BYTES] = "inuse_space",
		[METRIC_LIVE_BLOCKS] = "inuse_objects",
		[METRIC_ALLOC_BYTES] = "alloc_space",
		[METRIC_ALLOC_BLOCKS] = "alloc_objects",
		[METRIC_RSS_BYTES] = "inuse_space", /* of the view that profile_metric_view makes */
		[METRIC_PEAK_BYTES] = "inuse_space",
	};
	const struct profile_watch *watch = &w->p->watch;
	struct buf rest = BUF_INIT;
	size_t i;

	add_comments(w, order);
	pb_add_uint(&w->message, PROFILE_TIME_NANOS, w->p->wall_time_ns);
	pb_add_uint(&w->message, PROFILE_PERIOD, watch->rung == RUNG_SAMPLED ? watch->interval_bytes : 1);
	pb_add_uint(&w->message, PROFILE_DEFAULT_SAMPLE_TYPE, text_id(w, types[metric]));
	buf_add(&rest, w->message.data, w->message.len);
	buf_reset(&w->message);
	put_value_type(w, PROFILE_PERIOD_TYPE, "space", "bytes");
	for (i = 0; i < w->strings.n; i++) {
		const char *text = intern_str(&w->strings, (uint32_t)i);

		buf_add(&w->message, text, strlen(text));
		put(w, PROFILE_STRING);
	}
	gzip_add(&w->gz, rest.data, rest.len);
	buf_release(&rest);
}

void render_pprof(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct writer w = { .p = p, .message = BUF_INIT, .part = BUF_INIT, .ids = BUF_INIT, .mark = BUF_INIT };
	struct stack_order order;

	stack_order_make(&order, p, o);
	w.string_of = xcalloc(p->strings.n, sizeof(*w.string_of));
	intern_id(&w.strings, ""); /* string 0 is empty */
	gzip_begin(&w.gz, out);
	choose_program(&w, &order);
	put_samples(&w, &order);
	put_tables(&w);
	put_end(&w, &order, o->metric);
	gzip_end(&w.gz);
	stack_order_release(&order);
	intern_release(&w.strings);
	table_release(&w.location_ids);
	table_release(&w.mark_ids);
	table_release(&w.function_ids);
	free(w.string_of);
	free(w.locations);
	free(w.mappings);
	free(w.functions);
	buf_release(&w.message);
	buf_release(&w.part);
	buf_release(&w.ids);
	buf_release(&w.mark);
}
