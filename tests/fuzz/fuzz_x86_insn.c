/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzing the code of a function (after one byte: which arguments, and whether a return is wanted):
 * instructions stay inside it and do not depend on what follows them, and a probe's place is the
 * begin of an instruction that is emulated, with every argument in a register that a probe reads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/forward.h"
#include "alloc/probe_point.h"
#include "alloc/x86_insn.h"
#include "bpf/memprobe.h"

#define ALL_ARGUMENTS 0x1f
#define AT 0x1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int holds)
{
	if (!holds)
		abort();
}

static int is_same(const struct x86_insn *a, const struct x86_insn *b)
{
	return a->len == b->len && a->flow == b->flow && a->target == b->target &&
	       a->plain == b->plain && a->writes == b->writes && a->is_copy == b->is_copy &&
	       a->copied == b->copied && a->is_call == b->is_call && a->ends == b->ends &&
	       a->emulated == b->emulated;
}

/* Checks one; its length, 0 when it is not known. */
static unsigned int check_insn(const uint8_t *code, size_t left)
{
	struct x86_insn i, alone;
	uint8_t *cut;

	if (!x86_decode(&i, code, left)) {
		demand(!i.len);
		return 0;
	}
	demand(i.len >= 1 && i.len <= X86_MAX_INSN_BYTES && i.len <= left);
	demand(!i.plain || (i.flow == X86_NEXT && !i.is_call && !i.ends));
	demand(i.plain || (!i.writes && !i.is_copy));
	demand(!i.is_copy || (i.copied < 16 && !(i.writes & (i.writes - 1)) && i.writes));
	demand(i.flow != X86_COMPUTED || i.ends);
	cut = malloc(i.len); /* exactly as long, so that the sanitizer sees a byte too far */
	demand(cut != NULL);
	memcpy(cut, code, i.len);
	demand(x86_decode(&alone, cut, i.len) && is_same(&i, &alone));
	demand(!x86_decode(&alone, cut, i.len - 1));
	free(cut);
	return i.len;
}

static void check_place(const uint8_t *code, size_t len, unsigned int arguments, bool need_return)
{
	struct probe_point pp;
	struct x86_insn i;
	size_t at = 0;
	unsigned int n;

	probe_point_find(&pp, code, len, arguments, need_return);
	demand(pp.why != NULL && pp.offset <= PROBE_MAX_SHIFT);
	demand(!need_return || !pp.pushes);
	demand(pp.offset || !pp.moved);
	for (n = 0; n < 6; n++) {
		unsigned int moved = pp.moved >> 4 * n & 0xf;

		demand(!moved || ((arguments >> n & 1) && (moved ^ n) <= MP_ARG_IN_RESULT));
	}
	demand(!(pp.moved >> 24));
	if (!pp.offset)
		return;
	while (at < pp.offset) {
		demand(x86_decode(&i, code + at, len - at));
		at += i.len;
	}
	demand(at == pp.offset && x86_decode(&i, code + at, len - at) && i.emulated);
	demand(pp.cost == PROBE_EMULATED && pp.insn_bytes == i.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t targets[] = { AT, AT + 64, AT + 4096, 0 };
	size_t at = 0;
	unsigned int len;

	if (size < 1)
		return 0;
	while (at < size - 1) {
		len = check_insn(data + 1 + at, size - 1 - at);
		at += len ? len : 1;
	}
#if defined(__x86_64__)
	check_place(data + 1, size - 1, data[0] & ALL_ARGUMENTS, data[0] & 0x80);
#endif
	demand(!code_forwards(data + 1, size - 1, AT, targets, 0));
	code_forwards(data + 1, size - 1, AT, targets, 4);
	return 0;
}
