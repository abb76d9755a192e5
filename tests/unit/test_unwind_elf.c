/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where unwind information is found and how its records are read: encodings, augmentations,
 * .debug_frame, compression; and what malformed or hostile files do. Real files are compared with
 * libdw in tests/e2e/unwind_rows.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

#include "tests/unit/test_unwind_build.h"

#define AT (BUILD_TEXT + 0x1000u)
#define SP(off) UW_RULE(UW_KIND_SP, (off) / 8, 0)
/* A CIE with all of `data` as its augmentation data, which says that addresses are encoded so. */
#define AUGMENTED(letters, data, how) \
	{ .augmentation = (letters), .augmentation_data = (data), .augmentation_bytes = sizeof(data), .encoding = (how) }

static int make(struct unwind_table *t, const struct build_section *sec, size_t n)
{
	struct bytes elf = build_elf(EM_X86_64, sec, n);
	int err = unwind_table_build(t, elf.p, elf.n, UNWIND_KEEP_ROWS);

	check_table(t, err);
	free(elf.p);
	return err;
}

static int make_records(struct unwind_table *t, struct bytes *b, bool is_debug_frame)
{
	struct build_section sec = { is_debug_frame ? ".debug_frame" : ".eh_frame", b->p, b->n, 0 };
	int err = make(t, &sec, 1);

	free(b->p);
	*b = (struct bytes){ 0 };
	return err;
}

/* One function, CFA = rsp + 16, by this CIE. */
static int make_one(struct unwind_table *t, const struct build_cie *cie)
{
	struct bytes b = { 0 };

	put_fde(&b, cie, put_cie(&b, cie), AT, 0x40, LIST(0x0e, 16));
	return make_records(t, &b, cie->is_debug_frame);
}

static void each_record_format__is_read(void **state)
{
	static const uint8_t enc_abs[] = { 0x00 }, enc_pc4[] = { 0x1b }, enc_pc8[] = { 0x1c },
			     enc_u4[] = { 0x03 }, enc_s4[] = { 0x0b }, enc_u8[] = { 0x04 },
			     lsda[] = { 0x1b, 0x1b }, pers[] = { 0x9b, 1, 2, 3, 4, 0x1b, 0x1b },
			     pers8[] = { 0x00, 1, 2, 3, 4, 5, 6, 7, 8, 0x1b, 0x1b };
	static const struct build_cie v[] = {
		{ 0 },
		{ .augmentation = "eh" },
		{ .version = 3 },
		{ .is_debug_frame = true },
		{ .is_debug_frame = true, .version = 3 },
		{ .is_debug_frame = true, .version = 4 },
		{ .is_dwarf64 = true },
		{ .is_dwarf64 = true, .is_debug_frame = true, .version = 4 },
		AUGMENTED("zR", enc_abs, 0),
		AUGMENTED("zR", enc_pc4, 0x1b),
		AUGMENTED("zR", enc_pc8, 0x1c),
		AUGMENTED("zR", enc_u4, 0x03),
		AUGMENTED("zR", enc_s4, 0x0b),
		AUGMENTED("zR", enc_u8, 0x04),
		AUGMENTED("zLR", lsda, 0x1b),
		AUGMENTED("zPLR", pers, 0x1b),
		AUGMENTED("zPLR", pers8, 0x1b),
		AUGMENTED("zRB", enc_pc4, 0x1b),
		{ .augmentation = "z", .augmentation_data = enc_abs, .augmentation_bytes = 0 },
	};
	struct unwind_table t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		if (make_one(&t, &v[i]))
			fail_msg("case %zu: no table", i);
		if (unwind_table_rule(&t, AT) != SP(16) ||
		    unwind_table_rule(&t, AT + 0x3f) != SP(16) ||
		    unwind_table_rule(&t, AT + 0x40) != UW_RULE_NONE)
			fail_msg("case %zu: wrong rule or range", i);
		unwind_table_release(&t);
	}
}

static void records_that_cannot_be_read__are_counted_and_give_no_table(void **state)
{
	static const uint8_t op_unknown[] = { 0x3f }, op_cut[] = { 0x0c, 7 },
			     op_restore[] = { 0x0b };
	static const uint8_t funcrel[] = { 0x4b }, indirect[] = { 0x9b }, unknown[] = { 0x07 },
			     absolute[] = { 0 };
	static const struct build_cie v[] = {
		{ .version = 2 },
		{ .version = 5 },
		{ .augmentation = "R" }, /* data without a length */
		AUGMENTED("zXR", funcrel, 0),
		AUGMENTED("zXR", absolute, 0),
		AUGMENTED("zR", funcrel, 0x0b),
		AUGMENTED("zR", indirect, 0x1b),
		AUGMENTED("zR", unknown, 0),
		{ .augmentation = "zR", .augmentation_data = funcrel, .augmentation_bytes = 0 },
		/* initial programs: unknown opcode, operand missing, restore without remember */
		{ .program = op_unknown, .program_bytes = 1 },
		{ .program = op_cut, .program_bytes = 2 },
		{ .program = op_restore, .program_bytes = 1 },
	};
	struct unwind_table t;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		if (make_one(&t, &v[i]) != -EINVAL)
			fail_msg("case %zu: a table", i);
}

