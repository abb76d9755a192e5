/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Profiles built by hand; see profiles.h. */
#include "tests/golden/profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

static uint32_t frame(struct profile *p, const char *name, const char *module, enum frame_class class)
{
	struct profile_frame f = { .name = profile_string(p, name), .module = profile_string(p, module),
				   .class = class };

	return profile_frame(p, &f);
}

/* One stack: blank-free names, innermost first, NULL ends; the first is malloc. */
struct profile_stack *make_stack(struct profile *p, uint64_t id, uint32_t gen, enum mp_stack_end end,
				   const char *const *names)
{
	uint32_t frames[64], n = 0;

	frames[n++] = frame(p, "malloc", "libc.so.6", FRAME_ALLOCATOR);
	for (; *names; names++)
		frames[n++] = frame(p, *names, "app", strncmp(*names, "std::", 5) ? FRAME_APP : FRAME_CXX);
	n = profile_add_stack(p, id, profile_proc(p, gen), frames, n, end); /* may move the array */
	return &p->stacks[n];
}

void make_totals(struct profile_stack *s, uint64_t bytes, uint64_t blocks, uint64_t freed_bytes,
		uint64_t freed_blocks)
{
	s->t = (struct profile_totals){ bytes + freed_bytes, blocks + freed_blocks, freed_bytes, freed_blocks,
					blocks * 10000, 0, 0 };
	s->live_bytes = bytes;
	s->live_blocks = blocks;
}

struct profile_proc *make_process(struct profile *p, uint32_t gen, int32_t pid, const char *comm)
{
	uint32_t at = profile_proc(p, gen); /* may move the array */
	struct profile_proc *proc = &p->procs[at];

	proc->tgid = pid;
	proc->comm = profile_string(p, comm);
	proc->at_attach = (struct profile_facts){ .rss_bytes = 50 * MIB, .n_threads = 4 };
	proc->now = (struct profile_facts){ .rss_bytes = 90 * MIB, .n_threads = 4, .start_age_ns = 3900 * NS_PER_S,
					    .limit_bytes = 8 * GIB, .oom_kills = 2,
					    .limit_name = profile_string(p, "gateway.service") };
	return proc;
}

void make_common(struct profile *p)
{
	profile_init(p);
	p->window_ns = 30 * NS_PER_S;
	p->wall_time_ns = 1795230761ULL * NS_PER_S;
	p->final = true;
	p->cost = (struct profile_cost){
		.probe_hits = 1140000, .own_cpu_ns = 1200 * NS_PER_MS, .kernel_memory_bytes = 29 * MIB,
		.user_memory_bytes = 23 * MIB, .max_memory_bytes = 256 * MIB, .n_probes = 9, .n_processes = 1,
		.attach_kind = profile_string(p, "uprobe session"),
		.unwinder = profile_string(p, "unwind tables"),
	};
}

