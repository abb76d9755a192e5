/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Packed unwind rows: the contract between src/unwind (which compiles them from
 * .eh_frame) and bpf/unwind.bpf.h (which walks stacks with them).
 *
 * A row is one u32: pc_low << 24 | rule. Text is cut into blocks (256 bytes on x86-64,
 * 1024 on arm64, where pc_low counts 4-byte instructions); each block starts with a row
 * of pc_low 0, so a look-up never crosses a block (blocks inside one rule share its row). The rule (24 bits), x86-64:
 *
 *	23..22 kind: 0 CFA = rsp + 8*off, 1 CFA = rbp + 8*off, 2 special, 3 no unwind info
 *	21..10 off (0..4095)
 *	 9..0  rbp: 0 unchanged, 1..1022 saved at CFA - 8*v, 1023 undefined
 *
 * The return address is at CFA - 8. `push %rbp; mov %rsp,%rbp` is kind 1, off 2, rbp 2.
 */
/*
 * arm64: kind 0 CFA = sp + 8*off, 1 CFA = x29 + 8*off. Bits 9..0:
 *
 *	0           x29 unchanged, return address still in x30: innermost frame, or above a signal
 *	v 1..510    x29 at CFA - 8*v, return address in the 8 bytes above it (stp x29, x30)
 *	511 + k     return address at CFA - 8*k, x29 unchanged; k 1..511
 *
 * 511 and 1023 are not used. All else (frames with more than 4 KiB of locals keep the pair below them, x29 saved
 * without x30) is in the exotic table. Return addresses may carry a pointer authentication code: strip it.
 */
#ifndef MEMPROBE_UNWIND_ABI_H
#define MEMPROBE_UNWIND_ABI_H

#ifndef __bpf__
#include <linux/types.h>
#endif

/*
 * UW_GROUP_BLOCKS blocks are a group. An object has a word per group: either UW_GROUP_ONE_ROW and the row that holds
 * for the whole group (text without unwind info costs next to nothing), or where the entries of its blocks
 * stand: each the first row of its block, and one more where the last block's rows end.
 */
#define UW_GROUP_BLOCKS 128u
#define UW_GROUP_ONE_ROW 0x80000000u

#define UW_BLOCK_SHIFT_X86 8
#define UW_BLOCK_SHIFT_ARM64 10

#define UW_KIND_SP 0u
#define UW_KIND_FP 1u
#define UW_KIND_SPECIAL 2u
#define UW_KIND_NONE 3u

#define UW_RULE(kind, off, fp) ((__u32)(kind) << 22 | (__u32)(off) << 10 | (__u32)(fp))
#define UW_RULE_NONE UW_RULE(UW_KIND_NONE, 0, 0)
#define UW_RULE_FRAME_POINTER \
	UW_RULE(UW_KIND_FP, 2, 2) /* both machines: {fp, return address} at fp */
#define UW_ARM64_LR_ALONE 511u    /* + k */
#define UW_ARM64_LR_ALONE_MAX 511u
#define UW_ARM64_PAIR_MAX 510u
#define UW_RULE_KIND(r) ((r) >> 22 & 3)
#define UW_RULE_OFF(r) ((r) >> 10 & 0xfff)
#define UW_RULE_FP(r) ((r)&0x3ff)
#define UW_FP_UNDEFINED 1023u

/* Special rules: code in bits 21..0. */
#define UW_SPECIAL(code) (UW_KIND_SPECIAL << 22 | (code))
#define UW_SP_END 0u    /* return address undefined: the outermost frame */
#define UW_SP_SIGNAL 1u /* kernel's rt_sigframe */
#define UW_SP_PLT11 2u  /* lazy-binding PLT: CFA = rsp + 8 + ((pc & 15) >= 11 ? 8 : 0) */
#define UW_SP_PLT10 3u
#define UW_SP_UNSUPPORTED 4u
#define UW_SP_PLT9 5u    /* as PLT11, from 9 on: binutils 2.42's PLT with endbr64 */
#define UW_SP_EXOTIC 16u /* 16 + i: entry i of the exotic table */

/* cfa = deref ? *(reg + off) + add : reg + off */
struct uw_exotic {
	__u8 reg; /* 0 sp, 1 fp */
	__u8 deref;
	__u8 fp_kind; /* 0 unchanged, 1 saved at cfa + fp_off, 2 saved at fp + fp_off, 3 undefined
		       */
	__u8 ra_kind; /* 0 saved at cfa + ra_off (x86-64: always cfa - 8), 1 still in x30 */
	__s32 off, add, fp_off, ra_off;
};

/* ---- maps of the walker ---- */

/* Rows and block indices are words of one pool, addressed by a word number. */
#define UW_PAGE_WORDS 1024
#define UW_CHUNK_PAGES 256      /* a chunk: 1 MiB */
#define UW_MAX_TABLE_CHUNKS 256 /* 256 MiB of tables at most, added as needed */
#define UW_MAX_OBJECTS 8192
#define UW_MAX_EXOTIC 4096
#define UW_MAX_SEGMENTS 8

/*
 * A file, as the kernel knows it. Never from stat(): st_dev differs from s_dev on btrfs and overlayfs. Nor, on overlayfs
 * since 6.8, from /proc/PID/maps: those are the overlay's numbers, the walk sees the file below (find_real_file).
 */
struct uw_object_key {
	__u64 ino;
	__u32 dev; /* s_dev: major << 20 | minor */
	__u32 pad;
};

enum uw_object_state {
	UW_OBJECT_PENDING = 0, /* announced; its table is being built */
	UW_OBJECT_READY = 1,
	UW_OBJECT_FULL = 2, /* no room for its table: frame pointers, where they look like some */
};

struct uw_object {
	__u64 lo;          /* virtual address of block 0 */
	__u32 groups;	   /* word number of the group of block 0 */
	__u32 n_blocks;
	__u32 n_seg;
	__u32 state;
	__u64 last_use_ns; /* CLOCK_MONOTONIC, of the last look-up that the memo could not answer */
	__u64 version; /* mp_file_version of the file that the table was made of; 0: not compared */
	struct {
		__u64 file_off, vaddr, size;
	} seg[UW_MAX_SEGMENTS];
};

/*
 * Executable mappings of a process, where bpf_find_vma is missing: entries start..start+end of the head
 * (start: the first entry, end: how many, 0 = asked for), sorted by address. A new array is written beside
 * the old one before the head turns to it.
 */
#define UW_RANGE_BITS 12
#define UW_MAX_RANGES_PER_PROCESS ((1 << UW_RANGE_BITS) - 1)
#define UW_MAX_RANGES 65536
#define UW_RANGE_HEAD 0xffffffffu

struct uw_range_key {
	__u32 tgid;
	__u32 at;
};

struct uw_range {
	__u64 start, end, pgoff, ino; /* pgoff in pages; ino 0: anonymous */
	__u64 version; /* mp_file_version, 0 unknown */
	__u32 dev, pad;
};

struct uw_page {
	__u32 v[UW_PAGE_WORDS];
};

#endif