static void a_malformed_program__costs_only_its_function(void **state)
{
	static const struct {
		uint8_t program[80];
		size_t n;
	} v[] = {
		{ { 0x41, 0x3f }, 2 },               /* unknown opcode */
		{ { 0x41, 0x0c, 7 }, 3 },            /* operand missing */
		{ { 0x41, 0x0b }, 2 },               /* nothing remembered */
		{ { 0x41, 0x0f, 100, 0x77, 8 }, 5 }, /* expression longer than the record */
		{ { 0x41, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1 }, 12 },
		{ { 0x41, 0x0e, 0x80 }, 3 }, /* LEB128 without end */
		/* remembered deeper than anybody does */
		{
			{ 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
			  10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10,
			  10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10 },
			40 },
	};
	static const struct build_cie plain = { 0 };
	struct bytes b = { 0 };
	struct unwind_table t;
	size_t i, cie;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		cie = put_cie(&b, &plain);
		put_fde(&b, &plain, cie, AT, 0x40, LIST(0x0e, 16));
		put_fde(&b, &plain, cie, AT + 0x40, 0x40, v[i].program, v[i].n);
		put_fde(&b, &plain, cie, AT + 0x80, 0x40, LIST(0x0e, 24));
		assert_int_equal(make_records(&t, &b, false), 0);
		assert_int_equal(t.stats.n_bad_fde, 1);
		assert_int_equal(unwind_table_rule(&t, AT + 0x3f), SP(16));
		assert_int_equal(unwind_table_rule(&t, AT + 0x40), UW_RULE_NONE);
		assert_int_equal(unwind_table_rule(&t, AT + 0x41), UW_RULE_NONE);
		assert_int_equal(unwind_table_rule(&t, AT + 0x7f), UW_RULE_NONE);
		assert_int_equal(unwind_table_rule(&t, AT + 0x80), SP(24));
		unwind_table_release(&t);
	}
}

static void functions_outside_the_executable_segment__are_counted(void **state)
{
	static const struct build_cie plain = { 0 };
	static const struct {
		uint64_t start, len;
		size_t n_bad;
	} v[] = {
		{ BUILD_TEXT - 1, 16, 1 },
		{ BUILD_TEXT + BUILD_TEXT_BYTES - 1, 2, 1 },
		{ BUILD_TEXT + BUILD_TEXT_BYTES - 1, 1, 0 },
		{ AT + 0x100, ~0ULL - 16, 1 },
		{ ~0ULL - 4, 16, 1 },
		{ AT + 0x100, 0, 0 }, /* empty */
		{ 0, 16, 0 },         /* thrown away by the linker */
	};
	struct bytes b = { 0 };
	struct unwind_table t;
	size_t i, cie;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		cie = put_cie(&b, &plain);
		put_fde(&b, &plain, cie, AT, 0x40, LIST(0x0e, 16));
		put_fde(&b, &plain, cie, v[i].start, v[i].len, LIST(0x0e, 24));
		assert_int_equal(make_records(&t, &b, false), 0);
		assert_int_equal(t.stats.n_bad_fde, v[i].n_bad);
		assert_int_equal(unwind_table_rule(&t, AT), SP(16));
		unwind_table_release(&t);
	}
}

static void eh_frame_holds__and_debug_frame_fills_its_gaps(void **state)
{
	static const struct build_cie eh = { 0 }, debug = { .is_debug_frame = true };
	struct bytes a = { 0 }, b = { 0 };
	struct build_section sec[2];
	struct unwind_table t;
	size_t cie, i;

	(void)state;
	put_fde(&a, &eh, put_cie(&a, &eh), AT, 0x40, LIST(0x0e, 16));
	cie = put_cie(&b, &debug);
	put_fde(&b, &debug, cie, AT, 0x40, LIST(0x0e, 24));
	put_uint(&b, 0, 4); /* a zero-length record inside, as cgo programs have it */
	put_fde(&b, &debug, cie, AT + 0x40, 0x40, LIST(0x0e, 32));
	for (i = 0; i < 2; i++) { /* whichever comes first in the file */
		sec[i] = (struct build_section){ ".eh_frame", a.p, a.n, 0 };
		sec[1 - i] = (struct build_section){ ".debug_frame", b.p, b.n, 0 };
		assert_int_equal(make(&t, sec, 2), 0);
		assert_int_equal(unwind_table_rule(&t, AT), SP(16));
		assert_int_equal(unwind_table_rule(&t, AT + 0x40), SP(32));
		assert_int_equal(unwind_table_rule(&t, AT + 0x80), UW_RULE_NONE);
		unwind_table_release(&t);
	}
	free(a.p);
	free(b.p);
}