/* Sums as a real one; the odd bytes are lost by rounding, and must not be lost in print. */
static void make_bridge(struct profile *p)
{
	static const int64_t then[BRIDGE_N_MEASURED] = { 40 * 1048576, 0, 4300000, 0, 0, 2000000, 0, 70000, 400000,
							  6 * 1048576, 0 };
	static const int64_t now[BRIDGE_N_MEASURED] = { 39 * 1048576, 43632000, 4400000, 0, 0, 2000000, 500000, 70000,
							 430000, 6 * 1048576, 0 };
	struct bridge *b = &p->bridges[p->n_bridges++];
	struct profile_facts *f = &p->procs[0].now;

	*b = (struct bridge){ .proc = 0, .heap = BRIDGE_HEAP_GLIBC, .has_attach = true, .has_now = true, .n_arenas = 6,
			      .trim_bytes = 300000, .untouched_bytes = 100000, .n_sizes = 2, .other_sizes = 40,
			      .other_bytes = 3000000, .largest_other_bytes = 70000, .before_blocks = 20100,
			      .before_bytes = 39 * 1048576, .site_stack = 1, .site_chunk_bytes = 2016,
			      .site_blocks = 2820000, .attach_unread = 0.004, .unread = 0.012 };
	memcpy(b->at_attach, then, sizeof(then));
	memcpy(b->now, now, sizeof(now));
	b->at_attach[BRIDGE_RSS] = 59000000;
	b->now[BRIDGE_RSS] = 98500000;
	b->sizes[0] = (struct bridge_size){ 2016, 18000, 17640, profile_string(p, "Session"), 0, 0 };
	b->sizes[1] = (struct bridge_size){ 1008, 1500, 0, 0, 0, 0 };
	bridge_finish(b->at_attach);
	bridge_finish(b->now);
	f->limit_kind = LIMIT_GROUP_MAX;
	f->limit_end = LIMIT_ENDS_KILLED;
	f->limit_used_bytes = 6 * GIB;
	f->limit_swap_bytes = 512 * MIB;
	f->limit_slowed_bytes = 7 * GIB;
}

void make_growing(struct profile *p)
{
	static const char *const insert[] = { "std::allocator<Session>::allocate(unsigned long)",
					      "SessionCache::insert(std::string const&, Session)",
					      "Gateway::on_accept()", "EventLoop::run()", "main", NULL };
	static const char *const parse[] = { "Json::parse(char const*)", "Handler::post(Request;Reply)", "main", NULL };
	static const char *const cut[] = { "decode\n\x1b[31m", NULL };

	make_common(p);
	make_process(p, 7, 4242, "gate way;d")->old = (struct mp_proc_totals){
		.old_free_blocks = 12, .old_free_bytes = 300 * KIB, .failed_calls = 3 };
	make_totals(make_stack(p, 1, 7, MP_END_COMPLETE, insert), 43632000, 21816, 0, 0);
	make_totals(make_stack(p, 2, 7, MP_END_COMPLETE, parse), 1153434, 3204, 999999999, 1000000);
	make_totals(make_stack(p, 3, 7, MP_END_NO_INFO, cut), 128, 1, 0, 0);
	make_bridge(p);
}

void make_empty(struct profile *p)
{
	make_common(p);
	make_process(p, 7, 4242, "idle");
}

/* A process with a managed runtime; one of its stacks has a line of the language. */
static void make_managed(struct profile *p, struct profile_proc *proc)
{
	struct profile_frame line = { .name = profile_string(p, "Journal#append"), .class = FRAME_APP, .line = 14,
				      .module = profile_string(p, ""), .build_id = profile_string(p, ""),
				      .file = profile_string(p, "lib/journal.rb"), .is_managed = true };
	uint32_t frames[] = { frame(p, "malloc", "libc.so.6", FRAME_ALLOCATOR),
			      frame(p, "rb_ary_push", "libruby.so", FRAME_RUNTIME), profile_frame(p, &line),
			      frame(p, "vm_exec", "libruby.so", FRAME_RUNTIME) };
	uint32_t at;

	proc->runtime = profile_string(p, "Ruby 3.1.2");
	proc->runtime_reason = profile_string(p, "methods in C have no line");
	proc->runtime_hint = profile_string(p, "by class: memprobe census -p 12");
	proc->runtime_has_frames = true;
	proc->has_collections = true;
	proc->collections = 7;
	proc->all_collections = 1234;
	at = profile_add_stack(p, 99, (uint32_t)(proc - p->procs), frames, 4, MP_END_COMPLETE);
	make_totals(&p->stacks[at], 77000, 7, 0, 0);
	at = profile_add_stack(p, 98, (uint32_t)(proc - p->procs), frames, 1, MP_END_COMPLETE);
	make_totals(&p->stacks[at], 500, 1, 0, 0);
	p->stacks[at].is_outside_language = true;
}

