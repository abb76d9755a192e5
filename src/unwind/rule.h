/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One row of call frame information -> one 24-bit rule (format: bpf/unwind.h). What does not fit a
 * rule goes into the table's exotic rules, each once; what those cannot express becomes
 * UW_SP_UNSUPPORTED. Expressions are recognised by shape, never evaluated.
 */
#ifndef MEMPROBE_UNWIND_RULE_H
#define MEMPROBE_UNWIND_RULE_H

#include "unwind/cfi.h"

#define RULE_EXOTIC_SLOTS 8192 /* open addressing; at most half full */

/* Zero-initialised, t set. */
struct rule_maker {
	struct unwind_table *t;
	size_t exotic_cap;
	uint16_t slot[RULE_EXOTIC_SLOTS]; /* 1 + index into t->exotic, 0 free */
};

uint32_t rule_from_state(struct rule_maker *m, const struct cfi_cie *cie,
			 const struct cfi_state *s);

#endif
