/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * SystemTap's notes; see elf_usdt.h. A note's description: the addresses of the probe, of .stapsdt.base when it was
 * linked, and of its semaphore, then provider, name and arguments, each with a NUL. Depends on libelf only.
 */
#include "symbol/elf_usdt.h"

#include <stdlib.h>
#include <string.h>

#include "symbol/elf_internal.h"

#define NOTES ".note.stapsdt"
#define BASE ".stapsdt.base"
#define OWNER "stapsdt"
#define ADDRESSES 24 /* bytes of three */
#define MOST_DISTANCE 32767

/* File offset of an address that is loaded from the file; data too. */
static bool file_offset(const struct elf_file *f, uint64_t vaddr, uint64_t *offset)
{
	size_t i;

	for (i = 0; i < f->n_segments; i++) {
		const struct elf_segment *s = &f->segments[i];

		if (vaddr >= s->vaddr && vaddr - s->vaddr < s->file_bytes) {
			*offset = vaddr - s->vaddr + s->offset;
			return true;
		}
	}
	return false;
}

/* A text within [p, end), and what comes behind it; NULL: it does not end there. */
static const char *text_at(const char **p, const char *end)
{
	const char *s = *p, *nul = s < end ? memchr(s, '\0', (size_t)(end - s)) : NULL;

	if (nul)
		*p = nul + 1;
	return nul ? s : NULL;
}

static bool take_note(struct elf_file *f, const char *desc, size_t len, const char *provider, const char *name,
		      struct elf_usdt *out)
{
	const char *p = desc + ADDRESSES, *end = desc + len, *a, *b, *c;
	uint64_t at[3], moved = 0;
	GElf_Shdr base;

	if (len < ADDRESSES)
		return false;
	memcpy(at, desc, sizeof(at));
	a = text_at(&p, end);
	b = a ? text_at(&p, end) : NULL;
	c = b ? text_at(&p, end) : NULL;
	if (!c || strcmp(a, provider) != 0 || strcmp(b, name) != 0 || strlen(c) >= sizeof(out->arguments))
		return false;
	if (elf_find_section(f, BASE, &base)) /* by how much prelink has moved it */
		moved = base.sh_addr - at[1];
	*out = (struct elf_usdt){ 0 };
	strcpy(out->arguments, c);
	if (at[2] && !file_offset(f, at[2] + moved, &out->semaphore))
		return false;
	return elf_code_offset(f, at[0] + moved, &out->offset);
}

size_t elf_find_usdts(struct elf_file *f, const char *provider, const char *name, struct elf_usdt *out, size_t most)
{
	size_t len = 0, at = 0, owner, desc, n = 0;
	Elf64_Nhdr nh;
	GElf_Shdr sh;
	char *notes;

	if (!elf_find_section(f, NOTES, &sh))
		return 0;
	notes = elf_read_section(f, &sh, ELF_MAX_NOTE_BYTES, &len);
	while (notes && n < most && len - at >= sizeof(nh)) {
		memcpy(&nh, notes + at, sizeof(nh));
		at += sizeof(nh);
		owner = ((size_t)nh.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)nh.n_descsz + 3) & ~(size_t)3;
		if (owner > len - at || nh.n_descsz > len - at - owner)
			break;
		if (nh.n_namesz == sizeof(OWNER) && !memcmp(notes + at, OWNER, sizeof(OWNER)))
			n += take_note(f, notes + at + owner, nh.n_descsz, provider, name, &out[n]);
		if (desc > len - at - owner)
			break;
		at += owner + desc;
	}
	free(notes);
	return n;
}

#if defined(__x86_64__)
/* Order of the kernel's struct pt_regs (arch/x86/include/uapi/asm/ptrace.h), 8 bytes each. */
static const char *const registers[][2] = {
	{ "r15", "r15d" }, { "r14", "r14d" }, { "r13", "r13d" }, { "r12", "r12d" }, { "rbp", "ebp" }, { "rbx", "ebx" }, { "r11", "r11d" },
	{ "r10", "r10d" }, { "r9", "r9d" },   { "r8", "r8d" },	 { "rax", "eax" },  { "rcx", "ecx" }, { "rdx", "edx" }, { "rsi", "esi" },
	{ "rdi", "edi" },  { "", "" },	      { "", "" },	 { "", "" },	    { "", "" },	      { "rsp", "esp" },
};

/* "%rax" and what comes behind it; 0xff: none. */
static unsigned int take_register(const char **s)
{
	size_t len = strspn(*s + (**s == '%'), "abcdefghijklmnopqrstuvwxyz0123456789"), i, k;

	if (**s != '%' || !len)
		return 0xff;
	for (i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		for (k = 0; k < 2; k++)
			if (strlen(registers[i][k]) == len && !memcmp(*s + 1, registers[i][k], len)) {
				*s += 1 + len;
				return (unsigned int)i * 8;
			}
	return 0xff;
}

/* "-4@4(%rsp)" */
static bool take_argument(const char **s, struct mp_usdt_arg *out)
{
	char *end;
	long size = strtol(*s, &end, 10), distance = 0;
	unsigned int reg;

	if ((size != 8 && size != -8 && size != 4 && size != -4) || *end != '@')
		return false;
	*s = end + 1;
	if (**s != '%' && **s != '(') {
		distance = strtol(*s, &end, 10);
		if (end == *s || *end != '(' || distance > MOST_DISTANCE || distance < -MOST_DISTANCE)
			return false;
		*s = end;
	}
	*out = (struct mp_usdt_arg){ .size = size == 4 || size == -4 ? 4 : 8, .in_memory = **s == '(', .distance = (__s16)distance };
	*s += out->in_memory;
	reg = take_register(s);
	if (reg == 0xff || (out->in_memory && *(*s)++ != ')'))
		return false;
	out->reg = (__u8)reg;
	return **s == '\0' || **s == ' ';
}
#else
static bool take_argument(const char **s, struct mp_usdt_arg *out)
{
	(void)s;
	(void)out;
	return false;
}
#endif

bool usdt_arguments(const char *text, struct mp_usdt_arg *out, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		text += strspn(text, " ");
		if (!take_argument(&text, &out[i]))
			return false;
	}
	return true;
}