void make_many(struct profile *p)
{
	const char *names[3] = { NULL, "main", NULL };
	char name[64];
	uint64_t i;

	make_common(p);
	make_process(p, 1, 10, "first");
	make_process(p, 2, 11, "second")->state = PROC_EXITED;
	make_process(p, 3, 12, "third")->old.lost_blocks = 5;
	p->procs[2].old.lost_bytes = 4096;
	make_managed(p, &p->procs[2]);
	p->losses[MP_LOSS_BLOCKS_FULL] = (struct profile_loss){ 5, 4096 };
	p->bridges[p->n_bridges++] = (struct bridge){ .proc = 1, .has_now = true, .is_estimate = true,
						      .allocator = profile_string(p, "jemalloc"),
						      .reason = profile_string(p, "no heap of glibc's"),
						      .managed = profile_string(p, "Java heap") };
	p->bridges[0].sizes[p->bridges[0].n_sizes++] = (struct bridge_size){ 912, 4000, 0, 0, 1, 350 };
	p->bridges[0].now[BRIDGE_MANAGED] = 30 * MIB;
	p->bridges[0].now[BRIDGE_RSS] = 32 * MIB;
	bridge_finish(p->bridges[0].now);
	p->procs[1].managed_heap = (struct profile_managed_heap){ .name = p->bridges[0].managed, .used_bytes = 25 * MIB,
								  .committed_bytes = 30 * MIB, .most_bytes = 90 * MIB };
	for (i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "ns::Type<int, %llu>::method(int) const", (unsigned long long)i);
		names[0] = name;
		make_totals(make_stack(p, 100 + i, 1 + (uint32_t)(i % 3), MP_END_COMPLETE, names), (i + 1) * 100000, i + 1, 50, 1);
	}
}

static uint32_t rich_frame(struct profile *p, const char *name, const char *module, const char *file, uint32_t line,
			   bool inlined)
{
	static const char *const ids[] = { "gatewayd", "5c0ffee1", "libc.so.6", "c0dec0de", "libvendor.so", "0ddba11" };
	struct profile_frame f = { .name = profile_string(p, name), .module = profile_string(p, module),
				   .file = profile_string(p, file), .line = line, .inlined = inlined };
	size_t i;

	for (i = 0; i < 6; i += 2)
		if (!strcmp(ids[i], module))
			f.build_id = profile_string(p, ids[i + 1]);
	f.class = !strcmp(module, "libc.so.6") ? FRAME_ALLOCATOR : FRAME_APP;
	f.is_managed = !strcmp(name, "main") && line == 9;
	if (*name == '[') {
		f.class = *module ? FRAME_UNKNOWN : FRAME_NOTE;
		f.vaddr = *module ? 0x12f0 : 0;
	}
	return profile_frame(p, &f);
}

static void add_rich_stacks(struct profile *p)
{
	uint32_t call[] = { rich_frame(p, "malloc", "libc.so.6", "", 0, false),
			    rich_frame(p, "std::vector<int>::push_back(int const&)", "gatewayd", "vector.h", 1201, true),
			    rich_frame(p, "Batch::add", "gatewayd", "batch.cc", 17, true),
			    rich_frame(p, "Batch::load", "gatewayd", "batch.cc", 40, false),
			    rich_frame(p, "main", "gatewayd", "main.cc", 5, false) };
	uint32_t other_line = rich_frame(p, "main", "gatewayd", "main.cc", 9, false);
	uint32_t vendor = rich_frame(p, "[libvendor.so+0x12f0]", "libvendor.so", "", 0, false);
	uint32_t named_vendor = rich_frame(p, "vendor_start", "libvendor.so", "", 0, false);
	uint32_t note = rich_frame(p, "[frames left out]", "", "", 0, false);
	uint32_t one[] = { call[0], vendor, named_vendor }, two[] = { call[0], note, other_line };
	uint32_t at[6], i;

	at[0] = profile_add_stack(p, 90, 0, call, 5, MP_END_COMPLETE);
	at[1] = profile_add_stack(p, 10, 0, call, 5, MP_END_COMPLETE); /* reads as the one before */
	at[2] = profile_add_stack(p, 30, 1, call, 5, MP_END_COMPLETE);
	at[3] = profile_add_stack(p, 40, 1, one, 3, MP_END_NO_INFO);
	at[4] = profile_add_stack(p, 50, 0, two, 3, MP_END_COMPLETE);
	at[5] = profile_add_stack(p, 60, 0, call + 1, 3, MP_END_COMPLETE); /* of size 0, and ends inlined */
	for (i = 0; i < 6; i++)
		make_totals(&p->stacks[at[i]], i < 5 ? 1009 * (i + 1) : 0, i + 1, 13 * i, i);
	for (i = 0; i < 2; i++) {
		p->stacks[at[i]].t.alloc_var = 700;
		p->stacks[at[i]].t.free_var = 100;
	}
}

