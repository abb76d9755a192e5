/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which fields of the profile a recording holds, in which order: a new field is a row at the end of its table,
 * and the size in the assertion below it (which is there so that nobody forgets). A row is never removed nor
 * moved: a reader goes by the number. Pure.
 */
#include <math.h>
#include <string.h>

#include "model/codec_internal.h"

#define ROW(type, member, row_kind, less) \
	{ .offset = offsetof(type, member), .size = sizeof(((type *)0)->member), .kind = row_kind, .below = less }
#define TABLE(type, rows) { rows, sizeof(rows) / sizeof(rows[0]), sizeof(type) }
#define IS_AS_LISTED(type, size) _Static_assert(sizeof(type) == (size), #type ": a new field needs a row above")

#define FRAME(member, kind, less) ROW(struct profile_frame, member, kind, less)

static const struct codec_field frame_rows[] = {
	FRAME(name, FIELD_STRING, 0), FRAME(module, FIELD_STRING, 0), FRAME(file, FIELD_STRING, 0),
	FRAME(line, FIELD_NUMBER, 0), FRAME(class, FIELD_ENUM, FRAME_NOTE + 1),
	FRAME(build_id, FIELD_STRING, 0), FRAME(inlined, FIELD_ENUM, 2),  FRAME(vaddr, FIELD_NUMBER, 0),
	FRAME(is_managed, FIELD_ENUM, 2),
};

const struct codec_table codec_frames = TABLE(struct profile_frame, frame_rows);
IS_AS_LISTED(struct profile_frame, 40);

#define PROC(member, kind, less) ROW(struct profile_proc, member, kind, less)
#define FACTS(when)                                                                                               \
	PROC(when.rss_bytes, FIELD_BYTES, 0), PROC(when.rss_anon_bytes, FIELD_BYTES, 0),                          \
	PROC(when.rss_file_bytes, FIELD_BYTES, 0), PROC(when.rss_shmem_bytes, FIELD_BYTES, 0),                    \
	PROC(when.swap_bytes, FIELD_BYTES, 0), PROC(when.limit_bytes, FIELD_NUMBER, 0),                           \
	PROC(when.limit_used_bytes, FIELD_NUMBER, 0), PROC(when.limit_name, FIELD_STRING, 0),                     \
	PROC(when.oom_kills, FIELD_NUMBER, 0), PROC(when.n_threads, FIELD_NUMBER, 0),                             \
	PROC(when.start_age_ns, FIELD_NUMBER, 0), PROC(when.cpu_ns, FIELD_NUMBER, 0)

#define LIMIT_FACTS(when)                                                                                         \
	PROC(when.limit_swap_bytes, FIELD_NUMBER, 0), PROC(when.limit_slowed_bytes, FIELD_NUMBER, 0),             \
	PROC(when.limit_kind, FIELD_ENUM, LIMIT_KIND_NR), PROC(when.limit_end, FIELD_ENUM, LIMIT_END_NR)

#define RELEASED(i) PROC(rss.released_bytes[i], FIELD_BYTES, 0)

#define SHARING(i)                                                                                                \
	PROC(sharing.is_there[i], FIELD_ENUM, 2), PROC(sharing.private_bytes[i], FIELD_BYTES, 0),                 \
	PROC(sharing.shared_bytes[i], FIELD_BYTES, 0), PROC(sharing.pss_bytes[i], FIELD_BYTES, 0)
#define GROWN(i)                                                                                                  \
	PROC(grown[i].type, FIELD_STRING, 0), PROC(grown[i].objects, FIELD_NUMBER, 0), PROC(grown[i].now, FIELD_NUMBER, 0)
#define DEATH_SITE(i) PROC(death.site[i], FIELD_NUMBER, 0), PROC(death.site_bytes[i], FIELD_BYTES, 0)

