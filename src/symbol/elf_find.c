/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Single symbols of a file by name; see elf_find.h. */
#include "symbol/elf_find.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "symbol/elf_internal.h"

#define PAGE 4096u

/* What is looked for: names, the prefix that all of them have (few symbols have it too), and what was found. */
struct wanted {
	const char *const *names;
	size_t n, n_found, prefix_len;
	struct elf_symbol *out;
};

static size_t common_prefix(const char *const *names, size_t n)
{
	size_t len = strlen(names[0]), i, j;

	for (i = 1; i < n; i++) {
		for (j = 0; j < len && names[i][j] == names[0][j]; j++)
			;
		len = j;
	}
	return len;
}

static void found_symbol(struct elf_file *f, const Elf64_Sym *sym, const char *name, struct elf_symbol *out)
{
	*out = (struct elf_symbol){ .name = name, .vaddr = sym->st_value, .size_bytes = sym->st_size };
	if (ELF64_ST_TYPE(sym->st_info) != STT_TLS)
		elf_code_offset(f, sym->st_value, &out->offset);
}

static void find_in(struct elf_file *f, int which, struct wanted *w)
{
	const struct elf_table *t = elf_table(f, which);
	size_t i, j;

	for (i = 0; i < t->n && w->n_found < w->n; i++) {
		const char *name = elf_symbol_name(t, &t->v[i]);

		if (t->v[i].st_shndx == SHN_UNDEF || strncmp(name, w->names[0], w->prefix_len))
			continue;
		for (j = 0; j < w->n; j++) {
			if (w->out[j].name || strcmp(name + w->prefix_len, w->names[j] + w->prefix_len))
				continue;
			found_symbol(f, &t->v[i], name, &w->out[j]);
			w->n_found++;
			break;
		}
	}
}

size_t elf_find_symbols(struct elf_file *f, const char *const *names, size_t n, struct elf_symbol *out)
{
	struct wanted w = { .names = names, .n = n, .out = out };
	struct elf_file *mini;

	if (!n)
		return 0;
	memset(out, 0, n * sizeof(*out));
	w.prefix_len = common_prefix(names, n);
	find_in(f, ELF_DYNSYM, &w);
	if (w.n_found < n)
		find_in(f, ELF_SYMTAB, &w);
	mini = w.n_found < n ? elf_mini(f) : NULL;
	if (mini)
		find_in(mini, ELF_SYMTAB, &w);
	return w.n_found;
}

bool elf_find_symbol(struct elf_file *f, const char *name, struct elf_symbol *out)
{
	return elf_find_symbols(f, &name, 1, out);
}

bool elf_function_starts(struct elf_file *f, uint64_t **starts, size_t *n)
{
	static const uint8_t usual[] = { 1, 0x1b, 0x03, 0x3b }; /* version; .eh_frame by 32 bits, their number, the table by 32 bits */
	uint8_t *section;
	uint32_t count = 0, i;
	GElf_Shdr sh;
	size_t len;
	int32_t at;

	if (!elf_find_section(f, ".eh_frame_hdr", &sh))
		return false;
	section = elf_read_section(f, &sh, ELF_MAX_SECTION_BYTES, &len);
	if (section && len >= 12 && !memcmp(section, usual, sizeof(usual)))
		memcpy(&count, section + 8, sizeof(count));
	if (!count || count > (len - 12) / 8) {
		free(section);
		return false;
	}
	*starts = xmalloc(count * sizeof(**starts));
	*n = count;
	for (i = 0; i < count; i++) {
		memcpy(&at, section + 12 + (size_t)8 * i, sizeof(at));
		(*starts)[i] = sh.sh_addr + (uint64_t)(int64_t)at;
	}
	free(section);
	return true;
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
