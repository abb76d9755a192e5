/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Targets that go through a list of allocation functions, one site each:
 *
 *	MAKE(s_zalloc, mi_zalloc(size), mi_free(p))	101 blocks; of every third one the end
 *	GROW(s_rezalloc, mi_zalloc(size), mi_rezalloc(p, size), mi_free(p))
 *							made, then grown threefold, then as above
 *	RUN(s_zalloc), TELL(s_zalloc)
 *
 * In the expressions `size` is the size to ask for, `p` the block, `i` the round. Sizes are whole
 * multiples of 64 where `_64` is in the name of the macro. Truth only from these sizes.
 */
#ifndef MEMPROBE_TEST_FORMS_H
#define MEMPROBE_TEST_FORMS_H

#include "truth.h"

#define ROUNDS 101

/* Kept, or ended: */
#define END_OF_ROUND(name, drop)                     \
	if (i % 3 == 0) {                            \
		drop;                                \
		count_free(&site_##name, size);      \
	}

#define MAKE_OF(name, first, step, make, drop)                                                 \
	static struct site site_##name = { #name, 0, 0, 0, 0 };                                \
	SITE void name(void)                                                                   \
	{                                                                                      \
		for (size_t i = 0, size = (first); i < ROUNDS; i++, size += (step)) {          \
			void *p = make;                                                        \
			KEEP(p);                                                               \
			CHECK(p);                                                              \
			memset(p, 1, size);                                                    \
			count_alloc(&site_##name, size);                                       \
			END_OF_ROUND(name, drop)                                               \
		}                                                                              \
		NO_TAIL();                                                                     \
	}

#define MAKE(name, make, drop) MAKE_OF(name, 19, 7, make, drop)
#define MAKE_64(name, make, drop) MAKE_OF(name, 64, 64, make, drop)

#define GROW(name, make, grow, drop)                                                           \
	static struct site site_##name = { #name, 0, 0, 0, 0 };                                \
	SITE void name(void)                                                                   \
	{                                                                                      \
		for (size_t i = 0, size = 23; i < ROUNDS; i++, size = 23 + 11 * i) {           \
			void *p = make;                                                        \
			KEEP(p);                                                               \
			CHECK(p);                                                              \
			count_alloc(&site_##name, size);                                       \
			count_free(&site_##name, size);                                        \
			size *= 3;                                                             \
			p = grow;                                                              \
			KEEP(p);                                                               \
			CHECK(p);                                                              \
			memset(p, 1, size);                                                    \
			count_alloc(&site_##name, size);                                       \
			END_OF_ROUND(name, drop)                                               \
		}                                                                              \
		NO_TAIL();                                                                     \
	}

#define RUN(name) name();
#define TELL(name) tell(&site_##name);

#endif