/* A section's content behind a compression header that claims `claimed` bytes. */
static struct bytes compressed(const struct bytes *b, uint64_t claimed)
{
	Elf64_Chdr ch = { .ch_type = ELFCOMPRESS_ZLIB, .ch_size = claimed, .ch_addralign = 1 };
	struct bytes out = { 0 };
	uLongf len = compressBound(b->n);
	uint8_t *z = malloc(len);

	assert_non_null(z);
	assert_int_equal(compress(z, &len, b->p, b->n), Z_OK);
	put(&out, &ch, sizeof(ch));
	put(&out, z, len);
	free(z);
	return out;
}

static void compressed_debug_frame__is_inflated_and_its_claim_is_checked(void **state)
{
	static const struct build_cie debug = { .is_debug_frame = true };
	struct bytes b = { 0 };
	struct unwind_table t;
	size_t i;

	(void)state;
	put_fde(&b, &debug, put_cie(&b, &debug), AT, 0x40, LIST(0x0e, 32));
	{
		const struct {
			uint64_t claimed;
			int err;
		} v[] = {
			{ b.n, 0 },
			{ b.n - 1, -ENODATA }, /* does not fit: not inflated */
			{ 0, -ENODATA },
			{ ~0ULL, -ENODATA },
			{ 1ULL << 40, -ENODATA },
			{ 200ULL << 20, -ENODATA }, /* more than zlib can pack into that */
		};

		for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
			struct bytes z = compressed(&b, v[i].claimed);
			struct build_section sec = { ".debug_frame", z.p, z.n, SHF_COMPRESSED };

			assert_int_equal(make(&t, &sec, 1), v[i].err);
			if (!v[i].err)
				assert_int_equal(unwind_table_rule(&t, AT), SP(32));
			unwind_table_release(&t);
			free(z.p);
		}
	}
	free(b.p);
}

static void files_of_another_kind__are_refused_by_name(void **state)
{
	struct build_section sec = { ".eh_frame", "", 0, 0 };
	struct bytes elf = build_elf(EM_X86_64, &sec, 1);
	struct unwind_table t;
	Elf64_Ehdr *eh = (Elf64_Ehdr *)elf.p;

	(void)state;
	assert_int_equal(unwind_table_build(&t, elf.p, elf.n, 0), -ENODATA);
	assert_int_equal(t.n_seg, 1); /* frame pointers still need the segments */
	assert_int_equal(t.seg[0].vaddr, BUILD_TEXT);
	unwind_table_release(&t);
	assert_int_equal(unwind_table_build(&t, elf.p, 63, 0), -ENOEXEC);
	assert_int_equal(unwind_table_build(&t, "#!/bin/sh\n", 10, 0), -ENOEXEC);
	eh->e_machine = EM_RISCV;
	assert_int_equal(unwind_table_build(&t, elf.p, elf.n, 0), -ENOEXEC);
	eh->e_machine = EM_X86_64;
	eh->e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(unwind_table_build(&t, elf.p, elf.n, 0), -ENOEXEC);
	eh->e_ident[EI_CLASS] = ELFCLASS64;
	eh->e_phnum = 0;
	assert_int_equal(unwind_table_build(&t, elf.p, elf.n, 0), -ENODATA);
	eh->e_phnum = 1;
	eh->e_phoff = ~0ULL - 8;
	assert_int_equal(unwind_table_build(&t, elf.p, elf.n, 0), -EINVAL);
	assert_int_equal(unwind_table_build_fd(&t, -1, 0), -EBADF);
	free(elf.p);
}

#define BEFORE_PROGRAM 13

/* Two long CIEs that share a cache slot, and FDEs that use them in turn. */
static void fdes_that_defeat_the_cie_cache__do_not_cost_quadratic_time(void **state)
{
	static const uint8_t program[256 * 1024 - BEFORE_PROGRAM];
	struct build_cie cie = { .program = program, .program_bytes = sizeof(program) };
	struct timespec begin, end;
	struct unwind_table t;
	struct bytes b = { 0 };
	size_t at[2], i;
	double seconds;

	(void)state;
	/* length, id, version, augmentation, alignments and column come first: each CIE has 256
	 * KiB, so both fall into one of 64 slots */
	at[0] = put_cie(&b, &cie);
	at[1] = put_cie(&b, &cie);
	assert_int_equal(at[1], 256 * 1024);
	for (i = 0; i < 20000; i++)
		put_fde(&b, &cie, at[i % 2], AT + i, 1, LIST(0));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	make_records(&t, &b, false);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	/* unbounded: 20000 * 2 * 256 KiB = 10 G operations */
	assert_true(seconds < 5);
	unwind_table_release(&t);
}

