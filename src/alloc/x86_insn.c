/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * x86-64 instruction lengths and effects; see x86_insn.h.
 *
 * Two tables per opcode map, one letter per opcode. Layout of instructions: Intel's manual, volume
 * 2, chapter 2 and appendix A. The tests compare every instruction of several libraries with
 * objdump.
 */
#include "alloc/x86_insn.h"

#include <string.h>

/*
 * What follows the opcode:
 *	.  unknown		-  nothing		p  a prefix: not the opcode yet
 *	b  imm8			w  imm16		z  imm32 (imm16 with 66)
 *	j  rel8			J  rel32		v  z (imm64 with REX.W)
 *	a  an address		e  imm16 imm8		M  ModRM, SIB, displacement
 *	m  M imm8		Z  M z			T, t  M; for /0 and /1 also imm8, z
 */
static const char form_1[] = /* one-byte opcodes */
	"MMMMbz..MMMMbz.."   /* 00: 0f leads to form_2 */
	"MMMMbz..MMMMbz.."   /* 10 */
	"MMMMbzp.MMMMbzp."   /* 20 */
	"MMMMbzp.MMMMbzp."   /* 30 */
	"pppppppppppppppp"   /* 40: REX */
	"----------------"   /* 50 */
	"...MppppzZbm----"   /* 60: 62 is EVEX */
	"jjjjjjjjjjjjjjjj"   /* 70 */
	"mZ.mMMMMMMMMMMMM"   /* 80 */
	"----------.-----"   /* 90 */
	"aaaa----bz------"   /* a0 */
	"bbbbbbbbvvvvvvvv"   /* b0 */
	"mmw-..mZe-w--b.-"   /* c0: c4, c5 are VEX */
	"MMMM...-MMMMMMMM"   /* d0 */
	"jjjjbbbbJJ.j----"   /* e0 */
	"p-pp--Tt------MM";  /* f0 */

static const char form_2[] = /* after 0f */
	"MMMM.-----.-.M-."   /* 00 */
	"MMMMMMMMMMMMMMMM"   /* 10 */
	"........MMMMMMMM"   /* 20 */
	"------.-........"   /* 30: 38 and 3a are further maps */
	"MMMMMMMMMMMMMMMM"   /* 40 */
	"MMMMMMMMMMMMMMMM"   /* 50 */
	"MMMMMMMMMMMMMMMM"   /* 60 */
	"mmmmMMM-....MMMM"   /* 70 */
	"JJJJJJJJJJJJJJJJ"   /* 80 */
	"MMMMMMMMMMMMMMMM"   /* 90 */
	"---MmM..---MmMMM"   /* a0 */
	"MMMMMMMMMMmMMMMM"   /* b0 */
	"MMmMmmmM--------"   /* c0 */
	"MMMMMMMMMMMMMMMM"   /* d0 */
	"MMMMMMMMMMMMMMMM"   /* e0 */
	"MMMMMMMMMMMMMMMM";  /* f0 */

/*
 * What a plain instruction writes (capital: one byte of it):
 *	.  not plain	n  nothing	g G  ModRM.reg	r R  ModRM.rm, a register
 *	o O  the register in the opcode	a  rax	d  rdx
 *	c C  as r unless /7 (cmp)	t T  nothing for /0 /1 (test), r for /2 /3, else not plain
 *	i I  r for /0 /1 (inc, dec)	k K  r for /0 (mov)	q  nothing for /4 (bt)
 */
static const char effect_1[] = /* one-byte opcodes */
	"RrGgaa..RrGgaa.."     /* 00: add or */
	"RrGgaa..RrGgaa.."     /* 10: adc sbb */
	"RrGgaa..RrGgaa.."     /* 20: and sub */
	"RrGgaa..nnnnnn.."     /* 30: xor cmp */
	"................"     /* 40 */
	"................"     /* 50 */
	"...g.....g.g...."     /* 60: movsxd imul */
	"................"     /* 70 */
	"Cc.cnn..RrGg.g.."     /* 80: group 1, test, mov, lea */
	"n.......ad......"     /* 90: nop cltq cqto */
	"........nn......"     /* a0: test */
	"OOOOOOOOoooooooo"     /* b0: mov */
	"Rr....Kk........"     /* c0: shifts, mov */
	"RrRr............"     /* d0: shifts */
	"................"     /* e0 */
	"......Tt......Ii";    /* f0: test not neg, inc dec */

