/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The interpreter of call frame programs; see cfi.h. Opcodes: DWARF 5 table 7.29, and the GNU
 * and AArch64 ones in use. A row is given out whenever the location advances, and at the end.
 * Each step consumes at least one byte of the program, so it ends; expressions are not evaluated,
 * only remembered.
 */
#include <errno.h>

#include "unwind/cfi.h"

/* DW_CFA_remember_state nests a few levels in compiled code. */
#define MAX_REMEMBERED 32
/* Expressions in use have at most a few dozen bytes. */
#define MAX_EXPRESSION_BYTES 4096

struct run {
	const struct cfi_section *sec;
	const struct cfi_cie *cie;
	struct cursor c;
	struct cfi_state s;
	struct cfi_state stack[MAX_REMEMBERED];
	unsigned int depth;
	uint64_t pc, end;
	uint64_t fp_column;
	cfi_row_fn fn;
	void *ctx;
};

static struct reg_rule *rule_of(struct run *r, uint64_t column)
{
	if (column == r->fp_column)
		return &r->s.fp;
	return column == r->cie->ra_column ? &r->s.ra : NULL;
}

static void set_rule(struct run *r, uint64_t column, struct reg_rule rule)
{
	struct reg_rule *to = rule_of(r, column);

	if (to)
		*to = rule;
}

static void set_offset(struct run *r, uint64_t column, int64_t factored)
{
	int64_t off;

	if (__builtin_mul_overflow(factored, r->cie->data_align, &off))
		r->c.bad = true;
	set_rule(r, column, (struct reg_rule){ .kind = REG_OFFSET, .off = off });
}

static void restore(struct run *r, uint64_t column)
{
	if (column == r->fp_column)
		r->s.fp = r->cie->initial.fp;
	if (column == r->cie->ra_column)
		r->s.ra = r->cie->initial.ra;
}

/* Non-zero: stop (the end was passed, or fn said so). */
static int advance(struct run *r, uint64_t units)
{
	uint64_t delta;
	int err;

	if (__builtin_mul_overflow(units, r->cie->code_align, &delta) || delta > r->end - r->pc)
		delta = r->end - r->pc;
	if (!delta)
		return 0;
	err = r->fn(r->ctx, r->pc, &r->s);
	r->pc += delta;
	return err ? err : r->pc >= r->end;
}

static int set_location(struct run *r)
{
	uint64_t to = cfi_pointer(&r->c, r->cie->encoding, r->sec);
	int err;

	if (to <= r->pc || r->c.bad)
		return 0;
	err = r->fn(r->ctx, r->pc, &r->s);
	r->pc = to < r->end ? to : r->end;
	return err ? err : r->pc >= r->end;
}

static void read_expression(struct run *r, const uint8_t **expr, uint32_t *len)
{
	uint64_t n = cursor_uleb(&r->c);

	if (n > MAX_EXPRESSION_BYTES)
		r->c.bad = true;
	*expr = r->c.p;
	*len = (uint32_t)n;
	cursor_skip(&r->c, n);
}

static void register_expression(struct run *r, bool is_value)
{
	uint64_t column = cursor_uleb(&r->c);
	struct reg_rule rule = { .kind = is_value ? REG_OTHER : REG_EXPRESSION };

	read_expression(r, &rule.expr, &rule.expr_len);
	set_rule(r, column, rule);
}

static void set_cfa(struct run *r, uint64_t reg, int64_t off)
{
	r->s.cfa_is_expr = false;
	r->s.cfa_reg = reg;
	r->s.cfa_off = off;
}

/* Opcodes that define the CFA. true: it was one. */
static bool run_cfa_op(struct run *r, uint8_t op)
{
	struct cursor *c = &r->c;
	uint64_t reg;

	switch (op) {
	case 0x0c: /* def_cfa */
		reg = cursor_uleb(c);
		set_cfa(r, reg, (int64_t)cursor_uleb(c));
		return true;
	case 0x0d: /* def_cfa_register */
		r->s.cfa_is_expr = false;
		r->s.cfa_reg = cursor_uleb(c);
		return true;
	case 0x0e: /* def_cfa_offset */
		r->s.cfa_off = (int64_t)cursor_uleb(c);
		return true;
	case 0x0f: /* def_cfa_expression */
		r->s.cfa_is_expr = true;
		read_expression(r, &r->s.expr, &r->s.expr_len);
		return true;
	case 0x12: /* def_cfa_sf */
		reg = cursor_uleb(c);
		set_cfa(r, reg, (int64_t)((uint64_t)cursor_sleb(c) * (uint64_t)r->cie->data_align));
		return true;
	case 0x13: /* def_cfa_offset_sf */
		r->s.cfa_off = (int64_t)((uint64_t)cursor_sleb(c) * (uint64_t)r->cie->data_align);
		return true;
	}
	return false;
}

