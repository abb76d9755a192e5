/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * ELF headers for unwind tables; see elf_image.h.
 *
 * .eh_frame is found as the C++ runtime finds it, by PT_GNU_EH_FRAME, because section headers may
 * be stripped; they only tell its exact length. Static programs may lack .eh_frame_hdr: then by
 * section name. .debug_frame has a section header only, and may be compressed.
 */
#include "unwind/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/xalloc.h"

#define MAX_PROGRAM_HEADERS 256
#define MAX_SECTION_HEADERS 65535
#define MAX_CFI_BYTES (256ULL << 20)
#define MAX_ZLIB_RATIO 1032 /* zlib's technical limit */
#define PAGE_MASK 4095ULL

/* Bytes [off, off + len) of the file. */
static int image_read(const struct elf_image *img, uint64_t off, void *to, size_t len)
{
	ssize_t n;

	if (off > img->size_bytes || len > img->size_bytes - off)
		return -EINVAL;
	if (img->data) {
		memcpy(to, img->data + off, len);
		return 0;
	}
	while (len) {
		n = pread(img->fd, to, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) /* 0: it shrank meanwhile */
			return n < 0 ? -errno : -EINVAL;
		to = (char *)to + n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_header(struct elf_image *img, Elf64_Ehdr *eh)
{
	if (image_read(img, 0, eh, sizeof(*eh)) || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	if (eh->e_machine == EM_X86_64)
		img->arch = UNWIND_X86_64;
	else if (eh->e_machine == EM_AARCH64)
		img->arch = UNWIND_ARM64;
	else
		return -ENOEXEC;
	return 0;
}

/* Array of n program headers (free), or NULL. */
static Elf64_Phdr *read_program_headers(const struct elf_image *img, const Elf64_Ehdr *eh,
					unsigned int *n)
{
	Elf64_Phdr *ph;

	*n = eh->e_phnum;
	if (!*n || *n > MAX_PROGRAM_HEADERS || eh->e_phentsize != sizeof(*ph))
		return NULL;
	ph = xcalloc(*n, sizeof(*ph));
	if (!image_read(img, eh->e_phoff, ph, *n * sizeof(*ph)))
		return ph;
	free(ph);
	return NULL;
}

static void add_segment(struct elf_image *img, const Elf64_Phdr *ph)
{
	uint64_t in_page = ph->p_offset & PAGE_MASK, end;

	if (img->n_seg == UNWIND_MAX_SEGMENTS || !ph->p_memsz || ph->p_vaddr < in_page ||
	    __builtin_add_overflow(ph->p_vaddr, ph->p_memsz, &end))
		return;
	img->text[img->n_seg] = (struct unwind_segment){ ph->p_offset, ph->p_vaddr, ph->p_memsz };
	img->seg[img->n_seg++] = (struct unwind_segment){
		.file_off = ph->p_offset - in_page,
		.vaddr = ph->p_vaddr - in_page,
		.size_bytes = ph->p_filesz + in_page,
	};
}

int elf_image_open(struct elf_image *img, const void *data, int fd, uint64_t size_bytes)
{
	unsigned int n, i;
	Elf64_Phdr *ph;
	Elf64_Ehdr eh;
	int err;

	*img = (struct elf_image){ .data = data, .fd = fd, .size_bytes = size_bytes };
	err = read_header(img, &eh);
	if (err)
		return err;
	if (!eh.e_phnum) /* an object file */
		return -ENODATA;
	ph = read_program_headers(img, &eh, &n);
	if (!ph)
		return -EINVAL;
	for (i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_flags & PF_X)
			add_segment(img, &ph[i]);
	free(ph);
	return img->n_seg ? 0 : -ENODATA;
}

void elf_image_release(struct elf_image *img)
{
	int i;

	for (i = 0; i < ELF_IMAGE_MAX_CFI; i++) {
		free(img->owned[i]);
		img->owned[i] = NULL;
	}
}

/* File bytes as a section's content; a file that ends early gives what is there. */
static int load(struct elf_image *img, void **owned, struct cfi_section *sec, uint64_t off,
		uint64_t len)
{
	int err;

	if (off >= img->size_bytes || !len)
		return -ENODATA;
	if (len > img->size_bytes - off)
		len = img->size_bytes - off;
	if (len > MAX_CFI_BYTES)
		return -E2BIG;
	sec->size_bytes = len;
	if (img->data) {
		sec->data = img->data + off;
		return 0;
	}
	*owned = xmalloc(len);
	err = image_read(img, off, *owned, len);
	sec->data = *owned;
	return err;
}

/* ---- section headers ---- */

struct sections {
	Elf64_Shdr *v;
	unsigned int n, names;
};

static void read_sections(const struct elf_image *img, const Elf64_Ehdr *eh, struct sections *s)
{
	*s = (struct sections){ .n = eh->e_shnum, .names = eh->e_shstrndx };
	if (s->n && s->n <= MAX_SECTION_HEADERS && eh->e_shentsize == sizeof(*s->v) &&
	    eh->e_shoff <= img->size_bytes &&
	    s->n * sizeof(*s->v) <= img->size_bytes - eh->e_shoff) {
		s->v = xcalloc(s->n, sizeof(*s->v));
		if (!image_read(img, eh->e_shoff, s->v, s->n * sizeof(*s->v)))
			return;
		free(s->v);
		s->v = NULL;
	}
	s->n = 0;
}

static const Elf64_Shdr *section_by_name(const struct elf_image *img, const struct sections *s,
					 const char *name)
{
	size_t len = strlen(name) + 1;
	char got[32];
	unsigned int i;

	if (s->names >= s->n || len > sizeof(got))
		return NULL;
	for (i = 0; i < s->n; i++)
		if (s->v[i].sh_type != SHT_NOBITS && s->v[i].sh_size &&
		    !image_read(img, s->v[s->names].sh_offset + s->v[i].sh_name, got, len) &&
		    !memcmp(got, name, len))
			return &s->v[i];
	return NULL;
}

/* A compressed section (SHF_COMPRESSED, zlib) becomes what it holds. */
static int inflate_section(void **owned, struct cfi_section *sec)
{
	Elf64_Chdr ch;
	uLongf len;
	void *out;

	if (sec->size_bytes < sizeof(ch))
		return -EINVAL;
	memcpy(&ch, sec->data, sizeof(ch));
	if (ch.ch_type != ELFCOMPRESS_ZLIB || !ch.ch_size)
		return -ENODATA;
	if (ch.ch_size > MAX_CFI_BYTES || ch.ch_size / MAX_ZLIB_RATIO > sec->size_bytes)
		return -EINVAL;
	len = ch.ch_size;
	out = xmalloc(len);
	if (uncompress(out, &len, sec->data + sizeof(ch), sec->size_bytes - sizeof(ch)) != Z_OK) {
		free(out);
		return -EINVAL;
	}
	free(*owned);
	*owned = out;
	sec->data = out;
	sec->size_bytes = len;
	return 0;
}

static int load_section(struct elf_image *img, void **owned, const struct sections *s,
			const char *name, struct cfi_section *sec)
{
	const Elf64_Shdr *sh = section_by_name(img, s, name);
	int err;

	if (!sh)
		return -ENODATA;
	sec->vaddr = sh->sh_addr;
	sec->is_exact = true;
	err = load(img, owned, sec, sh->sh_offset, sh->sh_size);
	if (!err && sh->sh_flags & SHF_COMPRESSED)
		err = inflate_section(owned, sec);
	return err;
}

/* ---- PT_GNU_EH_FRAME ---- */

static const Elf64_Phdr *segment_of(const Elf64_Phdr *ph, unsigned int n, uint64_t vaddr)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (ph[i].p_type == PT_LOAD && vaddr >= ph[i].p_vaddr &&
		    vaddr - ph[i].p_vaddr < ph[i].p_filesz)
			return &ph[i];
	return NULL;
}

/* .eh_frame_hdr: version, three encodings, then the encoded address of .eh_frame. 0: unusable. */
static uint64_t eh_frame_address(const struct elf_image *img, const Elf64_Phdr *hdr)
{
	uint8_t bytes[12];
	struct cfi_section h = { .data = bytes,
				 .size_bytes = sizeof(bytes),
				 .vaddr = hdr->p_vaddr,
				 .hdr_vaddr = hdr->p_vaddr };
	struct cursor c = { bytes + 4, bytes + sizeof(bytes), false };
	uint64_t at;

	if (image_read(img, hdr->p_offset, bytes, sizeof(bytes)) || bytes[0] != 1)
		return 0;
	at = cfi_pointer(&c, bytes[1], &h);
	return c.bad ? 0 : at;
}

/* .eh_frame reaches to the end of its segment, unless section headers know better. */
static int load_eh_frame_at(struct elf_image *img, const Elf64_Phdr *in, const struct sections *s,
			    uint64_t at, struct cfi_section *sec)
{
	uint64_t into = at - in->p_vaddr, len = in->p_filesz - into;
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		const Elf64_Shdr *sh = &s->v[i];

		if (sh->sh_addr == at && sh->sh_size && sh->sh_size <= len &&
		    sh->sh_offset == in->p_offset + into) {
			len = sh->sh_size;
			sec->is_exact = true;
		}
	}
	sec->vaddr = at;
	return load(img, &img->owned[0], sec, in->p_offset + into, len);
}

static int load_by_header(struct elf_image *img, const Elf64_Ehdr *eh, const struct sections *s,
			  struct cfi_section *sec)
{
	const Elf64_Phdr *hdr = NULL, *in = NULL;
	int err = -ENODATA;
	unsigned int n, i;
	Elf64_Phdr *ph = read_program_headers(img, eh, &n);
	uint64_t at;

	for (i = 0; ph && i < n; i++)
		if (ph[i].p_type == PT_GNU_EH_FRAME)
			hdr = &ph[i];
	if (hdr) {
		at = eh_frame_address(img, hdr);
		in = segment_of(ph, n, at);
		sec->hdr_vaddr = hdr->p_vaddr;
	}
	if (in)
		err = load_eh_frame_at(img, in, s, at, sec);
	free(ph);
	return err;
}

static int load_eh_frame(struct elf_image *img, const Elf64_Ehdr *eh, const struct sections *s,
			 struct cfi_section *sec)
{
	int err = load_by_header(img, eh, s, sec);

	if (err != -ENODATA)
		return err;
	*sec = (struct cfi_section){ .arch = img->arch };
	return load_section(img, &img->owned[0], s, ".eh_frame", sec);
}

int elf_image_find_cfi(struct elf_image *img, struct cfi_section sec[ELF_IMAGE_MAX_CFI])
{
	struct sections s;
	Elf64_Ehdr eh;
	int n = 0, err;

	err = read_header(img, &eh);
	if (err)
		return err;
	read_sections(img, &eh, &s);
	sec[0] = (struct cfi_section){ .arch = img->arch };
	err = load_eh_frame(img, &eh, &s, &sec[0]);
	if (!err)
		n++;
	if (!err || err == -ENODATA) {
		sec[n] = (struct cfi_section){ .arch = img->arch, .is_debug_frame = true };
		if (!load_section(img, &img->owned[1], &s, ".debug_frame", &sec[n]))
			n++;
		err = 0;
	}
	free(s.v);
	return err ? err : n;
}
