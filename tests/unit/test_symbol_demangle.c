/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Demangling: expected names are from the ABI texts (Itanium C++ ABI, Rust RFC 2603 and rustc's
 * legacy scheme) and from c++filt 2.40.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/xalloc.h"
#include "symbol/demangle.h"

static void names_become_source_names(void **state)
{
	static const struct {
		const char *mangled, *want;
	} rows[] = {
		{ "malloc", "malloc" },
		{ "", "" },
		{ "_Znwm", "operator new(unsigned long)" },
		{ "_ZNSt6vectorIiSaIiEE9push_backEOi",
		  "std::vector<int, std::allocator<int> >::push_back(int&&)" },
		{ "_ZN3fooC1Ev", "foo::foo()" },
		{ "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const" },
		{ "_Z3barv.cold", "bar() [clone .cold]" },
		{ "_Z3barv.part.0.constprop.1", "bar() [clone .part.0] [clone .constprop.1]" },
		{ "bar.isra.0", "bar.isra.0" },
		{ "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad" },
		{ "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
		  "3bar17h930b740aa94f1d3aE",
		  "<Test + 'static as foo::Bar<Test>>::bar" },
		{ "_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar" },
		{ "_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>" },
		{ "_ZThisIsNotMangled", "_ZThisIsNotMangled" },
		{ "_Z", "_Z" },
		{ "_R", "_R" },
		{ "_ZN", "_ZN" },
		{ "main.(*T).Run", "main.(*T).Run" },
		{ "Builtins_CEntry", "Builtins_CEntry" },
	};
	struct buf out = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		buf_reset(&out);
		buf_adds(&out, "x");
		demangle_add(&out, rows[i].mangled);
		assert_string_equal(out.data + 1, rows[i].want);
	}
	buf_release(&out);
}

static void control_bytes_do_not_reach_the_output(void **state)
{
	struct buf out = BUF_INIT;

	(void)state;
	demangle_add(&out, "a\nb\033[31m\xff");
	assert_string_equal(out.data, "a?b?[31m?");
	buf_release(&out);
}

static void an_enormous_name_is_cut_at_4096_bytes__not_inside_a_character(void **state)
{
	struct buf out = BUF_INIT;
	char *name = xmalloc(100001);
	size_t i;

	(void)state;
	for (i = 0; i < 100000; i += 2)
		memcpy(name + i, "\xc3\xa9", 2); /* e with acute */
	name[100000] = '\0';
	name_add(&out, name);
	assert_int_equal(out.len, 4092 + 3); /* 4093 would split a character */
	assert_string_equal(out.data + 4092, "...");
	assert_int_equal((unsigned char)out.data[4091], 0xa9);
	buf_release(&out);

	memset(name, 'x', 100000);
	demangle_add(&out, name);
	assert_int_equal(out.len, 4096);
	buf_reset(&out);
	name[4096] = '\0';
	demangle_add(&out, name);
	assert_int_equal(out.len, 4096);
	assert_string_equal(out.data, name);
	buf_release(&out);
	free(name);
}

/* void f(T0, T1, ...) where each argument is a pair of the former one twice: 2^i in text. */
static void a_name_that_explodes_is_cut_in_time(void **state)
{
	struct buf mangled = BUF_INIT, out = BUF_INIT;
	clock_t start = clock();
	int i;

	(void)state;
	buf_adds(&mangled, "_Z1f1pIiiE"); /* S_ is p, S0_ is p<int, int> */
	for (i = 0; i < 30; i++)
		buf_addf(&mangled, "S_IS%c_S%c_E", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i],
			 "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i]);
	demangle_add(&out, mangled.data);
	assert_int_equal(out.len, SYMBOL_MAX_NAME_BYTES);
	assert_memory_equal(out.data, "f(p<int, int>, p<p<int, int>, p<int, int> >", 43);
	assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 1.0);
	buf_release(&out);
	buf_release(&mangled);
}

/* libiberty's default refuses names above 1024 bytes; templates reach that. */
static void a_long_template_name_is_still_demangled(void **state)
{
	struct buf mangled = BUF_INIT, out = BUF_INIT;
	int i;

	(void)state;
	buf_adds(&mangled, "_Z1fI");
	for (i = 0; i < 150; i++)
		buf_addf(&mangled, "7name%03d", i);
	buf_adds(&mangled, "EvT_");
	assert_true(mangled.len > 1100 && mangled.len < 2048);
	demangle_add(&out, mangled.data);
	assert_memory_equal(out.data, "void f<name000, name001, name002", 32);
	buf_release(&out);
	buf_release(&mangled);
}

/* Deep nesting: the recursion must end before the stack does. */
static void deep_nesting_does_not_overflow_the_stack(void **state)
{
	struct buf mangled = BUF_INIT, out = BUF_INIT;
	int i;

	(void)state;
	buf_adds(&mangled, "_Z1f");
	for (i = 0; i < 2000; i++)
		buf_addc(&mangled, 'P');
	buf_adds(&mangled, "i");
	demangle_add(&out, mangled.data);
	assert_true(out.len > 0);
	buf_release(&out);
	buf_reset(&mangled);
	buf_adds(&mangled, "_RINvC1a1b");
	for (i = 0; i < 2000; i++)
		buf_addc(&mangled, 'S');
	buf_adds(&mangled, "lE");
	demangle_add(&out, mangled.data);
	assert_true(out.len > 0);
	buf_release(&out);
	buf_release(&mangled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_become_source_names),
		cmocka_unit_test(control_bytes_do_not_reach_the_output),
		cmocka_unit_test(an_enormous_name_is_cut_at_4096_bytes__not_inside_a_character),
		cmocka_unit_test(a_name_that_explodes_is_cut_in_time),
		cmocka_unit_test(a_long_template_name_is_still_demangled),
		cmocka_unit_test(deep_nesting_does_not_overflow_the_stack),
	};

	return cmocka_run_group_tests_name("symbol_demangle", tests, NULL, NULL);
}
