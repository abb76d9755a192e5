/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Unwind tables against libdw, in both directions:
 *
 *	unwind_rows [-s SECONDS] [-v] FILE...
 *
 * 1. Each of our rows: libdw's rule for that address must be the same: CFA, frame pointer, return
 *    address. 2. Each row of each FDE that libdw's reader knows: the packed table must give that
 *    rule at its first and its last address. Together: equal at each address that has an FDE.
 *
 * Per file: rows, rules compared in direction 1 and 2, rules that neither side can use, explained
 * and wrong. Explained, not wrong, each with its count:
 *	expression	the frame pointer is an expression that has no rule of ours, which says
 *			"undefined" (libgcrypt: hand-written assembly)
 *	refused		libdw calls the CFI invalid where libgcc, readelf and ours read it alike:
 *			DW_CFA_restore in a CIE (CUDA), DW_CFA_def_cfa_register after an expression
 *			(libgcrypt)
 *	behind zero	libdw stops at a zero-length record inside .debug_frame (Go with C)
 *
 * Last line `N passed, N failed, N skipped`, by file; 1 when one failed or none passed. After
 * SECONDS the remaining files are skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "unwind_rows.h"

#define MAX_COMPLAINTS 5

static bool verbose;

struct file {
	const char *name;
	struct unwind_table t;
	struct machine m;
	Elf *elf;
	Dwarf *dw;
	Dwarf_CFI *cfi[2]; /* .eh_frame, .debug_frame */
	bool has_zero;     /* a zero-length record inside .debug_frame */
	size_t compared, checked, unusable, wrong, n_fde, unread_fde;
	size_t expression, refused, behind_zero; /* explained */
};

/* NULL: none. *refused: libdw has something there, and calls it invalid. */
static Dwarf_Frame *frame_at(const struct file *file, uint64_t pc, bool *refused)
{
	Dwarf_Frame *f = NULL;
	Dwarf_Op *ops;
	size_t n;
	int i;

	*refused = false;
	for (i = 0; i < 2; i++) {
		if (!file->cfi[i])
			continue;
		if (!dwarf_cfi_addrframe(file->cfi[i], pc, &f)) {
			*refused = dwarf_frame_cfa(f, &ops, &n) != 0;
			return f;
		}
		*refused |= strstr(dwarf_errmsg(-1), "invalid") != NULL;
	}
	return NULL;
}

/* ---- comparison ---- */

/* A difference that says nothing against our row; see the top. */
static bool is_explained(struct file *file, const struct row *ours, struct row theirs, bool refused)
{
	if (refused) {
		file->refused++;
		return true;
	}
	if (theirs.kind == NO_INFO && file->has_zero) {
		file->behind_zero++;
		return true;
	}
	if (ours->kind == FRAME && ours->fp.where == UNDEFINED && theirs.fp.where == ELSEWHERE) {
		theirs.fp = ours->fp;
		if (same_row(ours, &theirs)) {
			file->expression++;
			return true;
		}
	}
	return false;
}

static void compare(struct file *file, uint64_t pc, uint32_t rule, Dwarf_Frame *f, bool refused)
{
	struct row ours, theirs = { .kind = NO_INFO };

	our_row(&file->t, rule, &ours);
	if (f)
		libdw_row(&file->m, f, &theirs);
	if (same_row(&ours, &theirs)) {
		file->unusable += ours.kind == UNUSABLE;
		return;
	}
	if (is_explained(file, &ours, theirs, refused))
		return;
	if (file->wrong++ >= MAX_COMPLAINTS && !verbose)
		return;
	printf("  %s: %#llx: rule %06x\n", file->name, (unsigned long long)pc, rule);
	print_row("ours ", &ours);
	print_row("libdw", &theirs);
}

/* Direction 1. */
static void compare_our_rows(struct file *file)
{
	const struct unwind_table *t = &file->t;
	Dwarf_Frame *f;
	bool refused;
	size_t i;

	for (i = 0; i < t->n_rows; i++) {
		f = frame_at(file, t->rows[i].pc, &refused);
		compare(file, t->rows[i].pc, t->rows[i].rule, f, refused);
		free(f);
		file->compared++;
	}
}

/* Direction 2: libdw's rows of [start, end). */
static void check_fde(struct file *file, uint64_t start, uint64_t end)
{
	Dwarf_Addr from, to;
	Dwarf_Frame *f;
	bool refused;
	uint64_t pc;

	for (pc = start; pc < end; pc = to) {
		f = frame_at(file, pc, &refused);
		to = end;
		if (f && (dwarf_frame_info(f, &from, &to, NULL) < 0 || to <= pc || to > end))
			to = end;
		if (f) {
			compare(file, pc, unwind_table_rule(&file->t, pc), f, refused);
			compare(file, to - 1, unwind_table_rule(&file->t, to - 1), f, refused);
			file->checked++;
		}
		free(f);
	}
}

