/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A run that is made up, with every kind of value in it; see codec_run.h. */
#include "tests/unit/codec_run.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/units.h"

uint32_t codec_run_frame(struct profile *p, const char *name, uint32_t line)
{
	struct profile_frame f = {
		.name = profile_string(p, name),
		.module = profile_string(p, "libapp.so.1"),
		.file = profile_string(p, line ? "app.c" : ""),
		.line = line,
		.build_id = profile_string(p, "0123456789abcdef"),
		.inlined = line == 7,
		.class = line ? FRAME_APP : FRAME_UNKNOWN,
		.vaddr = line ? 0 : 0xffffffff81000000,
	};

	return profile_frame(p, &f);
}

uint32_t codec_run_process(struct profile *p, uint32_t gen, uint64_t seed)
{
	uint32_t at = profile_proc(p, gen);
	struct profile_proc *proc = &p->procs[at];

	proc->tgid = (int32_t)(1000 + gen);
	proc->comm = profile_string(p, "server");
	proc->parent = at ? 0 : UINT32_MAX;
	proc->old = (struct mp_proc_totals){ seed, seed * 2, 3, 4, 5, 6, 7, 8, 9, seed << 20, 10, 11 };
	proc->at_attach = (struct profile_facts){ .rss_bytes = 1, .limit_bytes = UINT64_MAX, .n_threads = 2,
						  .limit_name = profile_string(p, "app.service") };
	proc->now = proc->at_attach;
	proc->now.rss_bytes = seed;
	return at;
}

/* Frames of stacks that are there already, and that those to come share, get other names. */
static void rename_some(struct profile *p, uint32_t step)
{
	size_t i;

	for (i = step % 2; i < p->n_stacks; i += 2) {
		profile_rename(p, p->stacks[i].first_frame, codec_run_frame(p, "named later", step));
		profile_rename(p, p->stacks[i].first_frame + p->stacks[i].n_frames - 2, codec_run_frame(p, "f4", 4));
	}
}

void codec_run_grow(struct profile *p, uint32_t step)
{
	uint32_t frames[300], i, k, n, proc = codec_run_process(p, 1 + step / 2, 1000 + step);
	char name[32];

	if (step % 2)
		rename_some(p, step);
	for (i = 0; i < 5; i++) {
		n = step == 2 && i == 0 ? 300 : 3 + (step + i) % 9;
		for (k = 0; k < n; k++) {
			snprintf(name, sizeof(name), "f%u", k < 3 ? step * 10 + i + k : k);
			frames[k] = codec_run_frame(p, name, k);
		}
		profile_add_stack(p, hash_u64(step * 100 + i + 1), proc, frames, n, (enum mp_stack_end)(i % MP_END_NR));
	}
	if (step == 2)
		rename_some(p, step); /* also of those that are new */
	for (i = 0; i < p->n_stacks; i++) {
		struct profile_stack *s = &p->stacks[i];

		s->t.alloc_bytes += 300 * (i + 1);
		s->t.alloc_blocks += 3;
		s->t.free_bytes += i % 3 * 100;
		s->t.birth_sum_ms = i % 4 ? hash_u64(i * 31 + step) >> 20 : 0; /* goes down, too */
		s->t.alloc_var = step;
		s->live_bytes = i % 2 ? totals_live_bytes(&s->t) : 10; /* a filter */
		s->live_blocks = totals_live_blocks(&s->t);
	}
	p->window_ns = (step + 1) * 10 * NS_PER_S;
	p->wall_time_ns = 1795230761ULL * NS_PER_S + p->window_ns;
	p->losses[MP_LOSS_MISSED_FREE] = (struct profile_loss){ step, step * 64 };
	p->marks[p->n_marks++] = (struct profile_mark){ p->window_ns, 123, 4 };
	p->bridges[0] = (struct bridge){ .proc = 0, .heap = BRIDGE_HEAP_GLIBC, .has_now = true, .n_arenas = step,
					 .sizes = { { 2016, 5, 4, p->host, 1, 3 } }, .n_sizes = 1 };
	p->bridges[0].now[BRIDGE_UNEXPLAINED] = -(int64_t)step * 100000;
	p->n_bridges = 1;
	p->watch.steps[step % LADDER_MAX_CHANGES] = (struct profile_step){ 5, RUNG_EXACT, RUNG_SAMPLED, 8192, 0.12 };
	p->watch.n_steps = step % LADDER_MAX_CHANGES;
}

void codec_run_begin(struct profile *p)
{
	profile_init(p);
	p->host = profile_string(p, "app-17");
	p->kernel = profile_string(p, "6.1.0");
	p->command_line = profile_string(p, "memprobe -p 4242");
	p->cost = (struct profile_cost){ 1, 2, 3, 4, 5, 6, 7, profile_string(p, "session"),
					 profile_string(p, "tables"), 8 };
	p->watch = (struct profile_watch){ .rung = RUNG_BURSTS, .interval_bytes = 8192, .is_fixed = true, .budget = 0.1,
					   .share = 0.2, .open_share = 0.3, .slowdown = 4.5, .cpu_before = -1,
					   .cpu_armed = 0.5, .delay_before = 0.25, .delay_armed = 1.5 };
}

int codec_run_sink(void *ctx, const void *data, size_t len)
{
	buf_add(ctx, data, len);
	return 0;
}

void codec_run_record(struct buf *out, size_t ends[CODEC_RUN_N])
{
	struct codec_writer *w = codec_writer_new(codec_run_sink, out, 0x1122334455667788);
	struct profile p;
	uint32_t i;

	codec_run_begin(&p);
	for (i = 0; i < CODEC_RUN_N; i++) {
		codec_run_grow(&p, i);
		p.final = i == CODEC_RUN_N - 1;
		assert_int_equal(codec_write(w, &p), 0);
		ends[i] = out->len;
	}
	assert_int_equal(codec_finish(w), 0);
	assert_int_equal(codec_written_bytes(w), out->len);
	codec_writer_free(w);
	profile_release(&p);
}

void codec_run_make(struct profile *p, size_t n)
{
	uint32_t i;

	codec_run_begin(p);
	for (i = 0; i <= n; i++)
		codec_run_grow(p, i);
	p->final = n == CODEC_RUN_N - 1;
}
