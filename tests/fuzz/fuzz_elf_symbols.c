/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzing the ELF reader: the input is a file, read once from a descriptor and once from memory;
 * everything that memprobe asks of an object is asked. DWARF is libdw's and not part of it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/debug_file.h"
#include "symbol/elf_internal.h"
#include "symbol/elf_symbols.h"
#include "symbol/elf_usdt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *ctx, const struct elf_symbol *sym)
{
	struct elf_file *f = ctx;
	uint8_t code[16];

	if (!*sym->name || strchr(sym->name + 1, '@'))
		abort();
	elf_file_read(f, sym->offset, code, sizeof(code));
	return 0;
}

static void check_symbols(struct elf_file *f)
{
	struct elf_symbols s = { 0 };
	size_t i;

	elf_symbols_load(&s, f, NULL);
	for (i = 0; i < s.n; i++) {
		const struct span *span = &s.v[i];

		if (!span->size_bytes || (i && span->start - span[-1].start < span[-1].size_bytes))
			abort();
		if (span->name >= s.names_bytes)
			abort();
		elf_symbols_find(&s, span->start + span->size_bytes / 2);
	}
	elf_symbols_release(&s);
}

static void use(struct elf_file *f)
{
	struct debug_search where = { "/nonexistent", "/nonexistent", 1, "/nonexistent/x" };
	struct mp_usdt_arg args[3];
	struct elf_usdt usdt;
	uint8_t id[20];

	elf_file_build_id(f, id, sizeof(id));
	elf_file_is_go(f);
	if (elf_find_usdts(f, "ruby", "object__create", &usdt, 1))
		usdt_arguments(usdt.arguments, args, 3);
	elf_file_imports(f, "malloc");
	elf_file_each_function(f, take, f);
	elf_file_close(debug_file_find(f, &where));
	check_symbols(f);
	elf_file_close(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_file *f;
	void *image = malloc(size ? size : 1);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, data, size) == (ssize_t)size && !elf_file_open(&f, fd))
		use(f);
	memcpy(image, data, size);
	if (!elf_file_open_image(&f, image, size))
		use(f);
	return 0;
}