/* Encoding of FDE addresses; 0xff: not known. Written apart from src/unwind on purpose. */
static unsigned int fde_encoding(const Dwarf_CIE *cie)
{
	const uint8_t *d = cie->augmentation_data;
	const char *a = cie->augmentation;

	if (!*a || *a != 'z')
		return *a ? 0xff : 0;
	for (a++; *a; a++) {
		if (*a == 'R')
			return *d;
		if (*a == 'L')
			d++;
		else if (*a == 'P')
			d += 1 + ((*d & 15) == 3 || (*d & 15) == 11 ? 4 : 8);
	}
	return 0;
}

static bool decode_range(const Dwarf_FDE *fde, unsigned int encoding, uint64_t at, uint64_t *start,
			 uint64_t *end)
{
	int32_t v[2];
	uint64_t w[2];

	switch (encoding) {
	case 0x1b: /* pcrel sdata4 */
	case 0x0b:
	case 0x03:
		memcpy(v, fde->start, sizeof(v));
		*start = encoding == 0x03 ? (uint32_t)v[0] : (uint64_t)(int64_t)v[0];
		*end = (uint32_t)v[1];
		break;
	case 0x1c:
	case 0x00:
		memcpy(w, fde->start, sizeof(w));
		*start = w[0];
		*end = w[1];
		break;
	default:
		return false;
	}
	if (encoding & 0x10)
		*start += at;
	*end += *start;
	return true;
}

/* .debug_frame has no terminator: a zero inside comes from an object that was linked as one. */
static bool has_zero_record(const Elf_Data *data)
{
	const uint8_t *d = data->d_buf;
	uint64_t at = 0;
	uint32_t len;

	while (at + 4 <= data->d_size) {
		memcpy(&len, d + at, 4);
		if (!len)
			return true;
		if (len == 0xffffffff)
			return false;
		at += 4 + (uint64_t)len;
	}
	return false;
}

/* Where .debug_frame is compressed, this makes libelf's view of it plain. */
static void find_zero_record(struct file *file)
{
	Elf_Scn *scn = NULL;
	const char *name;
	Elf_Data *data;
	GElf_Shdr sh;
	size_t names;

	if (elf_getshdrstrndx(file->elf, &names))
		return;
	while ((scn = elf_nextscn(file->elf, scn))) {
		name = gelf_getshdr(scn, &sh) ? elf_strptr(file->elf, names, sh.sh_name) : NULL;
		if (!name || sh.sh_type == SHT_NOBITS || strcmp(name, ".debug_frame") != 0)
			continue;
		if (sh.sh_flags & SHF_COMPRESSED)
			elf_compress(scn, 0, 0);
		data = elf_getdata(scn, NULL);
		file->has_zero = data && has_zero_record(data);
	}
}

static void check_section(struct file *file, Elf_Scn *scn, bool is_eh)
{
	unsigned char *ident = (unsigned char *)elf_getident(file->elf, NULL);
	Elf_Data *data = elf_getdata(scn, NULL);
	Dwarf_Off off = 0, next;
	Dwarf_CFI_Entry e, cie;
	uint64_t start, end, at;
	GElf_Shdr sh;

	if (!data || !gelf_getshdr(scn, &sh))
		return;
	for (; !dwarf_next_cfi(ident, data, is_eh, off, &next, &e); off = next) {
		if (dwarf_cfi_cie_p(&e))
			continue;
		file->n_fde++;
		at = sh.sh_addr + (uint64_t)(e.fde.start - (const uint8_t *)data->d_buf);
		if (dwarf_next_cfi(ident, data, is_eh, e.fde.CIE_pointer, &(Dwarf_Off){ 0 },
				   &cie) ||
		    !decode_range(&e.fde, fde_encoding(&cie.cie), at, &start, &end))
			file->unread_fde++;
		else if (start)
			check_fde(file, start, end);
	}
}

static void check_libdw_rows(struct file *file)
{
	Elf_Scn *scn = NULL;
	const char *name;
	GElf_Shdr sh;
	size_t names;

	if (elf_getshdrstrndx(file->elf, &names))
		return;
	while ((scn = elf_nextscn(file->elf, scn))) {
		name = gelf_getshdr(scn, &sh) ? elf_strptr(file->elf, names, sh.sh_name) : NULL;
		if (!name || sh.sh_type == SHT_NOBITS)
			continue;
		if (!strcmp(name, ".eh_frame"))
			check_section(file, scn, true);
		else if (!strcmp(name, ".debug_frame"))
			check_section(file, scn, false);
	}
}

