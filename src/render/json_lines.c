/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * JSON lines: everything that the profile knows, for programs. One object a line; doc/json-lines.md
 * is the description, and a test holds the two together.
 *
 *	{"type":"header","v":1,"memprobe":"0.1.0",...}
 *	{"type":"process","gen":7,"pid":4242,"comm":"gatewayd",...}
 *	{"type":"frame","id":0,"name":"main","module":"gatewayd",...}
 *	{"type":"stack","gen":7,"live_bytes":43632000,...,"frames":[0,4,9]}
 *	{"type":"loss","name":"blocks_full","events":5,"bytes":4096,...}
 *	{"type":"summary","stacks":1,"live_bytes":43632000,...}
 *
 * A frame has its line before the first stack with it, and stacks name frames by number: the text of
 * 100 000 stacks would be 200 MB, their numbers are 30. Fields of no value are left out, but never
 * a figure that is 0. A later version may add fields and types of lines; "v" counts changes of meaning. Pure.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/version.h"
#include "base/xalloc.h"
#include "render/formats.h"
#include "render/json_text.h"
#include "render/machine_text.h"
#include "render/origin.h"
#include "render/report_internal.h"
#include "render/stack_order.h"
#include "render/watch_text.h"

#define SCHEMA_VERSION 1

static void begin(struct buf *out, const char *type)
{
	buf_adds(out, "{\"type\":");
	json_add_string(out, type);
}

static void end(struct buf *out)
{
	buf_adds(out, "}\n");
}

static void add_figures(struct buf *out, const struct ordered_stack *s)
{
	json_add_uint(out, "live_bytes", s->live_bytes);
	json_add_uint(out, "live_blocks", s->live_blocks);
	json_add_uint(out, "alloc_bytes", s->t.alloc_bytes);
	json_add_uint(out, "alloc_blocks", s->t.alloc_blocks);
}

/* Nothing where the rss plane saw nothing, no peak was looked for, and no runtime tells of its heap. */
static void add_touched(struct buf *out, const struct ordered_stack *s)
{
	if (s->touched_bytes)
		json_add_uint(out, "rss_bytes", s->touched_bytes);
	if (s->touched_file_bytes)
		json_add_uint(out, "rss_file_bytes", s->touched_file_bytes);
	if (s->given_back_bytes)
		json_add_uint(out, "rss_given_back_bytes", s->given_back_bytes);
	if (s->untouched_bytes)
		json_add_uint(out, "untouched_bytes", s->untouched_bytes);
	if (s->resident_bytes)
		json_add_uint(out, "resident_bytes", s->resident_bytes);
	if (s->peak_bytes)
		json_add_uint(out, "peak_bytes", s->peak_bytes);
	if (s->bump_bytes) {
		json_add_uint(out, "runtime_alloc_bytes", s->bump_bytes);
		json_add_uint(out, "runtime_alloc_bytes_sd", (uint64_t)(sqrt((double)s->bump_var * MP_VAR_UNIT) + 0.5));
	}
}

/* Who touched the memory of its live blocks first: most of it, and how much. */
static void add_toucher(struct buf *out, const struct profile *p, const struct ordered_stack *o)
{
	uint32_t at = o->toucher ? profile_find_stack(p, o->toucher) : UINT32_MAX;

	if (at == UINT32_MAX)
		return;
	json_add_text(out, "touched_by", own_frame_name(p, &p->stacks[at]));
	json_add_uint(out, "touched_by_bytes", o->toucher_bytes);
}

/* First touches of a process, and what gave memory back. */
static void add_rss(struct buf *out, const struct profile *p, const struct profile_rss *r)
{
	int i;

	buf_adds(out, ",\"rss\":{\"touched_bytes\":");
	json_add_number(out, r->touched_bytes);
	json_add_uint(out, "touched_file_bytes", r->touched_file_bytes);
	json_add_uint(out, "read_back_bytes", r->read_back_bytes);
	json_add_uint(out, "released_file_bytes", r->released_file_bytes);
	buf_adds(out, ",\"released\":{\"bytes\":");
	json_add_number(out, rss_released_bytes(r));
	for (i = 0; i < MP_RSS_RELEASES; i++)
		if (r->released_bytes[i])
			json_add_uint(out, rss_release_name((enum mp_rss_release)i), r->released_bytes[i]);
	buf_addc(out, '}');
	if (p->gaps.unseen_ns)
		json_add_bool(out, "incomplete", true);
	buf_addc(out, '}');
}

