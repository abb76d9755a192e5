/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* One row of call frame information -> one rule; see rule.h and bpf/unwind.h. */
#include "unwind/rule.h"

#include "base/table.h"
#include "base/xalloc.h"

#define UNSUPPORTED UW_SPECIAL(UW_SP_UNSUPPORTED)
#define MAX_CFA_OFF (4095 * 8)
#define MAX_SAVED_OFF_X86 (1022 * 8)

_Static_assert(UW_MAX_EXOTIC <= RULE_EXOTIC_SLOTS / 2, "the slots are at most half full");
_Static_assert(UW_ARM64_LR_ALONE + UW_ARM64_LR_ALONE_MAX < UW_FP_UNDEFINED, "10 bits");
_Static_assert(UW_ARM64_PAIR_MAX < UW_ARM64_LR_ALONE, "the two ranges do not meet");

/* The rule that names x, which is added when it is new. */
static uint32_t exotic(struct rule_maker *m, const struct uw_exotic *x)
{
	struct unwind_table *t = m->t;
	size_t at = hash_bytes(x, sizeof(*x)) % RULE_EXOTIC_SLOTS;

	for (; m->slot[at]; at = (at + 1) % RULE_EXOTIC_SLOTS)
		if (!memcmp(&t->exotic[m->slot[at] - 1], x, sizeof(*x)))
			return UW_SPECIAL(UW_SP_EXOTIC + m->slot[at] - 1u);
	if (t->n_exotic >= UW_MAX_EXOTIC)
		return UNSUPPORTED;
	XGROW(t->exotic, t->n_exotic, m->exotic_cap);
	t->exotic[t->n_exotic] = *x;
	m->slot[at] = (uint16_t)(t->n_exotic + 1);
	return UW_SPECIAL(UW_SP_EXOTIC + (uint32_t)t->n_exotic++);
}

static bool fits_s32(int64_t v)
{
	return v >= INT32_MIN && v <= INT32_MAX;
}

/* bregN off, optionally followed by deref, and that by plus_uconst add. */
struct simple_expr {
	unsigned int reg;
	int64_t off, add;
	bool deref;
};

#define DW_OP_DEREF 0x06
#define DW_OP_PLUS_UCONST 0x23
#define DW_OP_BREG0 0x70
#define DW_OP_BREG31 0x8f

static bool parse_simple(const uint8_t *e, size_t len, struct simple_expr *x)
{
	struct cursor c = { e, e + len, false };
	uint8_t op = cursor_u8(&c);

	*x = (struct simple_expr){ 0 };
	if (op < DW_OP_BREG0 || op > DW_OP_BREG31)
		return false;
	x->reg = (unsigned int)op - DW_OP_BREG0;
	x->off = cursor_sleb(&c);
	if (c.p < c.end && *c.p == DW_OP_DEREF) {
		c.p++;
		x->deref = true;
		if (c.p < c.end && *c.p == DW_OP_PLUS_UCONST) {
			c.p++;
			x->add = (int64_t)cursor_uleb(&c);
		}
	}
	return !c.bad && c.p == c.end && fits_s32(x->off) && fits_s32(x->add);
}

/* ---- x86-64 ---- */

/*
 * The expression of lazy-binding PLT entries: breg7 8, breg16 0, lit15, and, lit11 or lit10, ge,
 * lit3, shl, plus: rsp + 8 + ((rip & 15) >= 11 ? 8 : 0). ld emits lit11; where entries begin with
 * endbr64 lit10 or, later, lit9.
 */
static uint32_t plt_rule(const uint8_t *e, size_t len)
{
	static const uint8_t head[] = { 0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a };
	static const uint8_t tail[] = { 0x2a, 0x33, 0x24, 0x22 };

	if (len != 11 || memcmp(e, head, sizeof(head)) != 0 ||
	    memcmp(e + 7, tail, sizeof(tail)) != 0)
		return 0;
	switch (e[6]) {
	case 0x3b:
		return UW_SPECIAL(UW_SP_PLT11);
	case 0x3a:
		return UW_SPECIAL(UW_SP_PLT10);
	case 0x39:
		return UW_SPECIAL(UW_SP_PLT9);
	}
	return 0;
}

/* How an exotic rule finds the caller's frame pointer. */
static void exotic_fp(const struct cfi_state *s, unsigned int fp_reg, struct uw_exotic *x)
{
	struct simple_expr e;

	x->fp_kind = 3;
	if (s->fp.kind == REG_SAME) {
		x->fp_kind = 0;
	} else if (s->fp.kind == REG_OFFSET && fits_s32(s->fp.off)) {
		x->fp_kind = 1;
		x->fp_off = (int32_t)s->fp.off;
	} else if (s->fp.kind == REG_EXPRESSION && parse_simple(s->fp.expr, s->fp.expr_len, &e) &&
		   !e.deref && e.reg == fp_reg) {
		x->fp_kind = 2;
		x->fp_off = (int32_t)e.off;
	}
}

static uint32_t x86_expression(struct rule_maker *m, const struct cfi_state *s)
{
	struct uw_exotic x = { .ra_off = -8 };
	struct simple_expr e;
	uint32_t plt = plt_rule(s->expr, s->expr_len);

	if (plt)
		return plt;
	if (!parse_simple(s->expr, s->expr_len, &e) ||
	    (e.reg != CFI_REG_FP_X86 && e.reg != CFI_REG_SP_X86))
		return UNSUPPORTED;
	x.reg = e.reg == CFI_REG_FP_X86;
	x.deref = e.deref;
	x.off = (int32_t)e.off;
	x.add = (int32_t)e.add;
	exotic_fp(s, CFI_REG_FP_X86, &x);
	return exotic(m, &x);
}

