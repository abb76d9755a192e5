/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A row of unwind information in words that both our packed rule and libdw's answer can be put
 * into, for unwind_rows.c only. libdw's operations are read here without any code of src/unwind.
 *
 *	cfa sp+16+0 fp cfa-16 ra cfa-8		push %rbp
 *	cfa *fp-40+0 fp [fp]+0 ra cfa-8		a realigned function
 */
#ifndef MEMPROBE_TESTS_UNWIND_ROWS_H
#define MEMPROBE_TESTS_UNWIND_ROWS_H

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "unwind/unwind_table.h"

enum kind { NO_INFO, END, SIGNAL, PLT, FRAME, UNUSABLE };
enum where { SAME, AT_CFA, AT_FP, UNDEFINED, ELSEWHERE };

static const char *const kind_names[] = { "no info", "end", "signal", "plt", "frame", "unusable" };

struct place {
	enum where where;
	int64_t off;
};

struct row {
	enum kind kind;
	unsigned int plt;
	bool cfa_from_fp, cfa_deref;
	int64_t cfa_off, cfa_add;
	struct place fp, ra;
};

struct machine {
	enum unwind_arch arch;
	int sp, fp, ra; /* DWARF numbers */
};

static bool same_place(const struct place *a, const struct place *b)
{
	return a->where == b->where &&
	       (a->where == SAME || a->where == UNDEFINED || a->off == b->off);
}

static bool same_row(const struct row *a, const struct row *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == PLT)
		return a->plt == b->plt;
	if (a->kind != FRAME)
		return true;
	return a->cfa_from_fp == b->cfa_from_fp && a->cfa_deref == b->cfa_deref &&
	       a->cfa_off == b->cfa_off && a->cfa_add == b->cfa_add && same_place(&a->fp, &b->fp) &&
	       same_place(&a->ra, &b->ra);
}

static void print_row(const char *who, const struct row *r)
{
	static const char *const where[] = { "same", "cfa", "[fp]", "undefined", "elsewhere" };

	printf("    %s: %s", who, kind_names[r->kind]);
	if (r->kind == PLT)
		printf(" %u", r->plt);
	if (r->kind == FRAME)
		printf(" cfa %s%s%+lld%+lld fp %s%+lld ra %s%+lld", r->cfa_deref ? "*" : "",
		       r->cfa_from_fp ? "fp" : "sp", (long long)r->cfa_off, (long long)r->cfa_add,
		       where[r->fp.where], (long long)r->fp.off, where[r->ra.where],
		       (long long)r->ra.off);
	printf("\n");
}

/* ---- our side ---- */

static void exotic_row(const struct uw_exotic *x, struct row *r)
{
	static const enum where fp[] = { SAME, AT_CFA, AT_FP, UNDEFINED };

	r->cfa_from_fp = x->reg;
	r->cfa_deref = x->deref;
	r->cfa_off = x->off;
	r->cfa_add = x->add;
	r->fp = (struct place){ fp[x->fp_kind & 3], x->fp_off };
	r->ra = (struct place){ x->ra_kind ? SAME : AT_CFA, x->ra_off };
}

static void special_row(const struct unwind_table *t, uint32_t code, struct row *r)
{
	switch (code) {
	case UW_SP_END:
		r->kind = END;
		return;
	case UW_SP_SIGNAL:
		r->kind = SIGNAL;
		return;
	case UW_SP_PLT11:
	case UW_SP_PLT10:
	case UW_SP_PLT9:
		r->kind = PLT;
		r->plt = code == UW_SP_PLT11 ? 11 : code == UW_SP_PLT10 ? 10 : 9;
		return;
	}
	if (code < UW_SP_EXOTIC || code - UW_SP_EXOTIC >= t->n_exotic)
		r->kind = UNUSABLE;
	else
		exotic_row(&t->exotic[code - UW_SP_EXOTIC], r);
}

static void our_row(const struct unwind_table *t, uint32_t rule, struct row *r)
{
	int64_t v = UW_RULE_FP(rule);

	*r = (struct row){ .kind = FRAME };
	if (UW_RULE_KIND(rule) == UW_KIND_NONE) {
		r->kind = NO_INFO;
		return;
	}
	if (UW_RULE_KIND(rule) == UW_KIND_SPECIAL) {
		special_row(t, rule & 0x3fffff, r);
		return;
	}
	r->cfa_from_fp = UW_RULE_KIND(rule) == UW_KIND_FP;
	r->cfa_off = 8 * (int64_t)UW_RULE_OFF(rule);
	r->fp = (struct place){ SAME, 0 };
	if (t->arch == UNWIND_X86_64) {
		r->ra = (struct place){ AT_CFA, -8 };
		if (v)
			r->fp = (struct place){ v == UW_FP_UNDEFINED ? UNDEFINED : AT_CFA, -8 * v };
	} else if (v > UW_ARM64_LR_ALONE) {
		r->ra = (struct place){ AT_CFA, -8 * (v - UW_ARM64_LR_ALONE) };
	} else if (v) {
		r->fp = (struct place){ AT_CFA, -8 * v };
		r->ra = (struct place){ AT_CFA, -8 * v + 8 };
	}
}

