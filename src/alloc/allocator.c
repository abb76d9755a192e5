/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* size: table */
/*
 * The allocator table; see allocator.h. Aliases share an address, and the attacher probes each file
 * offset once, under the first of its names in this table: the names that programs call come first.
 * Queries (malloc_usable_size, sallocx, nallocx) have no row: they change nothing.
 */
#include "alloc/allocator.h"

#include <string.h>

#define NONE MP_ARG_NONE
#define NEW(size_arg)                                                             \
	{                                                                         \
		.op = MP_OP_ALLOC, .size = (size_arg), .count = NONE, .ptr = NONE \
	}
#define CALLOC                                                        \
	{                                                             \
		.op = MP_OP_ALLOC, .size = 0, .count = 1, .ptr = NONE \
	}
#define REALLOC                                                         \
	{                                                               \
		.op = MP_OP_REALLOC, .size = 1, .count = NONE, .ptr = 0 \
	}
#define REALLOCARRAY                                                 \
	{                                                            \
		.op = MP_OP_REALLOC, .size = 1, .count = 2, .ptr = 0 \
	}
#define MEMALIGN_OUT                                                   \
	{                                                              \
		.op = MP_OP_ALLOC, .size = 2, .count = NONE, .ptr = 0, \
		.flags = MP_SHAPE_PTR_IN_MEMORY                        \
	}
#define FREE                                                            \
	{                                                               \
		.op = MP_OP_FREE, .size = NONE, .count = NONE, .ptr = 0 \
	}
#define THROWING_NEW(size_arg, count_arg)                                       \
	{                                                                       \
		.op = MP_OP_ALLOC, .size = (size_arg), .count = (count_arg),    \
		.ptr = NONE, .flags = MP_SHAPE_MAY_THROW                        \
	}
#define THROWING_REALLOC(count_arg)                                             \
	{                                                                       \
		.op = MP_OP_REALLOC, .size = 1, .count = (count_arg), .ptr = 0, \
		.flags = MP_SHAPE_MAY_THROW                                     \
	}
#define REALLOC_OR_FREE(size_arg)                                                    \
	{                                                                            \
		.op = MP_OP_REALLOC, .size = (size_arg), .count = NONE,              \
		.ptr = (size_arg)-1, .flags = MP_SHAPE_FAILURE_FREES                 \
	}
#define RESIZE                                                                       \
	{                                                                            \
		.op = MP_OP_REALLOC, .size = 1, .count = NONE, .ptr = 0, .more = 2,  \
		.flags = MP_SHAPE_IN_PLACE                                           \
	}
/* A first argument that is no block: the heap */
#define HEAP_CALLOC                                                   \
	{                                                             \
		.op = MP_OP_ALLOC, .size = 1, .count = 2, .ptr = NONE \
	}
#define HEAP_REALLOC                                                    \
	{                                                               \
		.op = MP_OP_REALLOC, .size = 2, .count = NONE, .ptr = 1 \
	}
#define HEAP_REALLOCARRAY                                            \
	{                                                            \
		.op = MP_OP_REALLOC, .size = 2, .count = 3, .ptr = 1 \
	}
/* ERTS: (type, allocator, ...); the type is part of what a stack is */
#define ERTS_ALLOC                                                        \
	{                                                                 \
		.op = MP_OP_ALLOC, .size = 2, .count = NONE, .ptr = NONE, \
		.flags = MP_SHAPE_LABEL                                   \
	}
#define ERTS_REALLOC                                                   \
	{                                                              \
		.op = MP_OP_REALLOC, .size = 3, .count = NONE, .ptr = 2, \
		.flags = MP_SHAPE_LABEL                                \
	}
#define ERTS_FREE                                                       \
	{                                                               \
		.op = MP_OP_FREE, .size = NONE, .count = NONE, .ptr = 2 \
	}
#define HEAP_END                                                            \
	{                                                                   \
		.op = MP_OP_HEAP_END, .size = NONE, .count = NONE, .ptr = 0 \
	}

/* V8: (counter, bytes handed out of its own heap since the last call) */
#define BUMP                                                             \
	{                                                                \
		.op = MP_OP_BUMP, .size = 1, .count = NONE, .ptr = NONE \
	}

