/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Single symbols of a file by name; see elf_find.h. */
#include "symbol/elf_find.h"

#include <stdlib.h>
#include <string.h>

#include "symbol/elf_internal.h"

#define PAGE 4096u

static bool find_in(struct elf_file *f, int which, const char *name, struct elf_symbol *out)
{
	const struct elf_table *t = elf_table(f, which);
	size_t i;

	for (i = 0; i < t->n; i++) {
		const Elf64_Sym *sym = &t->v[i];

		if (sym->st_shndx == SHN_UNDEF || strcmp(elf_symbol_name(t, sym), name))
			continue;
		*out = (struct elf_symbol){
			.name = elf_symbol_name(t, sym),
			.vaddr = sym->st_value,
			.size_bytes = sym->st_size,
		};
		if (ELF64_ST_TYPE(sym->st_info) != STT_TLS)
			elf_code_offset(f, sym->st_value, &out->offset);
		return true;
	}
	return false;
}

bool elf_find_symbol(struct elf_file *f, const char *name, struct elf_symbol *out)
{
	struct elf_file *mini;

	if (find_in(f, ELF_DYNSYM, name, out) || find_in(f, ELF_SYMTAB, name, out))
		return true;
	mini = elf_mini(f);
	return mini && find_in(mini, ELF_SYMTAB, name, out);
}

bool elf_find_tls_pair(struct elf_file *f, const char *name, uint64_t *vaddr)
{
	const struct elf_table *t = elf_table(f, ELF_DYNSYM);
	const Elf64_Rela *rela;
	bool found = false;
	GElf_Shdr sh;
	void *section;
	size_t len, i;

	if (!elf_find_section(f, ".rela.dyn", &sh))
		return false;
	section = elf_read_section(f, &sh, ELF_MAX_SECTION_BYTES, &len);
	for (rela = section, i = 0; section && i < len / sizeof(*rela) && !found; i++) {
		size_t sym = ELF64_R_SYM(rela[i].r_info);

		if (ELF64_R_TYPE(rela[i].r_info) != R_X86_64_DTPMOD64 || !sym || sym >= t->n ||
		    strcmp(elf_symbol_name(t, &t->v[sym]), name))
			continue;
		*vaddr = rela[i].r_offset;
		found = true;
	}
	free(section);
	return found;
}

bool elf_load_bias(struct elf_file *f, uint64_t map_start, uint64_t map_offset, uint64_t *bias)
{
	size_t i;

	for (i = 0; i < f->n_segments; i++) {
		const struct elf_segment *s = &f->segments[i];
		uint64_t first = s->offset & ~(uint64_t)(PAGE - 1);

		if (map_offset < first || map_offset >= s->offset + s->file_bytes)
			continue;
		*bias = map_start - (s->vaddr - s->offset + map_offset);
		return true;
	}
	return false;
}