/* Standard deviations of the bytes; nothing where they are exact. */
static void add_deviations(struct buf *out, const struct profile_totals *t)
{
	double live = totals_deviation(t, METRIC_LIVE_BYTES), alloc = totals_deviation(t, METRIC_ALLOC_BYTES);

	if (live <= 0 && alloc <= 0)
		return;
	json_add_uint(out, "live_bytes_sd", (uint64_t)(live + 0.5));
	json_add_uint(out, "alloc_bytes_sd", (uint64_t)(alloc + 0.5));
}

/* ---- the run ---- */

static void add_header(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct buf text = BUF_INIT;

	begin(out, "header");
	json_add_uint(out, "v", SCHEMA_VERSION);
	json_add_text(out, "memprobe", MEMPROBE_VERSION);
	json_add_some_text(out, "command", profile_str(p, p->command_line));
	json_add_some_text(out, "host", profile_str(p, p->host));
	json_add_some_text(out, "kernel", profile_str(p, p->kernel));
	origin_add_time(&text, p);
	json_add_text(out, "time", text.data);
	json_add_uint(out, "window_ms", p->window_ns / NS_PER_MS);
	json_add_bool(out, "final", p->final);
	json_add_text(out, "metric", metric_name(o->metric));
	json_add_text(out, "trust", origin_trust(p));
	buf_reset(&text);
	watch_add_how(&text, p);
	json_add_text(out, "how", text.data);
	json_add_text(out, "rung", rung_name(p->watch.rung));
	if (p->watch.rung == RUNG_SAMPLED)
		json_add_uint(out, "interval_bytes", p->watch.interval_bytes);
	json_add_some_text(out, "probes", profile_str(p, p->cost.attach_kind));
	json_add_some_text(out, "unwinder", profile_str(p, p->cost.unwinder));
	if (p->cost.system_call_ns)
		json_add_uint(out, "system_call_ns", p->cost.system_call_ns);
	end(out);
	buf_release(&text);
}

static void add_gaps(struct buf *out, const struct profile_gaps *g)
{
	if (!g->are_there)
		return;
	begin(out, "unwatched");
	json_add_text(out, "what", "first_touches");
	json_add_uint(out, "begin_ms", g->begin_ns / NS_PER_MS);
	json_add_uint(out, "unseen_ms", g->unseen_ns / NS_PER_MS);
	json_add_uint(out, "unplaced_ms", g->unplaced_ns / NS_PER_MS);
	json_add_uint(out, "others_faults_per_s", others_rate(g->rate));
	json_add_uint(out, "others_fault_ns", others_fault_ns(TOUCHES_BY_PAGE));
	end(out);
}

static void add_steps_and_marks(struct buf *out, const struct profile *p)
{
	size_t i;

	for (i = 0; i < p->watch.n_steps; i++) {
		const struct profile_step *s = &p->watch.steps[i];

		begin(out, "step");
		json_add_uint(out, "time_ms", s->time_ns / NS_PER_MS);
		json_add_text(out, "from", rung_name(s->from));
		json_add_text(out, "to", rung_name(s->to));
		if (s->to == RUNG_SAMPLED)
			json_add_uint(out, "interval_bytes", s->interval_bytes);
		end(out);
	}
	for (i = 0; i < p->n_marks; i++) {
		begin(out, "mark");
		json_add_uint(out, "time_ms", p->marks[i].time_ns / NS_PER_MS);
		json_add_uint(out, "live_bytes", p->marks[i].live_bytes);
		json_add_uint(out, "live_blocks", p->marks[i].live_blocks);
		end(out);
	}
}