/* ---- libdw's side ---- */

/* A register at the address of a breg expression. libdw shows that DW_CFA_expression pushes the
 * CFA. */
static bool is_at_breg(const Dwarf_Op *ops, size_t n, int reg)
{
	return n == 2 && ops[0].atom == DW_OP_call_frame_cfa && ops[1].atom == DW_OP_breg0 + reg;
}

static struct place libdw_place(Dwarf_Frame *f, int reg, const struct machine *m)
{
	struct place p = { ELSEWHERE, 0 };
	Dwarf_Op mem[3], *ops;
	size_t n;

	if (dwarf_frame_register(f, reg, mem, &ops, &n))
		return p;
	if (!n) {
		p.where = ops ? UNDEFINED : SAME;
	} else if (ops[0].atom == DW_OP_call_frame_cfa && n == 1) {
		p.where = AT_CFA;
	} else if (ops[0].atom == DW_OP_call_frame_cfa && n == 2 &&
		   ops[1].atom == DW_OP_plus_uconst) {
		p.where = AT_CFA;
		p.off = (int64_t)ops[1].number;
	} else if (is_at_breg(ops, n, m->fp)) {
		p.where = AT_FP;
		p.off = (int64_t)ops[1].number;
	}
	return p;
}

static bool libdw_plt(const Dwarf_Op *ops, size_t n, struct row *r)
{
	static const uint8_t atoms[] = { DW_OP_breg7, DW_OP_breg16, DW_OP_lit15, DW_OP_and, 0,
					 DW_OP_ge,    DW_OP_lit3,   DW_OP_shl,   DW_OP_plus };
	size_t i;

	if (n != sizeof(atoms) || ops[0].number != 8 || ops[1].number != 0)
		return false;
	for (i = 0; i < n; i++)
		if (i != 4 && ops[i].atom != atoms[i])
			return false;
	if (ops[4].atom < DW_OP_lit9 || ops[4].atom > DW_OP_lit11)
		return false;
	r->kind = PLT;
	r->plt = ops[4].atom - DW_OP_lit0;
	return true;
}

static bool libdw_cfa(const Dwarf_Op *ops, size_t n, const struct machine *m, struct row *r)
{
	int reg;

	if (!n)
		return false;
	if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31) {
		reg = ops[0].atom - DW_OP_breg0;
		r->cfa_off = (int64_t)ops[0].number;
	} else if (ops[0].atom == DW_OP_bregx) {
		reg = (int)ops[0].number;
		r->cfa_off = (int64_t)ops[0].number2;
	} else {
		return false;
	}
	r->cfa_from_fp = reg == m->fp;
	r->cfa_deref = n > 1 && ops[1].atom == DW_OP_deref;
	if (n == 3 && r->cfa_deref && ops[2].atom == DW_OP_plus_uconst)
		r->cfa_add = (int64_t)ops[2].number;
	else if (n != 1u + r->cfa_deref)
		return false;
	return reg == m->fp || reg == m->sp;
}

/* Kernel's rt_sigframe: cfa *(rsp + 160), rip at rsp + 168, rbp at rsp + 120. */
static bool is_x86_sigframe(Dwarf_Frame *f, const struct machine *m, const Dwarf_Op *ops, size_t n)
{
	Dwarf_Op mem[3], *ra, *fp;
	size_t n_ra, n_fp;

	if (n != 2 || ops[0].atom != DW_OP_breg7 || ops[0].number != 160 ||
	    ops[1].atom != DW_OP_deref)
		return false;
	return !dwarf_frame_register(f, m->ra, mem, &ra, &n_ra) && is_at_breg(ra, n_ra, m->sp) &&
	       ra[1].number == 168 && !dwarf_frame_register(f, m->fp, mem, &fp, &n_fp) &&
	       is_at_breg(fp, n_fp, m->sp) && fp[1].number == 120;
}

static void libdw_row(const struct machine *m, Dwarf_Frame *f, struct row *r)
{
	bool is_x86 = m->arch == UNWIND_X86_64, is_signal = false;
	Dwarf_Op *ops;
	size_t n;

	*r = (struct row){ .kind = FRAME };
	dwarf_frame_info(f, NULL, NULL, &is_signal);
	r->fp = libdw_place(f, m->fp, m);
	r->ra = libdw_place(f, m->ra, m);
	if (r->ra.where == UNDEFINED) {
		r->kind = END;
	} else if (dwarf_frame_cfa(f, &ops, &n)) {
		r->kind = UNUSABLE;
	} else if (is_signal) {
		r->kind = !is_x86 || is_x86_sigframe(f, m, ops, n) ? SIGNAL : UNUSABLE;
	} else if (is_x86 && (r->ra.where != AT_CFA || r->ra.off != -8)) {
		r->kind = UNUSABLE;
	} else if (!(is_x86 && libdw_plt(ops, n, r)) && !libdw_cfa(ops, n, m, r)) {
		r->kind = UNUSABLE;
	} else if (!is_x86 && (r->cfa_deref || (r->ra.where != AT_CFA && r->ra.where != SAME))) {
		r->kind = UNUSABLE;
	}
}

#endif
