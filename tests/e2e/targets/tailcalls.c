/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-omit-frame-pointer */
/*
 * Wrappers that jump: x_malloc -> y_malloc -> malloc and x_free -> y_free -> free without a
 * call between, as compilers make them, and the C library's own reallocarray -> realloc. Each
 * of these is one event. Written in assembly so that no compiler option turns them into calls.
 */
#include "truth.h"

void *x_malloc(size_t size);
void x_free(void *p);
void *x_realloc(void *p, size_t size);

__asm__(".text\n"
	".type x_malloc,@function\nx_malloc: jmp y_malloc\n.size x_malloc,.-x_malloc\n"
	".type y_malloc,@function\ny_malloc: jmp malloc@plt\n.size y_malloc,.-y_malloc\n"
	".type x_free,@function\nx_free: jmp y_free\n.size x_free,.-x_free\n"
	".type y_free,@function\ny_free: jmp free@plt\n.size y_free,.-y_free\n"
	".type x_realloc,@function\nx_realloc: mov $1,%edx\n jmp reallocarray@plt\n"
	".size x_realloc,.-x_realloc\n");

static struct site wrapped = { .name = "s_wrapped" }, rewrapped = { .name = "s_rewrapped" };

SITE void s_wrapped(void)
{
	for (size_t i = 0; i < 103; i++) {
		void *p = x_malloc(300 + i);

		KEEP(p);
		count_alloc(&wrapped, 300 + i);
		if (i % 2) {
			x_free(p);
			count_free(&wrapped, 300 + i);
		}
	}
}

SITE void s_rewrapped(void)
{
	for (size_t i = 0; i < 47; i++) {
		void *p = x_realloc(NULL, 10 + i);

		KEEP(p);
		count_alloc(&rewrapped, 10 + i);
		p = x_realloc(p, 2000 + i);
		KEEP(p);
		count_free(&rewrapped, 10 + i);
		count_alloc(&rewrapped, 2000 + i);
		if (i % 3 == 0) {
			x_free(p);
			count_free(&rewrapped, 2000 + i);
		}
	}
}

int main(void)
{
	ready();
	hear("go");
	s_wrapped();
	s_rewrapped();
	tell(&wrapped);
	tell(&rewrapped);
	say("done");
	hear("exit");
	return 0;
}