/* What was born between marks and lives. */
static void add_survivors(struct buf *out, const struct profile *p)
{
	size_t i;

	for (i = 0; i < p->lifetimes.n_survivors; i++) {
		const struct survivor_row *v = &p->lifetimes.survivors[i];

		begin(out, "survivors");
		if (v->stack != LIFETIMES_REST)
			buf_addf(out, ",\"id\":\"%016llx\"", (unsigned long long)p->stacks[v->stack].id);
		if (v->interval <= p->n_marks) {
			json_add_uint(out, "from_ms", v->interval ? p->marks[v->interval - 1].time_ns / NS_PER_MS : 0);
			json_add_uint(out, "to_ms", (v->interval < p->n_marks ? p->marks[v->interval].time_ns : p->window_ns) / NS_PER_MS);
		}
		json_add_uint(out, "live_bytes", v->bytes);
		json_add_uint(out, "live_blocks", v->blocks);
		json_add_uint(out, "made_bytes", v->made_bytes);
		json_add_uint(out, "made_blocks", v->made_blocks);
		end(out);
	}
}

static void add_lifetimes(struct buf *out, const struct profile *p, const struct profile_stack *s)
{
	const struct lifetimes *l = &p->lifetimes;
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (&p->stacks[l->rows[i].stack] != s)
			continue;
		json_add_uint(out, "half_ms", l->rows[i].half_ms);
		json_add_uint(out, "nine_tenths_ms", l->rows[i].nine_tenths_ms);
		if (!l->rows[i].recent_blocks)
			return;
		json_add_uint(out, "recent_ms", l->recent_ms);
		json_add_uint(out, "recent_blocks", l->rows[i].recent_blocks);
		json_add_uint(out, "recent_alive_blocks", l->rows[i].recent_alive);
		return;
	}
}

static void add_losses(struct buf *out, const struct profile *p)
{
	int i;

	for (i = 0; i < MP_LOSS_NR; i++) {
		if (!p->losses[i].events)
			continue;
		begin(out, "loss");
		json_add_text(out, "name", loss_name((enum mp_loss)i));
		json_add_uint(out, "events", p->losses[i].events);
		json_add_uint(out, "bytes", p->losses[i].bytes);
		json_add_text(out, "text", loss_text((enum mp_loss)i));
		end(out);
	}
}

/* ---- processes ---- */

static void add_facts(struct buf *out, const struct profile *p, const char *key, const struct profile_facts *f)
{
	buf_addf(out, ",\"%s\":{\"rss_bytes\":", key);
	json_add_number(out, f->rss_bytes);
	json_add_uint(out, "rss_anon_bytes", f->rss_anon_bytes);
	json_add_uint(out, "rss_file_bytes", f->rss_file_bytes);
	json_add_uint(out, "rss_shmem_bytes", f->rss_shmem_bytes);
	json_add_uint(out, "swap_bytes", f->swap_bytes);
	if (f->lazy_free_bytes)
		json_add_uint(out, "lazy_free_bytes", f->lazy_free_bytes);
	if (f->limit_bytes && f->limit_bytes != UINT64_MAX) {
		json_add_uint(out, "limit_bytes", f->limit_bytes);
		json_add_uint(out, "limit_used_bytes", f->limit_used_bytes);
		json_add_some_text(out, "limit_name", profile_str(p, f->limit_name));
		json_add_limit(out, f);
	}
	json_add_uint(out, "oom_kills", f->oom_kills);
	json_add_uint(out, "threads", f->n_threads);
	json_add_uint(out, "up_ms", f->start_age_ns / NS_PER_MS);
	json_add_uint(out, "cpu_ms", f->cpu_ns / NS_PER_MS);
	buf_addc(out, '}');
}

/* What has outlived full collections in ever greater number. */
static void add_steady(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	const struct class_rise *r = &proc->steady.rise;

	if (!r->objects)
		return;
	json_add_text(out, "steady_class", profile_str(p, proc->steady.type));
	json_add_uint(out, r->unit_bytes ? "steady_bytes" : "steady_objects", r->objects * (r->unit_bytes ? r->unit_bytes : 1));
	json_add_uint(out, "steady_collections", r->full);
	buf_addf(out, ",\"steady_rate\":%.0f", r->rate);
}

