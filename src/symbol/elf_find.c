/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Single symbols of a file by name; see elf_find.h. */
#include "symbol/elf_find.h"

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