/* size: table */
static const struct codec_field proc_rows[] = {
	PROC(gen, FIELD_NUMBER, 0),
	PROC(tgid, FIELD_NUMBER, 0),
	PROC(comm, FIELD_STRING, 0),
	PROC(parent, FIELD_PROC, 0),
	PROC(state, FIELD_ENUM, PROC_DROPPED + 1),
	PROC(begin_ns, FIELD_NUMBER, 0),
	PROC(end_ns, FIELD_NUMBER, 0),
	PROC(old.old_free_blocks, FIELD_BYTES, 0),
	PROC(old.old_free_bytes, FIELD_BYTES, 0),
	PROC(old.old_free_unsized, FIELD_BYTES, 0),
	PROC(old.failed_calls, FIELD_NUMBER, 0),
	PROC(old.lost_bytes, FIELD_BYTES, 0),
	PROC(old.lost_blocks, FIELD_BYTES, 0),
	PROC(old.spent_ns, FIELD_NUMBER, 0),
	PROC(old.alloc_calls, FIELD_NUMBER, 0),
	PROC(old.free_calls, FIELD_NUMBER, 0),
	PROC(old.capped_bytes, FIELD_NUMBER, 0),
	FACTS(at_attach),
	FACTS(now),
	PROC(ns_tgid, FIELD_NUMBER, 0),
	LIMIT_FACTS(at_attach),
	LIMIT_FACTS(now),
	PROC(runtime, FIELD_STRING, 0),
	PROC(runtime_reason, FIELD_STRING, 0),
	PROC(at_attach.lazy_free_bytes, FIELD_NUMBER, 0), PROC(now.lazy_free_bytes, FIELD_NUMBER, 0),
	PROC(rss.touched_bytes, FIELD_BYTES, 0), PROC(rss.touched_file_bytes, FIELD_BYTES, 0),
	PROC(rss.read_back_bytes, FIELD_BYTES, 0), PROC(rss.released_file_bytes, FIELD_BYTES, 0),
	RELEASED(0), RELEASED(1), RELEASED(2), RELEASED(3), RELEASED(4), RELEASED(5), RELEASED(6), RELEASED(7),
	PROC(runtime_hint, FIELD_STRING, 0),
	PROC(runtime_has_frames, FIELD_ENUM, 2),
	PROC(has_collections, FIELD_ENUM, 2),
	PROC(collections, FIELD_NUMBER, 0),
	PROC(old.refused_maps, FIELD_NUMBER, 0),
	PROC(death.oom_killed, FIELD_ENUM, 2), PROC(death.time_ns, FIELD_NUMBER, 0), PROC(death.wall_time_ns, FIELD_NUMBER, 0),
	PROC(death.anon_bytes, FIELD_BYTES, 0), PROC(death.refusals, FIELD_NUMBER, 0), PROC(death.refused_bytes, FIELD_NUMBER, 0),
	PROC(death.refused_type, FIELD_STRING, 0), PROC(death.since_ns, FIELD_NUMBER, 0), PROC(death.grown_bytes, FIELD_BYTES, 0),
	DEATH_SITE(0), DEATH_SITE(1), DEATH_SITE(2),
	GROWN(0), GROWN(1), GROWN(2),
	PROC(managed_heap.name, FIELD_STRING, 0), PROC(managed_heap.used_bytes, FIELD_NUMBER, 0),
	PROC(managed_heap.committed_bytes, FIELD_NUMBER, 0), PROC(managed_heap.most_bytes, FIELD_NUMBER, 0),
	PROC(managed_heap.young, FIELD_NUMBER, 0), PROC(managed_heap.then_bytes, FIELD_NUMBER, 0),
	PROC(managed_heap.now_bytes, FIELD_NUMBER, 0),
	SHARING(0), SHARING(1),
	PROC(all_collections, FIELD_NUMBER, 0),
	PROC(steady.type, FIELD_STRING, 0), PROC(steady.rise.objects, FIELD_NUMBER, 0), PROC(steady.rise.full, FIELD_NUMBER, 0),
	PROC(steady.rise.looks, FIELD_NUMBER, 0), PROC(steady.rise.until_s, FIELD_FLOAT, 0),
	PROC(steady.rise.rate, FIELD_FLOAT, 0), PROC(steady.rise.low, FIELD_FLOAT, 0), PROC(steady.rise.high, FIELD_FLOAT, 0),
	PROC(steady.rise.ratio, FIELD_FLOAT, 0),
	PROC(runtime_heap_reason, FIELD_STRING, 0),
	PROC(staying.type, FIELD_STRING, 0), PROC(staying.stay.born, FIELD_NUMBER, 0), PROC(staying.stay.early, FIELD_NUMBER, 0),
	PROC(staying.stay.alive, FIELD_NUMBER, 0), PROC(staying.stay.full, FIELD_NUMBER, 0), PROC(staying.stay.rate, FIELD_FLOAT, 0),
	PROC(staying.stay.ratio, FIELD_FLOAT, 0),
	PROC(managed_heap.kept_then_bytes, FIELD_NUMBER, 0), PROC(managed_heap.kept_bytes, FIELD_NUMBER, 0),
	PROC(steady.rise.unit_bytes, FIELD_NUMBER, 0),
	PROC(old.own_heap_bytes, FIELD_BYTES, 0),
	PROC(managed_heap.told, FIELD_NUMBER, 0),
	PROC(correction.scale, FIELD_FLOAT, 0), PROC(correction.taken_bytes, FIELD_BYTES, 0),
};

