/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The allocator table against prototypes: the argument numbers of each call shape must be those of
 * the parameters named size, count and ptr in declarations copied from stdlib.h, malloc.h, the C++
 * standard ([new.delete], demangled) and the manual pages of jemalloc, gperftools and mimalloc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "alloc/allocator.h"
#include "symbol/demangle.h"

/* Parameters renamed: size, count, old (a block that ends), out (where the block's address goes).
 */
static const char *const prototypes[] = {
	"void *malloc(size)",
	"void *calloc(count, size)",
	"void *realloc(old, size)",
	"void *reallocarray(old, count, size)",
	"int posix_memalign(out, alignment, size)",
	"void *aligned_alloc(alignment, size)",
	"void *memalign(alignment, size)",
	"void *valloc(size)",
	"void *pvalloc(size)",
	"void free(old)",
	"void cfree(old)",
	"void free_sized(old, length)",
	"void free_aligned_sized(old, alignment, length)",
	"void *__libc_memalign(alignment, size)",
	"void *__libc_reallocarray(old, count, size)",
	"void __libc_free(old)",
	"void *mallocx(size, flags)",
	"void *rallocx(old, size, flags)",
	"void dallocx(old, flags)",
	"void sdallocx(old, length, flags)",
	"void *_rjem_rallocx(old, size, flags)",
	"void *je_aligned_alloc(alignment, size)",
	"int tc_posix_memalign(out, alignment, size)",
	"void *tc_memalign(alignment, size)",
	"void tc_free_sized(old, length)",
	"void tc_delete_sized(old, length)",
	"void *mi_malloc(size)",
	"void *mi_zalloc_small(size)",
	"void *mi_mallocn(count, size)",
	"void *mi_reallocn(old, count, size)",
	"void *mi_recalloc(old, count, size)",
	"void *mi_rezalloc(old, size)",
	"void *mi_malloc_aligned(size, alignment)",
	"void *mi_calloc_aligned(count, size, alignment)",
	"void *mi_realloc_aligned(old, size, alignment)",
	"void *mi_aligned_alloc(alignment, size)",
	"void *mi_new_n(count, size)",
	"void *mi_new_aligned_nothrow(size, alignment)",
	"void mi_free_size_aligned(old, length, alignment)",
	"void mi_cfree(old)",
	"void *reallocf(old, size)",
	"size_t xallocx(old, size, more, flags)",
	"size_t je_xallocx(old, size, more, flags)",
	"size_t _rjem_xallocx(old, size, more, flags)",
	"void *tc_malloc_skip_new_handler(size)",
	"void *tc_new_aligned(size, alignment)",
	"void tc_delete_sized_aligned(old, length, alignment)",
	"void *mi_expand(old, size)",
	"void *mi_reallocf(old, size)",
	"void *mi_new_realloc(old, size)",
	"void *mi_new_reallocn(old, count, size)",
	"void *mi_malloc_aligned_at(size, alignment, offset)",
	"void *mi_recalloc_aligned_at(old, count, size, alignment, offset)",
	"void *mi_rezalloc_aligned(old, size, alignment)",
	"void *mi_heap_malloc(heap, size)",
	"void *mi_heap_zalloc_aligned_at(heap, size, alignment, offset)",
	"void *mi_heap_calloc(heap, count, size)",
	"void *mi_heap_mallocn(heap, count, size)",
	"void *mi_heap_calloc_aligned(heap, count, size, alignment)",
	"void *mi_heap_realloc(heap, old, size)",
	"void *mi_heap_reallocn(heap, old, count, size)",
	"void *mi_heap_recalloc(heap, old, count, size)",
	"void *mi_heap_reallocf(heap, old, size)",
	"void *mi_heap_rezalloc_aligned(heap, old, size, alignment)",
	"void *mi_heap_recalloc_aligned_at(heap, old, count, size, alignment, offset)",
	"void *mi_heap_alloc_new(heap, size)",
	"void *mi_heap_alloc_new_n(heap, count, size)",
};

