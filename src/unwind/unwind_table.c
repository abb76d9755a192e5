/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Building an unwind table; see unwind_table.h.
 *
 * FDEs are collected and sorted by address first, so rows come out sorted and need no sort of
 * their own: an end marker ("no unwind info") stands only where a gap follows. Where FDEs overlap,
 * the one that starts last holds, as in the binary search of .eh_frame_hdr. Then rows are packed
 * into blocks.
 */
#include "unwind/unwind_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/xalloc.h"
#include "unwind/cfi.h"
#include "unwind/elf_image.h"
#include "unwind/rule.h"

#define MAX_ROWS (16u << 20)
#define MAX_FDES (4u << 20)
#define MAX_TEXT_BYTES (2ULL << 30)

struct fde {
	struct cfi_fde f;
	unsigned int reader;
};

struct builder {
	struct unwind_table *t;
	const struct elf_image *img;
	struct cfi_reader readers[ELF_IMAGE_MAX_CFI];
	unsigned int reader; /* in use */
	struct fde *fdes;
	size_t n_fdes, fdes_cap;
	size_t rows_cap;
	struct rule_maker maker;
	const struct cfi_cie *cie; /* of the FDE that runs */
	bool too_big;
};

/* ---- FDEs ---- */

static bool is_text(const struct elf_image *img, uint64_t start, uint64_t end)
{
	unsigned int i;

	for (i = 0; i < img->n_seg; i++)
		if (start >= img->text[i].vaddr &&
		    end - img->text[i].vaddr <= img->text[i].size_bytes)
			return true;
	return false;
}

static void collect(void *ctx, const struct cfi_fde *f)
{
	struct builder *b = ctx;

	if (!f->start) /* of a function that the linker threw away */
		return;
	if (!is_text(b->img, f->start, f->end)) {
		b->t->stats.n_bad_fde++;
		return;
	}
	if (b->n_fdes >= MAX_FDES) {
		b->too_big = true;
		return;
	}
	XGROW(b->fdes, b->n_fdes, b->fdes_cap);
	b->fdes[b->n_fdes++] = (struct fde){ *f, b->reader };
}

/* .eh_frame before .debug_frame, then in file order. */
static int by_start(const void *a, const void *b)
{
	const struct fde *x = a, *y = b;

	if (x->f.start != y->f.start)
		return x->f.start < y->f.start ? -1 : 1;
	if (x->reader != y->reader)
		return x->reader < y->reader ? -1 : 1;
	return x->f.program < y->f.program ? -1 : x->f.program > y->f.program;
}

static void collect_fdes(struct builder *b, const struct cfi_section *sec, unsigned int n_sections)
{
	struct unwind_stats *st = &b->t->stats;

	for (b->reader = 0; b->reader < n_sections; b->reader++) {
		struct cfi_reader *r = &b->readers[b->reader];

		cfi_reader_init(r, &sec[b->reader]);
		cfi_each_fde(r, collect, b, &st->n_bad_fde);
	}
	if (b->n_fdes)
		qsort(b->fdes, b->n_fdes, sizeof(*b->fdes), by_start);
	st->n_fde = b->n_fdes;
}

/* ---- rows ---- */

static void push_row(struct builder *b, uint64_t pc, uint32_t rule)
{
	struct unwind_table *t = b->t;

	if (t->arch == UNWIND_ARM64)
		pc &= ~3ULL; /* what the packed form can tell apart */
	while (t->n_rows && t->rows[t->n_rows - 1].pc >= pc)
		t->n_rows--; /* an overlapping FDE: the later one holds from here on */
	if (t->n_rows && t->rows[t->n_rows - 1].rule == rule)
		return;
	if (t->n_rows >= MAX_ROWS) {
		b->too_big = true;
		return;
	}
	XGROW(t->rows, t->n_rows, b->rows_cap);
	t->rows[t->n_rows++] = (struct unwind_row){ pc, rule };
}

static int add_row(void *ctx, uint64_t pc, const struct cfi_state *s)
{
	struct builder *b = ctx;

	push_row(b, pc, rule_from_state(&b->maker, b->cie, s));
	return b->too_big;
}

