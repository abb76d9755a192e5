/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One ELF file: headers, segments, notes, bytes; see elf_file.h. Symbol tables are elf_table.c.
 *
 * Only files of the machine that memprobe runs on are read: nothing else can be executed here.
 * Depends on base and libelf.
 */
#include "symbol/elf_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "symbol/elf_internal.h"

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#else
#error "unsupported architecture"
#endif

static int read_segments(struct elf_file *f)
{
	size_t n, i;

	if (elf_getphdrnum(f->elf, &n) || n > ELF_MAX_SEGMENTS)
		return -ENOEXEC;
	f->segments = xcalloc(n, sizeof(*f->segments));
	for (i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(f->elf, (int)i, &ph) || ph.p_type != PT_LOAD)
			continue;
		f->segments[f->n_segments++] = (struct elf_segment){
			.vaddr = ph.p_vaddr,
			.offset = ph.p_offset,
			.file_bytes = ph.p_filesz,
			.exec = ph.p_flags & PF_X,
		};
	}
	return 0;
}

/*
 * Before libelf sees the file: it allocates per section header, and a sparse file may claim 2^32 of
 * them (e_shnum 0: the number is in the first header).
 */
static bool is_plausible(struct elf_file *f)
{
	Elf64_Ehdr eh;
	Elf64_Shdr first;

	if (elf_file_read(f, 0, &eh, sizeof(eh)) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_machine != HOST_MACHINE)
		return false;
	if (eh.e_shnum || !eh.e_shoff)
		return true;
	return elf_file_read(f, eh.e_shoff, &first, sizeof(first)) == sizeof(first) &&
	       first.sh_size <= ELF_MAX_SECTIONS;
}

static bool has_section_names(struct elf_file *f)
{
	GElf_Shdr sh;
	Elf_Scn *scn;
	size_t names;

	if (elf_getshdrstrndx(f->elf, &names) || !names)
		return false;
	scn = elf_getscn(f->elf, names);
	return scn && gelf_getshdr(scn, &sh) && sh.sh_type == SHT_STRTAB &&
	       sh.sh_size <= ELF_MAX_NOTE_BYTES;
}

static int read_headers(struct elf_file *f)
{
	elf_version(EV_CURRENT);
	f->elf =
		f->image ? elf_memory(f->image, f->size_bytes) : elf_begin(f->fd, ELF_C_READ, NULL);
	if (!f->elf || elf_kind(f->elf) != ELF_K_ELF)
		return -ENOEXEC;
	f->has_section_names = has_section_names(f);
	return read_segments(f);
}

static int finish_open(struct elf_file **out, struct elf_file *f)
{
	int err = is_plausible(f) ? read_headers(f) : -ENOEXEC;

	if (err) {
		elf_file_close(f);
		f = NULL;
	}
	*out = f;
	return err;
}

int elf_file_open(struct elf_file **out, int fd)
{
	struct elf_file *f;
	struct stat st;

	*out = NULL;
	if (fd < 0)
		return -EBADF;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOEXEC;
	}
	f = xcalloc(1, sizeof(*f));
	f->fd = fd;
	f->size_bytes = (uint64_t)st.st_size;
	return finish_open(out, f);
}

int elf_file_open_image(struct elf_file **out, void *image, size_t size_bytes)
{
	struct elf_file *f = xcalloc(1, sizeof(*f));

	f->fd = -1;
	f->image = image;
	f->size_bytes = size_bytes;
	return finish_open(out, f);
}

void elf_file_close(struct elf_file *f)
{
	int i;

	if (!f)
		return;
	elf_file_close(f->mini);
	for (i = 0; i < ELF_N_TABLES; i++) {
		free(f->tables[i].v);
		free(f->tables[i].names);
	}
	free(f->segments);
	elf_end(f->elf);
	if (f->fd >= 0)
		close(f->fd);
	free(f->image);
	free(f);
}

