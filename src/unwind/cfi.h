/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Call frame information: CIE and FDE records of .eh_frame (Linux Standard Base 5, section 10.6)
 * and .debug_frame (DWARF 5, section 6.4), and the interpreter of their programs (cfi_run.c).
 *
 * Only what a stack walk needs is tracked: the CFA, the frame pointer and the return address.
 * Work is linear in the section's size, whatever it holds; nothing here allocates. Pointers
 * into the section stay valid as long as its bytes do.
 */
#ifndef MEMPROBE_UNWIND_CFI_H
#define MEMPROBE_UNWIND_CFI_H

#include "unwind/cursor.h"
#include "unwind/unwind_table.h"

struct cfi_section {
	const uint8_t *data;
	size_t size_bytes;
	uint64_t vaddr;     /* of data[0] */
	uint64_t hdr_vaddr; /* base of datarel pointers */
	bool is_debug_frame;
	bool is_exact; /* size_bytes is the section's: a zero length inside is no end */
	enum unwind_arch arch;
};

enum reg_kind { REG_SAME, REG_OFFSET, REG_UNDEFINED, REG_EXPRESSION, REG_OTHER };

struct reg_rule {
	enum reg_kind kind;
	uint32_t expr_len;
	int64_t off;         /* REG_OFFSET: at CFA + off */
	const uint8_t *expr; /* REG_EXPRESSION: at the address that it computes */
};

/* The row in force at one address. */
struct cfi_state {
	bool cfa_is_expr;
	uint32_t expr_len;
	uint64_t cfa_reg;
	int64_t cfa_off;
	const uint8_t *expr;
	struct reg_rule fp, ra;
};

struct cfi_cie {
	uint64_t offset; /* in the section; identity */
	bool ok, has_augmentation, is_signal;
	uint8_t encoding; /* of FDE addresses */
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_column;
	struct cfi_state initial;
};

struct cfi_fde {
	uint64_t start, end; /* addresses */
	uint64_t cie;        /* offset */
	const uint8_t *program, *program_end;
};

#define CFI_REG_FP_X86 6
#define CFI_REG_SP_X86 7
#define CFI_REG_FP_ARM64 29
#define CFI_REG_SP_ARM64 31

/* CIEs are few, and their FDEs follow them: a small direct-mapped cache. */
#define CFI_CIE_SLOTS 64

struct cfi_reader {
	struct cfi_section sec;
	struct cfi_cie cie[CFI_CIE_SLOTS];
	uint64_t budget_bytes; /* of CIEs still to be parsed */
};

void cfi_reader_init(struct cfi_reader *r, const struct cfi_section *sec);
/* The CIE at an offset, valid until the next call; NULL when it cannot be used. */
const struct cfi_cie *cfi_cie_at(struct cfi_reader *r, uint64_t offset);

/*
 * Walk the section's records. fn gets each well-formed FDE of at least one byte, in file order;
 * the number of malformed records is added to *n_bad.
 */
void cfi_each_fde(struct cfi_reader *r, void (*fn)(void *ctx, const struct cfi_fde *f), void *ctx, size_t *n_bad);

/* From pc on, state s holds. Non-zero stops. */
typedef int (*cfi_row_fn)(void *ctx, uint64_t pc, const struct cfi_state *s);

/* Run an FDE's program. 0, or -EINVAL when it is malformed (rows given before stand). */
int cfi_run(const struct cfi_section *sec, const struct cfi_cie *cie, const struct cfi_fde *f,
	    cfi_row_fn fn, void *ctx);
/* A pointer encoded as DW_EH_PE_*; sets c->bad for encodings that are not in use. */
uint64_t cfi_pointer(struct cursor *c, uint8_t encoding, const struct cfi_section *sec);

#endif