static const struct alloc_function functions[] = {
	{ "malloc", 0, NEW(0) },
	{ "calloc", 0, CALLOC },
	{ "realloc", 0, REALLOC },
	{ "reallocarray", 0, REALLOCARRAY },
	{ "posix_memalign", 0, MEMALIGN_OUT },
	{ "aligned_alloc", 0, NEW(1) },
	{ "memalign", 0, NEW(1) },
	{ "valloc", 0, NEW(0) },
	{ "pvalloc", 0, NEW(0) },
	{ "free", 0, FREE },
	{ "cfree", 0, FREE },
	{ "free_sized", 0, FREE },
	{ "free_aligned_sized", 0, FREE },
	{ "reallocf", 0, REALLOC_OR_FREE(1) },

	/* glibc */
	{ "__libc_malloc", 0, NEW(0) },
	{ "__libc_calloc", 0, CALLOC },
	{ "__libc_realloc", 0, REALLOC },
	{ "__libc_reallocarray", 0, REALLOCARRAY },
	{ "__libc_memalign", 0, NEW(1) },
	{ "__libc_valloc", 0, NEW(0) },
	{ "__libc_pvalloc", 0, NEW(0) },
	{ "__libc_free", 0, FREE },

	/* C++; nothrow forms return NULL, so they take a return probe */
	{ "_ZnwmRKSt9nothrow_t", ALLOC_ONLY_IF_BYPASS, NEW(0) },
	{ "_ZnamRKSt9nothrow_t", ALLOC_ONLY_IF_BYPASS, NEW(0) },
	{ "_ZnwmSt11align_val_tRKSt9nothrow_t", ALLOC_ONLY_IF_BYPASS, NEW(0) },
	{ "_ZnamSt11align_val_tRKSt9nothrow_t", ALLOC_ONLY_IF_BYPASS, NEW(0) },
	{ "_Znwm", ALLOC_ONLY_IF_BYPASS, THROWING_NEW(0, NONE) },
	{ "_Znam", ALLOC_ONLY_IF_BYPASS, THROWING_NEW(0, NONE) },
	{ "_ZnwmSt11align_val_t", ALLOC_ONLY_IF_BYPASS, THROWING_NEW(0, NONE) },
	{ "_ZnamSt11align_val_t", ALLOC_ONLY_IF_BYPASS, THROWING_NEW(0, NONE) },
	{ "_ZdlPv", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdaPv", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdlPvm", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdaPvm", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdlPvRKSt9nothrow_t", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdaPvRKSt9nothrow_t", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdlPvSt11align_val_t", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdaPvSt11align_val_t", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdlPvmSt11align_val_t", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdaPvmSt11align_val_t", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdlPvSt11align_val_tRKSt9nothrow_t", ALLOC_ONLY_IF_BYPASS, FREE },
	{ "_ZdaPvSt11align_val_tRKSt9nothrow_t", ALLOC_ONLY_IF_BYPASS, FREE },

	/* jemalloc's own API, also under the prefixes of static and Rust builds */
	{ "mallocx", 0, NEW(0) },
	{ "rallocx", 0, REALLOC },
	{ "xallocx", 0, RESIZE },
	{ "dallocx", 0, FREE },
	{ "sdallocx", 0, FREE },
	{ "je_malloc", 0, NEW(0) },
	{ "je_calloc", 0, CALLOC },
	{ "je_realloc", 0, REALLOC },
	{ "je_posix_memalign", 0, MEMALIGN_OUT },
	{ "je_aligned_alloc", 0, NEW(1) },
	{ "je_memalign", 0, NEW(1) },
	{ "je_valloc", 0, NEW(0) },
	{ "je_free", 0, FREE },
	{ "je_mallocx", 0, NEW(0) },
	{ "je_rallocx", 0, REALLOC },
	{ "je_xallocx", 0, RESIZE },
	{ "je_dallocx", 0, FREE },
	{ "je_sdallocx", 0, FREE },
	{ "_rjem_malloc", 0, NEW(0) },
	{ "_rjem_calloc", 0, CALLOC },
	{ "_rjem_realloc", 0, REALLOC },
	{ "_rjem_posix_memalign", 0, MEMALIGN_OUT },
	{ "_rjem_aligned_alloc", 0, NEW(1) },
	{ "_rjem_memalign", 0, NEW(1) },
	{ "_rjem_valloc", 0, NEW(0) },
	{ "_rjem_free", 0, FREE },
	{ "_rjem_mallocx", 0, NEW(0) },
	{ "_rjem_rallocx", 0, REALLOC },
	{ "_rjem_xallocx", 0, RESIZE },
	{ "_rjem_dallocx", 0, FREE },
	{ "_rjem_sdallocx", 0, FREE },

	/* tcmalloc */
	{ "tc_malloc", 0, NEW(0) },
	{ "tc_calloc", 0, CALLOC },
	{ "tc_realloc", 0, REALLOC },
	{ "tc_posix_memalign", 0, MEMALIGN_OUT },
	{ "tc_memalign", 0, NEW(1) },
	{ "tc_valloc", 0, NEW(0) },
	{ "tc_pvalloc", 0, NEW(0) },
	{ "tc_free", 0, FREE },
	{ "tc_cfree", 0, FREE },
	{ "tc_free_sized", 0, FREE },
	{ "tc_malloc_skip_new_handler", 0, NEW(0) },
	{ "tc_newarray_nothrow", 0, NEW(0) },
	{ "tc_new_nothrow", 0, NEW(0) },
	{ "tc_new", 0, THROWING_NEW(0, NONE) },
	{ "tc_newarray", 0, THROWING_NEW(0, NONE) },
	{ "tc_new_aligned", 0, THROWING_NEW(0, NONE) },
	{ "tc_newarray_aligned", 0, THROWING_NEW(0, NONE) },
	{ "tc_new_aligned_nothrow", 0, NEW(0) },
	{ "tc_newarray_aligned_nothrow", 0, NEW(0) },
	{ "tc_delete", 0, FREE },
	{ "tc_deletearray", 0, FREE },
	{ "tc_delete_sized", 0, FREE },
	{ "tc_deletearray_sized", 0, FREE },
	{ "tc_delete_aligned", 0, FREE },
	{ "tc_deletearray_aligned", 0, FREE },
	{ "tc_delete_nothrow", 0, FREE },
	{ "tc_deletearray_nothrow", 0, FREE },
	{ "tc_delete_aligned_nothrow", 0, FREE },
	{ "tc_deletearray_aligned_nothrow", 0, FREE },
	{ "tc_delete_sized_aligned", 0, FREE },
	{ "tc_deletearray_sized_aligned", 0, FREE },

	/* mimalloc */
	{ "mi_malloc", 0, NEW(0) },
	{ "mi_zalloc", 0, NEW(0) },
	{ "mi_calloc", 0, CALLOC },
	{ "mi_mallocn", 0, CALLOC },
	{ "mi_realloc", 0, REALLOC },
	{ "mi_reallocn", 0, REALLOCARRAY },
	{ "mi_reallocarray", 0, REALLOCARRAY },
	{ "mi_rezalloc", 0, REALLOC },
	{ "mi_recalloc", 0, REALLOCARRAY },
	{ "mi_posix_memalign", 0, MEMALIGN_OUT },
	{ "mi_memalign", 0, NEW(1) },
	{ "mi_aligned_alloc", 0, NEW(1) },
	{ "mi_valloc", 0, NEW(0) },
	{ "mi_pvalloc", 0, NEW(0) },
	{ "mi_malloc_aligned", 0, NEW(0) },
	{ "mi_zalloc_aligned", 0, NEW(0) },
	{ "mi_calloc_aligned", 0, CALLOC },
	{ "mi_realloc_aligned", 0, REALLOC },
	{ "mi_rezalloc_aligned", 0, REALLOC },
	{ "mi_recalloc_aligned", 0, REALLOCARRAY },
	{ "mi_malloc_aligned_at", 0, NEW(0) },
	{ "mi_zalloc_aligned_at", 0, NEW(0) },
	{ "mi_calloc_aligned_at", 0, CALLOC },
	{ "mi_realloc_aligned_at", 0, REALLOC },
	{ "mi_rezalloc_aligned_at", 0, REALLOC },
	{ "mi_recalloc_aligned_at", 0, REALLOCARRAY },
	{ "mi_expand", 0, REALLOC },
	{ "mi_reallocf", 0, REALLOC_OR_FREE(1) },
	{ "mi_malloc_small", 0, NEW(0) },
	{ "mi_zalloc_small", 0, NEW(0) },
	{ "mi_new_nothrow", 0, NEW(0) },
	{ "mi_new_aligned_nothrow", 0, NEW(0) },
	{ "mi_new", 0, THROWING_NEW(0, NONE) },
	{ "mi_new_aligned", 0, THROWING_NEW(0, NONE) },
	{ "mi_new_n", 0, THROWING_NEW(0, 1) },
	{ "mi_new_realloc", 0, THROWING_REALLOC(NONE) },
	{ "mi_new_reallocn", 0, THROWING_REALLOC(2) },
	{ "mi_free", 0, FREE },
	{ "mi_cfree", 0, FREE },
	{ "mi_free_size", 0, FREE },
	{ "mi_free_size_aligned", 0, FREE },
	{ "mi_free_aligned", 0, FREE },
	{ "mi_heap_malloc", 0, NEW(1) },
	{ "mi_heap_zalloc", 0, NEW(1) },
	{ "mi_heap_calloc", 0, HEAP_CALLOC },
	{ "mi_heap_mallocn", 0, HEAP_CALLOC },
	{ "mi_heap_malloc_small", 0, NEW(1) },
	{ "mi_heap_malloc_aligned", 0, NEW(1) },
	{ "mi_heap_malloc_aligned_at", 0, NEW(1) },
	{ "mi_heap_zalloc_aligned", 0, NEW(1) },
	{ "mi_heap_zalloc_aligned_at", 0, NEW(1) },
	{ "mi_heap_calloc_aligned", 0, HEAP_CALLOC },
	{ "mi_heap_calloc_aligned_at", 0, HEAP_CALLOC },
	{ "mi_heap_realloc", 0, HEAP_REALLOC },
	{ "mi_heap_rezalloc", 0, HEAP_REALLOC },
	{ "mi_heap_reallocn", 0, HEAP_REALLOCARRAY },
	{ "mi_heap_recalloc", 0, HEAP_REALLOCARRAY },
	{ "mi_heap_reallocf", 0, REALLOC_OR_FREE(2) },
	{ "mi_heap_realloc_aligned", 0, HEAP_REALLOC },
	{ "mi_heap_realloc_aligned_at", 0, HEAP_REALLOC },
	{ "mi_heap_rezalloc_aligned", 0, HEAP_REALLOC },
	{ "mi_heap_rezalloc_aligned_at", 0, HEAP_REALLOC },
	{ "mi_heap_recalloc_aligned", 0, HEAP_REALLOCARRAY },
	{ "mi_heap_recalloc_aligned_at", 0, HEAP_REALLOCARRAY },
	{ "mi_heap_alloc_new", 0, THROWING_NEW(1, NONE) },
	{ "mi_heap_alloc_new_n", 0, THROWING_NEW(1, 2) },
	{ "mi_heap_destroy", 0, HEAP_END },

	/* V8 9.1 to 13: src/heap/allocation-observer.cc */
	{ "_ZN2v88internal17AllocationCounter26AdvanceAllocationObserversEm", 0, BUMP },

	/* Erlang's runtime system, which takes memory for all of its types here and never calls malloc for them */
	{ "erts_alcu_alloc_thr_pref", 0, ERTS_ALLOC },
	{ "erts_alcu_alloc_thr_spec", 0, ERTS_ALLOC },
	{ "erts_alcu_alloc_ts", 0, ERTS_ALLOC },
	{ "erts_alcu_alloc", 0, ERTS_ALLOC },
	{ "erts_alcu_realloc_thr_pref", 0, ERTS_REALLOC },
	{ "erts_alcu_realloc_thr_spec", 0, ERTS_REALLOC },
	{ "erts_alcu_realloc_ts", 0, ERTS_REALLOC },
	{ "erts_alcu_realloc", 0, ERTS_REALLOC },
	{ "erts_alcu_realloc_mv_thr_pref", 0, ERTS_REALLOC },
	{ "erts_alcu_realloc_mv_thr_spec", 0, ERTS_REALLOC },
	{ "erts_alcu_realloc_mv_ts", 0, ERTS_REALLOC },
	{ "erts_alcu_realloc_mv", 0, ERTS_REALLOC },
	{ "erts_alcu_free_thr_pref", 0, ERTS_FREE },
	{ "erts_alcu_free_thr_spec", 0, ERTS_FREE },
	{ "erts_alcu_free_ts", 0, ERTS_FREE },
	{ "erts_alcu_free", 0, ERTS_FREE },
};