const struct codec_table codec_procs = TABLE(struct profile_proc, proc_rows);
IS_AS_LISTED(struct mp_proc_totals, 96);
IS_AS_LISTED(struct profile_death, 64 + 16 * DEATH_SITES + 8);
IS_AS_LISTED(struct profile_facts, 128);
IS_AS_LISTED(struct profile_rss, 32 + 8 * MP_RSS_RELEASES);
_Static_assert(MP_RSS_RELEASES == 8, "a kind of release needs a row above");
IS_AS_LISTED(struct profile_managed_heap, 72);
IS_AS_LISTED(struct sharing, 56);
IS_AS_LISTED(struct profile_steady, 80);
IS_AS_LISTED(struct profile_staying, 64);
IS_AS_LISTED(struct profile_proc, 456 + sizeof(struct profile_steady) + sizeof(struct profile_staying) + sizeof(struct profile_rss) +
				       sizeof(struct profile_death) + sizeof(struct profile_managed_heap) + PROFILE_GROWN * 24 + sizeof(struct sharing));

#define FIGURE(member, kind) ROW(struct profile_stack, member, kind, 0)

static const struct codec_field figure_rows[] = {
	FIGURE(t.alloc_bytes, FIELD_BYTES),   FIGURE(t.alloc_blocks, FIELD_BYTES),
	FIGURE(t.free_bytes, FIELD_BYTES),    FIGURE(t.free_blocks, FIELD_BYTES),
	FIGURE(t.birth_sum_ms, FIELD_NUMBER), FIGURE(t.alloc_var, FIELD_NUMBER),
	FIGURE(t.free_var, FIELD_NUMBER),     FIGURE(live_bytes, FIELD_NUMBER),
	FIGURE(live_blocks, FIELD_NUMBER),
	FIGURE(early_blocks, FIELD_BYTES),    FIGURE(early_alive, FIELD_BYTES),
	FIGURE(old_bytes, FIELD_BYTES),	      FIGURE(old_blocks, FIELD_BYTES),
	FIGURE(grew_in, FIELD_NUMBER),
	FIGURE(touched_bytes, FIELD_BYTES),   FIGURE(touched_file_bytes, FIELD_BYTES),
	FIGURE(untouched_bytes, FIELD_BYTES),
	ROW(struct profile_stack, plane, FIELD_ENUM, STACK_PLANE_NR),
	FIGURE(reserved_bytes, FIELD_BYTES),
	FIGURE(peak_bytes, FIELD_BYTES),      FIGURE(peak_blocks, FIELD_BYTES),
	FIGURE(given_back_bytes, FIELD_BYTES), FIGURE(resident_bytes, FIELD_BYTES),
	FIGURE(toucher, FIELD_NUMBER),	      FIGURE(toucher_bytes, FIELD_BYTES),
	FIGURE(bump_bytes, FIELD_BYTES),      FIGURE(bump_draws, FIELD_BYTES),
	FIGURE(bump_var, FIELD_NUMBER),
	ROW(struct profile_stack, is_outside_language, FIELD_ENUM, 2),
};

const struct codec_table codec_figures = TABLE(struct profile_stack, figure_rows);
IS_AS_LISTED(struct profile_totals, 56);
IS_AS_LISTED(struct profile_stack, 256); /* the rest of it is in STKS */

#define FACT(member, kind, less) ROW(struct profile, member, kind, less)

