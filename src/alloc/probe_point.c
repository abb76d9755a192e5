/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where the probe goes; see probe_point.h.
 *
 * What the kernel emulates: push_setup_xol_ops and branch_setup_xol_ops of
 * arch/x86/kernel/uprobes.c, the same in 5.10 to 6.18: push of a register, jmp, jcc and call
 * with a relative target, the one-byte nop.
 *
 * That every call reaches the place is shown without decoding the rest of the function: each
 * byte of it is taken for the start of a jump, and no such jump may lead behind the entry up to
 * the place. That sees more jumps than there are, never fewer. Indirect jumps back into the
 * first 16 bytes of one's own function do not exist in compiled C.
 */
#include "alloc/probe_point.h"

#include <string.h>

/* One decoded instruction of a prologue. */
struct insn {
	unsigned int len; /* 0: not understood */
	bool emulated;
	bool skippable;	  /* cannot leave the function, writes no memory, no rsp, no rbp */
	int writes;	  /* register number written, -1: none */
};

#if defined(__x86_64__)

#define REG_RSP 4
#define REG_RBP 5

static unsigned int modrm_mod(uint8_t m)
{
	return m >> 6;
}

/* op %reg,%reg forms: 0x85 test, 0x39/0x3b cmp (no write); 0x31/0x33 xor, 0x89/0x8b mov (write). */
static struct insn decode_reg_reg(uint8_t rex, uint8_t op, uint8_t modrm, unsigned int prefix)
{
	int reg = (modrm >> 3 & 7) | (rex & 4 ? 8 : 0);
	int rm = (modrm & 7) | (rex & 1 ? 8 : 0);
	struct insn i = { .len = prefix + 2, .skippable = true, .writes = -1 };

	if (modrm_mod(modrm) != 3)
		return (struct insn){ 0 };
	switch (op) {
	case 0x85:
	case 0x39:
	case 0x3b:
		return i;
	case 0x31:
	case 0x89:
		i.writes = rm;
		return i;
	case 0x33:
	case 0x8b:
		i.writes = reg;
		return i;
	}
	return (struct insn){ 0 };
}

/* cmp with an immediate, of a register or of a variable at a fixed address (rip + disp32). */
static struct insn decode_cmp_imm(uint8_t op, uint8_t modrm, unsigned int prefix)
{
	unsigned int imm = op == 0x81 ? 4 : 1, disp;

	if ((modrm >> 3 & 7) != 7) /* /7 is cmp */
		return (struct insn){ 0 };
	if (modrm_mod(modrm) == 3)
		disp = 0;
	else if ((modrm & 0xc7) == 0x05)
		disp = 4;
	else
		return (struct insn){ 0 };
	return (struct insn){ .len = prefix + 2 + disp + imm, .skippable = true, .writes = -1 };
}

/* mov disp32(%rip),%reg */
static struct insn decode_load(uint8_t rex, uint8_t modrm, unsigned int prefix)
{
	if ((modrm & 0xc7) != 0x05)
		return (struct insn){ 0 };
	return (struct insn){ .len = prefix + 6, .skippable = true,
			      .writes = (modrm >> 3 & 7) | (rex & 4 ? 8 : 0) };
}

static struct insn emulated(unsigned int len)
{
	return (struct insn){ .len = len, .emulated = true, .writes = -1 };
}

static struct insn decode(const uint8_t *p, size_t left)
{
	unsigned int prefix = 0;
	struct insn i = { 0 };
	uint8_t rex = 0;