/* What came in the window, outlived full collections, and stays. */
static void add_staying(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	const struct class_stay *s = &proc->staying.stay;

	if (!s->born)
		return;
	json_add_text(out, "staying_class", profile_str(p, proc->staying.type));
	json_add_uint(out, "staying_objects", s->born);
	json_add_uint(out, "staying_early", s->early);
	json_add_uint(out, "staying_early_alive", s->alive);
	json_add_uint(out, "staying_collections", s->full);
	buf_addf(out, ",\"staying_rate\":%.0f", s->rate);
}

/* Classes that have grown: ,"grown_classes":["Journal::Record"],"grown_objects":[1200] */
static void add_grown(struct buf *out, const struct profile *p, const struct profile_proc *proc)
{
	size_t i;

	if (!proc->grown[0].objects)
		return;
	buf_adds(out, ",\"grown_classes\":[");
	for (i = 0; i < PROFILE_GROWN && proc->grown[i].objects; i++) {
		buf_adds(out, i ? "," : "");
		json_add_string(out, profile_str(p, proc->grown[i].type));
	}
	buf_adds(out, "],\"grown_objects\":[");
	for (i = 0; i < PROFILE_GROWN && proc->grown[i].objects; i++) {
		buf_adds(out, i ? "," : "");
		json_add_number(out, proc->grown[i].objects);
	}
	buf_addc(out, ']');
}

static void add_managed_heap(struct buf *out, const struct profile *p, const struct profile_managed_heap *h)
{
	if (!*profile_str(p, h->name))
		return;
	json_add_text(out, "managed_heap", profile_str(p, h->name));
	json_add_uint(out, "managed_heap_used_bytes", h->used_bytes);
	json_add_uint(out, "managed_heap_committed_bytes", h->committed_bytes);
	json_add_uint(out, "managed_heap_most_bytes", h->most_bytes);
	json_add_uint(out, "managed_heap_resident_bytes", h->now_bytes);
	json_add_uint(out, "managed_heap_kept_bytes", h->kept_bytes);
	json_add_uint(out, "managed_heap_kept_then_bytes", h->kept_then_bytes);
	json_add_uint(out, "young_collections", h->young);
}

static void add_sharing(struct buf *out, const struct sharing *s)
{
	if (!s->is_there[1])
		return;
	json_add_uint(out, "private_bytes", s->private_bytes[1]);
	json_add_uint(out, "shared_bytes", s->shared_bytes[1]);
	json_add_uint(out, "pss_bytes", s->pss_bytes[1]);
	json_add_uint(out, "private_then_bytes", s->private_bytes[0]);
	json_add_uint(out, "shared_then_bytes", s->shared_bytes[0]);
}

static void add_process(struct buf *out, const struct profile *p, const struct profile_proc *proc,
			const struct ordered_stack *sum)
{
	static const char *const states[] = { [PROC_RUNNING] = "running", [PROC_EXITED] = "exited", [PROC_EXECED] = "execed",
					      [PROC_DROPPED] = "dropped" };

	begin(out, "process");
	json_add_uint(out, "gen", proc->gen);
	json_add_uint(out, "pid", (uint64_t)proc->tgid);
	json_add_text(out, "comm", profile_str(p, proc->comm));
	json_add_some_text(out, "runtime", profile_str(p, proc->runtime));
	json_add_some_text(out, "runtime_reason", profile_str(p, proc->runtime_reason));
	json_add_some_text(out, "runtime_heap_reason", profile_str(p, proc->runtime_heap_reason));
	json_add_some_text(out, "runtime_hint", profile_str(p, proc->runtime_hint));
	if (proc->has_collections)
		json_add_uint(out, "collections", proc->collections);
	if (proc->all_collections)
		json_add_uint(out, "all_collections", proc->all_collections);
	add_grown(out, p, proc);
	add_steady(out, p, proc);
	add_staying(out, p, proc);
	add_managed_heap(out, p, &proc->managed_heap);
	add_sharing(out, &proc->sharing);
	if (proc->parent < p->n_procs)
		json_add_uint(out, "parent_gen", p->procs[proc->parent].gen);
	json_add_text(out, "state", states[proc->state]);
	json_add_uint(out, "begin_ms", proc->begin_ns / NS_PER_MS);
	if (proc->state != PROC_RUNNING)
		json_add_uint(out, "end_ms", proc->end_ns / NS_PER_MS);
	add_figures(out, sum);
	json_add_uint(out, "old_free_bytes", proc->old.old_free_bytes);
	json_add_uint(out, "old_free_blocks", proc->old.old_free_blocks);
	json_add_uint(out, "old_free_unsized", proc->old.old_free_unsized);
	json_add_uint(out, "failed_calls", proc->old.failed_calls);
	if (proc->old.refused_maps)
		json_add_uint(out, "refused_mappings", proc->old.refused_maps);
	if (proc->death.oom_killed)
		json_add_uint(out, "oom_killed_at_ns", proc->death.time_ns);
	if (proc->correction.scale > 0)
		buf_addf(out, ",\"heap_scale\":%.4g", proc->correction.scale);
	if (proc->correction.taken_bytes)
		json_add_uint(out, "taken_off_bytes", proc->correction.taken_bytes);
	json_add_uint(out, "lost_bytes", proc->old.lost_bytes);
	json_add_uint(out, "lost_blocks", proc->old.lost_blocks);
	if (p->planes & PLANE_RSS && !p->rss_missing)
		add_rss(out, p, &proc->rss);
	add_facts(out, p, "at_attach", &proc->at_attach);
	add_facts(out, p, "now", &proc->now);
	end(out);
}