struct unprobed {
	const char *symbol; /* "*" at the end: any rest */
	const char *why;
};

static const char shown[] = "calls malloc, whose stack shows it";
static const char text[] = "its block is as long as a text: not counted";
static const char arena[] = "its blocks may end with their arena, in a call that names none of them";

static const struct unprobed unprobed[] = {
	{ "mi_strdup", text },
	{ "mi_strndup", text },
	{ "mi_realpath", text },
	{ "mi_heap_strdup", text },
	{ "mi_heap_strndup", text },
	{ "mi_heap_realpath", text },
	{ "mallctl", arena },
	{ "je_mallctl", arena },
	{ "_rjem_mallctl", arena },
	{ "__rust_alloc*", shown },
	{ "__rust_realloc", shown },
	{ "__rust_dealloc", shown },
	{ "__rdl_*", shown },
};

#define N_FUNCTIONS (sizeof(functions) / sizeof(functions[0]))
_Static_assert(N_FUNCTIONS <= MP_MAX_SHAPES, "a cookie's row must fit the kernel's table");

const struct alloc_function *alloc_functions(size_t *n)
{
	*n = N_FUNCTIONS;
	return functions;
}

int alloc_find(const char *symbol)
{
	size_t i;

	for (i = 0; i < N_FUNCTIONS; i++)
		if (!strcmp(functions[i].symbol, symbol))
			return (int)i;
	return -1;
}

