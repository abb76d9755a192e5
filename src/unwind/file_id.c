/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Identity of a file's content; see file_id.h. Own bounded reader, no libelf: the file is untrusted. */
#include "unwind/file_id.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"

#define MAX_HEADERS 64
#define MAX_NOTE_BYTES 4096

static bool read_at(int fd, uint64_t off, void *to, size_t len)
{
	return pread(fd, to, len, (off_t)off) == (ssize_t)len;
}

/* Notes are {name size, description size, type}, then both padded to 4 bytes. */
static uint64_t build_id_in(const unsigned char *note, size_t len)
{
	Elf64_Nhdr h;
	size_t at = 0, name, desc;

	while (len - at >= sizeof(h)) {
		memcpy(&h, note + at, sizeof(h));
		if (h.n_namesz > len || h.n_descsz > len)
			return 0;
		name = at + sizeof(h);
		desc = name + ((h.n_namesz + 3u) & ~3u);
		at = desc + ((h.n_descsz + 3u) & ~3u);
		if (at > len)
			return 0;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && !memcmp(note + name, "GNU", 4) &&
		    h.n_descsz >= 8)
			return hash_bytes(note + desc, h.n_descsz) | 1;
	}
	return 0;
}

static uint64_t build_id(int fd)
{
	unsigned char note[MAX_NOTE_BYTES];
	Elf64_Phdr ph;
	Elf64_Ehdr eh;
	unsigned int i;
	uint64_t id;

	if (!read_at(fd, 0, &eh, sizeof(eh)) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_phentsize != sizeof(ph))
		return 0;
	for (i = 0; i < eh.e_phnum && i < MAX_HEADERS; i++) {
		if (!read_at(fd, eh.e_phoff + i * sizeof(ph), &ph, sizeof(ph)))
			return 0;
		if (ph.p_type != PT_NOTE || ph.p_filesz > sizeof(note) ||
		    !read_at(fd, ph.p_offset, note, ph.p_filesz))
			continue;
		id = build_id_in(note, ph.p_filesz);
		if (id)
			return id;
	}
	return 0;
}

uint64_t unwind_file_id(int fd)
{
	uint64_t id = build_id(fd);
	struct stat st;

	if (id || fstat(fd, &st))
		return id;
	return (hash_u64(st.st_ino) ^ hash_u64((uint64_t)st.st_size) * 3 ^
		hash_u64((uint64_t)st.st_mtim.tv_sec * 1000003 + (uint64_t)st.st_mtim.tv_nsec)) |
	       1;
}
