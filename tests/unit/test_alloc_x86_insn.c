/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The x86-64 decoder against objdump, over every instruction of the libraries whose functions are
 * probed: the same length, the same jump target, and for what the decoder calls plain, the register
 * that objdump's text names as the destination. A refused instruction is counted, not wrong.
 * Files that are not installed are skipped. Hand-made bytes: what libraries do not contain.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "alloc/x86_insn.h"
#include "base/xalloc.h"

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"
#define MAX_REFUSED_PER_100000 20

struct line {
	uint64_t address;
	size_t at; /* in code */
	unsigned int len;
	char text[100]; /* without comment and <symbol> */
};

struct listing {
	const char *path;
	struct line *lines;
	size_t n, cap;
	uint8_t *code;
	size_t n_code, cap_code;
};

/* "   2a1c0:\tf3 0f 1e fa          \tendbr64 # ..." */
static bool parse_line(struct listing *l, char *s)
{
	char *p, *bytes = strchr(s, '\t'), *text = bytes ? strchr(bytes + 1, '\t') : NULL;
	struct line *line;

	if (!text || s[0] != ' ')
		return false;
	XGROW(l->lines, l->n, l->cap);
	line = &l->lines[l->n];
	*line = (struct line){ .address = strtoull(s, NULL, 16), .at = l->n_code };
	for (p = bytes + 1; p < text && isxdigit((unsigned char)*p); p += 3) {
		XGROW(l->code, l->n_code, l->cap_code);
		l->code[l->n_code++] = (uint8_t)strtoul(p, NULL, 16);
		line->len++;
	}
	text[strcspn(text, "#<\n")] = 0;
	snprintf(line->text, sizeof(line->text), "%s", text + 1);
	for (p = line->text + strlen(line->text); p > line->text && p[-1] == ' ';)
		*--p = 0;
	l->n++;
	return true;
}

static void listing_read(struct listing *l, const char *path)
{
	char command[256], line[512];
	FILE *f;

	*l = (struct listing){ .path = path };
	if (access(path, R_OK)) {
		print_message("no %s\n", path);
		skip();
	}
	snprintf(command, sizeof(command), "LC_ALL=C objdump -d -w %s 2>/dev/null", path);
	f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		parse_line(l, line);
	if (pclose(f)) {
		print_message("no objdump\n");
		skip();
	}
	assert_true(l->n > 1000);
}

static void listing_release(struct listing *l)
{
	free(l->lines);
	free(l->code);
}

/* ---- objdump's text ---- */

static const char *skip_word(const char *s)
{
	s += strcspn(s, " ");
	return s + strspn(s, " ");
}

static bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* The mnemonic, without the prefixes that objdump writes as words. */
static const char *mnemonic(const char *text)
{
	static const char *const words[] = { "bnd ", "notrack ", "data16 ", "cs ", "ds ", "es ",
					     "ss ",  "fs ",      "gs ",     "rex", NULL };
	int i;

	for (i = 0; words[i]; i++) {
		if (has_prefix(text, words[i])) {
			text = skip_word(text);
			i = -1;
		}
	}
	return text;
}

/* The last operand: the destination. */
static const char *destination(const char *m)
{
	const char *p, *last = skip_word(m);
	int depth = 0;

	for (p = last; *p; p++) {
		depth += (*p == '(') - (*p == ')');
		if (*p == ',' && !depth)
			last = p + 1;
	}
	return last;
}

/* Number of a general register of any width, or -1. */
static int register_number(const char *name)
{
	static const char *const names[16][5] = {
		{ "rax", "eax", "ax", "al", "ah" }, { "rcx", "ecx", "cx", "cl", "ch" },
		{ "rdx", "edx", "dx", "dl", "dh" }, { "rbx", "ebx", "bx", "bl", "bh" },
		{ "rsp", "esp", "sp", "spl" },      { "rbp", "ebp", "bp", "bpl" },
		{ "rsi", "esi", "si", "sil" },      { "rdi", "edi", "di", "dil" },
		{ "r8", "r8d", "r8w", "r8b" },      { "r9", "r9d", "r9w", "r9b" },
		{ "r10", "r10d", "r10w", "r10b" },  { "r11", "r11d", "r11w", "r11b" },
		{ "r12", "r12d", "r12w", "r12b" },  { "r13", "r13d", "r13w", "r13b" },
		{ "r14", "r14d", "r14w", "r14b" },  { "r15", "r15d", "r15w", "r15b" },
	};
	int i, k;

	if (*name++ != '%')
		return -1;
	for (i = 0; i < 16; i++)
		for (k = 0; k < 5 && names[i][k]; k++)
			if (!strcmp(name, names[i][k]))
				return i;
	return -1;
}