#define MACHINE_MEMORY(when)                                                                                      \
	FACT(when.total_bytes, FIELD_NUMBER, 0), FACT(when.available_bytes, FIELD_NUMBER, 0),                     \
	FACT(when.swap_total_bytes, FIELD_NUMBER, 0), FACT(when.swap_free_bytes, FIELD_NUMBER, 0),                \
	FACT(when.shmem_bytes, FIELD_NUMBER, 0), FACT(when.slab_bytes, FIELD_NUMBER, 0),                          \
	FACT(when.slab_cache_bytes, FIELD_NUMBER, 0), FACT(when.page_table_bytes, FIELD_NUMBER, 0),               \
	FACT(when.stack_bytes, FIELD_NUMBER, 0), FACT(when.other_kernel_bytes, FIELD_NUMBER, 0),                  \
	FACT(when.hugetlb_bytes, FIELD_NUMBER, 0), FACT(when.kept_free_bytes, FIELD_NUMBER, 0),                   \
	FACT(when.oom_kills, FIELD_NUMBER, 0), FACT(when.stall_10s, FIELD_FLOAT, 0)

/* size: table */
static const struct codec_field fact_rows[] = {
	FACT(host, FIELD_STRING, 0),
	FACT(kernel, FIELD_STRING, 0),
	FACT(command_line, FIELD_STRING, 0),
	FACT(cost.probe_hits, FIELD_NUMBER, 0),
	FACT(cost.own_cpu_ns, FIELD_NUMBER, 0),
	FACT(cost.kernel_memory_bytes, FIELD_NUMBER, 0),
	FACT(cost.user_memory_bytes, FIELD_NUMBER, 0),
	FACT(cost.max_memory_bytes, FIELD_NUMBER, 0),
	FACT(cost.n_probes, FIELD_NUMBER, 0),
	FACT(cost.n_processes, FIELD_NUMBER, 0),
	FACT(cost.attach_kind, FIELD_STRING, 0),
	FACT(cost.unwinder, FIELD_STRING, 0),
	FACT(watch.rung, FIELD_ENUM, RUNG_NR),
	FACT(watch.interval_bytes, FIELD_NUMBER, 0),
	FACT(watch.is_fixed, FIELD_ENUM, 2),
	FACT(watch.budget, FIELD_FLOAT, 0),
	FACT(watch.share, FIELD_FLOAT, 0),
	FACT(watch.open_share, FIELD_FLOAT, 0),
	FACT(watch.cpu_before, FIELD_FLOAT, 0),
	FACT(watch.cpu_armed, FIELD_FLOAT, 0),
	FACT(watch.delay_before, FIELD_FLOAT, 0),
	FACT(watch.delay_armed, FIELD_FLOAT, 0),
	FACT(watch.slowdown, FIELD_FLOAT, 0),
	FACT(watch.work, FIELD_FLOAT, 0),
	FACT(watch.least_share, FIELD_FLOAT, 0),
	FACT(has_verdict, FIELD_ENUM, 2),
	FACT(verdict.word, FIELD_ENUM, TREND_LEAK + 1),
	FACT(verdict.doubt, FIELD_ENUM, DOUBT_HIDDEN + 1),
	FACT(verdict.is_strong, FIELD_ENUM, 2),
	FACT(verdict.by_heap, FIELD_ENUM, 2),
	FACT(verdict.rate, FIELD_FLOAT, 0),
	FACT(verdict.low, FIELD_FLOAT, 0),
	FACT(verdict.high, FIELD_FLOAT, 0),
	FACT(verdict.level, FIELD_FLOAT, 0),
	FACT(verdict.seconds, FIELD_FLOAT, 0),
	FACT(verdict.ratio, FIELD_FLOAT, 0),
	FACT(verdict.uptime_s, FIELD_FLOAT, 0),
	FACT(verdict.site_share, FIELD_FLOAT, 0),
	FACT(verdict.history_bytes, FIELD_FLOAT, 0),
	FACT(verdict.why, FIELD_NUMBER, 0),
	FACT(verdict.but, FIELD_NUMBER, 0),
	FACT(planes, FIELD_NUMBER, 0),
	FACT(machine.is_there, FIELD_ENUM, 2),
	FACT(machine.window_s, FIELD_FLOAT, 0),
	FACT(machine.rate, FIELD_FLOAT, 0),
	FACT(machine.low, FIELD_FLOAT, 0),
	FACT(machine.high, FIELD_FLOAT, 0),
	FACT(machine.full_s, FIELD_FLOAT, 0),
	FACT(machine.full_low_s, FIELD_FLOAT, 0),
	FACT(machine.full_high_s, FIELD_FLOAT, 0),
	FACT(machine.used.word, FIELD_ENUM, TREND_LEAK + 1),
	FACT(machine.used.doubt, FIELD_ENUM, DOUBT_HIDDEN + 1),
	FACT(machine.n_processes, FIELD_NUMBER, 0),
	FACT(machine.n_came, FIELD_NUMBER, 0),
	FACT(machine.n_went, FIELD_NUMBER, 0),
	FACT(machine.n_probed, FIELD_NUMBER, 0),
	FACT(machine.cpu_share, FIELD_FLOAT, 0),
	MACHINE_MEMORY(machine.first),
	MACHINE_MEMORY(machine.now),
	FACT(rss_missing, FIELD_STRING, 0),
	FACT(untouched_estimated, FIELD_ENUM, 2),
	FACT(rss_every, FIELD_NUMBER, 0),
	FACT(verdict.need_s, FIELD_FLOAT, 0),
	FACT(lifetimes.recent_ms, FIELD_NUMBER, 0),
	FACT(blind.site_rate, FIELD_FLOAT, 0),
	FACT(blind.memory_rate, FIELD_FLOAT, 0),
	FACT(peak.time_ns, FIELD_NUMBER, 0), FACT(peak.live_bytes, FIELD_BYTES, 0), FACT(peak.live_blocks, FIELD_BYTES, 0),
	FACT(holders.is_there, FIELD_ENUM, 2), FACT(holders.has_first, FIELD_ENUM, 2), FACT(holders.proc, FIELD_NUMBER, 0),
	FACT(watch.too_much, FIELD_FLOAT, 0),
	FACT(watch.taken, FIELD_FLOAT, 0),
	FACT(objects.is_there, FIELD_ENUM, 2), FACT(objects.n_probes, FIELD_NUMBER, 0), FACT(objects.births, FIELD_BYTES, 0),
	FACT(objects.kinds, FIELD_NUMBER, 0), FACT(objects.is_share, FIELD_ENUM, 2),
	FACT(gaps.are_there, FIELD_ENUM, 2), FACT(gaps.now, FIELD_ENUM, TOUCHES_NR), FACT(gaps.begin_ns, FIELD_NUMBER, 0),
	FACT(gaps.until_ns, FIELD_NUMBER, 0), FACT(gaps.unseen_ns, FIELD_NUMBER, 0), FACT(gaps.unplaced_ns, FIELD_NUMBER, 0),
	FACT(gaps.rate, FIELD_FLOAT, 0),
	FACT(verdict.by_classes, FIELD_ENUM, 2),
	FACT(cost.system_call_ns, FIELD_NUMBER, 0),
};