/* Rows that add up: 1500 - 500 available; 100 more than at first. */
static void make_machine(struct profile *p)
{
	struct machine *m = &p->machine;
	struct machine_memory first = { .total_bytes = 1500 * MIB, .available_bytes = 600 * MIB, .slab_cache_bytes = 30 * MIB,
					.oom_kills = 3, .stall_10s = 0 };

	m->is_there = true;
	m->window_s = 30;
	m->first = m->now = first;
	m->now.available_bytes = 500 * MIB;
	m->now.stall_10s = 0.11;
	m->used.word = TREND_GROWING;
	m->rate = m->low = m->high = 3.5e6;
	m->full_s = 150;
	m->full_low_s = 140;
	m->full_high_s = 160;
	m->n_processes = 190;
	m->n_came = 7;
	m->n_went = 5;
	m->n_probed = 1;
	m->cpu_share = 0.004;
	m->rows[m->n_rows++] = (struct machine_row){ .kind = MACHINE_TREE, .pid = 4242, .name = profile_string(p, "puma"),
		.group = profile_string(p, "pod web-5c1"), .n_procs = 9, .seen = SEEN_HEAP_SAMPLED, .bytes = 700 * MIB,
		.growth_bytes = 90 * MIB, .rate = 3e6, .low = 2.9e6, .high = 3.1e6, .full_s = 100, .age_s = 7000,
		.word = TREND_GROWING, .worker_pid = 4243, .worker_growth = 45 * MIB, .worker_private = 80 * MIB,
		.probed_pid = 4243, .fault_rate = 3.5 * MIB };
	m->rows[m->n_rows++] = (struct machine_row){ .kind = MACHINE_OTHERS, .n_procs = 181, .bytes = 100 * MIB, .full_s = -1,
						     .seen = SEEN_FAULTS, .fault_rate = 13.0 * MIB };
	m->rows[m->n_rows++] = (struct machine_row){ .kind = MACHINE_KERNEL, .bytes = 150 * MIB, .growth_bytes = 12 * MIB,
						     .full_s = -1, .word = TREND_FLAT };
	m->rows[m->n_rows++] = (struct machine_row){ .kind = MACHINE_SHMEM, .bytes = 60 * MIB, .full_s = -1 };
	m->rows[m->n_rows++] = (struct machine_row){ .kind = MACHINE_UNEXPLAINED, .bytes = -10 * (int64_t)MIB,
						     .growth_bytes = -2 * (int64_t)MIB, .full_s = -1 };
	m->rows[m->n_rows++] = (struct machine_row){ .kind = MACHINE_USED, .bytes = 1000 * MIB, .growth_bytes = 100 * MIB,
						     .full_s = -1, .word = TREND_GROWING };
	m->groups[m->n_groups++] = (struct machine_group){ .name = profile_string(p, "pod web-5c1"), .limit_bytes = GIB,
		.used_bytes = 724 * MIB, .oom_kills = 3, .growth_bytes = 90 * MIB, .new_kills = 1, .full_s = 100,
		.full_low_s = 97, .full_high_s = 103, .kills_group = true };
	m->groups[m->n_groups++] = (struct machine_group){ .name = profile_string(p, "cron.service"),
		.limit_bytes = UINT64_MAX, .used_bytes = 30 * MIB, .growth_bytes = 2 * MIB, .full_s = -1, .full_low_s = -1,
		.full_high_s = -1 };
}

