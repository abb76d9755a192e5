/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Erlang frames of the BEAM: what the block is for, the current Erlang process and the return addresses on its stack.
 *
 * A scheduler thread is known by its name, which leads to its record and the process that it runs: "3_scheduler",
 * "1_dirty_cpu_sch", "10_dirty_io_sch" (OTP 25), "erts_sched_3", "erts_dcpus_1", "erts_dios_10" (OTP 27).
 * In the Erlang stack a word with both low bits clear that points into the JIT's code is a return address; all others
 * are tagged terms. The native stack ends where the JIT switched stacks: the code there is the innermost Erlang
 * function. A dirty scheduler's ends in its own loop: there the process tells where it goes on.
 */
#ifndef MEMPROBE_BEAM_BPF_H
#define MEMPROBE_BEAM_BPF_H

#define BEAM_STACK 2048 /* bytes from its top that are read */
#define BEAM_PROC 320	/* words of scratch->window: the process's fields, behind the copy of its stack */

static __always_inline bool beam_is_code(const struct mp_runtime *r, __u64 word)
{
	return !(word & 3) && word - r->w[MP_BEAM_CODE] < r->w[MP_BEAM_CODE_BYTES];
}

/* A number of up to four digits; 0: none. */
static __always_inline __u32 beam_number(const char *digits)
{
	__u32 n = 0, i;

	for (i = 0; i < 4; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			break;
		n = n * 10 + (digits[i] - '0');
	}
	return n;
}

/* The first of schedulers of that kind (by a letter of their names), and which one it is; 0: it is none. */
static __always_inline __u64 beam_record(const struct mp_runtime *r, char kind, __u32 n)
{
	__u64 base;

	if (kind == 's')
		base = r->w[MP_BEAM_SCHEDULERS];
	else if (kind == 'c')
		base = r->w[MP_BEAM_DIRTY_CPU];
	else if (kind == 'i')
		base = r->w[MP_BEAM_DIRTY_IO];
	else
		return 0;
	return base && n ? base + (__u64)(n - 1) * r->w[MP_BEAM_STRIDE] : 0;
}

/*
 * The record of the scheduler whose thread this is; 0: it is none. A dirty one runs no code of the JIT. Its name is
 * read into the scratch: of one on the stack clang finds a letter by OR, which the verifier prohibits.
 */
static __always_inline __u64 beam_scheduler(struct mp_scratch *s, const struct mp_runtime *r, bool *is_dirty)
{
	char *comm = (char *)&s->window[BEAM_PROC];
	__u32 i;

	if (bpf_get_current_comm(comm, 16))
		return 0;
	if (comm[0] == 'e' && comm[4] == '_') {
		*is_dirty = comm[5] == 'd';
		if (comm[5] == 's' && comm[6] == 'c')
			return beam_record(r, 's', beam_number(&comm[11]));
		if (*is_dirty && comm[6] == 'c')
			return beam_record(r, 'c', beam_number(&comm[11]));
		return *is_dirty && comm[6] == 'i' ? beam_record(r, 'i', beam_number(&comm[10])) : 0;
	}
	for (i = 0; i < 5; i++)
		if (comm[i] < '0' || comm[i] > '9')
			break;
	if (!i || i >= 5 || comm[i] != '_')
		return 0;
	*is_dirty = comm[i + 1] == 'd';
	if (!*is_dirty && comm[i + 2] != 'c')
		return 0;
	return beam_record(r, *is_dirty ? comm[i + 7] : comm[i + 1], beam_number(comm));
}

#define BEAM_WORDS (BEAM_STACK / 8)
#define BEAM_CHUNK 32

/* Return addresses among the n words that were read, BEAM_CHUNK of them; 0: no more. Global: verified once. */
__noinline int beam_stack(__u32 from, __u32 n)
{
	struct mp_scratch *s = scratch_get();
	const struct mp_runtime *r;
	__u32 i;

	if (!s)
		return 0;
	r = rt_words(s);
	if (!r)
		return 0;
	for (i = 0; i < BEAM_CHUNK; i++) {
		__u64 at = from + i, word;

		if (at >= n || at >= BEAM_WORDS)
			return 0;
		asm volatile("%0 &= 255" : "+r"(at)); /* the check is of another copy */
		word = s->window[at];
		if (beam_is_code(r, word) && !rt_put(s, word, MP_BEAM_PC))
			return 0;
	}
	return 1;
}

#define BEAM_TUPLE(n) ((n) << 6)
#define BEAM_IN_SLOT 4 /* pairs of a slot that are looked at */

/*
 * All that proc_lib starts (gen_server, supervisor...) begins in one function; what for is in its dictionary. The pairs
 * of a slot: none, {Key, Value}, or a list of such. w: {module, function, arity}. False: not noted.
 */
