/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where the probe goes; see probe_point.h.
 *
 * A shifted probe must be hit once per call, with the caller's arguments: no more, no less.
 *	no less	the skipped instructions follow one another, none of them jumps or returns. One may
 *		read memory: if that faults the call does not come to be, in a program that ends or
 *		jumps away
 *	no more	no jump or call within the function leads behind its entry up to the probe. A jump to
 *		the entry itself is another call. A computed jump could lead anywhere: no shift
 *	intact	each argument is in a register that the probe reads, its own or one that it was
 *		copied to; rbp, rbx, r12 to r15 are not written, as the caller's values are needed
 *		to unwind; rsp only by a known amount, and never under a return probe
 */
#include "alloc/probe_point.h"

#include "alloc/x86_insn.h"
#include "bpf/memprobe.h"

#if defined(__x86_64__)

/* A callee need not save these. */
#define SCRATCH                                                                          \
	(1u << X86_RAX | 1u << X86_RCX | 1u << X86_RDX | 1u << X86_RSI | 1u << X86_RDI | \
	 1u << X86_R8 | 1u << X86_R9 | 1u << X86_R10 | 1u << X86_R11)

#define MAX_PUSHES 16

/* What the probe reads: the registers of arguments 0 to 4, and of results (MP_MOVED). */
static const uint8_t readable[] = { X86_RDI, X86_RSI, X86_RDX, X86_RCX, X86_R8, X86_RAX };

#define N_ARGUMENTS MP_ARG_IN_RESULT

/* Bit r of in[n]: register r holds argument n. 0: that argument is not needed. */
struct arguments {
	uint16_t in[N_ARGUMENTS];
};

static struct arguments at_entry(unsigned int wanted)
{
	struct arguments a = { 0 };
	unsigned int n;

	for (n = 0; n < N_ARGUMENTS; n++)
		if (wanted >> n & 1)
			a.in[n] = (uint16_t)(1u << readable[n]);
	return a;
}

/* Go past an instruction; false: an argument is nowhere any more. */
static bool follow_arguments(struct arguments *a, const struct x86_insn *i)
{
	unsigned int n;

	for (n = 0; n < N_ARGUMENTS; n++) {
		bool copied = i->is_copy && a->in[n] >> i->copied & 1;

		if (!a->in[n])
			continue;
		a->in[n] &= (uint16_t)~i->writes;
		if (copied)
			a->in[n] |= i->writes;
		if (!a->in[n])
			return false;
	}
	return true;
}

/* Where the probe finds them: MP_MOVED of each into *moved; false: not where it can read. */
static bool locate_arguments(const struct arguments *a, uint32_t *moved)
{
	unsigned int n, reg;

	*moved = 0;
	for (n = 0; n < N_ARGUMENTS; n++) {
		if (!a->in[n] || a->in[n] >> readable[n] & 1)
			continue;
		for (reg = 0; reg < sizeof(readable); reg++)
			if (a->in[n] >> readable[reg] & 1)
				break;
		if (reg == sizeof(readable))
			return false;
		*moved |= MP_MOVED(n, reg);
	}
	return true;
}

/* sub $imm8,%rsp in whole words: their number, else 0. */
static unsigned int words_reserved(const uint8_t *code, const struct x86_insn *i)
{
	if (i->len != 4 || code[0] != 0x48 || code[1] != 0x83 || code[2] != 0xec || code[3] % 8)
		return 0;
	return code[3] / 8 <= MAX_PUSHES ? code[3] / 8 : 0;
}

static const char gone[] = "entry: what the probe needs changes before an emulated instruction";

/*
 * From the entry to the first emulated instruction, which out then describes. NULL, or why there
 * is none that would do.
 */
static const char *find_place(struct probe_point *out, const uint8_t *code, size_t len,
			      unsigned int arguments, bool need_return)
{
	struct arguments held = at_entry(arguments);
	struct x86_insn i;
	unsigned int words;

	for (;;) {
		if (out->offset > PROBE_MAX_SHIFT || out->offset >= len)
			return "entry: no emulated instruction near";
		if (!x86_decode(&i, code + out->offset, len - out->offset))
			return "entry: code not understood";
		out->insn_bytes = i.len;
		if (i.emulated)
			return locate_arguments(&held, &out->moved) ? NULL : gone;
		words = need_return || out->pushes ? 0 : words_reserved(code + out->offset, &i);
		if (!words && !i.plain)
			return "entry: a call may store or leave before an emulated instruction";
		if (!words && (i.writes & ~SCRATCH || !follow_arguments(&held, &i)))
			return gone;
		out->pushes += words;
		out->offset += i.len;
	}
}

/* Why a jump of this function may lead to 1..to, or NULL: none does. */
static const char *why_not_passed_once(const uint8_t *code, size_t len, unsigned int to)
{
	struct x86_insn i;
	size_t at;

	for (at = 0; at < len; at += i.len) {
		int64_t target;

		if (!x86_decode(&i, code + at, len - at))
			return "entry: code not understood behind it";
		if (i.flow == X86_COMPUTED)
			return "entry: a computed jump may lead behind it";
		target = (int64_t)at + i.target;
		if (i.flow == X86_DIRECT && target >= 1 && target <= (int64_t)to)
			return "entry: a jump leads behind it";
	}
	return NULL;
}

void probe_point_find(struct probe_point *out, const uint8_t *code, size_t len,
		      unsigned int arguments, bool need_return)
{
	struct probe_point place = { .cost = PROBE_EMULATED, .why = "first emulated instruction" };
	struct x86_insn first;

	*out = (struct probe_point){ .cost = PROBE_COST_UNKNOWN,
				     .why = "entry: code not understood" };
	if (!x86_decode(&first, code, len))
		return;
	out->cost = first.emulated ? PROBE_EMULATED : PROBE_STEPPED;
	out->insn_bytes = first.len;
	out->why = "entry: emulated";
	if (first.emulated)
		return;
	out->why = find_place(&place, code, len, arguments, need_return);
	if (!out->why)
		out->why = why_not_passed_once(code, len, place.offset);
	if (!out->why)
		*out = place;
}

#else

void probe_point_find(struct probe_point *out, const uint8_t *code, size_t len,
		      unsigned int arguments, bool need_return)
{
	(void)code;
	(void)len;
	(void)arguments;
	(void)need_return;
	*out = (struct probe_point){ .cost = PROBE_COST_UNKNOWN,
				     .why = "entry: not looked at on this architecture" };
}

#endif
