/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Objects of a managed language by class and line, from the runtime's own probes: ruby:object__create(class, file,
 * line), string__create, array__create and hash__create(length, file, line), symbol__create(name, file, line). Part of
 * memprobe.bpf.c; loaded with --objects only. A probe is one instruction, which the runtime runs while a counter in its
 * memory is not 0; the kernel holds that counter up for as long as the link is there, and no longer.
 *
 * The key is the texts themselves: where the runtime keeps them, they move and are freed. Births only; nobody tells of
 * the end.
 */

__u64 objects_unplaced = 0; /* births that found no room in the table */
struct mp_object_form object_forms[MP_OBJECT_FORMS] = {}; /* by the cookie's row */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct mp_object_key);
	__type(value, __u64);
} objects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct mp_object_pace);
} object_paces SEC(".maps");

/* What the runtime does for its probe beside the trap: it looks for the class's name, the file and the line. */
#define OBJECT_WORK_NS 300

static __always_inline __u64 usdt_arg(struct pt_regs *ctx, const struct mp_usdt_arg *a)
{
	__u64 v = 0, there = 0;

	bpf_probe_read_kernel(&v, sizeof(v), (void *)ctx + a->reg);
	if (!a->in_memory)
		return v;
	if (a->size == 4)
		bpf_probe_read_user(&there, 4, (void *)(v + a->distance));
	else
		bpf_probe_read_user(&there, 8, (void *)(v + a->distance));
	return there;
}

/* Links of one process and links for all overlap for a moment: as hit_is_taken() does. */
static __always_inline bool birth_is_taken(struct mp_thread *th, struct pt_regs *ctx, __u32 flags)
{
	if (!links_overlap)
		return false;
	if (!(flags & MP_SITE_WIDE))
		return th->wide_sp == PT_REGS_SP(ctx) && th->wide_ip == PT_REGS_IP(ctx);
	th->wide_sp = PT_REGS_SP(ctx);
	th->wide_ip = PT_REGS_IP(ctx);
	return false;
}

/* A class without a name is given one for the probe, which is an object more (3.1, rb_class2name). */
static __always_inline void keep_pace(__u32 gen, bool has_name)
{
	struct mp_object_pace *p = bpf_map_lookup_elem(&object_paces, &gen);
	__u64 now;

	if (!p || bpf_probe_read_user(&now, sizeof(now), (void *)p->counter))
		return;
	if (!p->is_begun) {
		p->first = now;
		p->is_begun = 1;
	} else if (p->burst == gate_epoch) {
		p->births++;
		p->made += now - p->last - (has_name ? 0 : 1);
	}
	p->burst = gate_epoch;
	p->last = now;
}

/*
 * The instruction of a literal moves the pc only when it has run (insns.def: putstring, duparray, duphash and newarray
 * are leafs), so that Ruby tells the line of the one before. It is such a one if its operand is a text, an array, a
 * hash (the literal's own), or the length. Of any other it is the next instruction, whose line is the same as a rule.
 */
static __always_inline void find_literal(struct mp_object_key *key, __u64 type, __u64 length)
{
	const struct mp_runtime *r = bpf_map_lookup_elem(&runtimes, &key->gen);
	__u64 context, frame, pc, operand;

	if (!r || r->kind != MP_RT_RUBY)
		return;
	context = rb_context(r);
	frame = context ? user_word(context + 16) : 0;
	pc = frame ? user_word(frame + 8 * RB_PC) : 0;
	if (!pc)
		return;
	operand = user_word(pc + 8);
	if (!(type == RB_ARRAY && operand == length) && (operand & 7 || (user_word(operand) & 0x1f) != type))
		return;
	key->literal.code = user_word(frame + 8 * RB_ISEQ);
	key->literal.at = pc + 8;
}

/* For its line, at once: code that runs once is garbage soon. No stack follows: hash 0. */
static __always_inline void tell_literal(struct mp_scratch *s, const struct mp_object_key *key)
{
	s->rt.kind = MP_EV_RUNTIME;
	s->rt.gen = key->gen;
	s->rt.hash = 0;
	s->rt.n = 1;
	s->rt.is_cut = 0;
	s->rt.frames[0] = key->literal;
	bpf_ringbuf_output(&events, &s->rt, __builtin_offsetof(struct mp_ev_runtime, frames) + sizeof(s->rt.frames[0]), 0);
}

static __always_inline void take_class(struct pt_regs *ctx, const struct mp_object_form *form, struct mp_object_key *key)
{
	__u64 first = usdt_arg(ctx, &form->args[0]);

	if (!form->class_name[0]) {
		bpf_probe_read_user_str(key->class_name, sizeof(key->class_name), (void *)first);
		return;
	}
	__builtin_memcpy(key->class_name, form->class_name, sizeof(form->class_name));
	if (form->type)
		find_literal(key, form->type, first);
}

/* Rows of objects that have one: half at most, as code that is compiled again and again has ever new ones. */
__u32 n_literals;

static __always_inline void count_birth(struct pt_regs *ctx, struct mp_thread *th, __u32 row)
{
	const struct mp_object_form *form = &object_forms[row & (MP_OBJECT_FORMS - 1)];
	struct mp_scratch *s = scratch_get();
	__u64 *n, one = 1;
	struct mp_object_key *key;

	if (!s)
		return;
	key = (struct mp_object_key *)s->window;
	__builtin_memset(key, 0, sizeof(*key));
	key->gen = th->gen;
	key->line = usdt_arg(ctx, &form->args[2]);
	take_class(ctx, form, key);
	bpf_probe_read_user_str(key->file, sizeof(key->file), (void *)usdt_arg(ctx, &form->args[1]));
	keep_pace(th->gen, key->class_name[0] != '#');
	if (key->class_name[0] == '#') /* "#<Class:0x000...>", each its own */
		__builtin_memset(key->class_name, 0, sizeof(key->class_name));
	n = bpf_map_lookup_elem(&objects, key);
	if (!n && key->literal.code && n_literals >= MP_OBJECT_KINDS / 2) {
		key->literal.code = key->literal.at = 0;
		n = bpf_map_lookup_elem(&objects, key);
	}
	if (n) {
		__sync_fetch_and_add(n, one);
		return;
	}
	if (!map_update(&objects, key, &one, BPF_NOEXIST)) {
		if (key->literal.code) {
			__sync_fetch_and_add(&n_literals, 1);
			tell_literal(s, key);
		}
		return;
	}
	n = bpf_map_lookup_elem(&objects, key); /* another CPU was first */
	__sync_fetch_and_add(n ? n : &objects_unplaced, one);
}

SEC("?uprobe")
int object_born(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), begin;
	struct mp_thread *th;

	guard_enter();
	th = thread_get();
	if (th && !birth_is_taken(th, ctx, MP_COOKIE_FLAGS(cookie))) {
		begin = bpf_ktime_get_ns();
		if (armed == MP_ARMED)
			count_birth(ctx, th, MP_COOKIE_ROW(cookie));
		th->spent_ns += bpf_ktime_get_ns() - begin;
		cost_end(th, 0, cost_entry_ns + UNTIMED_NS + OBJECT_WORK_NS);
	}
	guard_exit();
	return 0;
}