/* What the other planes and a command have seen. */
static void add_rich_planes(struct profile *p)
{
	struct profile_stack *s = &p->stacks[profile_find_stack(p, 30)];

	s->touched_bytes = 8192;
	s->touched_file_bytes = 4096;
	s->untouched_bytes = 100;
	s->given_back_bytes = 2048;
	s->resident_bytes = 700;
	s->toucher = 50;
	s->toucher_bytes = 600;
	s->peak_bytes = 900;
	s->peak_blocks = 3;
	s->bump_bytes = 3 << 20;
	s->bump_draws = 12;
	s->bump_var = 3ull << 30;
	p->procs[0].managed_heap = (struct profile_managed_heap){
		.name = profile_string(p, "Java heap"), .used_bytes = 5000, .committed_bytes = 6000, .most_bytes = 7000, .young = 4,
		.kept_then_bytes = 3000, .kept_bytes = 4500,
	};
	p->planes |= PLANE_RSS;
	p->procs[0].now.lazy_free_bytes = 12288;
	p->procs[0].rss = (struct profile_rss){
		.touched_bytes = 81920, .touched_file_bytes = 4096, .read_back_bytes = 16384, .released_file_bytes = 40960,
		.released_bytes = { 1024, 2048, 3072, 4096, 5120, 6144, 7168, 8192 },
	};
	p->peak = (struct profile_peak){ .time_ns = 7500 * NS_PER_MS, .live_bytes = 900, .live_blocks = 3 };
	s = &p->stacks[profile_find_stack(p, 50)];
	s->plane = STACK_VM;
	s->reserved_bytes = 65536;
}

/* Erlang processes at two looks, and a place whose binaries they hold. */
static void make_holders(struct profile *p)
{
	const uint32_t worker = profile_string(p, "feed:worker/2"), logger = profile_string(p, "logger");
	const struct holder before[] = { { .id = 90, .name = worker, .heap_bytes = 4000 } };
	const struct holder now[] = { { .id = 90, .name = worker, .heap_bytes = 4000, .old_heap_bytes = 700, .binaries = 2,
					.binary_bytes = 300000 },
				      { .id = 5ULL << HOLDER_NUMBER_BITS | 40091, .name = worker, .heap_bytes = 3000 },
				      { .id = 40, .name = logger, .heap_bytes = 20000 } };

	holders_join(&p->holders, before, 1, now, 3);
	p->holders.proc = 1;
	p->holders.sites[p->holders.n_sites++] = (struct holder_site){ .stack = 2, .bytes = 450000, .blocks = 3, .held_bytes = 300000,
								       .held_blocks = 2, .holders = 1, .old_holders = 1,
								       .half_age_ms = 41000 };
}