static const char effect_2[] = /* after 0f */
	".............n.."     /* 00: prefetch */
	"........n.....nn"     /* 10: prefetch, endbr64, nop */
	"................"     /* 20 */
	"................"     /* 30 */
	"gggggggggggggggg"     /* 40: cmov */
	"................"     /* 50 */
	"................"     /* 60 */
	"................"     /* 70 */
	"................"     /* 80 */
	"RRRRRRRRRRRRRRRR"     /* 90: set */
	"...nrr......rr.g"     /* a0: bt shld shrd imul */
	"......gggoq.gggg"     /* b0: movzx popcnt bsf bsr movsx */
	"........oooooooo"     /* c0: bswap */
	"................"     /* d0 */
	"................"     /* e0 */
	"................";    /* f0 */

_Static_assert(sizeof(form_1) == 257 && sizeof(form_2) == 257, "one letter per opcode");
_Static_assert(sizeof(effect_1) == 257 && sizeof(effect_2) == 257, "one letter per opcode");

/* Opcode maps */
enum map { MAP_1, MAP_0F, MAP_0F38, MAP_0F3A, MAP_VECTOR };

#define REX_W 8
#define REX_R 4
#define REX_B 1

struct reader {
	const uint8_t *p;
	size_t left, at;
	bool failed;
	/* prefixes */
	bool data16, addr32, lock, segment_gs;
	uint8_t repeat; /* f2 or f3, the last one */
	uint8_t rex;
	unsigned int n_prefixes;
	/* the rest */
	enum map map;
	uint8_t opcode, modrm;
	size_t immediate_at, immediate_len;
};

static uint8_t next(struct reader *r)
{
	if (r->at >= r->left || r->at >= X86_MAX_INSN_BYTES) {
		r->failed = true;
		return 0;
	}
	return r->p[r->at++];
}

static void skip(struct reader *r, size_t n)
{
	while (n--)
		next(r);
}

static void take_immediate(struct reader *r, size_t n)
{
	r->immediate_at = r->at;
	r->immediate_len = n;
	skip(r, n);
}

static unsigned int mod_of(const struct reader *r)
{
	return r->modrm >> 6;
}

static unsigned int reg_of(const struct reader *r)
{
	return r->modrm >> 3 & 7;
}

static void take_modrm(struct reader *r)
{
	unsigned int mod, base;

	r->modrm = next(r);
	mod = mod_of(r);
	base = r->modrm & 7;
	if (mod == 3)
		return;
	if (base == 4)
		base = next(r) & 7; /* SIB */
	if (mod == 1)
		skip(r, 1);
	else if (mod == 2 || (mod == 0 && base == 5))
		skip(r, 4);
}

static void take_prefixes(struct reader *r)
{
	while (!r->failed && r->at < r->left && form_1[r->p[r->at]] == 'p') {
		uint8_t b = next(r);

		r->n_prefixes++;
		if (r->rex) /* REX must be the last one */
			r->failed = true;
		if ((b & 0xf0) == 0x40)
			r->rex = b;
		else if (b == 0x66)
			r->data16 = true;
		else if (b == 0x67)
			r->addr32 = true;
		else if (b == 0xf0)
			r->lock = true;
		else if (b == 0xf2 || b == 0xf3)
			r->repeat = b;
		else if (b == 0x65)
			r->segment_gs = true;
	}
}

/* ---- VEX and EVEX ---- */

/* 0f opcodes that have vector forms; all but vzeroupper have a ModRM byte. */
static bool is_vector_opcode(uint8_t op)
{
	return (op >= 0x10 && op < 0x30) || (op >= 0x40 && op < 0x80) ||
	       (op >= 0x90 && op < 0xa0) || op == 0xae || (op >= 0xc2 && op < 0xc8) || op >= 0xd0;
}

static bool has_vector_immediate(unsigned int map, uint8_t op)
{
	return map == 3 || (map == 1 && ((op >= 0x70 && op <= 0x73) || op == 0xc2 ||
					 (op >= 0xc4 && op <= 0xc6)));
}

static void take_vector(struct reader *r, uint8_t first)
{
	unsigned int map = 1;
	uint8_t b = next(r);

	r->map = MAP_VECTOR;
	if (first == 0xc4) {
		map = b & 0x1f;
		skip(r, 1);
		r->failed |= map < 1 || map > 3;
	} else if (first == 0x62) {
		map = b & 7;
		r->failed |= (b & 8) || map < 1 || map == 4 || map == 7;
		r->failed |= !(next(r) & 4);
		skip(r, 1);
	}
	/* #UD with any of these */
	r->failed |= r->rex || r->data16 || r->lock || r->repeat;
	r->opcode = next(r);
	if (map == 1 && r->opcode == 0x77 && first != 0x62)
		return;
	r->failed |= map == 1 && !is_vector_opcode(r->opcode);
	take_modrm(r);
	if (has_vector_immediate(map, r->opcode))
		take_immediate(r, 1);
}

/* ---- the other maps ---- */

