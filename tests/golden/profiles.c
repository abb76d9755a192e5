/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Profiles built by hand; see profiles.h. */
#include "tests/golden/profiles.h"

#include <stdio.h>
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
}

void make_empty(struct profile *p)
{
	make_common(p);
	make_process(p, 7, 4242, "idle");
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
	p->losses[MP_LOSS_BLOCKS_FULL] = (struct profile_loss){ 5, 4096 };
	for (i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "ns::Type<int, %llu>::method(int) const", (unsigned long long)i);
		names[0] = name;
		make_totals(make_stack(p, 100 + i, 1 + (uint32_t)(i % 3), MP_END_COMPLETE, names), (i + 1) * 100000, i + 1, 50, 1);
	}
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
