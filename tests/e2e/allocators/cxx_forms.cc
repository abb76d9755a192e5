/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The eight forms of operator new with the twelve of operator delete, each called by its name, and
 * what happens when there is no memory: nothrow forms return null, the others throw, first because
 * of the size, then because of a limit on the address space.
 *
 * Argument `nothrow`: without the throwing part, for allocators that abort the program instead.
 */
#include <new>
#include <sys/resource.h>

#include "truth.h"

#define N 311
#define AFTER 37
#define TOO_MUCH (static_cast<size_t>(1) << 47)

static const std::align_val_t align{64};

static struct site sites[] = {
	{ "s_new", 0, 0, 0, 0 },
	{ "s_new_array", 0, 0, 0, 0 },
	{ "s_new_nothrow", 0, 0, 0, 0 },
	{ "s_new_array_nothrow", 0, 0, 0, 0 },
	{ "s_new_aligned", 0, 0, 0, 0 },
	{ "s_new_array_aligned", 0, 0, 0, 0 },
	{ "s_new_aligned_nothrow", 0, 0, 0, 0 },
	{ "s_new_array_aligned_nothrow", 0, 0, 0, 0 },
	{ "s_after", 0, 0, 0, 0 },
};

/* One in four stays; the others end by each of three forms of delete. Sizes fit the alignment. */
#define FORM(index, make, delete_0, delete_1, delete_2)           \
	SITE void index##_loop(struct site *s)                    \
	{                                                         \
		for (size_t i = 0; i < N; i++) {                  \
			size_t size = 64 * (1 + i % 7);           \
			void *p = make;                           \
			KEEP(p);                                  \
			CHECK(p);                                 \
			count_alloc(s, size);                     \
			if (i % 4 == 0)                           \
				continue;                         \
			if (i % 4 == 1)                           \
				delete_0;                         \
			if (i % 4 == 2)                           \
				delete_1;                         \
			if (i % 4 == 3)                           \
				delete_2;                         \
			count_free(s, size);                      \
		}                                                 \
	}                                                         \
	SITE void index(struct site *s)                           \
	{                                                         \
		index##_loop(s);                                  \
		NO_TAIL();                                        \
	}

FORM(s_new, operator new(size), operator delete(p), operator delete(p, size),
     operator delete(p, std::nothrow))
FORM(s_new_array, operator new[](size), operator delete[](p), operator delete[](p, size),
     operator delete[](p, std::nothrow))
FORM(s_new_nothrow, operator new(size, std::nothrow), operator delete(p),
     operator delete(p, size), operator delete(p, std::nothrow))
FORM(s_new_array_nothrow, operator new[](size, std::nothrow), operator delete[](p),
     operator delete[](p, size), operator delete[](p, std::nothrow))
FORM(s_new_aligned, operator new(size, align), operator delete(p, align),
     operator delete(p, size, align), operator delete(p, align, std::nothrow))
FORM(s_new_array_aligned, operator new[](size, align), operator delete[](p, align),
     operator delete[](p, size, align), operator delete[](p, align, std::nothrow))
FORM(s_new_aligned_nothrow, operator new(size, align, std::nothrow), operator delete(p, align),
     operator delete(p, size, align), operator delete(p, align, std::nothrow))
FORM(s_new_array_aligned_nothrow, operator new[](size, align, std::nothrow),
     operator delete[](p, align), operator delete[](p, size, align),
     operator delete[](p, align, std::nothrow))

static void (*const loops[])(struct site *) = {
	s_new, s_new_array, s_new_nothrow, s_new_array_nothrow, s_new_aligned, s_new_array_aligned,
	s_new_aligned_nothrow, s_new_array_aligned_nothrow,
};

/* Null from each of the four: no block. */
SITE int s_null(size_t much)
{
	void *p[] = { operator new(much, std::nothrow), operator new[](much, std::nothrow),
		      operator new(much, align, std::nothrow),
		      operator new[](much, align, std::nothrow) };
	int nulls = 0;

	for (void *q : p) {
		KEEP(q);
		nulls += !q;
		operator delete(q); /* of null */
	}
	return nulls;
}

#define CAUGHT(make)                            \
	do {                                    \
		try {                           \
			void *p = make;         \
			KEEP(p);                \
		} catch (const std::bad_alloc &) { \
			caught++;               \
		}                               \
	} while (0)

/* Each of these is caught, or the program is dead. */
SITE int s_throws(size_t much)
{
	int caught = 0;

	KEEP(much);
	for (int i = 0; i < 3; i++) {
		CAUGHT(operator new(much));
		CAUGHT(operator new[](much));
		CAUGHT(operator new(much, align));
		CAUGHT(operator new[](much, align));
	}
	return caught;
}

SITE void s_after(struct site *s)
{
	for (int i = 0; i < AFTER; i++) {
		void *p = operator new(555);

		KEEP(p);
		count_alloc(s, 555);
	}
}

/* No more address space than there is now and 64 MiB */
static void limit_address_space()
{
	char text[256] = "";
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	CHECK(f && fgets(text, sizeof(text), f) && sscanf(text, "%lu", &pages) == 1);
	fclose(f);
	rlim_t most = pages * 4096 + (64UL << 20);
	struct rlimit limit = { most, most };
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

int main(int argc, char **)
{
	ready();
	hear("go");
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		loops[i](&sites[i]);
	say("value nulls %d", s_null(TOO_MUCH));
	if (argc < 2) {
		say("value caught_size %d", s_throws(TOO_MUCH));
		limit_address_space();
		say("value caught_limit %d", s_throws(512UL << 20));
	}
	s_after(&sites[8]);
	for (const struct site &s : sites)
		tell(&s);
	say("done");
	hear("exit");
	return 0;
}