/* Number of the parameter, or -1. */
static int parameter(const char *prototype, const char *name)
{
	const char *p = strchr(prototype, '(');
	int i;

	for (i = 0; p && *p != ')'; i++) {
		p += strspn(p, "(, ");
		if (!strncmp(p, name, strlen(name)) && strchr(",)", p[strlen(name)]))
			return i;
		p += strcspn(p, ",)");
	}
	return -1;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static int shape_argument(unsigned int n)
{
	return n == MP_ARG_NONE ? -1 : (int)n;
}

static const struct alloc_function *row(const char *symbol)
{
	size_t n;
	const struct alloc_function *f = alloc_functions(&n);
	int i = alloc_find(symbol);

	if (i < 0)
		fail_msg("no row: %s", symbol);
	return &f[i];
}

/* size and count are factors: which is which does not matter */
static void check_factors(const char *prototype, const struct mp_shape *shape)
{
	int size = parameter(prototype, "size"), count = parameter(prototype, "count");
	int a = shape_argument(shape->size), b = shape_argument(shape->count);

	if (!((a == size && b == count) || (a == count && b == size)))
		fail_msg("%s: arguments %d and %d", prototype, a, b);
}

static void each_shape__is_that_of_its_prototype(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(prototypes) / sizeof(prototypes[0]); i++) {
		const char *name = strpbrk(prototypes[i], " ") + 1;
		int old = parameter(prototypes[i], "old"), out = parameter(prototypes[i], "out");
		const struct mp_shape *shape;
		char symbol[64];

		name += *name == '*';
		snprintf(symbol, sizeof(symbol), "%.*s", (int)strcspn(name, "("), name);
		shape = &row(symbol)->shape;
		check_factors(prototypes[i], shape);
		if (shape_argument(shape->ptr) != (out >= 0 ? out : old))
			fail_msg("%s: block argument %u", prototypes[i], shape->ptr);
		if (!(shape->flags & MP_SHAPE_PTR_IN_MEMORY) != (out < 0))
			fail_msg("%s: result in memory?", prototypes[i]);
		if (!(shape->flags & MP_SHAPE_IN_PLACE) != !has_prefix(prototypes[i], "size_t"))
			fail_msg("%s: a size as result?", prototypes[i]);
		if (shape->flags & MP_SHAPE_IN_PLACE &&
		    shape->more != parameter(prototypes[i], "more"))
			fail_msg("%s: argument %u", prototypes[i], shape->more);
		if (shape->op != (shape->size == MP_ARG_NONE ? MP_OP_FREE
				  : old >= 0                 ? MP_OP_REALLOC
							     : MP_OP_ALLOC))
			fail_msg("%s: operation %u", prototypes[i], shape->op);
	}
}

static bool is_operator(const char *symbol, struct buf *name)
{
	buf_reset(name);
	demangle_add(name, symbol);
	return !strncmp(name->data, "operator ", 9);
}

/* By their demangled names: operator new(unsigned long, std::align_val_t, std::nothrow_t const&) */
static void each_cxx_operator__has_the_shape_of_its_kind(void **state)
{
	struct buf name = BUF_INIT;
	unsigned int n_new = 0, n_delete = 0;
	size_t n, i;
	const struct alloc_function *f = alloc_functions(&n);

	(void)state;
	for (i = 0; i < n; i++) {
		bool throws;

		if (!is_operator(f[i].symbol, &name))
			continue;
		assert_true(f[i].flags & ALLOC_ONLY_IF_BYPASS);
		assert_true(alloc_is_entry_name(name.data));
		if (strstr(name.data, "delete")) {
			n_delete++;
			assert_int_equal(f[i].shape.op, MP_OP_FREE);
			assert_int_equal(f[i].shape.ptr, 0);
			continue;
		}
		n_new++;
		throws = !strstr(name.data, "nothrow");
		assert_int_equal(f[i].shape.op, MP_OP_ALLOC);
		assert_int_equal(f[i].shape.size, 0);
		if (throws != !!(f[i].shape.flags & MP_SHAPE_MAY_THROW))
			fail_msg("%s: may it throw?", name.data);
	}
	assert_int_equal(n_new, 8);
	assert_int_equal(n_delete, 12);
	buf_release(&name);
}

static void a_symbol__has_one_row(void **state)
{
	size_t n, i;
	const struct alloc_function *f = alloc_functions(&n);

	(void)state;
	assert_true(n > 0 && n <= MP_MAX_SHAPES);
	for (i = 0; i < n; i++)
		if (alloc_find(f[i].symbol) != (int)i)
			fail_msg("%s: twice", f[i].symbol);
	assert_int_equal(alloc_find("mallo"), -1);
	assert_int_equal(alloc_find("malloc_usable_size"), -1);
}