const struct codec_table codec_facts = TABLE(struct profile, fact_rows);
IS_AS_LISTED(struct profile_cost, 64);
IS_AS_LISTED(struct profile_gaps, 48);

#define STEP(member, kind, less) ROW(struct profile_step, member, kind, less)

static const struct codec_field step_rows[] = {
	STEP(time_ns, FIELD_NUMBER, 0),	   STEP(from, FIELD_ENUM, RUNG_NR),
	STEP(to, FIELD_ENUM, RUNG_NR),	   STEP(interval_bytes, FIELD_NUMBER, 0),
	STEP(share, FIELD_FLOAT, 0),
};

const struct codec_table codec_steps = TABLE(struct profile_step, step_rows);
IS_AS_LISTED(struct profile_step, 32);
IS_AS_LISTED(struct profile_watch, 120 + LADDER_MAX_CHANGES * sizeof(struct profile_step));

#define MARK(member, kind) ROW(struct profile_mark, member, kind, 0)

static const struct codec_field mark_rows[] = {
	MARK(time_ns, FIELD_NUMBER),
	MARK(live_bytes, FIELD_BYTES),
	MARK(live_blocks, FIELD_BYTES),
};

const struct codec_table codec_marks = TABLE(struct profile_mark, mark_rows);
IS_AS_LISTED(struct profile_mark, 24);

#define BRIDGE(member, kind, less) ROW(struct bridge, member, kind, less)
#define BRIDGE_ROW(i) BRIDGE(at_attach[i], FIELD_NUMBER, 0), BRIDGE(now[i], FIELD_NUMBER, 0)
#define BRIDGE_SIZE(i)                                                                                            \
	BRIDGE(sizes[i].chunk_bytes, FIELD_NUMBER, 0), BRIDGE(sizes[i].blocks, FIELD_NUMBER, 0),                  \
	BRIDGE(sizes[i].type_blocks, FIELD_NUMBER, 0), BRIDGE(sizes[i].type, FIELD_STRING, 0)