void make_rich(struct profile *p)
{
	make_common(p);
	p->host = profile_string(p, "app-17");
	p->kernel = profile_string(p, "6.1.0-25-amd64");
	p->command_line = profile_string(p, "memprobe -p 4242 -o 'a b.jsonl'");
	make_process(p, 7, 4242, "gatewayd");
	make_process(p, 8, 4243, "gate \"worker\"")->state = PROC_EXITED;
	p->procs[0].runtime = profile_string(p, "V8 11.3.244");
	p->procs[0].runtime_heap_reason = profile_string(p, "Cannot allocate memory");
	p->procs[1].runtime = profile_string(p, "CPython 3.11.2");
	p->procs[1].runtime_reason = profile_string(p, "a build of another layout");
	p->procs[1].grown[0] = (struct profile_grown){ .type = profile_string(p, "Shop::Order"), .objects = 1200, .now = 4000 };
	p->procs[1].grown[1] = (struct profile_grown){ .type = profile_string(p, "dict"), .objects = 90, .now = 95 };
	p->procs[1].steady = (struct profile_steady){ .type = profile_string(p, "Shop::Order"),
						      .rise = { .objects = 1150, .full = 9, .looks = 7, .until_s = 19.5,
								.rate = 20480.4, .low = 18000, .high = 23000, .ratio = 1.04 } };
	p->procs[1].staying = (struct profile_staying){ .type = profile_string(p, "dict"),
						       .stay = { .born = 900, .early = 440, .alive = 437, .full = 8,
								 .rate = 9000.2, .ratio = 1.2 } };
	p->procs[1].sharing = (struct sharing){ { true, true }, { 100, 5000000 }, { 9000000, 4000000 }, { 3000000, 6000000 } };
	p->procs[1].correction = (struct profile_correction){ 1.25, 3 * MIB };
	p->procs[1].parent = 0;
	p->procs[1].begin_ns = 2 * NS_PER_S;
	p->procs[1].end_ns = 21 * NS_PER_S;
	p->procs[1].old.refused_maps = 3;
	p->procs[1].death = (struct profile_death){ .oom_killed = true, .time_ns = 20 * NS_PER_S, .anon_bytes = 700, .refusals = 1,
						    .refused_bytes = 4096, .refused_type = profile_string(p, "[binary]"),
						    .since_ns = 5 * NS_PER_S, .grown_bytes = 500, .wall_time_ns = 77 * NS_PER_S,
						    .site = { 30, 10 }, .site_bytes = { 400, 100 } };
	p->losses[MP_LOSS_BLOCKS_FULL] = (struct profile_loss){ 5, 4096 };
	p->losses[MP_LOSS_LOST_RETURN] = (struct profile_loss){ 1, 0 };
	p->watch.rung = RUNG_SAMPLED;
	p->watch.interval_bytes = 8192;
	p->watch.share = 0.0625;
	p->watch.work = 0.8;
	p->has_verdict = true;
	p->verdict = (struct verdict){ .word = TREND_LEVELS_OFF, .by_heap = true, .rate = 71512.4, .low = -20, .high = 140000,
				       .level = 5e6, .seconds = 42.5, .ratio = 0.3, .uptime_s = 3900, .site_share = 0.75,
				       .why = WHY_COHORT | WHY_HISTORY | WHY_CLASSES | WHY_OBJECTS, .by_classes = true,
				       .but = BUT_YOUNG,
				       .need_s = 300 };
	p->watch.budget = 0.1;
	p->watch.cpu_before = p->watch.delay_before = -1;
	p->watch.steps[p->watch.n_steps++] = (struct profile_step){
		.time_ns = 3200 * NS_PER_MS, .from = RUNG_EXACT, .to = RUNG_SAMPLED, .interval_bytes = 8192, .share = 0.31 };
	p->marks[p->n_marks++] = (struct profile_mark){ 12 * NS_PER_S, 4000, 4 };
	p->gaps = (struct profile_gaps){ .are_there = true, .now = TOUCHES_BY_STACK, .begin_ns = 12 * NS_PER_S,
					 .until_ns = 29 * NS_PER_S, .unseen_ns = 5 * NS_PER_S, .unplaced_ns = 17 * NS_PER_S,
					 .rate = 480000 };
	make_machine(p);
	p->cost.system_call_ns = 142;
	add_rich_stacks(p);
	add_rich_planes(p);
	p->lifetimes.recent_ms = 1250;
	p->lifetimes.rows[p->lifetimes.n++] = (struct lifetime_row){ .stack = 2, .half_ms = 9000, .nine_tenths_ms = 27000,
								     .recent_blocks = 40, .recent_alive = 1 };
	p->lifetimes.survivors[p->lifetimes.n_survivors++] = (struct survivor_row){ 2, 0, 300, 3, 900, 9 };
	p->lifetimes.survivors[p->lifetimes.n_survivors++] = (struct survivor_row){ 2, 2, 100, 1, 0, 0 };
	p->lifetimes.survivors[p->lifetimes.n_survivors++] = (struct survivor_row){ LIFETIMES_REST, 1, 60, 1, 70, 2 };
	make_holders(p);
	p->objects.is_there = true;
	p->objects.n_probes = 1;
	objects_add(&p->objects, &(struct object_row){ .proc = 1, .type = profile_string(p, "Shop::Order"),
						       .file = profile_string(p, "lib/shop.rb"), .line = 14, .births = 1200 });
	objects_add(&p->objects, &(struct object_row){ .proc = 1, .births = 1300 });
}