const char *alloc_why_not_probed(const char *symbol)
{
	size_t i;

	for (i = 0; i < sizeof(unprobed) / sizeof(unprobed[0]); i++) {
		const char *name = unprobed[i].symbol;
		size_t n = strlen(name);

		if (name[n - 1] == '*' ? !strncmp(symbol, name, n - 1) : !strcmp(symbol, name))
			return unprobed[i].why;
	}
	return NULL;
}

unsigned int alloc_argument_mask(const struct mp_shape *shape)
{
	unsigned int mask = 0;

	if (shape->size != MP_ARG_NONE)
		mask |= 1u << shape->size;
	if (shape->count != MP_ARG_NONE)
		mask |= 1u << shape->count;
	if (shape->ptr != MP_ARG_NONE)
		mask |= 1u << shape->ptr;
	if (shape->flags & MP_SHAPE_IN_PLACE)
		mask |= 1u << shape->more;
	if (shape->flags & MP_SHAPE_LABEL)
		mask |= 1u;
	return mask;
}

/* Names up to ".so" or "-VERSION.so": libc.so.6, libc-2.31.so. */
static bool has_stem(const char *module, const char *const *stems)
{
	for (; *stems; stems++) {
		size_t n = strlen(*stems);

		if (!strncmp(module, *stems, n) &&
		    (module[n] == '.' ||
		     (module[n] == '-' && module[n + 1] >= '0' && module[n + 1] <= '9')))
			return true;
	}
	return false;
}

