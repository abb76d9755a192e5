/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fomit-frame-pointer */
/*
 * Allocates below functions on which another tracer has a return probe, and beside them:
 *
 *	main > work > traced > middle > s_below > malloc
 *	main > work > s_beside > malloc
 *	main > work > s_jump > traced_jump, which jumps to malloc
 */
#include "truth.h"

static struct site below = { .name = "s_below" }, beside = { .name = "s_beside" },
		   jump = { .name = "s_jump" };

SITE void s_below(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&below, size);
}

SITE void middle(size_t size)
{
	char room[500], *p = room;

	KEEP(p);
	s_below(size);
	KEEP(p);
}

SITE void traced(size_t size)
{
	middle(size);
	NO_TAIL();
}

SITE void s_beside(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
	count_alloc(&beside, size);
}

void *traced_jump(size_t size);
#if defined(__x86_64__)
__asm__(".globl traced_jump\n"
	".type traced_jump, @function\n"
	"traced_jump: .cfi_startproc\n"
	"	nop\n"
	"	jmp malloc@PLT\n"
	".cfi_endproc\n"
	".size traced_jump, . - traced_jump\n");
#else
__asm__(".globl traced_jump\n"
	".type traced_jump, @function\n"
	"traced_jump: .cfi_startproc\n"
	"	nop\n"
	"	b malloc\n"
	".cfi_endproc\n"
	".size traced_jump, . - traced_jump\n");
#endif

SITE void s_jump(size_t size)
{
	void *p = traced_jump(size);

	KEEP(p);
	count_alloc(&jump, size);
}

SITE void work(size_t i)
{
	traced(100 + i);
	s_beside(200 + i);
	s_jump(300 + i);
	traced(150 + i);
}

int main(void)
{
	ready();
	hear("go");
	for (size_t i = 0; i < 53; i++)
		work(i);
	tell(&below);
	tell(&beside);
	tell(&jump);
	say("done");
	hear("exit");
	return 0;
}