static __always_inline bool beam_noted(const struct mp_runtime *r, __u64 process, __u64 *w)
{
	__u64 at, mask, slot, rest = 0;
	int i;

	if (bpf_probe_read_user(&w[0], 8, (void *)(process + r->w[MP_BEAM_DICTIONARY])) || !w[0])
		return false;
	at = w[0];
	if (bpf_probe_read_user(&w[0], 8, (void *)at))
		return false;
	mask = (__u32)w[0];
	slot = (r->w[MP_BEAM_NOTED] >> 6) & mask;
	if (slot >= w[0] >> 32) /* how many there are */
		slot &= mask >> 1;
	at += r->w[MP_BEAM_DICT_SLOTS] + 8 * slot;
	if (bpf_probe_read_user(&rest, 8, (void *)at))
		return false;
	for (i = 0; i < BEAM_IN_SLOT; i++) {
		at = rest;
		if ((rest & 3) == 1) {
			if (bpf_probe_read_user(&w[0], 16, (void *)(rest - 1)))
				return false;
			at = w[0];
			rest = w[1];
		}
		if ((at & 3) != 2 || bpf_probe_read_user(&w[0], 24, (void *)(at - 2)) || w[0] != BEAM_TUPLE(2))
			return false;
		if (w[1] == r->w[MP_BEAM_NOTED])
			return (w[2] & 3) == 2 && !bpf_probe_read_user(&w[-1], 32, (void *)(w[2] - 2)) &&
			       w[-1] == BEAM_TUPLE(3);
		if (at == rest)
			return false;
	}
	return false;
}

/* Module and function are atoms. */
static __always_inline bool beam_is_call(const __u64 *w)
{
	return (w[0] & 0x3f) == 0xb && (w[1] & 0x3f) == 0xb && !(w[0] >> 32) && !(w[1] >> 32);
}

/* Who it is: its registered name, else the function that it was started for. */
static __always_inline void beam_name(struct mp_scratch *s, const struct mp_runtime *r, __u64 process)
{
	__u64 *w = &s->window[BEAM_PROC + 1], spawned, arity;

	if (!bpf_probe_read_user(w, 8, (void *)(process + r->w[MP_BEAM_REG])) && w[0] &&
	    !bpf_probe_read_user(&w[1], 8, (void *)(w[0] + r->w[MP_BEAM_REG_PROCESS])) && w[1] == process &&
	    !bpf_probe_read_user(w, 8, (void *)(w[0] + r->w[MP_BEAM_REG_NAME])) && (w[0] & 0x3f) == 0xb) {
		rt_put(s, w[0], MP_BEAM_REGISTERED);
		return;
	}
	if (bpf_probe_read_user(w, 24, (void *)(process + r->w[MP_BEAM_INITIAL])) || !beam_is_call(w))
		return;
	spawned = w[0] << 32 | w[1];
	arity = w[2] & 0xff;
	if (spawned == r->w[MP_BEAM_NOTES] && beam_noted(r, process, w) && beam_is_call(w)) {
		spawned = w[0] << 32 | w[1];
		arity = w[2] >> 4 & 0xff; /* a small number */
	}
	rt_put(s, spawned, MP_BEAM_SPAWNED | arity << 8);
}

static __always_inline void beam_process(struct mp_scratch *s, const struct mp_runtime *r, __u64 process)
{
	__u64 *w = &s->window[BEAM_PROC], stop, hend, len;
	__u32 from;

	/* id; htop and stop are neighbours */
	if (bpf_probe_read_user(&w[0], 8, (void *)process) ||
	    bpf_probe_read_user(&w[1], 16, (void *)(process + r->w[MP_BEAM_HTOP])) ||
	    bpf_probe_read_user(&w[3], 8, (void *)(process + r->w[MP_BEAM_HEND])))
		return;
	stop = w[2];
	hend = w[3];
	if ((w[0] & 15) != 3 || w[1] >= stop || stop > hend || stop & 7)
		return;
	len = hend - stop;
	if (len > BEAM_STACK) {
		len = BEAM_STACK;
		s->rt.is_cut = 1;
	}
	asm volatile("" : "+r"(len));
	if (len > BEAM_STACK)
		return;
	if (len && bpf_probe_read_user(s->window, len, (void *)stop))
		return;
	for (from = 0; from < BEAM_WORDS; from += BEAM_CHUNK)
		if (!beam_stack(from, len >> 3))
			break;
	beam_name(s, r, process);
}

static __always_inline void beam_read(struct mp_scratch *s)
{
	const struct mp_runtime *r = rt_words(s);
	__u64 scheduler, process = 0, pc = s->jit_pc;
	bool is_dirty = false;

	if (!r)
		return;
	if (s->label)
		rt_put(s, s->label, MP_BEAM_TYPE | MP_RT_ENTRY);
	if (!r->w[MP_BEAM_CODE_BYTES])
		return;
	scheduler = beam_scheduler(s, r, &is_dirty);
	if (!scheduler ||
	    bpf_probe_read_user(&process, 8, (void *)(scheduler + r->w[MP_BEAM_CURRENT])) || !process)
		return;
	/* a large heap is collected there: the process had stopped at this code (one byte on, as return addresses are) */
	if (is_dirty && !bpf_probe_read_user(&pc, 8, (void *)(process + r->w[MP_BEAM_GOES_ON])))
		pc++;
	if (beam_is_code(r, pc & ~3ULL))
		rt_put(s, pc, MP_BEAM_PC);
	beam_process(s, r, process);
}

#endif
