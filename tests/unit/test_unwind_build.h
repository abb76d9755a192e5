/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Call frame information made by hand, in an ELF file in memory, and what must hold for every
 * table whatever the file was. For the unit tests and the fuzz harness of src/unwind; uses
 * nothing of it but the public header.
 *
 * The file: one executable segment of 1 MiB at BUILD_TEXT, .eh_frame or .debug_frame by section
 * header only. Addresses in records are absolute unless the test says otherwise.
 */
#ifndef MEMPROBE_TEST_UNWIND_BUILD_H
#define MEMPROBE_TEST_UNWIND_BUILD_H

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/unwind_table.h"

#define BUILD_TEXT 0x100000u
#define BUILD_TEXT_BYTES 0x100000u
#define BUILD_CFI 0x400000u /* address of .eh_frame */

#define LIST(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

struct bytes {
	uint8_t *p;
	size_t n, cap;
};

static inline void put(struct bytes *b, const void *data, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = (b->n + n) * 2;
		b->p = realloc(b->p, b->cap);
		if (!b->p)
			abort();
	}
	if (n)
		memcpy(b->p + b->n, data, n);
	b->n += n;
}

static inline void put_uint(struct bytes *b, uint64_t v, unsigned int n_bytes)
{
	put(b, &v, n_bytes);
}

static inline void put_uleb(struct bytes *b, uint64_t v)
{
	for (; v >> 7; v >>= 7)
		put_uint(b, (v & 0x7f) | 0x80, 1);
	put_uint(b, v, 1);
}

/* ---- ELF ---- */

#define BUILD_SECTIONS 4

struct build_section {
	const char *name;
	const void *data;
	size_t n;
	uint64_t flags;
};

static inline void build_headers(struct bytes *out, uint16_t machine, uint64_t shoff)
{
	Elf64_Ehdr eh = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				       EV_CURRENT },
			  .e_type = ET_DYN,
			  .e_machine = machine,
			  .e_version = EV_CURRENT,
			  .e_phoff = sizeof(eh),
			  .e_phentsize = sizeof(Elf64_Phdr),
			  .e_phnum = 1,
			  .e_shoff = shoff,
			  .e_shentsize = sizeof(Elf64_Shdr),
			  .e_shnum = BUILD_SECTIONS,
			  .e_shstrndx = 1,
			  .e_ehsize = sizeof(eh) };
	Elf64_Phdr ph = { .p_type = PT_LOAD,
			  .p_flags = PF_R | PF_X,
			  .p_vaddr = BUILD_TEXT,
			  .p_filesz = BUILD_TEXT_BYTES,
			  .p_memsz = BUILD_TEXT_BYTES,
			  .p_align = 4096 };

	put(out, &eh, sizeof(eh));
	put(out, &ph, sizeof(ph));
}

/* An ELF file with up to two sections; .p to be freed. */
static inline struct bytes build_elf(uint16_t machine, const struct build_section *sec,
				     size_t n_sec)
{
	static const char names[] = "\0.shstrtab\0.eh_frame\0.debug_frame";
	Elf64_Shdr sh[BUILD_SECTIONS] = { { 0 } };
	struct bytes out = { 0 };
	uint64_t at = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr), shoff;
	size_t i;

	sh[1] = (Elf64_Shdr){
		.sh_name = 1, .sh_type = SHT_STRTAB, .sh_offset = at, .sh_size = sizeof(names)
	};
	at += sizeof(names);
	for (i = 0; i < n_sec; at += sec[i].n, i++)
		sh[2 + i] = (Elf64_Shdr){ .sh_name = strcmp(sec[i].name, ".eh_frame") ? 21 : 11,
					  .sh_type = SHT_PROGBITS,
					  .sh_flags = sec[i].flags,
					  .sh_addr = BUILD_CFI,
					  .sh_offset = at,
					  .sh_size = sec[i].n };
	shoff = at;
	build_headers(&out, machine, shoff);
	put(&out, names, sizeof(names));
	for (i = 0; i < n_sec; i++)
		put(&out, sec[i].data, sec[i].n);
	put(&out, sh, sizeof(sh));
	return out;
}

/* ---- CFI records ---- */

struct build_cie {
	bool is_debug_frame, is_dwarf64;
	uint8_t version;                  /* 0: 1 */
	const char *augmentation;         /* NULL: "" */
	const uint8_t *augmentation_data; /* after its length */
	size_t augmentation_bytes;
	uint64_t code_align;    /* 0: 1 */
	uint8_t ra_column;      /* 0: 16 */
	uint8_t encoding;       /* of addresses, as the FDEs write them: 0 absolute */
	const uint8_t *program; /* NULL: CFA = rsp + 8, return address at CFA - 8 */
	size_t program_bytes;
};

static inline void put_record(struct bytes *b, bool is_dwarf64, const struct bytes *body)
{
	if (is_dwarf64) {
		put_uint(b, 0xffffffff, 4);
		put_uint(b, body->n, 8);
	} else {
		put_uint(b, body->n, 4);
	}
	put(b, body->p, body->n);
	free(body->p);
}

