/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Words that runtimes keep for each thread; see thread_local.h. x86-64 only: elsewhere no getter is understood. */
#include "runtime/thread_local.h"

#include <string.h>

/*
 * A thread's vector has room for this many modules from its start (glibc, elf/dl-tls.c: DTV_SURPLUS); one beyond would
 * need a look at the vector's length.
 */
#define MOST_MODULES 14

static int32_t displacement(const uint8_t *at)
{
	int32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static bool starts(const uint8_t *code, size_t len, size_t at, const char *bytes, size_t n)
{
	return at + n <= len && !memcmp(code + at, bytes, n);
}

#define STARTS(at, bytes) starts(code, len, at, bytes, sizeof(bytes) - 1)

/* mov x(%rip),%rax and what may follow. */
static bool decode_load(const uint8_t *code, size_t len, size_t i, uint64_t pc, struct thread_local_place *out,
			uint64_t *slot)
{
	uint64_t target = pc + i + 7 + (uint64_t)(int64_t)displacement(code + i + 3);

	if (STARTS(i + 7, "\xc3")) { /* ret */
		out->at = target;
		return true;
	}
	*slot = target;
	if (STARTS(i + 7, "\x48\x8b\x80") && STARTS(i + 14, "\xc3")) { /* mov x(%rax),%rax; ret */
		out->at = (uint64_t)(int64_t)displacement(code + i + 10);
		return true;
	}
	out->how = MP_TLS_STATIC;
	return STARTS(i + 7, "\x64\x48\x8b\x00\xc3"); /* mov %fs:(%rax),%rax; ret */
}

bool thread_local_decode(const uint8_t *code, size_t len, uint64_t pc, struct thread_local_place *out, uint64_t *slot)
{
	size_t i = STARTS(0, "\xf3\x0f\x1e\xfa") ? 4 : 0; /* endbr64 */

	*slot = 0;
	*out = (struct thread_local_place){ .how = MP_TLS_ADDRESS };
	if (STARTS(i, "\x48\x8b\x05") && len >= i + 8)
		return decode_load(code, len, i, pc, out, slot);
	if (STARTS(i, "\x64\x48\x8b\x04\x25") && STARTS(i + 9, "\xc3")) { /* mov %fs:x,%rax; ret */
		out->how = MP_TLS_STATIC;
		out->at = (uint64_t)(int64_t)displacement(code + i + 5);
		return true;
	}
	if (STARTS(i, "\x48\x83\xec\x08")) /* sub $8,%rsp */
		i += 4;
	/* data16 lea x(%rip),%rdi; call __tls_get_addr; mov (%rax),%rax */
	if (!STARTS(i, "\x66\x48\x8d\x3d") || !STARTS(i + 16, "\x48\x8b\x00"))
		return false;
	out->how = MP_TLS_DYNAMIC;
	*slot = pc + i + 8 + (uint64_t)(int64_t)displacement(code + i + 4);
	return true;
}

bool thread_local_of_pair(const struct runtime_process *p, uint64_t pair, struct thread_local_place *out)
{
	uint64_t words[2];

	if (!runtime_read(p, pair, words, sizeof(words)) || !words[0] || words[0] > MOST_MODULES ||
	    words[1] > UINT32_MAX)
		return false;
	*out = (struct thread_local_place){ .how = MP_TLS_DYNAMIC, .module = words[0], .at = words[1] };
	return true;
}

bool thread_local_of_getter(struct runtime_process *p, struct runtime_object *o, const char *function,
			    struct thread_local_place *out)
{
	struct elf_symbol sym;
	uint8_t code[32];
	uint64_t slot, word;
	long n;

	if (!runtime_object_open(p, o) || !elf_find_symbol(o->elf, function, &sym) || !sym.offset)
		return false;
	n = elf_file_read(o->elf, sym.offset, code, sizeof(code));
	if (n <= 0 || !thread_local_decode(code, (size_t)n, sym.vaddr + o->bias, out, &slot))
		return false;
	if (!slot)
		return true;
	if (out->how == MP_TLS_DYNAMIC)
		return thread_local_of_pair(p, slot, out);
	word = runtime_word(p, slot);
	out->at += word;
	return word;
}

bool thread_local_read(const struct runtime_process *p, const struct thread_local_place *where, uint64_t thread,
		       uint64_t *word)
{
	uint64_t at = where->at, vector, block;

	if (where->how == MP_TLS_STATIC) {
		at += thread;
	} else if (where->how == MP_TLS_DYNAMIC) {
		if (!runtime_read(p, thread + 8, &vector, 8) || !runtime_read(p, vector + 16 * where->module, &block, 8))
			return false;
		if (block == UINT64_MAX) { /* this thread has none yet */
			*word = 0;
			return true;
		}
		at += block;
	}
	return runtime_read(p, at, word, sizeof(*word));
}

bool thread_local_is_thread(const struct runtime_process *p, uint64_t thread)
{
	uint64_t words[3];

	return thread && !(thread & 7) && runtime_read(p, thread, words, sizeof(words)) && words[0] == thread &&
	       words[2] == thread;
}