bool alloc_is_libc(const char *module)
{
	static const char *const stems[] = { "libc",    "libpthread", "libm",   "librt",  "libdl",
					     "libutil", "libresolv",  "libanl", "libnsl", NULL };

	return has_stem(module, stems) || !strncmp(module, "ld-linux", 8) ||
	       !strncmp(module, "ld-musl", 7) || !strncmp(module, "ld-2.", 5) ||
	       !strcmp(module, "[vdso]");
}

bool alloc_is_allocator_library(const char *module)
{
	static const char *const stems[] = { "libjemalloc",
					     "libtcmalloc",
					     "libtcmalloc_minimal",
					     "libtcmalloc_debug",
					     "libtcmalloc_minimal_debug",
					     "libtcmalloc_and_profiler",
					     "libmimalloc",
					     "libmimalloc-secure",
					     "libmimalloc-debug",
					     "libscudo",
					     "libhoard",
					     "libsnmalloc",
					     "libsnmallocshim",
					     "librpmalloc",
					     "libhardened_malloc",
					     "libc_malloc_debug",
					     NULL };

	return has_stem(module, stems);
}

bool alloc_is_cxx_library(const char *module)
{
	static const char *const stems[] = { "libstdc++", "libc++",    "libc++abi",
					     "libgcc_s",  "libsupc++", NULL };

	return has_stem(module, stems);
}

bool alloc_is_entry_name(const char *name)
{
	static const char *const operators[] = { "operator new", "operator delete" };
	size_t i;

	for (i = 0; i < 2; i++) {
		size_t n = strlen(operators[i]);

		if (!strncmp(name, operators[i], n) &&
		    (!name[n] || name[n] == '(' || name[n] == '['))
			return true;
	}
	return alloc_find(name) >= 0;
}

bool alloc_is_hot(const char *symbol)
{
	static const char *const names[] = { "malloc", "free", "_Znwm", "_ZdlPv", "_ZdlPvm", "realloc", "calloc" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(symbol, names[i]))
			return true;
	return false;
}