static void take_operands(struct reader *r, char form)
{
	size_t z = r->data16 && !(r->rex & REX_W) ? 2 : 4;

	if (strchr("MmZTt", form))
		take_modrm(r);
	switch (form) {
	case 'b':
	case 'j':
	case 'm':
		return take_immediate(r, 1);
	case 'w':
		return take_immediate(r, 2);
	case 'e':
		return take_immediate(r, 3);
	case 'J':
		return take_immediate(r, 4);
	case 'z':
	case 'Z':
		return take_immediate(r, z);
	case 'v':
		return take_immediate(r, r->rex & REX_W ? 8 : z);
	case 'a':
		return take_immediate(r, r->addr32 ? 4 : 8);
	case 'T':
	case 't':
		if (reg_of(r) < 2)
			take_immediate(r, form == 'T' ? 1 : z);
		return;
	}
	r->failed |= form == '.' || form == 'p';
}

/* Opcodes of which some forms do not exist, or are other instructions. */
static bool is_unknown_group(const struct reader *r)
{
	bool branch16 = r->data16 && !(r->rex & REX_W); /* Intel and AMD differ */

	if (r->map == MAP_0F)
		return (r->opcode & 0xf0) == 0x80 && branch16;
	if (r->map != MAP_1)
		return false;
	switch (r->opcode) {
	case 0x8f: /* pop; else XOP */
		return reg_of(r) != 0;
	case 0xc6: /* mov, xabort */
		return reg_of(r) != 0 && r->modrm != 0xf8;
	case 0xc7: /* mov, xbegin */
		return reg_of(r) != 0 && (r->modrm != 0xf8 || r->immediate_len != 4);
	case 0xfe:
		return reg_of(r) > 1;
	case 0xff:
		return reg_of(r) == 7 || (reg_of(r) >= 2 && reg_of(r) <= 5 && branch16);
	}
	return branch16 && strchr("jJ", form_1[r->opcode]);
}

static void take_insn(struct reader *r)
{
	uint8_t b;

	take_prefixes(r);
	b = next(r);
	if (b == 0xc4 || b == 0xc5 || b == 0x62)
		return take_vector(r, b);
	r->opcode = b;
	if (b != 0x0f) {
		take_operands(r, form_1[b]);
	} else {
		r->map = MAP_0F;
		r->opcode = b = next(r);
		if (b == 0x38 || b == 0x3a) {
			r->map = b == 0x38 ? MAP_0F38 : MAP_0F3A;
			r->opcode = next(r);
			take_operands(r, b == 0x38 ? 'M' : 'm');
		} else {
			take_operands(r, form_2[b]);
		}
	}
	r->failed |= is_unknown_group(r);
}

/* ---- what it does ---- */

static int64_t signed_immediate(const struct reader *r)
{
	int32_t v32;

	if (r->immediate_len == 1)
		return (int8_t)r->p[r->immediate_at];
	memcpy(&v32, r->p + r->immediate_at, sizeof(v32));
	return v32;
}

static void find_flow(const struct reader *r, struct x86_insn *out)
{
	bool jumps = (r->map == MAP_1 && strchr("jJ", form_1[r->opcode])) ||
		     (r->map == MAP_0F && (r->opcode & 0xf0) == 0x80);

	if (jumps || (r->map == MAP_1 && r->opcode == 0xc7 && r->modrm == 0xf8)) {
		out->flow = X86_DIRECT;
		out->target = (int64_t)r->at + signed_immediate(r);
	} else if (r->map == MAP_1 && r->opcode == 0xff && (reg_of(r) == 4 || reg_of(r) == 5)) {
		out->flow = r->modrm == 0x25 ? X86_SLOT : X86_COMPUTED; /* jmp *disp32(%rip) */
	}
}

static bool is_call(const struct reader *r)
{
	return r->map == MAP_1 &&
	       (r->opcode == 0xe8 || (r->opcode == 0xff && (reg_of(r) == 2 || reg_of(r) == 3)));
}

/* Returns and jumps */
static bool is_end(const struct reader *r)
{
	static const uint8_t ends[] = { 0xc2, 0xc3, 0xca, 0xcb, 0xcf, 0xe9, 0xeb };

	return r->map == MAP_1 && (memchr(ends, r->opcode, sizeof(ends)) ||
				   (r->opcode == 0xff && (reg_of(r) == 4 || reg_of(r) == 5)));
}

static bool is_emulated(const struct reader *r)
{
	uint8_t op = r->opcode;

	if (r->map == MAP_0F)
		return !r->n_prefixes && (op & 0xf0) == 0x80;
	if (r->map != MAP_1)
		return false;
	if (op >= 0x50 && op <= 0x57)
		return !r->n_prefixes || (r->n_prefixes == 1 && r->rex == (0x40 | REX_B));
	return !r->n_prefixes &&
	       ((op & 0xf0) == 0x70 || op == 0x90 || op == 0xe8 || op == 0xe9 || op == 0xeb);
}

