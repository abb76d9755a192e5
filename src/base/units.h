/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Sizes and durations as the user types and reads them.
 *
 * Sizes are powers of 1024 everywhere: k, K, KiB, KB = 1024 (also M, G, T); a bare
 * number is bytes. Durations: ns us ms s m h; a bare number is seconds.
 * Parsers return 0 or -EINVAL (not a number, unknown unit, trailing text) or
 * -ERANGE (overflow). Fractions are accepted: 1.5G, 0.5s.
 */
#ifndef MEMPROBE_BASE_UNITS_H
#define MEMPROBE_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL
#define KIB 1024ULL
#define MIB (1024ULL * 1024)
#define GIB (1024ULL * 1024 * 1024)

int units_parse_size(const char *s, uint64_t *size_bytes);
int units_parse_duration(const char *s, uint64_t *duration_ns);

/* "41.6 MiB", "512 B", "5.25 GiB": at most 10 characters; returns out. */
char *units_format_size(char out[16], uint64_t size_bytes);
/* "30 s", "0.4 s", "15 min", "1 h 05 min"; returns out. */
char *units_format_duration(char out[24], uint64_t duration_ns);
/* 21816 -> "21 816": groups of three, a blank between; returns out. */
char *units_format_count(char out[32], uint64_t n);

#endif