/* ---- files ---- */

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void report(const struct file *f, bool failed, double built_ms)
{
	const struct unwind_stats *st = &f->t.stats;
	double n = st->n_rows ? (double)st->n_rows : 1;
	size_t explained = f->expression + f->refused + f->behind_zero;

	if (!failed && !verbose && !explained)
		return;
	printf("%s %s: %zu rows, %zu compared, %zu of %zu FDEs of libdw checked, %zu unusable to "
	       "both, %zu wrong, %zu bad FDEs, %.1f ms, %.0f ns/row, %.2f B/row\n",
	       failed ? "FAIL" : "pass", f->name, st->n_rows, f->compared, f->checked, f->n_fde,
	       f->unusable, f->wrong, st->n_bad_fde, built_ms, built_ms * 1e6 / n,
	       (double)unwind_table_words(&f->t) * 4 / n);
	if (explained)
		printf("  explained: %zu expression, %zu refused, %zu behind zero\n", f->expression,
		       f->refused, f->behind_zero);
}

static bool open_libdw(struct file *f, int fd)
{
	f->elf = elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, NULL);
	f->cfi[0] = f->elf ? dwarf_getcfi_elf(f->elf) : NULL;
	f->dw = f->elf ? dwarf_begin_elf(f->elf, DWARF_C_READ, NULL) : NULL;
	f->cfi[1] = f->dw ? dwarf_getcfi(f->dw) : NULL;
	return f->cfi[0] || f->cfi[1];
}

static void close_libdw(struct file *f)
{
	if (f->cfi[0])
		dwarf_cfi_end(f->cfi[0]);
	if (f->dw)
		dwarf_end(f->dw);
	elf_end(f->elf);
}

static struct {
	size_t result[3]; /* passed, failed, skipped */
	size_t rows, compared, checked, explained;
	double built_ms;
} total;

static void check_file(const char *name)
{
	struct file f = { .name = name };
	double begin = now_ms(), built_ms;
	int fd = open(name, O_RDONLY | O_CLOEXEC), err;
	bool failed;

	err = fd < 0 ? -errno : unwind_table_build_fd(&f.t, fd, UNWIND_KEEP_ROWS);
	built_ms = now_ms() - begin;
	if (err) {
		if (err != -ENOEXEC)
			printf("skip %s: %s\n", name, strerror(-err));
		total.result[2]++;
		goto out;
	}
	f.m = f.t.arch == UNWIND_X86_64 ? (struct machine){ UNWIND_X86_64, 7, 6, 16 }
					: (struct machine){ UNWIND_ARM64, 31, 29, 30 };
	failed = !open_libdw(&f, fd);
	if (!failed) {
		find_zero_record(&f);
		compare_our_rows(&f);
		check_libdw_rows(&f);
	}
	failed |= f.wrong || f.unread_fde || f.t.stats.n_bad_fde;
	report(&f, failed, built_ms);
	close_libdw(&f);
	total.result[failed]++;
	total.rows += f.t.stats.n_rows;
	total.compared += f.compared;
	total.checked += f.checked;
	total.explained += f.expression + f.refused + f.behind_zero;
	total.built_ms += built_ms;
	unwind_table_release(&f.t);
out:
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	double end_ms = 0;
	int opt;

	while ((opt = getopt(argc, argv, "s:v")) != -1) {
		if (opt == 's')
			end_ms = now_ms() + atof(optarg) * 1e3;
		else if (opt == 'v')
			verbose = true;
		else
			return 2;
	}
	elf_version(EV_CURRENT);
	for (; optind < argc && !(end_ms && now_ms() > end_ms); optind++)
		check_file(argv[optind]);
	if (optind < argc)
		printf("skip %d files: over the time\n", argc - optind);
	total.result[2] += (size_t)(argc - optind);
	printf("%zu rows compared, %zu rows of libdw checked, %zu explained; tables built in %.0f "
	       "ms, "
	       "%.0f ns/row\n",
	       total.compared, total.checked, total.explained, total.built_ms,
	       total.built_ms * 1e6 / (total.rows ? (double)total.rows : 1));
	printf("%zu passed, %zu failed, %zu skipped\n", total.result[0], total.result[1],
	       total.result[2]);
	return total.result[1] || !total.result[0];
}
