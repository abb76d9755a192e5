/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * operator new and delete in all forms, a new that throws while it is probed, exceptions that
 * leave functions which hold blocks. The figures are those of the allocation functions below
 * operator new: the aligned form rounds its size up to the alignment, so it asks for 128 here.
 */
#include <memory>
#include <new>
#include <stdexcept>

#include "truth.h"

#define N 1000

struct S {
	char bytes[100];
};

struct alignas(64) A {
	char bytes[128];
};

static struct site leak = { "leaky", 0, 0, 0, 0 };
static struct site plain = { "s_new", 0, 0, 0, 0 };
static struct site array = { "s_new_array", 0, 0, 0, 0 };
static struct site nothrow = { "s_new_nothrow", 0, 0, 0, 0 };
static struct site aligned = { "s_new_aligned", 0, 0, 0, 0 };
static struct site sized = { "s_new_sized", 0, 0, 0, 0 };
static struct site bad = { "s_new_throws", 0, 0, 0, 0 };
static struct site holder = { "s_exception_holder", 0, 0, 0, 0 };
static struct site after = { "s_after_exceptions", 0, 0, 0, 0 };

SITE S *leaky(void)
{
	S *s = new S;

	KEEP(s);
	count_alloc(&leak, sizeof(S));
	return s;
}

SITE void caller_fn(void)
{
	for (int i = 0; i < 100; i++) {
		S *s = leaky();

		KEEP(s);
	}
}

#define FORM(name, site, type, make, drop)                       \
	SITE void name(void)                                     \
	{                                                        \
		for (int i = 0; i < N; i++) {                    \
			type *p = make;                          \
			KEEP(p);                                 \
			count_alloc(&site, sizeof(type));        \
			if (i % 2) {                             \
				drop;                            \
				count_free(&site, sizeof(type)); \
			}                                        \
		}                                                \
		NO_TAIL();                                       \
	}

FORM(s_new, plain, S, static_cast<S *>(operator new(sizeof(S))), operator delete(p))
FORM(s_new_array, array, S, reinterpret_cast<S *>(new char[sizeof(S)]),
     delete[] reinterpret_cast<char *>(p))
FORM(s_new_nothrow, nothrow, S, new (std::nothrow) S, operator delete(p, std::nothrow))
FORM(s_new_aligned, aligned, A, new A, delete p)
FORM(s_new_sized, sized, S, new S, operator delete(p, sizeof(S)))

/* each of these is caught, or the program is dead */
SITE int s_new_throws(void)
{
	int caught = 0;

	for (int i = 0; i < 3; i++) {
		try {
			size_t size = static_cast<size_t>(1) << 47;
			KEEP(size);
			void *p = operator new(size);
			KEEP(p);
		} catch (const std::bad_alloc &) {
			caught++;
		}
	}
	return caught;
}

SITE void s_thrower(int depth)
{
	if (depth)
		s_thrower(depth - 1);
	else
		throw std::runtime_error("expected");
	NO_TAIL();
}

/* the block is freed while the stack is unwound */
SITE void s_exception_holder(void)
{
	std::unique_ptr<char[]> p(new char[777]);
	char *raw = p.get();

	KEEP(raw);
	s_thrower(7);
}

SITE void s_after_exceptions(void)
{
	for (int i = 0; i < 31; i++) {
		char *p = new char[555];

		KEEP(p);
		count_alloc(&after, 555);
	}
}

int main()
{
	int caught, held = 0;

	ready();
	hear("go");
	caller_fn();
	s_new();
	s_new_array();
	s_new_nothrow();
	s_new_aligned();
	s_new_sized();
	caught = s_new_throws();
	for (int i = 0; i < 100; i++) {
		try {
			s_exception_holder();
		} catch (const std::runtime_error &) {
			held++;
		}
	}
	s_after_exceptions();
	for (const struct site *s : { &leak, &plain, &array, &nothrow, &aligned, &sized, &after })
		tell(s);
	/* what a throw allocates belongs to the C++ library: live figures only */
	say("live %s %ld %ld", bad.name, bad.live_bytes, bad.live_blocks);
	say("live %s %ld %ld", holder.name, holder.live_bytes, holder.live_blocks);
	say("value caught %d", caught);
	say("value held %d", held);
	say("done");
	hear("exit");
	return 0;
}