static void add_processes(struct buf *out, const struct profile *p, const struct stack_order *order)
{
	struct ordered_stack *sums = xcalloc(p->n_procs, sizeof(*sums));
	size_t i;

	for (i = 0; i < order->n; i++)
		ordered_stack_add(&sums[order->v[i].s->proc], &order->v[i]);
	for (i = 0; i < p->n_procs; i++)
		add_process(out, p, &p->procs[order->procs[i]], &sums[order->procs[i]]);
	free(sums);
}

/* ---- stacks ---- */

static const char *class_text(enum frame_class class)
{
	static const char *const texts[] = {
		[FRAME_APP] = "app",	     [FRAME_LIBC] = "libc",	[FRAME_ALLOCATOR] = "allocator",
		[FRAME_CXX] = "cxx",	     [FRAME_RUNTIME] = "runtime", [FRAME_KERNEL] = "kernel",
		[FRAME_UNKNOWN] = "unknown", [FRAME_NOTE] = "note",
	};

	return texts[class];
}

static void add_frame(struct buf *out, const struct profile *p, const struct profile_frame *f, uint32_t id)
{
	const char *name = profile_str(p, f->name);

	begin(out, "frame");
	json_add_uint(out, "id", id);
	json_add_text(out, "name", *name ? name : "[unknown]");
	json_add_some_text(out, "module", profile_str(p, f->module));
	json_add_some_text(out, "build_id", profile_str(p, f->build_id));
	if (f->vaddr)
		json_add_uint(out, "vaddr", f->vaddr);
	json_add_some_text(out, "file", profile_str(p, f->file));
	if (f->line)
		json_add_uint(out, "line", f->line);
	if (f->inlined)
		json_add_bool(out, "inlined", true);
	if (f->is_managed)
		json_add_bool(out, "managed", true);
	json_add_text(out, "kind", class_text(f->class));
	end(out);
}