/*
 * A line of test_flamegraph --read: `PROCESS-PID;FRAME;...;FRAME BYTES BLOCKS`, root first. A frame may
 * end in `|MODULE`. The first frame below the process may be a stack's end: [truncated: too deep].
 */
void make_read_stack(struct profile *p, char *line, uint64_t id)
{
	char *blocks = strrchr(line, ' '), *bytes, *word, *rest, *bar;
	uint32_t frames[4096], n = 0, i, proc, t;
	enum mp_stack_end end = MP_END_COMPLETE;

	*blocks = '\0';
	bytes = strrchr(line, ' ');
	*bytes = '\0';
	word = strtok_r(line, ";", &rest);
	bar = strrchr(word, '-');
	*bar = '\0';
	proc = profile_proc(p, (uint32_t)atoi(bar + 1));
	p->procs[proc].tgid = atoi(bar + 1);
	p->procs[proc].comm = profile_string(p, word);
	while ((word = strtok_r(NULL, ";", &rest)) && n < 4096) {
		if (!n && !strcmp(word, stack_end_text(MP_END_DEPTH))) {
			end = MP_END_DEPTH;
			continue;
		}
		bar = strchr(word, '|');
		if (bar)
			*bar = '\0';
		frames[n++] = frame(p, word, bar ? bar + 1 : "app", FRAME_APP);
	}
	for (i = 0; i < n / 2; i++) {
		t = frames[i];
		frames[i] = frames[n - 1 - i];
		frames[n - 1 - i] = t;
	}
	i = profile_add_stack(p, id, proc, frames, n, end);
	make_totals(&p->stacks[i], strtoull(bytes + 1, NULL, 10), strtoull(blocks + 1, NULL, 10), 0, 0);
}

void make_large(struct profile *p, uint32_t n)
{
	static uint32_t names[3000];
	uint32_t frames[64], i, k, depth;
	uint64_t h;
	char name[160];

	make_common(p);
	make_process(p, 7, 4242, "large");
	for (i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name),
			 "app::subsystem_%u::Component<std::basic_string<char>, %u>::handle_%u(Request const&, int) const",
			 i % 40, i, i % 7);
		names[i] = frame(p, name, i % 3 ? "app" : "libapp.so.1", FRAME_APP);
	}
	for (i = 0; i < n; i++) {
		depth = 16 + (uint32_t)(hash_u64(i) % 17);
		h = 0;
		for (k = 0; k < depth; k++) {
			h = hash_u64(h * 31 + 1 + (hash_u64((uint64_t)i << 8 | k) % 100 < 60 ? 0 : hash_u64(i * 7 + k) % 8));
			frames[depth - 1 - k] = names[h % 3000];
		}
		k = profile_add_stack(p, i + 1, 0, frames, depth, MP_END_COMPLETE);
		h = hash_u64(i + 99);
		make_totals(&p->stacks[k], 16 + h % (1ULL << (h >> 8) % 16), 1 + h % 9, 0, 0);
	}
}
