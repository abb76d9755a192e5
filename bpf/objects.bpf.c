/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Objects of a managed language by class and line, from the runtime's own probe: ruby:object__create(class, file,
 * line). Part of memprobe.bpf.c; loaded with --objects only. The probe is one instruction, which the runtime runs while
 * a counter in its memory is not 0; the kernel holds that counter up for as long as the link is there, and no longer.
 *
 * The key is the texts themselves: where the runtime keeps them, they move and are freed. Births only; nobody tells of
 * the end.
 */

__u64 objects_unplaced = 0; /* births that found no room in the table */
struct mp_usdt_arg object_args[MP_OBJECT_FORMS][MP_OBJECT_ARGS] = {}; /* by the cookie's row */

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

static __always_inline void count_birth(struct pt_regs *ctx, struct mp_thread *th, __u32 form)
{
	const struct mp_usdt_arg *args = object_args[form & (MP_OBJECT_FORMS - 1)];
	struct mp_scratch *s = scratch_get();
	__u64 *n, one = 1;
	struct mp_object_key *key;

	if (!s)
		return;
	key = (struct mp_object_key *)s->window;
	__builtin_memset(key, 0, sizeof(*key));
	key->gen = th->gen;
	key->line = usdt_arg(ctx, &args[2]);
	bpf_probe_read_user_str(key->class_name, sizeof(key->class_name), (void *)usdt_arg(ctx, &args[0]));
	bpf_probe_read_user_str(key->file, sizeof(key->file), (void *)usdt_arg(ctx, &args[1]));
	keep_pace(th->gen, key->class_name[0] != '#');
	if (key->class_name[0] == '#') /* "#<Class:0x000...>", each its own */
		__builtin_memset(key->class_name, 0, sizeof(key->class_name));
	n = bpf_map_lookup_elem(&objects, key);
	if (n) {
		__sync_fetch_and_add(n, one);
		return;
	}
	if (!map_update(&objects, key, &one, BPF_NOEXIST))
		return;
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