static void add_stack(struct buf *out, const struct profile *p, const struct ordered_stack *o,
		      const uint32_t *numbers)
{
	const struct profile_stack *s = o->s;
	uint64_t live = totals_live_blocks(&o->t), window_ms = p->window_ns / NS_PER_MS, birth_ms;
	struct buf mark = BUF_INIT;
	uint32_t i;

	begin(out, "stack");
	buf_addf(out, ",\"id\":\"%016llx\"", (unsigned long long)o->id);
	json_add_uint(out, "gen", p->procs[s->proc].gen);
	json_add_uint(out, "pid", (uint64_t)p->procs[s->proc].tgid);
	add_figures(out, o);
	add_deviations(out, &o->t);
	add_touched(out, o);
	add_toucher(out, p, o);
	if (s->plane == STACK_VM) {
		json_add_text(out, "plane", "vm");
		json_add_uint(out, "reserved_bytes", o->reserved_bytes);
	}
	if (live) {
		birth_ms = o->t.birth_sum_ms / live;
		json_add_uint(out, "age_ms", window_ms > birth_ms ? window_ms - birth_ms : 0);
	}
	if (s->is_outside_language)
		json_add_bool(out, "outside_language", true);
	add_lifetimes(out, p, s);
	if (p->has_verdict) {
		json_add_uint(out, "early_blocks", s->early_blocks);
		json_add_uint(out, "early_alive_blocks", s->early_alive);
		json_add_uint(out, "replaced_bytes", s->old_bytes);
	}
	json_add_some_text(out, "cut", stack_mark(p, s, &mark));
	buf_release(&mark);
	json_add_text(out, "where", own_frame_name(p, s));
	buf_adds(out, ",\"frames\":[");
	for (i = s->n_frames; i-- > 0;) {
		json_add_number(out, numbers[p->stack_frames[s->first_frame + i]] - 1);
		if (i)
			buf_addc(out, ',');
	}
	buf_addc(out, ']');
	end(out);
}

static void add_stacks(struct buf *out, const struct profile *p, const struct stack_order *order, const struct render_opts *o)
{
	uint32_t *numbers = xcalloc(p->n_frames, sizeof(*numbers)), n = 0, k; /* number + 1; 0: none yet */
	size_t i;

	for (i = 0; i < order->n; i++) {
		const struct profile_stack *s = order->v[i].s;

		for (k = s->n_frames; k-- > 0;) {
			uint32_t frame = p->stack_frames[s->first_frame + k];

			if (numbers[frame])
				continue;
			add_frame(out, p, &p->frames[frame], n);
			numbers[frame] = ++n;
		}
		add_stack(out, p, &order->v[i], numbers);
		render_drain(o, out);
	}
	free(numbers);
}

/* ---- the end ---- */

static void add_summary(struct buf *out, const struct profile *p, const struct stack_order *order)
{
	uint64_t by_end[MP_END_NR] = { 0 }, blocks = blocks_by_end(p, by_end), rss = 0;
	const struct profile_cost *c = &p->cost;
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (!p->procs[i].begin_ns) /* not those that began later */
			rss += p->procs[i].at_attach.rss_bytes;
	begin(out, "summary");
	json_add_uint(out, "processes", p->n_procs);
	json_add_uint(out, "stacks", order->n);
	add_figures(out, &order->sum);
	add_deviations(out, &order->sum.t);
	if (p->peak.live_bytes) {
		json_add_uint(out, "peak_ms", p->peak.time_ns / NS_PER_MS);
		json_add_uint(out, "peak_bytes", p->peak.live_bytes);
		json_add_uint(out, "peak_blocks", p->peak.live_blocks);
	}
	json_add_uint(out, "left_out_stacks", order->n_hidden);
	json_add_uint(out, "left_out_bytes", order->hidden_bytes);
	json_add_uint(out, "lost_events", profile_lost_events(p));
	json_add_uint(out, "complete_stack_blocks", by_end[MP_END_COMPLETE]);
	json_add_uint(out, "all_stack_blocks", blocks);
	json_add_uint(out, "rss_before_attach_bytes", rss);
	json_add_uint(out, "allocator_calls", c->probe_hits);
	if (p->watch.share > 0)
		buf_addf(out, ",\"probes_share\":%.4f", p->watch.share);
	json_add_uint(out, "own_cpu_ms", c->own_cpu_ns / NS_PER_MS);
	json_add_uint(out, "kernel_memory_bytes", c->kernel_memory_bytes);
	json_add_uint(out, "user_memory_bytes", c->user_memory_bytes);
	end(out);
}

void render_json_lines(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct stack_order order;

	stack_order_make_all(&order, p, o);
	add_header(out, p, o);
	add_gaps(out, &p->gaps);
	add_steps_and_marks(out, p);
	add_survivors(out, p);
	add_processes(out, p, &order);
	json_add_bridges(out, p);
	json_add_objects(out, p);
	add_stacks(out, p, &order, o);
	add_losses(out, p);
	json_add_verdict(out, p);
	json_add_machine(out, p);
	add_summary(out, p, &order);
	stack_order_release(&order);
}
