/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Stands in for V8 where no node is: says how much it has handed out of a heap of its own by calling a function of V8's name. Each call
 * is of more than memprobe ever leaves without a sample, so each is one.
 */
#include "truth.h"

static struct site wide = { .name = "s_wide" }, narrow = { .name = "s_narrow" };

/* v8::internal::AllocationCounter::AdvanceAllocationObservers(unsigned long) */
SITE void _ZN2v88internal17AllocationCounter26AdvanceAllocationObserversEm(void *counter, size_t bytes)
{
	KEEP(counter);
	KEEP(bytes);
}

SITE void s_wide(size_t bytes)
{
	_ZN2v88internal17AllocationCounter26AdvanceAllocationObserversEm(&wide, bytes);
	count_alloc(&wide, bytes);
}

SITE void s_narrow(size_t bytes)
{
	_ZN2v88internal17AllocationCounter26AdvanceAllocationObserversEm(&narrow, bytes);
	count_alloc(&narrow, bytes);
}

/* As often as it is told to. */
int main(void)
{
	size_t i;

	say("ready %d", (int)getpid());
	for (;;) {
		hear("go");
		for (i = 0; i < 101; i++)
			s_wide(((size_t)23 << 20) + i);
		for (i = 0; i < 53; i++)
			s_narrow(((size_t)17 << 20) + 3 * i);
		tell(&wide);
		tell(&narrow);
		say("done");
	}
}
