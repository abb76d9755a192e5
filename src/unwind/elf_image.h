/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The parts of an ELF file that unwind tables need: executable segments, .eh_frame and
 * .debug_frame. From memory or by pread. Own reader, no libelf: the file is untrusted and may
 * change while it is read; nothing is mapped. Memory: at most the two sections.
 */
#ifndef MEMPROBE_UNWIND_ELF_IMAGE_H
#define MEMPROBE_UNWIND_ELF_IMAGE_H

#include "unwind/cfi.h"

#define ELF_IMAGE_MAX_CFI 2

struct elf_image {
	const uint8_t *data; /* whole file, or NULL: read from fd */
	int fd;
	uint64_t size_bytes;
	enum unwind_arch arch;
	struct unwind_segment text[UNWIND_MAX_SEGMENTS]; /* executable PT_LOADs, as they are */
	struct unwind_segment seg[UNWIND_MAX_SEGMENTS];  /* the same from their page's begin on */
	unsigned int n_seg;
	void *owned[ELF_IMAGE_MAX_CFI]; /* buffers behind the sections */
};

/*
 * 0, -ENOEXEC (no ELF64 of a supported machine), -ENODATA (nothing executable), -EINVAL or -errno.
 * elf_image_release is due in any case.
 */
int elf_image_open(struct elf_image *img, const void *data, int fd, uint64_t size_bytes);
/* .eh_frame first, then .debug_frame, where they are. Number of sections, or -E2BIG, -errno. */
int elf_image_find_cfi(struct elf_image *img, struct cfi_section sec[ELF_IMAGE_MAX_CFI]);
void elf_image_release(struct elf_image *img);

#endif