#define BRIDGE_SIZE_THEN(i) \
	BRIDGE(sizes[i].knows_attach, FIELD_ENUM, 2), BRIDGE(sizes[i].attach_blocks, FIELD_NUMBER, 0)

static const struct codec_field bridge_rows[] = {
	BRIDGE(proc, FIELD_PROC, 0),
	BRIDGE(reason, FIELD_STRING, 0),
	BRIDGE(allocator, FIELD_STRING, 0),
	BRIDGE(heap, FIELD_ENUM, BRIDGE_HEAP_GLIBC + 1),
	BRIDGE(has_attach, FIELD_ENUM, 2),
	BRIDGE(has_now, FIELD_ENUM, 2),
	BRIDGE(is_estimate, FIELD_ENUM, 2),
	BRIDGE_ROW(BRIDGE_HEAP_BEFORE), BRIDGE_ROW(BRIDGE_HEAP_SINCE), BRIDGE_ROW(BRIDGE_HEAP_KEPT),
	BRIDGE_ROW(BRIDGE_OTHER_HEAP), BRIDGE_ROW(BRIDGE_DIRECT), BRIDGE_ROW(BRIDGE_CODE), BRIDGE_ROW(BRIDGE_STACKS),
	BRIDGE_ROW(BRIDGE_FILES), BRIDGE_ROW(BRIDGE_SHARED), BRIDGE_ROW(BRIDGE_UNEXPLAINED), BRIDGE_ROW(BRIDGE_RSS),
	BRIDGE(untouched_bytes, FIELD_NUMBER, 0),
	BRIDGE(n_arenas, FIELD_NUMBER, 0),
	BRIDGE(trim_bytes, FIELD_NUMBER, 0),
	BRIDGE(swap_bytes, FIELD_NUMBER, 0),
	BRIDGE(before_bytes, FIELD_NUMBER, 0),
	BRIDGE(before_blocks, FIELD_NUMBER, 0),
	BRIDGE_SIZE(0), BRIDGE_SIZE(1), BRIDGE_SIZE(2), BRIDGE_SIZE(3), BRIDGE_SIZE(4), BRIDGE_SIZE(5),
	BRIDGE(n_sizes, FIELD_ENUM, BRIDGE_MAX_SIZES + 1),
	BRIDGE(other_sizes, FIELD_NUMBER, 0),
	BRIDGE(other_bytes, FIELD_NUMBER, 0),
	BRIDGE(largest_other_bytes, FIELD_NUMBER, 0),
	BRIDGE(site_stack, FIELD_NUMBER, 0),
	BRIDGE(site_chunk_bytes, FIELD_NUMBER, 0),
	BRIDGE(site_blocks, FIELD_NUMBER, 0),
	BRIDGE(attach_bytes, FIELD_NUMBER, 0),
	BRIDGE(managed, FIELD_STRING, 0),
	BRIDGE_ROW(BRIDGE_MANAGED),
	BRIDGE_ROW(BRIDGE_DIRECT_SINCE),
	BRIDGE_SIZE_THEN(0), BRIDGE_SIZE_THEN(1), BRIDGE_SIZE_THEN(2), BRIDGE_SIZE_THEN(3), BRIDGE_SIZE_THEN(4),
	BRIDGE_SIZE_THEN(5),
	BRIDGE(attach_unread, FIELD_FLOAT, 0),
	BRIDGE(unread, FIELD_FLOAT, 0),
};

const struct codec_table codec_bridges = TABLE(struct bridge, bridge_rows);
IS_AS_LISTED(struct bridge_size, 40);
IS_AS_LISTED(struct bridge, 24 + 16 * BRIDGE_NR + 48 + 40 * BRIDGE_MAX_SIZES + 80);

#define MACHINE_ROW(member, kind, less) ROW(struct machine_row, member, kind, less)