static void run_fde(struct builder *b, const struct fde *f)
{
	struct cfi_reader *r = &b->readers[f->reader];

	b->cie = cfi_cie_at(r, f->f.cie);
	if (b->cie && !cfi_run(&r->sec, b->cie, &f->f, add_row, b))
		return;
	b->t->stats.n_bad_fde++;
	push_row(b, f->f.start, UW_RULE_NONE); /* half a program's rows are not to be trusted */
}

static void run_fdes(struct builder *b)
{
	uint64_t covered = b->fdes[0].f.start, last = 0;
	size_t i;

	push_row(b, b->t->lo, UW_RULE_NONE);
	for (i = 0; i < b->n_fdes && !b->too_big; i++) {
		const struct fde *f = &b->fdes[i];

		if (f->f.start == last) /* the first of two with one address holds */
			continue;
		last = f->f.start;
		if (last > covered)
			push_row(b, covered, UW_RULE_NONE);
		run_fde(b, f);
		covered = f->f.end;
	}
	push_row(b, covered, UW_RULE_NONE);
	b->t->hi = covered;
}

/* ---- packed form ---- */

static unsigned int pc_low(const struct unwind_table *t, uint64_t off)
{
	return (unsigned int)(t->arch == UNWIND_ARM64 ? off >> 2 : off) & 0xff;
}

/* No row begins in the block at start. */
static bool is_inside_row(const struct unwind_table *t, size_t next_row, uint64_t start)
{
	return next_row >= t->n_rows || t->rows[next_row].pc - start >= 1ULL << t->block_shift;
}

/*
 * Each block starts with the rule in force there, so that a look-up stays inside one block. Where one rule
 * goes on over several blocks they share its row: their entries are equal (half of chromium's table). Returns the
 * first row of each block, and where the last one ends.
 */
static uint32_t *pack_rows(struct unwind_table *t)
{
	uint64_t size = 1ULL << t->block_shift;
	uint32_t rule = UW_RULE_NONE, *blocks = xcalloc(t->n_blocks + 1, sizeof(*blocks));
	size_t i = 0, k;

	t->packed = xcalloc(t->n_rows + t->n_blocks, sizeof(*t->packed));
	for (k = 0; k < t->n_blocks; k++) {
		uint64_t start = t->lo + ((uint64_t)k << t->block_shift);

		if (k && blocks[k - 1] + 1 == t->n_packed && is_inside_row(t, i, start)) {
			blocks[k] = blocks[k - 1];
			continue;
		}
		blocks[k] = (uint32_t)t->n_packed;
		if (i >= t->n_rows || t->rows[i].pc != start)
			t->packed[t->n_packed++] = rule;
		for (; i < t->n_rows && t->rows[i].pc - start < size; i++) {
			rule = t->rows[i].rule;
			t->packed[t->n_packed++] =
				(uint32_t)pc_low(t, t->rows[i].pc - start) << 24 | rule;
		}
	}
	blocks[t->n_blocks] = (uint32_t)t->n_packed;
	return blocks;
}

static void pack_groups(struct unwind_table *t, const uint32_t *blocks)
{
	size_t k, n;

	t->groups = xcalloc(t->n_blocks / UW_GROUP_BLOCKS + 1, sizeof(*t->groups));
	t->entries = xcalloc(t->n_blocks + t->n_blocks / UW_GROUP_BLOCKS + 2, sizeof(*t->entries));
	for (k = 0; k < t->n_blocks; k += n) {
		n = t->n_blocks - k < UW_GROUP_BLOCKS ? t->n_blocks - k : UW_GROUP_BLOCKS;
		if (blocks[k + n - 1] == blocks[k] && blocks[k + n] - blocks[k] <= 1) {
			t->groups[t->n_groups++] = UW_GROUP_ONE_ROW | blocks[k];
			continue;
		}
		t->groups[t->n_groups++] = (uint32_t)t->n_entries;
		memcpy(t->entries + t->n_entries, blocks + k, (n + 1) * sizeof(*blocks));
		t->n_entries += n + 1;
	}
}

static void pack(struct unwind_table *t)
{
	uint32_t *blocks;

	t->n_blocks = (size_t)((t->hi - t->lo + (1ULL << t->block_shift) - 1) >> t->block_shift);
	blocks = pack_rows(t);
	pack_groups(t, blocks);
	free(blocks);
}

