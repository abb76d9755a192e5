/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Functions that the compiler puts into their caller (-O2 -g), in a chain of three down to malloc and in a
 * template; the target tells the lines of the calls, so that the test needs no other reader of DWARF.
 */
#include "truth.h"

#define INLINE static inline __attribute__((always_inline))

static struct site plain = { "s_inlined", 0, 0, 0, 0 };
static struct site templated = { "s_template", 0, 0, 0, 0 };
static int innermost_line, middle_line, outer_line, site_line, box_line;

namespace shop {
INLINE void *innermost(size_t n)
{
	innermost_line = __LINE__ + 1;
	return malloc(n);
}

INLINE void *middle(size_t n)
{
	middle_line = __LINE__ + 1;
	void *p = innermost(n);

	KEEP(p);
	return p;
}

struct shelf {
	__attribute__((always_inline)) void *outer(size_t n)
	{
		outer_line = __LINE__ + 1;
		void *p = middle(n);

		KEEP(p);
		return p;
	}
};

template <typename T> struct box {
	T *held;
	__attribute__((always_inline)) void put()
	{
		box_line = __LINE__ + 1;
		held = static_cast<T *>(malloc(sizeof(T)));
		KEEP(held);
	}
};
}

SITE void s_inlined(void)
{
	shop::shelf shelf;

	for (int i = 0; i < 13; i++) {
		site_line = __LINE__ + 1;
		void *p = shelf.outer(1009);
		KEEP(p);
		count_alloc(&plain, 1009);
	}
	NO_TAIL();
}

SITE void s_template(void)
{
	shop::box<char[211]> box;

	for (int i = 0; i < 7; i++) {
		box.put();
		count_alloc(&templated, 211);
	}
	NO_TAIL();
}

int main()
{
	ready();
	hear("go");
	s_inlined();
	s_template();
	tell(&plain);
	tell(&templated);
	say("value innermost %d", innermost_line);
	say("value middle %d", middle_line);
	say("value outer %d", outer_line);
	say("value site %d", site_line);
	say("value box %d", box_line);
	say("done");
	hear("exit");
	return 0;
}