static const struct codec_field machine_row_rows[] = {
	MACHINE_ROW(kind, FIELD_ENUM, MACHINE_KIND_NR),
	MACHINE_ROW(pid, FIELD_NUMBER, 0),
	MACHINE_ROW(name, FIELD_STRING, 0),
	MACHINE_ROW(group, FIELD_STRING, 0),
	MACHINE_ROW(n_procs, FIELD_NUMBER, 0),
	MACHINE_ROW(seen, FIELD_ENUM, MACHINE_SEEN_NR),
	MACHINE_ROW(bytes, FIELD_NUMBER, 0),
	MACHINE_ROW(growth_bytes, FIELD_NUMBER, 0),
	MACHINE_ROW(rate, FIELD_FLOAT, 0),
	MACHINE_ROW(low, FIELD_FLOAT, 0),
	MACHINE_ROW(high, FIELD_FLOAT, 0),
	MACHINE_ROW(full_s, FIELD_FLOAT, 0),
	MACHINE_ROW(age_s, FIELD_FLOAT, 0),
	MACHINE_ROW(word, FIELD_ENUM, TREND_LEAK + 1),
	MACHINE_ROW(doubt, FIELD_ENUM, DOUBT_HIDDEN + 1),
	MACHINE_ROW(has_ended, FIELD_ENUM, 2),
	MACHINE_ROW(worker_pid, FIELD_NUMBER, 0),
	MACHINE_ROW(worker_growth, FIELD_NUMBER, 0),
	MACHINE_ROW(worker_private, FIELD_NUMBER, 0),
	MACHINE_ROW(probed_pid, FIELD_NUMBER, 0),
	MACHINE_ROW(fault_rate, FIELD_FLOAT, 0),
};

const struct codec_table codec_machine_rows = TABLE(struct machine_row, machine_row_rows);
IS_AS_LISTED(struct machine_row, 128);

#define MACHINE_GROUP(member, kind, less) ROW(struct machine_group, member, kind, less)

static const struct codec_field machine_group_rows[] = {
	MACHINE_GROUP(name, FIELD_STRING, 0),
	MACHINE_GROUP(limit_bytes, FIELD_NUMBER, 0),
	MACHINE_GROUP(used_bytes, FIELD_NUMBER, 0),
	MACHINE_GROUP(oom_kills, FIELD_NUMBER, 0),
	MACHINE_GROUP(growth_bytes, FIELD_NUMBER, 0),
	MACHINE_GROUP(new_kills, FIELD_NUMBER, 0),
	MACHINE_GROUP(full_s, FIELD_FLOAT, 0),
	MACHINE_GROUP(full_low_s, FIELD_FLOAT, 0),
	MACHINE_GROUP(full_high_s, FIELD_FLOAT, 0),
	MACHINE_GROUP(kills_group, FIELD_ENUM, 2),
};

const struct codec_table codec_machine_groups = TABLE(struct machine_group, machine_group_rows);
IS_AS_LISTED(struct machine_group, 80);
IS_AS_LISTED(struct machine_memory, 112);

#define LIFETIME(member) ROW(struct lifetime_row, member, FIELD_NUMBER, 0)

static const struct codec_field lifetime_rows[] = {
	LIFETIME(stack),	 LIFETIME(half_ms),	 LIFETIME(nine_tenths_ms),
	LIFETIME(recent_blocks), LIFETIME(recent_alive),
};

const struct codec_table codec_lifetimes = TABLE(struct lifetime_row, lifetime_rows);
IS_AS_LISTED(struct lifetime_row, 32);

#define SURVIVOR(member) ROW(struct survivor_row, member, FIELD_NUMBER, 0)

static const struct codec_field survivor_rows[] = {
	SURVIVOR(stack),      SURVIVOR(interval),    SURVIVOR(bytes), SURVIVOR(blocks),
	SURVIVOR(made_bytes), SURVIVOR(made_blocks),
};

const struct codec_table codec_survivors = TABLE(struct survivor_row, survivor_rows);
IS_AS_LISTED(struct survivor_row, 40);

#define HOLDER(member, kind) ROW(struct holder_row, member, kind, 0)
#define HOLDER_LOOKS(member) HOLDER(member[0], FIELD_BYTES), HOLDER(member[1], FIELD_BYTES)

static const struct codec_field holder_rows[] = {
	HOLDER(id, FIELD_NUMBER),     HOLDER(name, FIELD_STRING),	 HOLDER_LOOKS(holders),	    HOLDER_LOOKS(heap_bytes),
	HOLDER_LOOKS(old_heap_bytes), HOLDER_LOOKS(binaries), HOLDER_LOOKS(binary_bytes),
};

const struct codec_table codec_holders = TABLE(struct holder_row, holder_rows);
IS_AS_LISTED(struct holder_row, 96);

#define HOLDER_SITE(member, kind) ROW(struct holder_site, member, kind, 0)