/* The rows of a block: first and end. */
static void find_block(const struct unwind_table *t, size_t block, uint32_t *lo, uint32_t *hi)
{
	uint32_t group = t->groups[block / UW_GROUP_BLOCKS];

	if (group & UW_GROUP_ONE_ROW) {
		*lo = group & ~UW_GROUP_ONE_ROW;
		*hi = *lo + 1;
		return;
	}
	group += block % UW_GROUP_BLOCKS;
	*lo = t->entries[group];
	*hi = t->entries[group + 1];
}

uint32_t unwind_table_rule(const struct unwind_table *t, uint64_t vaddr)
{
	uint64_t off = vaddr - t->lo;
	size_t block = off >> t->block_shift;
	uint32_t lo, hi, mid;

	if (vaddr < t->lo || block >= t->n_blocks)
		return UW_RULE_NONE;
	find_block(t, block, &lo, &hi);
	while (hi - lo > 1) {
		mid = lo + (hi - lo) / 2;
		if (t->packed[mid] >> 24 <= pc_low(t, off))
			lo = mid;
		else
			hi = mid;
	}
	return t->packed[lo] & 0xffffff;
}

/* ---- the whole ---- */

static int build_rows(struct builder *b)
{
	struct unwind_table *t = b->t;
	uint64_t block_mask = (1ULL << t->block_shift) - 1;

	if (b->too_big)
		return -E2BIG;
	if (!b->n_fdes)
		return t->stats.n_bad_fde ? -EINVAL : -ENODATA;
	t->lo = b->fdes[0].f.start & ~block_mask;
	run_fdes(b);
	/* the last FDE may end far away: at most the text of all segments, which may lie far apart
	 */
	if (b->too_big || t->hi - t->lo > MAX_TEXT_BYTES)
		return -E2BIG;
	t->stats.n_rows = t->n_rows;
	pack(t);
	return 0;
}

static int build(struct unwind_table *t, struct elf_image *img, unsigned int flags)
{
	struct cfi_section sec[ELF_IMAGE_MAX_CFI];
	struct builder *b;
	int n, err;

	t->arch = img->arch;
	t->block_shift = t->arch == UNWIND_ARM64 ? UW_BLOCK_SHIFT_ARM64 : UW_BLOCK_SHIFT_X86;
	memcpy(t->seg, img->seg, sizeof(t->seg));
	t->n_seg = img->n_seg;
	n = elf_image_find_cfi(img, sec);
	if (n <= 0)
		return n < 0 ? n : -ENODATA;
	b = xcalloc(1, sizeof(*b));
	b->t = t;
	b->img = img;
	b->maker.t = t;
	collect_fdes(b, sec, (unsigned int)n);
	err = build_rows(b);
	free(b->fdes);
	free(b);
	if (!(flags & UNWIND_KEEP_ROWS)) {
		free(t->rows);
		t->rows = NULL;
	}
	return err;
}

static int build_image(struct unwind_table *t, const void *data, int fd, uint64_t size,
		       unsigned int flags)
{
	struct elf_image img;
	int err;

	*t = (struct unwind_table){ 0 };
	err = elf_image_open(&img, data, fd, size);
	if (!err)
		err = build(t, &img, flags);
	elf_image_release(&img);
	if (err && err != -ENODATA)
		unwind_table_release(t);
	return err;
}

int unwind_table_build(struct unwind_table *t, const void *image, size_t size_bytes,
		       unsigned int flags)
{
	return build_image(t, image, -1, size_bytes, flags);
}

int unwind_table_build_fd(struct unwind_table *t, int fd, unsigned int flags)
{
	struct stat st;

	*t = (struct unwind_table){ 0 };
	if (fstat(fd, &st))
		return -errno;
	return build_image(t, NULL, fd, (uint64_t)st.st_size, flags);
}

void unwind_table_release(struct unwind_table *t)
{
	free(t->rows);
	free(t->groups);
	free(t->entries);
	free(t->packed);
	free(t->exotic);
	*t = (struct unwind_table){ 0 };
}
