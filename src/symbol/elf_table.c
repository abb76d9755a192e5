/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Symbol tables of one ELF file: .dynsym, .symtab, and those of the minidebuginfo.
 *
 * Loaded at first use and kept until elf_file_close. Names are checked against their
 * table; nothing is demangled here. Depends on base and libelf.
 */
#include <stdlib.h>
#include <string.h>

#include "symbol/elf_internal.h"

static bool find_by_type(struct elf_file *f, uint32_t type, GElf_Shdr *out)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(f->elf, scn)))
		if (gelf_getshdr(scn, out) && out->sh_type == type)
			return true;
	return false;
}

/* "malloc@@GLIBC_2.2.5" ends at the '@'; a name that begins with one is left alone. */
static void cut_versions(char *names, size_t len)
{
	size_t i;

	for (i = 1; i < len; i++)
		if (names[i] == '@' && names[i - 1] != '\0')
			names[i] = '\0';
}

static void load_table(struct elf_file *f, struct elf_table *t, uint32_t type)
{
	GElf_Shdr sh, names;
	Elf_Scn *scn;
	size_t len;

	if (!find_by_type(f, type, &sh) || sh.sh_entsize != sizeof(Elf64_Sym))
		return;
	scn = elf_getscn(f->elf, sh.sh_link);
	if (!scn || !gelf_getshdr(scn, &names) || names.sh_type != SHT_STRTAB)
		return;
	t->v = elf_read_section(f, &sh, ELF_MAX_SECTION_BYTES, &len);
	t->n = t->v ? len / sizeof(Elf64_Sym) : 0;
	t->names = elf_read_section(f, &names, ELF_MAX_SECTION_BYTES, &t->names_bytes);
	if (t->names)
		cut_versions(t->names, t->names_bytes);
	else
		t->n = 0;
}

const struct elf_table *elf_table(struct elf_file *f, int which)
{
	struct elf_table *t = &f->tables[which];

	if (!t->tried) {
		t->tried = true;
		load_table(f, t, which == ELF_DYNSYM ? SHT_DYNSYM : SHT_SYMTAB);
	}
	return t;
}

const char *elf_symbol_name(const struct elf_table *t, const Elf64_Sym *sym)
{
	return sym->st_name < t->names_bytes ? t->names + sym->st_name : "";
}

struct elf_file *elf_mini(struct elf_file *f)
{
	GElf_Shdr sh;
	void *xz, *image;
	size_t len;

	if (f->mini_tried)
		return f->mini;
	f->mini_tried = true;
	if (!elf_find_section(f, ".gnu_debugdata", &sh))
		return NULL;
	xz = elf_read_section(f, &sh, ELF_MAX_SECTION_BYTES, &len);
	image = xz ? minidebuginfo_unpack(xz, len, &len) : NULL;
	free(xz);
	if (image && elf_file_open_image(&f->mini, image, len) == 0)
		f->mini->mini_tried = true; /* no dolls within dolls */
	return f->mini;
}

bool elf_file_imports(struct elf_file *f, const char *symbol)
{
	const struct elf_table *t = elf_table(f, ELF_DYNSYM);
	size_t i;

	for (i = 0; i < t->n; i++)
		if (t->v[i].st_shndx == SHN_UNDEF && !strcmp(elf_symbol_name(t, &t->v[i]), symbol))
			return true;
	return false;
}

static int each_in_table(struct elf_file *f, const struct elf_table *t,
			 int (*fn)(void *ctx, const struct elf_symbol *sym), void *ctx)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		const Elf64_Sym *s = &t->v[i];
		struct elf_symbol sym = {
			.name = elf_symbol_name(t, s),
			.vaddr = s->st_value,
			.size_bytes = s->st_size,
		};
		int err;

		if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_shndx == SHN_UNDEF ||
		    s->st_shndx == SHN_ABS || !*sym.name ||
		    !elf_code_offset(f, sym.vaddr, &sym.offset))
			continue;
		err = fn(ctx, &sym);
		if (err)
			return err;
	}
	return 0;
}

int elf_file_each_function(struct elf_file *f, int (*fn)(void *ctx, const struct elf_symbol *sym),
			   void *ctx)
{
	struct elf_file *mini;
	int err, i;

	for (i = 0; i < ELF_N_TABLES; i++) {
		err = each_in_table(f, elf_table(f, i), fn, ctx);
		if (err)
			return err;
	}
	mini = elf_mini(f);
	return mini ? each_in_table(f, elf_table(mini, ELF_SYMTAB), fn, ctx) : 0;
}
