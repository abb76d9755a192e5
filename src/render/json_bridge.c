/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * JSON lines on where the memory of a process is (model/bridge.h); part of json_lines.c.
 *
 *	{"type":"bridge","gen":7,"pid":4242,"heap":"glibc",...}
 *	{"type":"memory","gen":7,"pid":4242,"row":"heap_since","now_bytes":45193626,"at_attach_bytes":0}
 *	{"type":"before","gen":7,"pid":4242,"chunk_bytes":2016,"blocks":2804551,"class":"Session",...}
 */
#include "render/json_text.h"
#include "render/report_internal.h"

static void add_signed(struct buf *out, const char *key, int64_t n)
{
	buf_addf(out, ",\"%s\":%lld", key, (long long)n);
}

static void begin(struct buf *out, const char *type, const struct profile_proc *proc)
{
	buf_addf(out, "{\"type\":\"%s\"", type);
	json_add_uint(out, "gen", proc->gen);
	json_add_uint(out, "pid", (uint64_t)proc->tgid);
}

static void add_bridge(struct buf *out, const struct profile *p, const struct bridge *b,
		       const struct profile_proc *proc)
{
	begin(out, "bridge", proc);
	json_add_text(out, "heap", b->heap == BRIDGE_HEAP_GLIBC ? "glibc" : "unread");
	json_add_some_text(out, "allocator", profile_str(p, b->allocator));
	json_add_some_text(out, "managed_heap", profile_str(p, b->managed));
	json_add_some_text(out, "reason", profile_str(p, b->reason));
	json_add_bool(out, "estimated", b->is_estimate);
	json_add_uint(out, "arenas", b->n_arenas);
	json_add_uint(out, "trim_bytes", b->trim_bytes);
	json_add_uint(out, "untouched_bytes", b->untouched_bytes);
	json_add_uint(out, "swap_bytes", b->swap_bytes);
	json_add_uint(out, "before_bytes", b->before_bytes);
	json_add_uint(out, "before_blocks", b->before_blocks);
	if (b->heap == BRIDGE_HEAP_GLIBC)
		buf_addf(out, ",\"unread_share\":%.4f", b->unread > b->attach_unread ? b->unread : b->attach_unread);
	buf_adds(out, "}\n");
}

static void add_rows(struct buf *out, const struct bridge *b, const struct profile_proc *proc)
{
	static const char *const names[BRIDGE_NR] = {
		[BRIDGE_HEAP_BEFORE] = "heap_before", [BRIDGE_HEAP_SINCE] = "heap_since",
		[BRIDGE_HEAP_KEPT] = "heap_kept",     [BRIDGE_OTHER_HEAP] = "other_heap",
		[BRIDGE_MANAGED] = "managed_heap",    [BRIDGE_DIRECT_SINCE] = "direct_since",
		[BRIDGE_DIRECT] = "direct",	      [BRIDGE_CODE] = "code",
		[BRIDGE_STACKS] = "stacks",	      [BRIDGE_FILES] = "files",
		[BRIDGE_SHARED] = "shared",	      [BRIDGE_UNEXPLAINED] = "unexplained",
		[BRIDGE_RSS] = "rss",
	};
	int i;

	for (i = 0; i < BRIDGE_NR; i++) {
		begin(out, "memory", proc);
		json_add_text(out, "row", names[i]);
		add_signed(out, "now_bytes", b->now[i]);
		if (b->has_attach)
			add_signed(out, "at_attach_bytes", b->at_attach[i]);
		buf_adds(out, "}\n");
	}
}

static void add_sizes(struct buf *out, const struct profile *p, const struct bridge *b,
		      const struct profile_proc *proc)
{
	uint64_t i;

	for (i = 0; i < b->n_sizes && i < BRIDGE_MAX_SIZES; i++) {
		const struct bridge_size *s = &b->sizes[i];

		begin(out, "before", proc);
		json_add_uint(out, "chunk_bytes", s->chunk_bytes);
		json_add_uint(out, "blocks", s->blocks);
		if (s->knows_attach)
			json_add_uint(out, "attach_blocks", s->attach_blocks);
		if (s->type_blocks) {
			json_add_text(out, "class", profile_str(p, s->type));
			json_add_uint(out, "class_blocks", s->type_blocks);
		}
		buf_adds(out, "}\n");
	}
}

void json_add_limit(struct buf *out, const struct profile_facts *f)
{
	static const char *const kinds[LIMIT_KIND_NR] = {
		[LIMIT_NONE] = "", [LIMIT_GROUP_MAX] = "group_max", [LIMIT_GROUP_HIGH] = "group_high", [LIMIT_RAM] = "ram",
		[LIMIT_ADDRESS_SPACE] = "address_space", [LIMIT_DATA] = "data", [LIMIT_COMMIT] = "commit",
	};
	static const char *const ends[LIMIT_END_NR] = {
		[LIMIT_ENDS_NOT] = "", [LIMIT_ENDS_KILLED] = "killed", [LIMIT_ENDS_GROUP_KILLED] = "group_killed",
		[LIMIT_ENDS_SOME_KILLED] = "some_killed", [LIMIT_ENDS_OTHER_KILLED] = "others_killed",
		[LIMIT_ENDS_MALLOC_FAILS] = "malloc_fails",
	};

	json_add_some_text(out, "limit_kind", kinds[f->limit_kind]);
	json_add_some_text(out, "limit_end", ends[f->limit_end]);
	if (f->limit_swap_bytes)
		json_add_uint(out, "limit_swap_bytes", f->limit_swap_bytes);
	if (f->limit_slowed_bytes)
		json_add_uint(out, "limit_slowed_bytes", f->limit_slowed_bytes);
}

void json_add_bridges(struct buf *out, const struct profile *p)
{
	size_t i;

	for (i = 0; i < p->n_bridges; i++) {
		const struct bridge *b = &p->bridges[i];

		if (!b->has_now || b->proc >= p->n_procs)
			continue;
		add_bridge(out, p, b, &p->procs[b->proc]);
		add_rows(out, b, &p->procs[b->proc]);
		add_sizes(out, p, b, &p->procs[b->proc]);
	}
}
