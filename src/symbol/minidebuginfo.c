/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * .gnu_debugdata: an ELF file with the local function symbols, xz-compressed inside the program
 * (Fedora and its family). Decompression is bounded in memory and in output: a
 * megabyte of xz can claim to be gigabytes. Depends on base and liblzma.
 */
#include <lzma.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "symbol/elf_internal.h"

#define MAX_UNPACKED_BYTES ((size_t)128 << 20)
#define MAX_DECODER_BYTES ((uint64_t)128 << 20)

/* Output doubles as it fills. False on damage, or when there is more than the limit. */
static bool unpack(lzma_stream *z, uint8_t **out, size_t *cap)
{
	lzma_ret r = LZMA_OK;

	while (r == LZMA_OK) {
		if (!z->avail_out) {
			if (*cap >= MAX_UNPACKED_BYTES)
				return false;
			*out = xrealloc(*out, *cap * 2);
			z->next_out = *out + *cap;
			z->avail_out = *cap;
			*cap *= 2;
		}
		r = lzma_code(z, LZMA_FINISH);
	}
	return r == LZMA_STREAM_END;
}

void *minidebuginfo_unpack(const void *xz, size_t xz_bytes, size_t *len)
{
	lzma_stream z = LZMA_STREAM_INIT;
	size_t cap = 64 << 10;
	uint8_t *out;
	bool ok;

	if (lzma_stream_decoder(&z, MAX_DECODER_BYTES, 0) != LZMA_OK)
		return NULL;
	out = xmalloc(cap);
	z.next_in = xz;
	z.avail_in = xz_bytes;
	z.next_out = out;
	z.avail_out = cap;
	ok = unpack(&z, &out, &cap);
	*len = (size_t)z.total_out;
	lzma_end(&z);
	if (ok)
		return out;
	free(out);
	return NULL;
}