long elf_file_read(struct elf_file *f, uint64_t offset, void *out, size_t len)
{
	size_t done = 0;

	if (offset >= f->size_bytes)
		return 0;
	if (len > f->size_bytes - offset)
		len = (size_t)(f->size_bytes - offset);
	if (f->image) {
		memcpy(out, (const char *)f->image + offset, len);
		return (long)len;
	}
	while (done < len) {
		ssize_t n = pread(f->fd, (char *)out + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (long)done;
}

static void *read_range(struct elf_file *f, uint64_t offset, uint64_t size_bytes,
			uint64_t max_bytes)
{
	char *data;

	if (!size_bytes || size_bytes > max_bytes || offset > f->size_bytes ||
	    size_bytes > f->size_bytes - offset)
		return NULL;
	data = xmalloc(size_bytes + 1);
	if (elf_file_read(f, offset, data, size_bytes) != (long)size_bytes) {
		free(data);
		return NULL;
	}
	data[size_bytes] = '\0';
	return data;
}

void *elf_read_section(struct elf_file *f, const GElf_Shdr *sh, uint64_t max_bytes, size_t *len)
{
	*len = sh->sh_size;
	if (sh->sh_type == SHT_NOBITS || sh->sh_flags & SHF_COMPRESSED)
		return NULL;
	return read_range(f, sh->sh_offset, sh->sh_size, max_bytes);
}

bool elf_find_section(struct elf_file *f, const char *name, GElf_Shdr *out)
{
	Elf_Scn *scn = NULL;
	const char *s;
	size_t names;

	if (!f->has_section_names || elf_getshdrstrndx(f->elf, &names))
		return false;
	while ((scn = elf_nextscn(f->elf, scn))) {
		if (!gelf_getshdr(scn, out))
			continue;
		s = elf_strptr(f->elf, names, out->sh_name);
		if (s && !strcmp(s, name))
			return true;
	}
	return false;
}

/* ---- notes ---- */

#define OWNER_BYTES 4 /* "GNU" and "Go" with their NULs */

/* Descriptor of the note (owner, type) into out, at most cap bytes; its length, 0 when absent. */
static size_t find_note(const uint8_t *p, size_t len, size_t align, const char *owner,
			uint32_t type, uint8_t *out, size_t cap)
{
	Elf64_Nhdr nh;

	while (len >= sizeof(nh)) {
		size_t name_bytes, desc_bytes;

		memcpy(&nh, p, sizeof(nh));
		p += sizeof(nh);
		len -= sizeof(nh);
		name_bytes = ((size_t)nh.n_namesz + align - 1) & ~(align - 1);
		desc_bytes = ((size_t)nh.n_descsz + align - 1) & ~(align - 1);
		if (name_bytes > len || nh.n_descsz > len - name_bytes)
			return 0;
		if (nh.n_type == type && nh.n_namesz == OWNER_BYTES &&
		    !memcmp(p, owner, OWNER_BYTES)) {
			size_t n = nh.n_descsz < cap ? nh.n_descsz : cap;

			memcpy(out, p + name_bytes, n);
			return n;
		}
		if (desc_bytes > len - name_bytes)
			return 0;
		p += name_bytes + desc_bytes;
		len -= name_bytes + desc_bytes;
	}
	return 0;
}

static size_t note_in_range(struct elf_file *f, uint64_t offset, uint64_t size_bytes,
			    uint64_t align, const char *owner, uint32_t type, uint8_t *out,
			    size_t cap)
{
	uint8_t *data = read_range(f, offset, size_bytes, ELF_MAX_NOTE_BYTES);
	size_t n = 0;

	if (data)
		n = find_note(data, size_bytes, align == 8 ? 8 : 4, owner, type, out, cap);
	free(data);
	return n;
}

/* By segments, which survive stripping, then by sections, which separate debug files keep. */
static size_t read_note(struct elf_file *f, const char *owner, uint32_t type, uint8_t *out,
			size_t cap)
{
	Elf_Scn *scn = NULL;
	size_t n_phdr, i, n = 0;
	GElf_Phdr ph;
	GElf_Shdr sh;

	if (!elf_getphdrnum(f->elf, &n_phdr))
		for (i = 0; i < n_phdr && !n; i++)
			if (gelf_getphdr(f->elf, (int)i, &ph) && ph.p_type == PT_NOTE)
				n = note_in_range(f, ph.p_offset, ph.p_filesz, ph.p_align, owner,
						  type, out, cap);
	while (!n && (scn = elf_nextscn(f->elf, scn)))
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_NOTE)
			n = note_in_range(f, sh.sh_offset, sh.sh_size, sh.sh_addralign, owner, type,
					  out, cap);
	return n;
}

size_t elf_file_build_id(struct elf_file *f, uint8_t *id, size_t cap)
{
	return read_note(f, "GNU", NT_GNU_BUILD_ID, id, cap);
}

bool elf_file_is_go(struct elf_file *f)
{
	static const char *const sections[] = { ".go.buildinfo", ".gopclntab",
						".data.rel.ro.gopclntab" };
	enum { NT_GO_BUILD_ID = 4 }; /* cmd/link/internal/ld/elf.go, ELF_NOTE_GOBUILDID_TAG */
	GElf_Shdr sh;
	uint8_t byte;
	size_t i;

	for (i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		if (elf_find_section(f, sections[i], &sh))
			return true;
	return read_note(f, "Go\0", NT_GO_BUILD_ID, &byte, 1) > 0;
}

bool elf_code_offset(const struct elf_file *f, uint64_t vaddr, uint64_t *offset)
{
	size_t i;

	for (i = 0; i < f->n_segments; i++) {
		const struct elf_segment *s = &f->segments[i];

		if (s->exec && vaddr >= s->vaddr && vaddr - s->vaddr < s->file_bytes) {
			*offset = vaddr - s->vaddr + s->offset;
			return true;
		}
	}
	return false;
}