static bool is_one_of(const char *m, const char *const *names)
{
	size_t len = strcspn(m, " ");

	for (; *names; names++) {
		size_t n = strlen(*names);

		/* the name, or the name and an operand size */
		if (!strncmp(m, *names, n) && (len == n || (len == n + 1 && strchr("bwlq", m[n]))))
			return true;
	}
	return false;
}

/* Instructions that change nothing but flags. */
static bool is_reader(const char *m)
{
	static const char *const names[] = {
		"cmp", "test", "bt", "nop", "endbr64", "endbr32", NULL
	};

	return is_one_of(m, names) || has_prefix(m, "prefetch") || !strcmp(m, "xchg   %ax,%ax");
}

/* Instructions that change their last operand and flags. */
static bool is_writer(const char *m)
{
	static const char *const names[] = {
		"mov",   "movabs", "lea",   "add",    "sub",    "adc",  "sbb",   "and",
		"or",    "xor",    "shl",   "shr",    "sar",    "rol",  "ror",   "rcl",
		"rcr",   "inc",    "dec",   "neg",    "not",    "imul", "bswap", "bsf",
		"bsr",   "tzcnt",  "lzcnt", "popcnt", "shld",   "shrd", "movzb", "movzw",
		"movsb", "movsw",  "movsl", "movslq", "movsxd", NULL
	};

	return is_one_of(m, names) || has_prefix(m, "cmov") || has_prefix(m, "set");
}

/* Without operands */
static int implied_register(const char *m)
{
	static const struct {
		const char *name;
		int number;
	} implied[] = { { "cltq", 0 }, { "cwtl", 0 }, { "cbtw", 0 },
			{ "cqto", 2 }, { "cltd", 2 }, { "cwtd", 2 } };
	size_t i;

	for (i = 0; i < sizeof(implied) / sizeof(implied[0]); i++)
		if (!strcmp(m, implied[i].name))
			return implied[i].number;
	return -1;
}

/* ---- one instruction ---- */

static void disagree(const struct listing *l, const struct line *line, const char *what)
{
	fail_msg("%s: %llx: %s: %s", l->path, (unsigned long long)line->address, line->text, what);
}

static void check_flow(const struct listing *l, const struct line *line, const struct x86_insn *i)
{
	const char *m = mnemonic(line->text), *operand = skip_word(m);
	bool jumps = m[0] == 'j' || has_prefix(m, "call") || has_prefix(m, "loop") ||
		     has_prefix(m, "xbegin");
	enum x86_flow flow = X86_NEXT;

	if (jumps && isxdigit((unsigned char)*operand))
		flow = X86_DIRECT;
	else if (m[0] == 'j' || has_prefix(m, "ljmp"))
		flow = strstr(operand, "(%rip)") ? X86_SLOT : X86_COMPUTED;
	if (i->flow != flow)
		disagree(l, line, "another flow");
	if (flow == X86_DIRECT &&
	    line->address + (uint64_t)i->target != strtoull(operand, NULL, 16))
		disagree(l, line, "another target");
	if (i->emulated && flow != X86_DIRECT && strcmp(m, "nop") &&
	    !(has_prefix(m, "push ") && register_number(operand) >= 0))
		disagree(l, line, "not emulated by kernels");
	if (flow != X86_NEXT && i->plain)
		disagree(l, line, "a jump is not plain");
}

/* What follows: the next instruction, also after a call, or not. */
static void check_end(const struct listing *l, const struct line *line, const struct x86_insn *i)
{
	const char *m = mnemonic(line->text);
	bool calls = has_prefix(m, "call") || has_prefix(m, "lcall");
	bool ends = has_prefix(m, "jmp") || has_prefix(m, "ljmp") || has_prefix(m, "ret") ||
		    has_prefix(m, "lret") || has_prefix(m, "iret") ||
		    !strncmp(line->text, "repz ret", 8);

	if (i->is_call != calls)
		disagree(l, line, "a call?");
	if (i->ends != ends)
		disagree(l, line, "an end?");
}

/* A 64-bit register's name: rax, r8, but not eax, r8d. */
static bool is_whole_register(const char *name)
{
	size_t digits;

	if (register_number(name) < 0 || name[1] != 'r')
		return false;
	digits = strspn(name + 2, "0123456789");
	return !digits || !name[2 + digits];
}

