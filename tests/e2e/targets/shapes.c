/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fno-builtin */
/*
 * Functions to put probes into: one per form of prologue that a probe is shifted over, written in
 * assembly, and the C library's allocator on all its paths. It first says where they are, which
 * arguments matter (a mask), how many bytes the result has (0: only the entry may be probed) and
 * where the probe belongs (-1: not known):
 *
 *	form_test_je 55d4a0c3b2f0 arguments 3 return 8 place 3
 *	posix_memalign 7f4c43ebd280 arguments 7 return 4 place -1
 *	end
 *
 * Then, for each line `NAME CALLS` of its input, it makes the calls and says how many there were, the sums of their first three arguments and of their results, modulo 2^64:
 *
 *	20011 5028491 4410033 0 918273
 *
 * Expectations come from here only: the assembler's labels and the caller's own sums.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

typedef uint64_t form_fn(uint64_t, uint64_t, uint64_t);

/*
 * skipped: what the probe passes over; place: where it belongs, and the rest. Results: rdi + rsi,
 * at 1: (a jump that was taken) 7 more.
 */
#define FORM(name, skipped, place)                                                         \
	__asm__(".pushsection .text\n.p2align 4\n.globl " #name ", " #name "_place\n"      \
		".hidden " #name ", " #name "_place\n.type " #name ", @function\n" #name   \
		":\n" skipped "\n" #name "_place:\n" place                                 \
		"\nlea (%rdi,%rsi),%rax\nret\n1: lea 7(%rdi,%rsi),%rax\nret\n.size " #name \
		", . - " #name "\n.popsection");                                           \
	extern form_fn name;                                                               \
	extern const char name##_place[]

__attribute__((used, visibility("hidden"))) uint64_t form_flag;

FORM(form_push, "", "push %rbp\npop %rbp");
FORM(form_push_r12, "", "push %r12\npop %r12");
FORM(form_nop, "", "nop");
FORM(form_jmp_short, "", ".byte 0xeb, 1\nnop");
FORM(form_jmp_near, "", ".byte 0xe9, 1, 0, 0, 0\nnop");
FORM(form_call, "", "call 2f\njmp 3f\n2: ret\n3:");
FORM(form_endbr_push, "endbr64", "push %rbp\npop %rbp");
FORM(form_test_je, "test %rdi,%rdi", "je 1f");
FORM(form_test_je_near, "test %rdi,%rdi", ".byte 0x0f, 0x84\n.long 1f - . - 4");
FORM(form_endbr_test_jne, "endbr64\ntest %rdi,%rdi", "jne 1f");
FORM(form_cmp_memory, "cmpb $0,form_flag(%rip)", "jne 1f");
FORM(form_load, "mov form_flag(%rip),%rax\ntest %rax,%rax", "jne 1f");
FORM(form_load_pointer, "mov form_flag@GOTPCREL(%rip),%rax\ncmp %rdi,(%rax)", "jbe 1f");
FORM(form_cmp_immediate, "cmp $0x1000,%rdi", "ja 1f");
FORM(form_mov, "mov %rdi,%rdx", "push %rbx\npop %rbx");
FORM(form_mov_immediate, "mov $5,%edx\nmovabs $0x1122334455667788,%rax\nmovq $-1,%rcx", "nop");
FORM(form_xor, "xor %eax,%eax\nsub %rcx,%rcx", "push %rbp\npop %rbp");
FORM(form_lea, "lea -1(%rdi,%rsi,2),%rax\ncmp %rdi,%rax", "jb 1f");
FORM(form_shift, "mov %rdi,%rax\nshr $3,%rax\nsar %rax\nshl %cl,%rax\nrol $2,%eax",
     "push %rbx\npop %rbx");
FORM(form_mask, "mov %rdi,%rcx\nand $0xffffffffc0000000,%rcx\nor $16,%ecx\ntest %rcx,%rcx",
     "js 1f");
FORM(form_thread, "mov %fs:0,%rax\nadd %fs:0,%rax\ncmp %rdi,%rax", "jbe 1f");
FORM(form_long_nop, ".byte 0x0f,0x1f,0x44,0,0\nxchg %ax,%ax\n.byte 0x66,0x0f,0x1f,0x44,0,0", "nop");
FORM(form_extend,
     "movzbl %dil,%eax\nmovslq %esi,%rcx\nmovsbl %al,%eax\nmovzwl %di,%edx\ntest %al,%al", "je 1f");
FORM(form_conditional, "xor %eax,%eax\ncmp $9,%rdi\ncmova %rdi,%rax\nsetb %cl\ntest %cl,%cl",
     "jne 1f");
FORM(form_bits, "bsr %rsi,%rax\nbsf %rsi,%rcx\nbt $2,%rdi", "jc 1f");
FORM(form_unary, "mov %rdi,%rax\nneg %rax\nnot %rax\ninc %eax\ndec %al\nbswap %rax",
     "push %rbp\npop %rbp");
FORM(form_carry, "mov %rdi,%rax\nadd %rsi,%rax\nadc $0,%rax\nsbb %rcx,%rcx\ntest %ecx,%ecx",
     "js 1f");
FORM(form_multiply, "imul $24,%rdi,%rax\nimul %rsi,%rax\ncltq\ncqto\ntest %rdx,%rdx", "js 1f");
FORM(form_double_shift, "mov %rdi,%rax\nshld $4,%rsi,%rax\nshrd %cl,%rsi,%rax", "nop");
/* Arguments that are in other registers when the probe is reached */
FORM(form_moved, "mov %rdi,%rax\nxor %edi,%edi", "push %rbp\npop %rbp\nmov %rax,%rdi");
FORM(form_moved_twice, "mov %rdi,%rcx\nmov %rcx,%r8\nxor %edi,%edi\nmov $1,%ecx",
     "nop\nmov %r8,%rdi");
FORM(form_swapped, "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rax,%rsi", "push %rbp\npop %rbp");
FORM(form_reserve, "sub $24,%rsp\ntest %rdi,%rdi",
     "je 2f\nadd $24,%rsp\nlea (%rdi,%rsi),%rax\nret\n2: add $24,%rsp\njmp 1f");
/* Each round is a call: hit as often as the entry. */
FORM(form_again, "test %rdi,%rdi", "je 1f\ndec %rdi\njmp form_again");
/* The probe must stay: jumped into, perhaps jumped into, arguments gone, stores. */
FORM(stay_loop, "", "xor %eax,%eax\n2: add $1,%eax\ncmp $3,%eax\njne 2b");
FORM(stay_computed, "", "test %rdi,%rdi\nje 1f\nlea 2f(%rip),%rax\njmp *%rax\n2:");
FORM(stay_argument, "", "xchg %rdi,%rsi\npush %rbp\npop %rbp");
FORM(stay_half, "", "mov %edi,%eax\nxor %edi,%edi\nnop\nmov %rax,%rdi");
FORM(stay_hidden, "", "mov %rdi,%r9\nxor %edi,%edi\nnop\nmov %r9,%rdi");
FORM(stay_saved, "", "mov %rbx,%rax\nxor %ebx,%ebx\nnop\nmov %rax,%rbx");
FORM(stay_store, "", "mov %rdi,-8(%rsp)\nnop");

#define RETURNS 8
#define RETURNS_INT 4
#define ENTRY_ONLY 0

static const struct form {
	const char *name;
	form_fn *fn;
	const char *place;
	int returns;
} forms[] = {
#define ROW(name, returns)                         \
	{                                          \
#name, name, name##_place, returns \
	}
	ROW(form_push, RETURNS),         ROW(form_push_r12, RETURNS),
	ROW(form_nop, RETURNS),          ROW(form_jmp_short, RETURNS),
	ROW(form_jmp_near, RETURNS),     ROW(form_call, RETURNS),
	ROW(form_endbr_push, RETURNS),   ROW(form_test_je, RETURNS),
	ROW(form_test_je_near, RETURNS), ROW(form_endbr_test_jne, RETURNS),
	ROW(form_cmp_memory, RETURNS),   ROW(form_load, RETURNS),
	ROW(form_load_pointer, RETURNS), ROW(form_cmp_immediate, RETURNS),
	ROW(form_mov, RETURNS),          ROW(form_mov_immediate, RETURNS),
	ROW(form_xor, RETURNS),          ROW(form_lea, RETURNS),
	ROW(form_shift, RETURNS),        ROW(form_mask, RETURNS),
	ROW(form_thread, RETURNS),       ROW(form_long_nop, RETURNS),
	ROW(form_extend, RETURNS),       ROW(form_conditional, RETURNS),
	ROW(form_bits, RETURNS),         ROW(form_unary, RETURNS),
	ROW(form_carry, RETURNS),        ROW(form_multiply, RETURNS),
	ROW(form_double_shift, RETURNS), ROW(form_moved, RETURNS),
	ROW(form_moved_twice, RETURNS),  ROW(form_swapped, RETURNS),
	ROW(stay_half, RETURNS),         ROW(stay_hidden, RETURNS),
	ROW(form_reserve, ENTRY_ONLY),
	ROW(form_again, ENTRY_ONLY),     ROW(stay_loop, RETURNS),
	ROW(stay_computed, RETURNS),     ROW(stay_argument, RETURNS),
	ROW(stay_saved, RETURNS),        ROW(stay_store, RETURNS),
#undef ROW
};

struct sums {
	uint64_t calls, argument[3], result;
};

static void count(struct sums *s, uint64_t a, uint64_t b, uint64_t c, uint64_t result)
{
	s->calls++;
	s->argument[0] += a;
	s->argument[1] += b;
	s->argument[2] += c;
	s->result += result;
}

static void call_form(const struct form *f, unsigned long calls, struct sums *s)
{
	uint64_t i, a, b, result;

	for (i = 0; i < calls; i++) {
		a = i % 3 ? i * 0x9e3779b97f4a7c15 : 0;
		b = i * 4129 + 1;
		form_flag = i % 5 == 0 ? 1 : 0;
		if (f->fn != form_again) {
			result = f->fn(a, b, i);
			count(s, a, b, i, result);
			continue;
		}
		for (a = i % 4, result = f->fn(a, b, i); a; a--)
			count(s, a, b, i, 0);
		count(s, 0, b, i, result);
	}
}

/* ---- the allocator ---- */

#define TOO_MUCH ((size_t)1 << 62)

/* Every 101st call goes where the kernel is asked for memory. */
static size_t size_for(unsigned long i)
{
	static const size_t sizes[] = { 0, 1, 24, 100, 1000, 1025, 5000, 33000 };

	if (i % 101 == 0)
		return 300000;
	if (i % 101 == 50)
		return TOO_MUCH;
	return sizes[i % 8];
}

static void call_malloc(unsigned long calls, struct sums *s)
{
	unsigned long i;

	for (i = 0; i < calls; i++) {
		void *p = malloc(size_for(i));

		count(s, size_for(i), 0, 0, (uintptr_t)p);
		free(p);
	}
}

static void call_calloc(unsigned long calls, struct sums *s)
{
	unsigned long i;

	for (i = 0; i < calls; i++) {
		size_t n = i % 6, size = size_for(i);
		void *p = calloc(n, size);

		count(s, n, size, 0, (uintptr_t)p);
		free(p);
	}
}

/* Blocks of several sizes, freed much later as well as at once; NULL every fifth time. */
static void call_free(unsigned long calls, struct sums *s)
{
	static void *kept[257];
	unsigned long i;

	for (i = 0; i < calls; i++) {
		void **slot = &kept[i % 257], *p = *slot;

		*slot = i % 101 == 50 ? NULL : malloc(size_for(i));
		if (i % 5 == 0) {
			free(NULL);
			count(s, 0, 0, 0, 0);
			i++;
		}
		free(p);
		count(s, (uintptr_t)p, 0, 0, 0);
	}
	for (i = 0; i < 257; i++) {
		free(kept[i]);
		count(s, (uintptr_t)kept[i], 0, 0, 0);
		kept[i] = NULL;
	}
}

/* From nothing, growing, shrinking, failing (the block stays), to nothing. */
static void call_realloc(unsigned long calls, struct sums *s)
{
	static void *kept[61];
	unsigned long i;

	for (i = 0; i < calls; i++) {
		void **slot = &kept[i % 61];
		uintptr_t old = (uintptr_t)*slot;
		size_t size = size_for(i);
		void *p = realloc(*slot, size);

		count(s, old, size, 0, (uintptr_t)p);
		if (p || !size)
			*slot = p;
	}
	for (i = 0; i < 61; i++) {
		free(kept[i]);
		kept[i] = NULL;
	}
}

static void call_posix_memalign(unsigned long calls, struct sums *s)
{
	unsigned long i;

	for (i = 0; i < calls; i++) {
		size_t alignment = i % 7 ? 64u << i % 3 : 3;
		void *p = NULL;
		int err = posix_memalign(&p, alignment, size_for(i));

		count(s, (uintptr_t)&p, alignment, size_for(i), (uint64_t)err);
		if (!err)
			free(p);
	}
}

static const struct allocation {
	const char *name;
	uintptr_t address;
	void (*call)(unsigned long calls, struct sums *s);
	unsigned int arguments;
	int returns;
} allocations[] = {
	{ "malloc", (uintptr_t)malloc, call_malloc, 1, RETURNS },
	{ "calloc", (uintptr_t)calloc, call_calloc, 3, RETURNS },
	{ "realloc", (uintptr_t)realloc, call_realloc, 3, RETURNS },
	{ "posix_memalign", (uintptr_t)posix_memalign, call_posix_memalign, 7, RETURNS_INT },
	{ "free", (uintptr_t)free, call_free, 1, ENTRY_ONLY },
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void describe(void)
{
	size_t i;

	for (i = 0; i < N(forms); i++)
		printf("%s %" PRIxPTR " arguments 3 return %d place %d\n", forms[i].name,
		       (uintptr_t)forms[i].fn, forms[i].returns,
		       (int)(forms[i].place - (const char *)(uintptr_t)forms[i].fn));
	for (i = 0; i < N(allocations); i++)
		printf("%s %" PRIxPTR " arguments %u return %d place -1\n", allocations[i].name,
		       allocations[i].address, allocations[i].arguments, allocations[i].returns);
	puts("end");
	fflush(stdout);
}

static void run(const char *name, unsigned long calls)
{
	struct sums s = { 0 };
	size_t i;

	for (i = 0; i < N(forms); i++)
		if (!strcmp(forms[i].name, name))
			call_form(&forms[i], calls, &s);
	for (i = 0; i < N(allocations); i++)
		if (!strcmp(allocations[i].name, name))
			allocations[i].call(calls, &s);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s.calls,
	       s.argument[0], s.argument[1], s.argument[2], s.result);
	fflush(stdout);
}

int main(void)
{
	char line[128], name[64];
	unsigned long calls;

	describe();
	while (fgets(line, sizeof(line), stdin))
		if (sscanf(line, "%63s %lu", name, &calls) == 2)
			run(name, calls);
	return 0;
}

#else

int main(void)
{
	fputs("only for x86-64\n", stderr);
	return 77;
}

#endif