static const struct codec_field holder_site_rows[] = {
	HOLDER_SITE(stack, FIELD_NUMBER),      HOLDER_SITE(bytes, FIELD_BYTES),	       HOLDER_SITE(blocks, FIELD_BYTES),
	HOLDER_SITE(held_bytes, FIELD_BYTES),  HOLDER_SITE(held_blocks, FIELD_BYTES),  HOLDER_SITE(holders, FIELD_BYTES),
	HOLDER_SITE(old_holders, FIELD_BYTES), HOLDER_SITE(half_age_ms, FIELD_NUMBER),
};

const struct codec_table codec_holder_sites = TABLE(struct holder_site, holder_site_rows);
IS_AS_LISTED(struct holder_site, 64);

#define OBJECT(member, kind) ROW(struct object_row, member, kind, 0)

static const struct codec_field object_rows[] = {
	OBJECT(proc, FIELD_NUMBER), OBJECT(type, FIELD_STRING), OBJECT(file, FIELD_STRING),
	OBJECT(line, FIELD_NUMBER), OBJECT(births, FIELD_BYTES),
};

const struct codec_table codec_objects = TABLE(struct object_row, object_rows);
IS_AS_LISTED(struct object_row, 24);

struct profile_stack codec_figures_of(const struct profile_stack *s)
{
	struct profile_stack f = *s;

	f.live_bytes -= totals_live_bytes(&s->t);
	f.live_blocks -= totals_live_blocks(&s->t);
	return f;
}

void codec_figures_apply(struct profile_stack *s, const struct profile_stack *f)
{
	size_t k;

	for (k = 0; k < codec_figures.n; k++) {
		const struct codec_field *row = &codec_figures.fields[k];

		memcpy((char *)s + row->offset, (const char *)f + row->offset, row->size);
	}
	s->live_bytes += totals_live_bytes(&f->t);
	s->live_blocks += totals_live_blocks(&f->t);
}

uint64_t codec_field_get(const void *record, const struct codec_field *f)
{
	const char *p = (const char *)record + f->offset;
	uint64_t v64;
	uint32_t v32;
	double d;

	switch (f->size) {
	case 8:
		memcpy(&v64, p, 8);
		memcpy(&d, p, 8);
		return f->kind == FIELD_FLOAT && !(fabs(d) < 1e15) ? 0 : v64;
	case 4:
		memcpy(&v32, p, 4);
		return v32;
	default:
		return *(const unsigned char *)p;
	}
}

static bool is_within(const struct codec_field *f, uint64_t v, const struct codec_bounds *b)
{
	double d;

	if (f->size < 8 && v >> 8 * f->size)
		return false;
	switch ((enum field_kind)f->kind) {
	case FIELD_NUMBER:
	case FIELD_BYTES:
		return true;
	case FIELD_STRING:
		return v < b->n_strings;
	case FIELD_ENUM:
		return v < f->below;
	case FIELD_FLOAT:
		memcpy(&d, &v, sizeof(d));
		return fabs(d) < 1e15; /* and no NaN */
	case FIELD_PROC:
		return v < b->n_procs || v == UINT32_MAX;
	}
	return false;
}

bool codec_field_set(void *record, const struct codec_field *f, uint64_t v, const struct codec_bounds *b)
{
	char *p = (char *)record + f->offset;
	uint32_t v32 = (uint32_t)v;

	if (!is_within(f, v, b))
		return false;
	switch (f->size) {
	case 8:
		memcpy(p, &v, 8);
		break;
	case 4:
		memcpy(p, &v32, 4);
		break;
	default:
		*(unsigned char *)p = (unsigned char)v;
	}
	return true;
}

bool codec_sums_fit(const struct codec_table *t, const void *records, size_t n)
{
	size_t i, k;

	for (k = 0; k < t->n; k++) {
		uint64_t left = CODEC_MAX_BYTES;

		for (i = 0; i < n && t->fields[k].kind == FIELD_BYTES; i++) {
			uint64_t v = codec_field_get((const char *)records + i * t->record_size, &t->fields[k]);

			if (v > left)
				return false;
			left -= v;
		}
	}
	return true;
}

void codec_fields_reset(const struct codec_table *t, void *record)
{
	size_t k;

	for (k = 0; k < t->n; k++)
		memset((char *)record + t->fields[k].offset, 0, t->fields[k].size);
}
