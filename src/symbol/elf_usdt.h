/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Probes that a program was built with (SystemTap's notes, "USDT"): where they are, the counter that switches them on,
 * where their arguments lie. Untrusted input; every read is bounded. Format: systemtap, includes/sys/sdt.h, NT_STAPSDT
 * of version 3.
 */
#ifndef MEMPROBE_SYMBOL_ELF_USDT_H
#define MEMPROBE_SYMBOL_ELF_USDT_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/memprobe.h"
#include "symbol/elf_file.h"

struct elf_usdt {
	uint64_t offset;    /* in the file, of the instruction */
	uint64_t semaphore; /* in the file, of the 16-bit counter; 0: none, it is always on */
	char arguments[128]; /* "8@%rax 8@%r13 -4@4(%rsp)" */
};

/* The probes of that name, of which a file may have any number: the first ones, at most so many. Returns how many. */
size_t elf_find_usdts(struct elf_file *f, const char *provider, const char *name, struct elf_usdt *out, size_t most);
/*
 * The first n arguments, as x86-64's assembler writes them: registers, and memory at a distance from one. False when
 * there are fewer, or one is anything else, or on another machine.
 */
bool usdt_arguments(const char *text, struct mp_usdt_arg *out, size_t n);

#endif