/* Returns its offset. Data alignment is -8. */
static inline size_t put_cie(struct bytes *b, const struct build_cie *cie)
{
	static const uint8_t standard[] = { 0x0c, 7, 8, 0x90, 1 };
	const char *augmentation = cie->augmentation ? cie->augmentation : "";
	uint8_t version = cie->version ? cie->version : 1;
	struct bytes body = { 0 };
	size_t at = b->n;

	put_uint(&body, cie->is_debug_frame ? ~0ULL : 0, cie->is_dwarf64 ? 8 : 4);
	put_uint(&body, version, 1);
	put(&body, augmentation, strlen(augmentation) + 1);
	if (version == 4)
		put_uint(&body, 8, 2);
	if (!strcmp(augmentation, "eh"))
		put_uint(&body, 0x1234, 8);
	put_uleb(&body, cie->code_align ? cie->code_align : 1);
	put_uint(&body, 0x78, 1);
	put_uint(&body, cie->ra_column ? cie->ra_column : 16, 1);
	if (*augmentation == 'z') {
		put_uint(&body, cie->augmentation_bytes, 1);
		put(&body, cie->augmentation_data, cie->augmentation_bytes);
	}
	if (cie->program)
		put(&body, cie->program, cie->program_bytes);
	else
		put(&body, standard, sizeof(standard));
	put_record(b, cie->is_dwarf64, &body);
	return at;
}

static inline void put_fde(struct bytes *b, const struct build_cie *cie, size_t cie_at,
			   uint64_t start, uint64_t len, const uint8_t *program, size_t n)
{
	static const uint8_t bytes_of[16] = { 8, 0, 2, 4, 8, 0, 0, 0, 0, 0, 2, 4, 8 };
	unsigned int id_bytes = cie->is_dwarf64 ? 8 : 4, size = bytes_of[cie->encoding & 15];
	uint64_t id_at = b->n + (cie->is_dwarf64 ? 12 : 4), value = start;
	struct bytes body = { 0 };

	put_uint(&body, cie->is_debug_frame ? cie_at : id_at - cie_at, id_bytes);
	if ((cie->encoding & 0x70) == 0x10)
		value -= BUILD_CFI + id_at + id_bytes;
	put_uint(&body, value, size);
	put_uint(&body, len, size);
	if (cie->augmentation && *cie->augmentation == 'z')
		put_uint(&body, 0, 1);
	put(&body, program, n);
	put_record(b, cie->is_dwarf64, &body);
}

/* ---- what holds for every table ---- */

#define CHECK(x)                 \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static inline void check_rule(const struct unwind_table *t, uint32_t rule)
{
	uint32_t code = rule & 0x3fffff;

	CHECK(rule <= 0xffffff);
	if (UW_RULE_KIND(rule) == UW_KIND_SPECIAL)
		CHECK(code <= UW_SP_PLT9 ||
		      (code >= UW_SP_EXOTIC && code - UW_SP_EXOTIC < t->n_exotic));
}

static inline void check_rows(const struct unwind_table *t)
{
	uint64_t step = t->arch == UNWIND_ARM64 ? 4 : 1;
	size_t i;

	for (i = 0; i < t->n_rows; i++) {
		const struct unwind_row *r = &t->rows[i];

		check_rule(t, r->rule);
		CHECK(r->pc >= t->lo && r->pc <= t->hi);
		CHECK(!i || (r->pc > r[-1].pc && r->rule != r[-1].rule));
		if (r->pc == t->hi || r->pc % step || (i + 1 < t->n_rows && r[1].pc - r->pc < step))
			continue;
		CHECK(unwind_table_rule(t, r->pc) == r->rule);
	}
}

static inline void check_group(const struct unwind_table *t, size_t g)
{
	size_t first = g * UW_GROUP_BLOCKS, n = t->n_blocks - first, k;
	uint32_t word = t->groups[g];
	const uint32_t *e = t->entries + word;

	if (n > UW_GROUP_BLOCKS)
		n = UW_GROUP_BLOCKS;
	if (word & UW_GROUP_ONE_ROW) {
		CHECK((word & ~UW_GROUP_ONE_ROW) < t->n_packed);
		CHECK(!(t->packed[word & ~UW_GROUP_ONE_ROW] >> 24));
		return;
	}
	CHECK(word + n < t->n_entries);
	for (k = 0; k < n; k++) {
		/* equal: inside the one row of both */
		CHECK(e[k] <= e[k + 1] && e[k] < t->n_packed && e[k + 1] <= t->n_packed);
		CHECK(!(t->packed[e[k]] >> 24));
		CHECK(e[k + 1] - e[k] <= 256);
	}
}

/* A table that was built with UNWIND_KEEP_ROWS and 0 or an error; abort() when it is inconsistent.
 */
static inline void check_table(const struct unwind_table *t, int err)
{
	size_t k;

	CHECK(err <= 0);
	if (err) {
		CHECK(!t->n_packed && !t->n_blocks && !t->packed && !t->groups && !t->entries);
		CHECK(err == -ENODATA || !t->rows);
		return;
	}
	CHECK(t->n_rows && t->n_blocks && t->lo < t->hi && t->n_seg);
	CHECK(t->n_packed <= t->n_rows + t->n_blocks && t->n_exotic <= UW_MAX_EXOTIC);
	CHECK(t->n_groups == (t->n_blocks + UW_GROUP_BLOCKS - 1) / UW_GROUP_BLOCKS);
	for (k = 0; k < t->n_groups; k++)
		check_group(t, k);
	CHECK(!t->n_entries || t->entries[t->n_entries - 1] <= t->n_packed);
	check_rows(t);
	CHECK(unwind_table_rule(t, t->lo - 1) == UW_RULE_NONE);
	CHECK(unwind_table_rule(t, t->hi) == UW_RULE_NONE);
	CHECK(unwind_table_rule(t, ~0ULL) == UW_RULE_NONE &&
	      unwind_table_rule(t, 0) == UW_RULE_NONE);
}

#endif