static bool x86_fp_fits(const struct reg_rule *fp)
{
	switch (fp->kind) {
	case REG_OFFSET:
		return fp->off < 0 && fp->off >= -MAX_SAVED_OFF_X86 && !(fp->off & 7);
	case REG_EXPRESSION:
		return false;
	default:
		return true;
	}
}

static bool cfa_fits(const struct cfi_state *s)
{
	return s->cfa_off >= 0 && s->cfa_off <= MAX_CFA_OFF && !(s->cfa_off & 7);
}

static uint32_t x86_rule(struct rule_maker *m, const struct cfi_state *s)
{
	struct uw_exotic x = { .ra_off = -8 };
	uint32_t fp = 0;

	if (s->ra.kind != REG_OFFSET || s->ra.off != -8)
		return UNSUPPORTED;
	if (s->cfa_is_expr)
		return x86_expression(m, s);
	if ((s->cfa_reg != CFI_REG_FP_X86 && s->cfa_reg != CFI_REG_SP_X86) || !fits_s32(s->cfa_off))
		return UNSUPPORTED;
	if (!cfa_fits(s) || !x86_fp_fits(&s->fp)) {
		x.reg = s->cfa_reg == CFI_REG_FP_X86;
		x.off = (int32_t)s->cfa_off;
		exotic_fp(s, CFI_REG_FP_X86, &x);
		return exotic(m, &x);
	}
	if (s->fp.kind == REG_OFFSET)
		fp = (uint32_t)(-s->fp.off / 8);
	else if (s->fp.kind != REG_SAME)
		fp = UW_FP_UNDEFINED;
	return UW_RULE(s->cfa_reg == CFI_REG_FP_X86 ? UW_KIND_FP : UW_KIND_SP, s->cfa_off / 8, fp);
}

/*
 * A signal frame as the kernel makes it: the walker reads rip at rsp + 168 (ucontext at rsp, its
 * registers from 40 on, rip number 16). Another shape would give a wrong stack without a mark.
 */
static uint32_t x86_signal(const struct cfi_state *s)
{
	struct simple_expr ra;

	if (s->ra.kind == REG_EXPRESSION && parse_simple(s->ra.expr, s->ra.expr_len, &ra) &&
	    ra.reg == CFI_REG_SP_X86 && ra.off == 40 + 16 * 8 && !ra.deref)
		return UW_SPECIAL(UW_SP_SIGNAL);
	return UNSUPPORTED;
}

/* ---- arm64 ---- */

/* k when the register is at CFA - 8*k, 1 <= k <= max; else 0. */
static uint32_t arm64_slot(const struct reg_rule *r, uint32_t max)
{
	if (r->kind != REG_OFFSET || r->off >= 0 || r->off < -8 * (int64_t)max || r->off & 7)
		return 0;
	return (uint32_t)(-r->off / 8);
}

static uint32_t arm64_exotic(struct rule_maker *m, const struct cfi_state *s)
{
	struct uw_exotic x = { .reg = s->cfa_reg == CFI_REG_FP_ARM64, .off = (int32_t)s->cfa_off };

	if (s->ra.kind == REG_SAME)
		x.ra_kind = 1;
	else if (s->ra.kind == REG_OFFSET && fits_s32(s->ra.off))
		x.ra_off = (int32_t)s->ra.off;
	else
		return UNSUPPORTED;
	exotic_fp(s, CFI_REG_FP_ARM64, &x);
	return exotic(m, &x);
}

static uint32_t arm64_rule(struct rule_maker *m, const struct cfi_state *s)
{
	uint32_t pair = arm64_slot(&s->fp, UW_ARM64_PAIR_MAX), field;
	uint32_t lr = arm64_slot(&s->ra, UW_ARM64_LR_ALONE_MAX);

	if (s->cfa_is_expr || (s->cfa_reg != CFI_REG_FP_ARM64 && s->cfa_reg != CFI_REG_SP_ARM64) ||
	    !fits_s32(s->cfa_off))
		return UNSUPPORTED;
	if (s->fp.kind == REG_SAME && s->ra.kind == REG_SAME)
		field = 0;
	else if (pair && s->ra.kind == REG_OFFSET && s->ra.off == s->fp.off + 8)
		field = pair;
	else if (s->fp.kind == REG_SAME && lr)
		field = UW_ARM64_LR_ALONE + lr;
	else
		return arm64_exotic(m, s);
	if (!cfa_fits(s))
		return arm64_exotic(m, s);
	return UW_RULE(s->cfa_reg == CFI_REG_FP_ARM64 ? UW_KIND_FP : UW_KIND_SP, s->cfa_off / 8,
		       field);
}

uint32_t rule_from_state(struct rule_maker *m, const struct cfi_cie *cie, const struct cfi_state *s)
{
	bool is_x86 = m->t->arch == UNWIND_X86_64;

	if (s->ra.kind == REG_UNDEFINED)
		return UW_SPECIAL(UW_SP_END);
	if (cie->is_signal)
		return is_x86 ? x86_signal(s) : UW_SPECIAL(UW_SP_SIGNAL);
	return is_x86 ? x86_rule(m, s) : arm64_rule(m, s);
}