/* ---- a real file, damaged ---- */

static struct bytes real_file(void)
{
	static const char *const names[] = { "/bin/true", "/usr/bin/true", "/proc/self/exe" };
	struct bytes b = { 0 };
	uint8_t chunk[4096];
	ssize_t n;
	size_t i;
	int fd = -1;

	for (i = 0; i < 3 && fd < 0; i++)
		fd = open(names[i], O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		put(&b, chunk, (size_t)n);
	close(fd);
	return b;
}

/* From a copy of exactly n bytes, for the sanitizer. */
static int build_copy(const uint8_t *data, size_t n, size_t *n_rows)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct unwind_table t;
	int err;

	assert_non_null(copy);
	memcpy(copy, data, n);
	err = unwind_table_build(&t, copy, n, UNWIND_KEEP_ROWS);
	check_table(&t, err);
	*n_rows = t.n_rows;
	unwind_table_release(&t);
	free(copy);
	return err;
}

static void a_file_cut_anywhere__gives_a_table_or_an_error(void **state)
{
	struct bytes f = real_file();
	size_t whole, rows, n, n_tables = 0;

	(void)state;
	assert_int_equal(build_copy(f.p, f.n, &whole), 0);
	for (n = 0; n < f.n; n += 64) {
		if (build_copy(f.p, n, &rows))
			continue;
		n_tables++;
		assert_true(rows <= whole + 1); /* a record that is cut cannot add any */
	}
	assert_true(n_tables > 0 && n_tables < f.n / 64);
	free(f.p);
}

static void a_file_with_flipped_bits__gives_a_table_or_an_error(void **state)
{
	struct bytes f = real_file();
	uint64_t x = 0x9e3779b97f4a7c15ULL; /* xorshift: the same flips each time */
	size_t rows, i, k, at[8];

	(void)state;
	for (i = 0; i < 3000; i++) {
		size_t n = 1 + i % 8;

		for (k = 0; k < n; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			/* every other flip in the headers or near the end of the file's CFI */
			at[k] = (x >> 8) % (i % 2 ? 1024 : f.n);
			f.p[at[k]] ^= (uint8_t)(1u << (x & 7));
		}
		build_copy(f.p, f.n, &rows);
		if (i % 16 == 15) { /* let damage add up for a while, then begin anew */
			free(f.p);
			f = real_file();
		}
	}
	free(f.p);
}

static void a_descriptor__gives_the_table_that_memory_gives(void **state)
{
	struct bytes f = real_file();
	struct unwind_table a, b;
	int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

	(void)state;
	if (fd < 0)
		skip();
	assert_int_equal(unwind_table_build(&a, f.p, f.n, 0), 0);
	assert_int_equal(unwind_table_build_fd(&b, fd, 0), 0);
	assert_int_equal(a.n_packed, b.n_packed);
	assert_memory_equal(a.packed, b.packed, a.n_packed * sizeof(*a.packed));
	assert_int_equal(a.n_groups, b.n_groups);
	assert_memory_equal(a.groups, b.groups, a.n_groups * sizeof(*a.groups));
	assert_int_equal(a.n_entries, b.n_entries);
	assert_memory_equal(a.entries, b.entries, a.n_entries * sizeof(*a.entries));
	assert_null(a.rows);
	close(fd);
	unwind_table_release(&a);
	unwind_table_release(&b);
	free(f.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_record_format__is_read),
		cmocka_unit_test(records_that_cannot_be_read__are_counted_and_give_no_table),
		cmocka_unit_test(a_malformed_program__costs_only_its_function),
		cmocka_unit_test(functions_outside_the_executable_segment__are_counted),
		cmocka_unit_test(eh_frame_holds__and_debug_frame_fills_its_gaps),
		cmocka_unit_test(compressed_debug_frame__is_inflated_and_its_claim_is_checked),
		cmocka_unit_test(files_of_another_kind__are_refused_by_name),
		cmocka_unit_test(fdes_that_defeat_the_cie_cache__do_not_cost_quadratic_time),
		cmocka_unit_test(a_file_cut_anywhere__gives_a_table_or_an_error),
		cmocka_unit_test(a_file_with_flipped_bits__gives_a_table_or_an_error),
		cmocka_unit_test(a_descriptor__gives_the_table_that_memory_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