/* Without REX, byte registers 4 to 7 are ah, ch, dh, bh; taken for both, to be safe. */
static uint16_t register_mask(const struct reader *r, unsigned int number, bool is_byte)
{
	uint16_t mask = (uint16_t)(1u << number);

	if (is_byte && !r->rex && number >= 4 && number < 8)
		mask |= (uint16_t)(1u << (number - 4));
	return mask;
}

/* The letter for the opcode's extension in ModRM.reg. */
static char resolve_group(const struct reader *r, char letter)
{
	unsigned int reg = reg_of(r);
	bool is_byte = letter >= 'A' && letter <= 'Z';
	char rm = is_byte ? 'R' : 'r';

	switch (letter) {
	case 'C':
	case 'c':
		return reg == 7 ? 'n' : rm;
	case 'T':
	case 't':
		return reg < 2 ? 'n' : reg < 4 ? rm : '.';
	case 'I':
	case 'i':
		return reg < 2 ? rm : '.';
	case 'K':
	case 'k':
		return reg == 0 ? rm : '.';
	case 'q':
		return reg == 4 ? 'n' : '.';
	}
	return letter;
}

/* Prefixes that make another instruction of it, or whose meaning was not looked at. */
static bool has_odd_prefix(const struct reader *r)
{
	bool bits =
		r->map == MAP_0F && (r->opcode == 0xb8 || r->opcode == 0xbc || r->opcode == 0xbd);

	if (r->lock || r->addr32 || r->segment_gs)
		return true;
	if (r->map == MAP_0F &&
	    r->opcode == 0x1e) /* endbr64, endbr32; rdssp is one of the others */
		return r->repeat != 0xf3 || (r->modrm != 0xfa && r->modrm != 0xfb) || r->rex;
	if (r->map == MAP_0F && r->opcode == 0xb8)
		return r->repeat != 0xf3;
	if (r->map == MAP_1 && r->opcode == 0x90 && r->rex & REX_B) /* xchg %rax,%r8 */
		return true;
	return r->repeat && !(bits && r->repeat == 0xf3);
}

static void find_effect(const struct reader *r, struct x86_insn *out)
{
	char letter = r->map == MAP_1    ? effect_1[r->opcode]
		      : r->map == MAP_0F ? effect_2[r->opcode]
					 : '.';
	unsigned int rm = (r->modrm & 7) | (r->rex & REX_B ? 8 : 0);
	unsigned int reg = reg_of(r) | (r->rex & REX_R ? 8 : 0);

	letter = resolve_group(r, letter);
	if (letter == '.' || has_odd_prefix(r))
		return;
	if ((letter == 'r' || letter == 'R') && mod_of(r) != 3)
		return;
	out->plain = true;
	switch (letter) {
	case 'a':
		out->writes = 1u << X86_RAX;
		break;
	case 'd':
		out->writes = 1u << X86_RDX;
		break;
	case 'g':
	case 'G':
		out->writes = register_mask(r, reg, letter == 'G');
		break;
	case 'r':
	case 'R':
		out->writes = register_mask(r, rm, letter == 'R');
		break;
	case 'o':
	case 'O':
		out->writes =
			register_mask(r, (r->opcode & 7) | (r->rex & REX_B ? 8 : 0), letter == 'O');
		break;
	}
}

/* mov of a whole register: 89 to ModRM.rm, 8b to ModRM.reg */
static void find_copy(const struct reader *r, struct x86_insn *out)
{
	unsigned int rm = (r->modrm & 7) | (r->rex & REX_B ? 8 : 0);
	unsigned int reg = reg_of(r) | (r->rex & REX_R ? 8 : 0);

	if (!out->plain || r->map != MAP_1 || (r->opcode != 0x89 && r->opcode != 0x8b))
		return;
	out->is_copy = r->rex & REX_W && mod_of(r) == 3;
	if (out->is_copy)
		out->copied = (uint8_t)(r->opcode == 0x89 ? reg : rm);
}

bool x86_decode(struct x86_insn *out, const uint8_t *code, size_t left)
{
	struct reader r = { .p = code, .left = left };

	memset(out, 0, sizeof(*out));
	take_insn(&r);
	if (r.failed)
		return false;
	out->len = (unsigned int)r.at;
	find_flow(&r, out);
	find_effect(&r, out);
	find_copy(&r, out);
	out->is_call = is_call(&r);
	out->ends = is_end(&r);
	out->emulated = is_emulated(&r);
	return true;
}