static void check_copy(const struct listing *l, const struct line *line, const struct x86_insn *i)
{
	const char *m = mnemonic(line->text), *from = skip_word(m), *to = destination(m);
	char source[8] = "";

	snprintf(source, sizeof(source), "%.*s", (int)strcspn(from, ","), from);
	if (!has_prefix(m, "mov ") || !is_whole_register(source) || !is_whole_register(to)) {
		if (i->is_copy)
			disagree(l, line, "no copy");
	} else if (!i->is_copy || i->copied != register_number(source)) {
		disagree(l, line, "a copy of another register");
	}
}

static void check_effect(const struct listing *l, const struct line *line, const struct x86_insn *i)
{
	const char *m = mnemonic(line->text);
	int reg = implied_register(m);

	if (!i->plain)
		return;
	if (is_reader(m)) {
		if (i->writes)
			disagree(l, line, "writes nothing");
		return;
	}
	if (reg < 0) {
		if (!is_writer(m))
			disagree(l, line, "not known to be plain");
		reg = register_number(destination(m));
	}
	if (reg < 0)
		disagree(l, line, "writes memory");
	/* a byte register may be taken for two */
	if (!(i->writes >> reg & 1) || __builtin_popcount(i->writes) > 2 ||
	    (__builtin_popcount(i->writes) == 2 && (reg > 7 || i->writes != (0x11 << (reg & 3)))))
		disagree(l, line, "writes another register");
}

struct tally {
	size_t n, refused, plain, copies, emulated;
};

static void check_line(const struct listing *l, const struct line *line, struct tally *t)
{
	struct x86_insn i;
	char text[64];

	if (strstr(line->text, "(bad)") || (l->code[line->at] == 0x9b && line->len > 1))
		return; /* fwait and the next one, taken for one */
	t->n++;
	if (!x86_decode(&i, l->code + line->at, l->n_code - line->at)) {
		if (!t->refused++)
			print_message("refused: %s\n", line->text);
		return;
	}
	if (i.len != line->len) {
		snprintf(text, sizeof(text), "%u bytes, not %u", line->len, i.len);
		disagree(l, line, text);
	}
	check_flow(l, line, &i);
	check_end(l, line, &i);
	check_copy(l, line, &i);
	check_effect(l, line, &i);
	t->copies += i.is_copy;
	t->plain += i.plain;
	t->emulated += i.emulated;
}

static void each_instruction__is_as_objdump_reads_it(void **state)
{
	struct listing l;
	struct tally t = { 0 };
	size_t i;

	listing_read(&l, *state);
	for (i = 0; i < l.n; i++)
		check_line(&l, &l.lines[i], &t);
	print_message("%s: %zu instructions, %zu plain, %zu emulated, %zu refused\n", l.path, t.n,
		      t.plain, t.emulated, t.refused);
	assert_true(t.refused * 100000 <= t.n * MAX_REFUSED_PER_100000);
	assert_true(t.plain > t.n / 3 && t.emulated > t.n / 10 && t.copies > t.n / 50);
	listing_release(&l);
}

/* ---- by hand ---- */

#define CODE(s) s, sizeof(s) - 1

static const struct {
	const char *what, *code;
	size_t len;
	bool ok;
} edges[] = {
	{ "longest mov imm64", CODE("\x49\xbf\x01\x02\x03\x04\x05\x06\x07\x08"), true },
	{ "15 bytes", CODE("\x66\x66\x66\x66\x66\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00"), true },
	{ "16 bytes", CODE("\x66\x66\x66\x66\x66\x66\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00"),
	  false },
	{ "REX before a prefix", CODE("\x48\x66\x89\xc0"), false },
	{ "two REX", CODE("\x48\x48\x89\xc0"), false },
	{ "operand-size jump: vendors differ", CODE("\x66\xe9\x00\x00\x00\x00"), false },
	{ "operand-size jcc", CODE("\x66\x0f\x84\x00\x00\x00\x00"), false },
	{ "REX.W undoes it (TLS call)", CODE("\x66\x66\x48\xe8\x00\x00\x00\x00"), true },
	{ "push %es: not in 64 bits", CODE("\x06"), false },
	{ "XOP", CODE("\x8f\xe8\x78\xa2\xc1\x00"), false },
	{ "VEX with REX", CODE("\x48\xc5\xf8\x77"), false },
	{ "EVEX map 4 (APX)", CODE("\x62\xf4\x7c\x08\x01\xc0"), false },
	{ "lock add", CODE("\xf0\x01\x07"), true },
};

static void odd_encodings__are_refused_and_their_neighbours_are_not(void **state)
{
	struct x86_insn insn;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		bool ok = x86_decode(&insn, (const uint8_t *)edges[i].code, edges[i].len);

		if (ok != edges[i].ok || (ok && insn.len != edges[i].len))
			fail_msg("%s: %d, %u bytes", edges[i].what, ok, insn.len);
	}
}