/* The first of several names is shown. */
static void names_that_programs_call__come_before_their_aliases(void **state)
{
	static const char *const order[][2] = {
		{ "malloc", "__libc_malloc" }, { "malloc", "tc_malloc" },
		{ "malloc", "mi_malloc" },     { "free", "cfree" },
		{ "free", "_ZdlPv" },          { "free", "mi_free" },
		{ "free", "tc_free" },         { "_Znwm", "_Znam" },
		{ "_Znwm", "tc_new" },         { "aligned_alloc", "memalign" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (row(order[i][0]) > row(order[i][1]))
			fail_msg("%s comes after %s", order[i][0], order[i][1]);
}

static void a_known_function_without_row__has_a_reason(void **state)
{
	static const char *const known[] = { "mi_strdup", "mi_heap_realpath", "mallctl",
					     "__rust_alloc_zeroed", "__rdl_alloc" };
	size_t n, i;
	const struct alloc_function *f = alloc_functions(&n);

	(void)state;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_non_null(alloc_why_not_probed(known[i]));
	for (i = 0; i < n; i++)
		if (alloc_why_not_probed(f[i].symbol))
			fail_msg("%s: has a row and a reason to have none", f[i].symbol);
	assert_null(alloc_why_not_probed("printf"));
}

/* Which may end the program, or free what they fail to resize. */
static void what_failing_does__is_in_the_shape(void **state)
{
	static const struct {
		const char *symbol;
		unsigned int flags;
	} rows[] = {
		{ "realloc", 0 },
		{ "reallocf", MP_SHAPE_FAILURE_FREES },
		{ "mi_heap_reallocf", MP_SHAPE_FAILURE_FREES },
		{ "mi_new_realloc", MP_SHAPE_MAY_THROW },
		{ "mi_new_aligned_nothrow", 0 },
		{ "mi_heap_alloc_new_n", MP_SHAPE_MAY_THROW },
		{ "tc_newarray_aligned", MP_SHAPE_MAY_THROW },
		{ "tc_newarray_aligned_nothrow", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(row(rows[i].symbol)->shape.flags, rows[i].flags);
	assert_int_equal(row("mi_heap_destroy")->shape.op, MP_OP_HEAP_END);
}

static void argument_masks__name_what_the_probe_reads(void **state)
{
	(void)state;
	assert_int_equal(alloc_argument_mask(&row("malloc")->shape), 1);
	assert_int_equal(alloc_argument_mask(&row("calloc")->shape), 3);
	assert_int_equal(alloc_argument_mask(&row("posix_memalign")->shape), 5);
	assert_int_equal(alloc_argument_mask(&row("reallocarray")->shape), 7);
	assert_int_equal(alloc_argument_mask(&row("free")->shape), 1);
	assert_int_equal(alloc_argument_mask(&row("xallocx")->shape), 7);
	assert_int_equal(alloc_argument_mask(&row("mi_heap_recalloc")->shape), 14);
	assert_int_equal(alloc_argument_mask(&row("mi_heap_destroy")->shape), 1);
}

enum kind { OTHER, LIBC, ALLOCATOR, CXX };

static const struct {
	const char *module;
	enum kind kind;
} modules[] = {
	{ "libc.so.6", LIBC },
	{ "libc-2.31.so", LIBC },
	{ "ld-linux-x86-64.so.2", LIBC },
	{ "ld-linux-aarch64.so.1", LIBC },
	{ "ld-2.31.so", LIBC },
	{ "ld-musl-x86_64.so.1", LIBC },
	{ "libc.musl-x86_64.so.1", LIBC },
	{ "libpthread.so.0", LIBC },
	{ "libm.so.6", LIBC },
	{ "[vdso]", LIBC },
	{ "libjemalloc.so.2", ALLOCATOR },
	{ "libtcmalloc_minimal.so.4.5.10", ALLOCATOR },
	{ "libtcmalloc_and_profiler.so.4", ALLOCATOR },
	{ "libtcmalloc.so.4", ALLOCATOR },
	{ "libmimalloc.so.2.0", ALLOCATOR },
	{ "libmimalloc-secure.so.2", ALLOCATOR },
	{ "libc_malloc_debug.so.0", ALLOCATOR },
	{ "libstdc++.so.6", CXX },
	{ "libstdc++.so.6.0.30", CXX },
	{ "libc++.so.1", CXX },
	{ "libc++abi.so.1", CXX },
	{ "libgcc_s.so.1", CXX },
	{ "libcurl.so.4", OTHER },
	{ "libcrypto.so.3", OTHER },
	{ "libmagic.so.1", OTHER },
	{ "libmallocator.so", OTHER },
	{ "redis-server", OTHER },
	{ "libc-client.so.2007", OTHER },
	{ "", OTHER },
};

static void each_module__is_of_one_kind(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		const char *m = modules[i].module;

		if (alloc_is_libc(m) != (modules[i].kind == LIBC) ||
		    alloc_is_allocator_library(m) != (modules[i].kind == ALLOCATOR) ||
		    alloc_is_cxx_library(m) != (modules[i].kind == CXX))
			fail_msg("%s: libc %d, allocator %d, c++ %d", m, alloc_is_libc(m),
				 alloc_is_allocator_library(m), alloc_is_cxx_library(m));
	}
}

static void entry_names__are_those_of_the_table_and_the_operators(void **state)
{
	(void)state;
	assert_true(alloc_is_entry_name("malloc"));
	assert_true(alloc_is_entry_name("__libc_calloc"));
	assert_true(alloc_is_entry_name("operator new(unsigned long)"));
	assert_true(alloc_is_entry_name("operator new[](unsigned long, std::nothrow_t const&)"));
	assert_true(alloc_is_entry_name("operator delete(void*)"));
	assert_false(alloc_is_entry_name("malloc_hook"));
	assert_false(alloc_is_entry_name("Pool::operator new(unsigned long)"));
	assert_false(alloc_is_entry_name("operator newest(int)"));
	assert_false(alloc_is_entry_name("main"));
	assert_false(alloc_is_entry_name(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_shape__is_that_of_its_prototype),
		cmocka_unit_test(each_cxx_operator__has_the_shape_of_its_kind),
		cmocka_unit_test(a_symbol__has_one_row),
		cmocka_unit_test(names_that_programs_call__come_before_their_aliases),
		cmocka_unit_test(a_known_function_without_row__has_a_reason),
		cmocka_unit_test(what_failing_does__is_in_the_shape),
		cmocka_unit_test(argument_masks__name_what_the_probe_reads),
		cmocka_unit_test(each_module__is_of_one_kind),
		cmocka_unit_test(entry_names__are_those_of_the_table_and_the_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
