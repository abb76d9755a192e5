/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzing the unwind table compiler. An input that begins like an ELF file is one, and is built
 * from memory and from a descriptor, which must agree. Any other input is the content of
 * .eh_frame (first byte: bit 0 .debug_frame instead, bit 1 arm64) in an otherwise good file, so
 * that the CFI interpreter is reached at once. Each table is checked for consistency.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/test_unwind_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From a copy of exactly its size: the sanitizer then sees the first byte too far. */
static int build_from_memory(struct unwind_table *t, const uint8_t *data, size_t size)
{
	uint8_t *image = malloc(size ? size : 1);
	int err;

	if (!image)
		abort();
	memcpy(image, data, size);
	err = unwind_table_build(t, image, size, UNWIND_KEEP_ROWS);
	free(image);
	check_table(t, err);
	return err;
}

static void compare_with_fd(const struct unwind_table *t, int err, const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct unwind_table u;
	int fd_err;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
		if (fd >= 0)
			close(fd);
		return;
	}
	fd_err = unwind_table_build_fd(&u, fd, 0);
	CHECK(fd_err == err && !u.rows && u.n_packed == t->n_packed && u.lo == t->lo);
	CHECK(!u.n_packed || !memcmp(u.packed, t->packed, u.n_packed * sizeof(*u.packed)));
	unwind_table_release(&u);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct build_section sec;
	struct unwind_table t;
	struct bytes elf;
	int err;

	if (size >= SELFMAG && !memcmp(data, ELFMAG, SELFMAG)) {
		err = build_from_memory(&t, data, size);
		compare_with_fd(&t, err, data, size);
	} else if (size) {
		sec = (struct build_section){ data[0] & 1 ? ".debug_frame" : ".eh_frame", data + 1,
					      size - 1, 0 };
		elf = build_elf(data[0] & 2 ? EM_AARCH64 : EM_X86_64, &sec, 1);
		build_from_memory(&t, elf.p, elf.n);
		free(elf.p);
	} else {
		return 0;
	}
	unwind_table_release(&t);
	return 0;
}
