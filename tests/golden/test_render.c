/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Formats, byte by byte: profiles built by hand, rendered, compared with tests/golden/NAME.*. With
 * GOLDEN_WRITE=1 the files are written instead: read the difference before committing it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "render/renderer.h"

static uint32_t frame(struct profile *p, const char *name, const char *module, enum frame_class class)
{
	struct profile_frame f = { .name = profile_string(p, name), .module = profile_string(p, module),
				   .class = class };

	return profile_frame(p, &f);
}

/* One stack: blank-free names, innermost first, NULL ends; the first is malloc. */
static struct profile_stack *stack(struct profile *p, uint64_t id, uint32_t gen, enum mp_stack_end end,
				   const char *const *names)
{
	uint32_t frames[64], n = 0;

	frames[n++] = frame(p, "malloc", "libc.so.6", FRAME_ALLOCATOR);
	for (; *names; names++)
		frames[n++] = frame(p, *names, "app", strncmp(*names, "std::", 5) ? FRAME_APP : FRAME_CXX);
	n = profile_add_stack(p, id, profile_proc(p, gen), frames, n, end); /* may move the array */
	return &p->stacks[n];
}

static void set(struct profile_stack *s, uint64_t bytes, uint64_t blocks, uint64_t freed_bytes,
		uint64_t freed_blocks)
{
	s->t = (struct profile_totals){ bytes + freed_bytes, blocks + freed_blocks, freed_bytes, freed_blocks,
					blocks * 10000 };
	s->live_bytes = bytes;
	s->live_blocks = blocks;
}

static struct profile_proc *process(struct profile *p, uint32_t gen, int32_t pid, const char *comm)
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

static void common(struct profile *p)
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

static void growing(struct profile *p)
{
	static const char *const insert[] = { "std::allocator<Session>::allocate(unsigned long)",
					      "SessionCache::insert(std::string const&, Session)",
					      "Gateway::on_accept()", "EventLoop::run()", "main", NULL };
	static const char *const parse[] = { "Json::parse(char const*)", "Handler::post(Request;Reply)", "main", NULL };
	static const char *const cut[] = { "decode\n\x1b[31m", NULL };

	common(p);
	process(p, 7, 4242, "gate way;d")->old = (struct mp_proc_totals){ 12, 300 * KIB, 0, 3, 0, 0 };
	set(stack(p, 1, 7, MP_END_COMPLETE, insert), 43632000, 21816, 0, 0);
	set(stack(p, 2, 7, MP_END_COMPLETE, parse), 1153434, 3204, 999999999, 1000000);
	set(stack(p, 3, 7, MP_END_NO_INFO, cut), 128, 1, 0, 0);
}

static void empty(struct profile *p)
{
	common(p);
	process(p, 7, 4242, "idle");
}

static void many(struct profile *p)
{
	const char *names[3] = { NULL, "main", NULL };
	char name[64];
	uint64_t i;

	common(p);
	process(p, 1, 10, "first");
	process(p, 2, 11, "second")->state = PROC_EXITED;
	process(p, 3, 12, "third")->old.lost_blocks = 5;
	p->procs[2].old.lost_bytes = 4096;
	p->losses[MP_LOSS_BLOCKS_FULL] = (struct profile_loss){ 5, 4096 };
	for (i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "ns::Type<int, %llu>::method(int) const", (unsigned long long)i);
		names[0] = name;
		set(stack(p, 100 + i, 1 + (uint32_t)(i % 3), MP_END_COMPLETE, names), (i + 1) * 100000, i + 1, 50, 1);
	}
}

static void compare(const char *name, void (*make)(struct profile *p), const char *format, const char *suffix)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	struct buf got = BUF_INIT, want = BUF_INIT;
	struct profile p;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "tests/golden/%s.%s", name, suffix);
	make(&p);
	renderer_by_name(format)->render(&got, &p, &o);
	if (getenv("GOLDEN_WRITE")) {
		f = fopen(path, "w");
		assert_non_null(f);
		fwrite(got.data, 1, got.len, f);
		fclose(f);
	}
	assert_int_equal(buf_read_file(&want, path, 1 << 20), 0);
	if (got.len != want.len || memcmp(got.data, want.data, got.len) != 0)
		fail_msg("%s differs; now:\n%s", path, got.data);
	buf_release(&got);
	buf_release(&want);
	profile_release(&p);
}

static void a_growing_process(void **state)
{
	(void)state;
	compare("growing", growing, "report", "txt");
	compare("growing", growing, "folded", "folded");
}

static void nothing_kept(void **state)
{
	(void)state;
	compare("empty", empty, "report", "txt");
	compare("empty", empty, "folded", "folded");
}

static void several_processes_and_a_loss(void **state)
{
	(void)state;
	compare("many", many, "report", "txt");
	compare("many", many, "folded", "folded");
}

/* Sum of the three number columns of the table's rows, in tenths and blocks; the last row is the total. */
static void check_sums(const char *text)
{
	const char *line = strstr(text, "\n #  ");
	long long amount = 0, rate = 0, blocks = 0, a, r, b, ta = 0, tr = 0, tb = 0;
	int n_rows = 0;

	assert_non_null(line);
	for (line = strchr(line + 1, '\n') + 1; *line != '\n'; line = strchr(line, '\n') + 1) {
		char cell[3][16], *at;
		int i, w[] = { 3, 12, 23, 33 };

		if (line[11] == ' ')
			continue; /* a second line of WHERE */
		for (i = 0; i < 3; i++) {
			size_t len = (size_t)(w[i + 1] - w[i]), k, o = 0;

			for (k = 0; k < len && o < 15; k++)
				if (line[w[i] + (int)k] != ' ' && line[w[i] + (int)k] != '.')
					cell[i][o++] = line[w[i] + (int)k];
			cell[i][o] = '\0';
		}
		a = strtoll(cell[0], &at, 10);
		r = strtoll(cell[1], &at, 10);
		b = strtoll(cell[2], &at, 10);
		amount += ta;
		rate += tr;
		blocks += tb;
		ta = a;
		tr = r;
		tb = b;
		n_rows++;
	}
	assert_in_range(n_rows, 1, 16);
	if (amount != ta || rate != tr || blocks != tb)
		fail_msg("columns do not add up: %lld %lld %lld\n%s", amount - ta, rate - tr, blocks - tb, text);
}

static void columns_add_up_as_printed(void **state)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	uint64_t seed = 88172645463325252ULL;
	int round, i;

	(void)state;
	for (round = 0; round < 1000; round++) {
		static const char *const names[] = { "f", "main", NULL };
		struct buf b = BUF_INIT;
		struct profile p;

		common(&p);
		p.window_ns = 1 + hash_u64(seed + 1) % (100 * NS_PER_S);
		process(&p, 1, 10, "first")->old = (struct mp_proc_totals){
			hash_u64(seed + 2) % 3, hash_u64(seed + 3) % 100000, 0, 0, hash_u64(seed + 4) % 5000, 1,
		};
		for (i = 0; i < round % 30; i++, seed++)
			set(stack(&p, (uint64_t)i + 1, 1, MP_END_COMPLETE, names),
			    hash_u64(seed) % (1ULL << (hash_u64(seed + 7) % 36)), hash_u64(seed + 9) % 5000 + 1, 0, 0);
		seed += 100;
		renderer_by_name("report")->render(&b, &p, &o);
		check_sums(b.data);
		buf_release(&b);
		profile_release(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_growing_process),
		cmocka_unit_test(nothing_kept),
		cmocka_unit_test(several_processes_and_a_loss),
		cmocka_unit_test(columns_add_up_as_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