	if (left < 12)
		return i;
	if (!memcmp(p, "\xf3\x0f\x1e\xfa", 4)) /* endbr64 */
		return (struct insn){ .len = 4, .skippable = true, .writes = -1 };
	if ((p[0] & 0xf0) == 0x40) {
		rex = p[0];
		prefix = 1;
	}
	p += prefix;
	if (p[0] >= 0x50 && p[0] <= 0x57 && (!rex || rex == 0x41)) {
		i = emulated(prefix + 1);
		return i;
	}
	if (!rex && (p[0] == 0x90))
		return emulated(1);
	if (!rex && (p[0] == 0xeb || (p[0] >= 0x70 && p[0] <= 0x7f)))
		return emulated(2);
	if (!rex && (p[0] == 0xe9 || p[0] == 0xe8))
		return emulated(5);
	if (!rex && p[0] == 0x0f && p[1] >= 0x80 && p[1] <= 0x8f)
		return emulated(6);
	if (p[0] == 0x80 || p[0] == 0x81 || p[0] == 0x83)
		return decode_cmp_imm(p[0], p[1], prefix);
	if (p[0] == 0x8b && modrm_mod(p[1]) != 3)
		return decode_load(rex, p[1], prefix);
	return decode_reg_reg(rex, p[0], p[1], prefix);
}

static bool is_argument(int reg, unsigned int arguments)
{
	/* rdi rsi rdx rcx r8 r9 */
	static const int regs[] = { 7, 6, 2, 1, 8, 9 };
	unsigned int i;

	for (i = 0; i < 6; i++)
		if (regs[i] == reg && arguments >> i & 1)
			return true;
	return false;
}

static int32_t read32(const uint8_t *p)
{
	int32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Any byte taken for the start of a direct jump or call: does one lead to [1, to]? */
static bool is_jumped_into(const uint8_t *code, size_t len, unsigned int to)
{
	size_t i;

	for (i = 0; i + 2 <= len; i++) {
		int64_t target[2] = { -1, -1 };
		int k;

		if (code[i] == 0xeb || (code[i] >= 0x70 && code[i] <= 0x7f) ||
		    (code[i] >= 0xe0 && code[i] <= 0xe3))
			target[0] = (int64_t)i + 2 + (int8_t)code[i + 1];
		if (i + 5 <= len && (code[i] == 0xe9 || code[i] == 0xe8))
			target[0] = (int64_t)i + 5 + read32(code + i + 1);
		if (i + 6 <= len && code[i] == 0x0f && code[i + 1] >= 0x80 && code[i + 1] <= 0x8f)
			target[1] = (int64_t)i + 6 + read32(code + i + 2);
		for (k = 0; k < 2; k++)
			if (target[k] >= 1 && target[k] <= (int64_t)to)
				return true;
	}
	return false;
}

void probe_point_find(struct probe_point *out, const uint8_t *code, size_t len, unsigned int arguments,
		      bool need_return)
{
	unsigned int at = 0;
	struct insn i;

	(void)need_return; /* nothing that is skipped moves rsp */
	*out = (struct probe_point){ .cost = PROBE_STEPPED, .why = "entry: first instruction not understood" };
	while (at < PROBE_MAX_SHIFT && at < len) {
		i = decode(code + at, len - at);
		if (!i.len)
			return;
		if (i.emulated)
			break;
		if (!i.skippable || i.writes == REG_RSP || i.writes == REG_RBP ||
		    is_argument(i.writes, arguments)) {
			out->why = "entry: an argument changes before an emulated instruction";
			return;
		}
		at += i.len;
	}
	if (at >= PROBE_MAX_SHIFT || at >= len) {
		out->why = "entry: no emulated instruction near";
		return;
	}
	if (at && is_jumped_into(code, len, at)) {
		out->why = "entry: a jump may lead behind it";
		return;
	}
	out->offset = at;
	out->cost = PROBE_EMULATED;
	out->why = at ? "first emulated instruction" : "entry: emulated";
}

#else

void probe_point_find(struct probe_point *out, const uint8_t *code, size_t len, unsigned int arguments,
		      bool need_return)
{
	(void)code;
	(void)len;
	(void)arguments;
	(void)need_return;
	*out = (struct probe_point){ .cost = PROBE_COST_UNKNOWN, .why = "entry: other architecture" };
}

#endif
