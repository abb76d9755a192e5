/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * .eh_frame (and .debug_frame) -> packed unwind rows (format: bpf/unwind.h).
 *
 * Works on the bytes of one ELF file; depends on base and zlib only (no libelf). The file is
 * untrusted: every length is checked, rows, expressions and work are capped; the result is a
 * table, possibly a partial one with skipped FDEs counted, or an error. Not thread safe per
 * table; different tables may be built at the same time.
 *
 *	rows:  0x1000 rsp+8 | 0x1001 rsp+16 fp at cfa-16 | 0x1004 rbp+16 fp at cfa-16 | ...
 *	groups[g]: UW_GROUP_ONE_ROW | packed row, or where in entries[] the blocks of group g stand
 *	entries[e]: index of the first packed row of a block; after a group's last one, where that block ends
 *
 * To look up: subtract lo, take the group, its block, then the last row whose pc_low is not larger (see
 * unwind_table_rule). To relocate: add a number to each group and entry, and to each exotic code.
 */
#ifndef MEMPROBE_UNWIND_UNWIND_TABLE_H
#define MEMPROBE_UNWIND_UNWIND_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/unwind.h"

enum unwind_arch { UNWIND_X86_64, UNWIND_ARM64 };

struct unwind_row {
	uint64_t pc; /* ELF virtual address */
	uint32_t rule;
};

/* An executable PT_LOAD, page-rounded, to turn file offsets into virtual addresses. */
struct unwind_segment {
	uint64_t file_off, vaddr, size_bytes;
};

#define UNWIND_MAX_SEGMENTS 8

struct unwind_stats {
	size_t n_fde, n_rows;
	size_t n_bad_fde; /* skipped: malformed, unknown encoding, outside the executable segments */
};

struct unwind_table {
	enum unwind_arch arch;
	unsigned int block_shift;
	uint64_t lo, hi;         /* covered by unwind info; lo is block aligned */
	struct unwind_row *rows; /* sorted, merged; kept only with UNWIND_KEEP_ROWS */
	size_t n_rows;
	size_t n_blocks;
	uint32_t *groups;
	size_t n_groups;
	uint32_t *entries;
	size_t n_entries;
	uint32_t *packed;
	size_t n_packed;
	struct uw_exotic *exotic;
	size_t n_exotic;
	struct unwind_segment seg[UNWIND_MAX_SEGMENTS];
	unsigned int n_seg;
	struct unwind_stats stats;
};

#define UNWIND_KEEP_ROWS 1u

/*
 * Build from the whole file in memory. 0, -ENOEXEC (no ELF64 of a supported machine), -ENODATA (no
 * unwind info at all: the table is then empty but segments are set), -EINVAL (malformed beyond
 * use), -E2BIG (caps). *t may be released after any of them.
 */
int unwind_table_build(struct unwind_table *t, const void *image, size_t size_bytes,
		       unsigned int flags);
/* The same from an open file, by pread: a file that shrinks meanwhile is an error, not a SIGBUS. */
int unwind_table_build_fd(struct unwind_table *t, int fd, unsigned int flags);
void unwind_table_release(struct unwind_table *t);
/* Size of the packed form, all in. */
static inline size_t unwind_table_words(const struct unwind_table *t)
{
	return t->n_groups + t->n_entries + t->n_packed;
}
/* Rule for an address, by the packed form: what the BPF side computes. UW_RULE_NONE outside. */
uint32_t unwind_table_rule(const struct unwind_table *t, uint64_t vaddr);

#endif