/* Opcodes that define a register's rule. true: it was one. */
static bool run_register_op(struct run *r, uint8_t op)
{
	struct cursor *c = &r->c;
	uint64_t column;

	switch (op) {
	case 0x05: /* offset_extended */
		column = cursor_uleb(c);
		set_offset(r, column, (int64_t)cursor_uleb(c));
		return true;
	case 0x11: /* offset_extended_sf */
		column = cursor_uleb(c);
		set_offset(r, column, cursor_sleb(c));
		return true;
	case 0x2f: /* GNU_negative_offset_extended */
		column = cursor_uleb(c);
		set_offset(r, column, -(int64_t)(cursor_uleb(c) & INT64_MAX));
		return true;
	case 0x06: /* restore_extended */
		restore(r, cursor_uleb(c));
		return true;
	case 0x07: /* undefined */
		set_rule(r, cursor_uleb(c), (struct reg_rule){ .kind = REG_UNDEFINED });
		return true;
	case 0x08: /* same_value */
		set_rule(r, cursor_uleb(c), (struct reg_rule){ .kind = REG_SAME });
		return true;
	case 0x09: /* register */
	case 0x14: /* val_offset */
		column = cursor_uleb(c);
		cursor_uleb(c);
		set_rule(r, column, (struct reg_rule){ .kind = REG_OTHER });
		return true;
	case 0x15: /* val_offset_sf */
		column = cursor_uleb(c);
		cursor_sleb(c);
		set_rule(r, column, (struct reg_rule){ .kind = REG_OTHER });
		return true;
	case 0x10: /* expression */
	case 0x16: /* val_expression */
		register_expression(r, op == 0x16);
		return true;
	}
	return false;
}

/* The rest. 0 go on, > 0 done, < 0 malformed. */
static int run_other_op(struct run *r, uint8_t op)
{
	switch (op) {
	case 0x00: /* nop */
	case 0x2c: /* AARCH64_negate_ra_state_with_pc */
	case 0x2d: /* AARCH64_negate_ra_state, GNU_window_save */
		return 0;
	case 0x01:
		return set_location(r);
	case 0x02:
		return advance(r, cursor_uint(&r->c, 1));
	case 0x03:
		return advance(r, cursor_uint(&r->c, 2));
	case 0x04:
		return advance(r, cursor_uint(&r->c, 4));
	case 0x0a: /* remember_state */
		if (r->depth == MAX_REMEMBERED)
			return -EINVAL;
		r->stack[r->depth++] = r->s;
		return 0;
	case 0x0b: /* restore_state */
		if (!r->depth)
			return -EINVAL;
		r->s = r->stack[--r->depth];
		return 0;
	case 0x2e: /* GNU_args_size */
		cursor_uleb(&r->c);
		return 0;
	}
	return -EINVAL;
}

static int run_op(struct run *r)
{
	uint8_t op = cursor_u8(&r->c);

	switch (op & 0xc0) {
	case 0x40:
		return advance(r, op & 0x3f);
	case 0x80:
		set_offset(r, op & 0x3f, (int64_t)cursor_uleb(&r->c));
		return 0;
	case 0xc0:
		restore(r, op & 0x3f);
		return 0;
	}
	if (run_cfa_op(r, op) || run_register_op(r, op))
		return 0;
	return run_other_op(r, op);
}

int cfi_run(const struct cfi_section *sec, const struct cfi_cie *cie, const struct cfi_fde *f,
	    cfi_row_fn fn, void *ctx)
{
	struct run r; /* the stack stays uninitialised: clearing it would cost more than a short
			 program */
	int err = 0;

	r.sec = sec;
	r.cie = cie;
	r.c = (struct cursor){ f->program, f->program_end, false };
	r.s = cie->initial;
	r.depth = 0;
	r.pc = f->start;
	r.end = f->end;
	r.fp_column = sec->arch == UNWIND_X86_64 ? CFI_REG_FP_X86 : CFI_REG_FP_ARM64;
	r.fn = fn;
	r.ctx = ctx;
	while (r.c.p < r.c.end && !r.c.bad && !err)
		err = run_op(&r);
	if (r.c.bad || err < 0)
		return -EINVAL;
	if (!err)
		fn(ctx, r.pc, &r.s);
	return 0;
}
