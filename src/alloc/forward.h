/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Does a function always hand its work on to another one?
 *
 * operator new of libstdc++ calls malloc, and malloc's stack shows it; probing it too would put a
 * return probe on a function that throws. That of jemalloc or tcmalloc takes memory itself, and may
 * call malloc only where that failed. Which one a program contains when it was linked statically,
 * its code tells:
 *
 *	libstdc++	test %rdi,%rdi; ...; call malloc; test %rax,%rax; je 1f; ret; 1: ...	yes
 *	jemalloc	cmp $0x1000,%rdi; ja 1f; ...; ret; 1: jmp fallback			no
 *
 * Pure: bytes in, an answer out. x86-64; elsewhere always no.
 */
#ifndef MEMPROBE_ALLOC_FORWARD_H
#define MEMPROBE_ALLOC_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * True when each way through code[0..len), which lies at `at`, that returns or jumps away leads
 * through a call of, or a jump to, one of the n targets. False when in doubt. Conditional jumps out
 * of the function go to its cold part, which throws: they are no way out.
 */
bool code_forwards(const uint8_t *code, size_t len, uint64_t at, const uint64_t *targets, size_t n);

#endif
