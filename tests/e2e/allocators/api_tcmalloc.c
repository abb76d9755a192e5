/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * tcmalloc's own functions, as C programs call them: by names that no header for C declares.
 */
#include "forms.h"

void *tc_malloc(size_t size);
void *tc_malloc_skip_new_handler(size_t size);
void *tc_calloc(size_t n, size_t size);
void *tc_realloc(void *p, size_t size);
void *tc_memalign(size_t alignment, size_t size);
int tc_posix_memalign(void **out, size_t alignment, size_t size);
void *tc_valloc(size_t size);
void *tc_pvalloc(size_t size);
void tc_free(void *p);
void tc_cfree(void *p);
void tc_free_sized(void *p, size_t size);
void *tc_new(size_t size);
void *tc_newarray(size_t size);
void tc_delete(void *p);
void tc_deletearray(void *p);
void tc_delete_sized(void *p, size_t size);
void tc_deletearray_sized(void *p, size_t size);

static inline __attribute__((always_inline)) void *aligned(size_t size)
{
	void *p = NULL;

	CHECK(tc_posix_memalign(&p, 128, size) == 0);
	return p;
}

MAKE(s_malloc, tc_malloc(size), tc_free(p))
MAKE(s_skip, tc_malloc_skip_new_handler(size), tc_free_sized(p, size))
MAKE(s_calloc, tc_calloc(1, size), tc_cfree(p))
MAKE(s_memalign, tc_memalign(64, size), tc_free(p))
MAKE(s_posix_memalign, aligned(size), tc_free(p))
MAKE(s_valloc, tc_valloc(size), tc_free(p))
MAKE(s_pvalloc, tc_pvalloc(size), tc_free(p))
GROW(s_realloc, tc_malloc(size), tc_realloc(p, size), tc_free(p))
MAKE(s_new, tc_new(size), tc_delete(p))
MAKE(s_newarray, tc_newarray(size), tc_deletearray(p))
MAKE(s_sized, tc_new(size), tc_delete_sized(p, size))
MAKE(s_sized_array, tc_newarray(size), tc_deletearray_sized(p, size))

#define ALL(X)                                                                        \
	X(s_malloc) X(s_skip) X(s_calloc) X(s_memalign) X(s_posix_memalign)           \
	X(s_valloc) X(s_pvalloc) X(s_realloc) X(s_new) X(s_newarray) X(s_sized)       \
	X(s_sized_array)

int main(void)
{
	ready();
	hear("go");
	ALL(RUN)
	ALL(TELL)
	say("done");
	hear("exit");
	return 0;
}
