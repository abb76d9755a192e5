/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * JSON lines on a whole machine: one of type machine, one per row (machine_row) and control group (machine_cgroup).
 * Pure.
 */
#include "render/json_text.h"
#include "render/machine_text.h"

static const char *kind_name(enum machine_row_kind k)
{
	static const char *const names[] = {
		"tree", "others", "kernel", "shmem", "hugetlb", "kept_free", "unexplained", "used",
	};

	return names[k];
}

static void add_int(struct buf *out, const char *key, int64_t v)
{
	buf_addf(out, ",\"%s\":%lld", key, (long long)v);
}

/* Left out when it is not so. */
static void add_seconds(struct buf *out, const char *key, double s)
{
	if (s >= 0)
		buf_addf(out, ",\"%s\":%.1f", key, s);
}

static void add_row(struct buf *out, const struct profile *p, const struct machine_row *r)
{
	buf_adds(out, "{\"type\":\"machine_row\"");
	json_add_text(out, "kind", kind_name(r->kind));
	if (r->kind == MACHINE_TREE) {
		json_add_uint(out, "pid", (uint64_t)r->pid);
		json_add_text(out, "name", profile_str(p, r->name));
		json_add_text(out, "cgroup", profile_str(p, r->group));
		json_add_text(out, "seen", machine_seen_name(r->seen));
		json_add_bool(out, "ended", r->has_ended);
		json_add_uint(out, "worker_pid", (uint64_t)r->worker_pid);
		add_int(out, "worker_growth_bytes", r->worker_growth);
		json_add_uint(out, "worker_private_bytes", r->worker_private);
	}
	if (r->kind == MACHINE_TREE || r->kind == MACHINE_OTHERS) {
		json_add_uint(out, "processes", r->n_procs);
		buf_addf(out, ",\"fault_bytes_per_s\":%.0f", r->fault_rate);
	}
	add_int(out, "bytes", r->bytes);
	add_int(out, "growth_bytes", r->growth_bytes);
	json_add_text(out, "word", trend_name(r->word));
	buf_addf(out, ",\"rate\":%.0f,\"rate_low\":%.0f,\"rate_high\":%.0f", r->rate, r->low, r->high);
	add_seconds(out, "full_in_s", r->full_s);
	buf_adds(out, "}\n");
}

static void add_group(struct buf *out, const struct profile *p, const struct machine_group *g)
{
	buf_adds(out, "{\"type\":\"machine_cgroup\"");
	json_add_text(out, "name", profile_str(p, g->name));
	if (g->limit_bytes != UINT64_MAX)
		json_add_uint(out, "limit_bytes", g->limit_bytes);
	json_add_uint(out, "used_bytes", g->used_bytes);
	add_int(out, "growth_bytes", g->growth_bytes);
	json_add_uint(out, "oom_kills", g->oom_kills);
	json_add_uint(out, "new_oom_kills", g->new_kills);
	add_seconds(out, "full_in_s", g->full_s);
	buf_adds(out, "}\n");
}

void json_add_machine(struct buf *out, const struct profile *p)
{
	const struct machine *m = &p->machine;
	size_t i;

	if (!m->is_there)
		return;
	buf_addf(out, "{\"type\":\"machine\",\"window_s\":%.3f", m->window_s);
	json_add_uint(out, "total_bytes", m->now.total_bytes);
	json_add_uint(out, "available_bytes", m->now.available_bytes);
	json_add_uint(out, "swap_total_bytes", m->now.swap_total_bytes);
	json_add_uint(out, "swap_free_bytes", m->now.swap_free_bytes);
	json_add_uint(out, "used_bytes", machine_used_bytes(&m->now));
	json_add_uint(out, "reclaimable_slab_bytes", m->now.slab_cache_bytes);
	json_add_uint(out, "processes", m->n_processes);
	json_add_uint(out, "came", m->n_came);
	json_add_uint(out, "went", m->n_went);
	json_add_uint(out, "probed", m->n_probed);
	json_add_uint(out, "oom_kills", m->now.oom_kills);
	json_add_text(out, "word", trend_name(m->used.word));
	if (m->now.stall_10s >= 0)
		buf_addf(out, ",\"stall_10s\":%.4f", m->now.stall_10s);
	add_seconds(out, "full_in_s", m->full_s);
	add_seconds(out, "full_in_low_s", m->full_low_s);
	add_seconds(out, "full_in_high_s", m->full_high_s);
	buf_addf(out, ",\"cpu_share\":%.5f}\n", m->cpu_share);
	for (i = 0; i < m->n_rows; i++)
		add_row(out, p, &m->rows[i]);
	for (i = 0; i < m->n_groups; i++)
		add_group(out, p, &m->groups[i]);
}