/* Not plain although their neighbours in the table are. */
static const struct {
	const char *what, *code;
	size_t len;
} effects[] = {
	{ "lock add %eax,(%rdi)", CODE("\xf0\x01\x07") },
	{ "mov %rdi,(%rax)", CODE("\x48\x89\x38") },
	{ "movb $0,(%rdi)", CODE("\xc6\x07\x00") },
	{ "xbegin", CODE("\xc7\xf8\x00\x00\x00\x00") },
	{ "xchg %rax,%r8", CODE("\x49\x90") },
	{ "rdsspq %rax", CODE("\xf3\x48\x0f\x1e\xc8") },
	{ "rdsspd %eax", CODE("\xf3\x0f\x1e\xc8") },
	{ "0f b8 without f3: no instruction", CODE("\x0f\xb8\xc1") },
	{ "lock cmp: traps", CODE("\xf0\x39\x07") },
	{ "mov (%edi),%eax", CODE("\x67\x8b\x07") },
	{ "div %rcx", CODE("\x48\xf7\xf1") },
	{ "mul %rcx", CODE("\x48\xf7\xe1") },
	{ "syscall", CODE("\x0f\x05") },
	{ "ret", CODE("\xc3") },
	{ "push %rbx", CODE("\x53") },
	{ "call *%rax", CODE("\xff\xd0") },
	{ "cmpxchg %ecx,%edx", CODE("\x0f\xb1\xca") },
	{ "rep movsb", CODE("\xf3\xa4") },
	{ "mov with gs", CODE("\x65\x48\x8b\x04\x25\x00\x00\x00\x00") },
};

static void what_leaves_or_stores__is_not_plain(void **state)
{
	struct x86_insn insn;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
		if (!x86_decode(&insn, (const uint8_t *)effects[i].code, effects[i].len) ||
		    insn.plain)
			fail_msg("%s: plain", effects[i].what);
	assert_true(x86_decode(&insn, (const uint8_t *)"\xb4\x01", 2)); /* mov $1,%ah */
	assert_int_equal(insn.writes, 1 << X86_RAX | 1 << X86_RSP); /* or %spl: taken for both */
	assert_true(x86_decode(&insn, (const uint8_t *)"\x40\xb4\x01", 3));
	assert_int_equal(insn.writes, 1 << X86_RSP);
}

/* Under ASan a byte read beyond `left` is an error. */
static void a_cut_instruction__is_refused_without_reading_on(void **state)
{
	static const uint8_t whole[] = { 0x66, 0x48, 0x0f, 0x3a, 0x0f, 0x84, 0x24, 1, 2, 3, 4, 5 };
	struct x86_insn insn;
	unsigned int first, second;
	size_t len;

	(void)state;
	for (len = 0; len <= sizeof(whole); len++) {
		uint8_t *cut = xmalloc(len + 1);

		memmove(cut + 1, whole, len);
		assert_int_equal(x86_decode(&insn, cut + 1, len), len == sizeof(whole));
		free(cut);
	}
	for (first = 0; first < 256; first++) {
		for (second = 0; second < 256; second++) {
			uint8_t *two = xmalloc(2);

			two[0] = (uint8_t)first;
			two[1] = (uint8_t)second;
			if (x86_decode(&insn, two, 2))
				assert_in_range(insn.len, 1, 2);
			free(two);
		}
	}
}

#define OVER(path)                                                          \
	{                                                                   \
		path, each_instruction__is_as_objdump_reads_it, NULL, NULL, \
			(void *)(uintptr_t)(path)                           \
	}

/* With an argument: over that file. */
int main(int argc, char **argv)
{
	struct CMUnitTest other = OVER(argc > 1 ? argv[1] : NULL);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_encodings__are_refused_and_their_neighbours_are_not),
		cmocka_unit_test(what_leaves_or_stores__is_not_plain),
		cmocka_unit_test(a_cut_instruction__is_refused_without_reading_on),
		OVER("/lib/x86_64-linux-gnu/libc.so.6"),
		OVER(LIBRARIES "libstdc++.so.6"),
		OVER(LIBRARIES "libjemalloc.so.2"),
		OVER(LIBRARIES "libtcmalloc_minimal.so.4"),
		OVER(LIBRARIES "libmimalloc.so.2"),
		OVER("/lib/ld-musl-x86_64.so.1"),
	};

	if (argc < 2)
		return cmocka_run_group_tests(tests, NULL, NULL);
	return _cmocka_run_group_tests(argv[1], &other, 1, NULL, NULL);
}
