/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * CIE and FDE records; see cfi.h. The interpreter of their programs is in cfi_run.c. Every length
 * is checked against its container.
 */
#include "unwind/cfi.h"

#define DW_EH_PE_OMIT 0xff
#define DW_EH_PE_INDIRECT 0x80

static uint64_t pointer_value(struct cursor *c, uint8_t format)
{
	switch (format) {
	case 0x00: /* absptr */
	case 0x04: /* udata8 */
	case 0x0c: /* sdata8 */
		return cursor_uint(c, 8);
	case 0x01:
		return cursor_uleb(c);
	case 0x02:
		return cursor_uint(c, 2);
	case 0x03:
		return cursor_uint(c, 4);
	case 0x09:
		return (uint64_t)cursor_sleb(c);
	case 0x0a:
		return (uint64_t)(int64_t)(int16_t)cursor_uint(c, 2);
	case 0x0b:
		return (uint64_t)(int64_t)(int32_t)cursor_uint(c, 4);
	}
	c->bad = true;
	return 0;
}

uint64_t cfi_pointer(struct cursor *c, uint8_t encoding, const struct cfi_section *sec)
{
	uint64_t at = sec->vaddr + (uint64_t)(c->p - sec->data), v;

	if (encoding == DW_EH_PE_OMIT)
		return 0;
	v = pointer_value(c, encoding & 0x0f);
	switch (encoding & 0xf0) {
	case 0x00:
		return v;
	case 0x10: /* pcrel */
		return v + at;
	case 0x30: /* datarel */
		return v + sec->hdr_vaddr;
	}
	c->bad = true; /* textrel, funcrel, aligned, indirect: not used for addresses */
	return 0;
}

struct record {
	struct cursor body; /* after the id */
	uint64_t id, id_offset, next;
	bool is_cie;
};

/* The record at an offset; body.bad when it is too short for its id. false at the section's end. */
static bool read_record(const struct cfi_section *sec, uint64_t offset, struct record *r)
{
	struct cursor c = { NULL, sec->data + sec->size_bytes, false };
	unsigned int id_bytes = 4;
	uint64_t len;

	if (offset >= sec->size_bytes)
		return false;
	c.p = sec->data + offset;
	len = cursor_uint(&c, 4);
	if (len == 0xffffffff) {
		id_bytes = 8;
		len = cursor_uint(&c, 8);
	}
	if (c.bad || len > cursor_left(&c))
		return false;
	if (!len && !sec->is_debug_frame && !sec->is_exact)
		return false; /* the terminator, and what follows is another section */
	r->id_offset = (uint64_t)(c.p - sec->data);
	r->next = r->id_offset + len;
	r->body = (struct cursor){ c.p, c.p + len, false };
	r->id = cursor_uint(&r->body, id_bytes);
	if (sec->is_debug_frame)
		r->is_cie = r->id == (id_bytes == 8 ? ~0ULL : 0xffffffffULL);
	else
		r->is_cie = r->id == 0;
	return true;
}

/*
 * Augmentation data: R is kept, S marks a signal frame, L and P are skipped. B (arm64: return
 * addresses signed with the B key) and G (memory tagging) have no data.
 */
static bool parse_augmentation(const struct cfi_section *sec, const char *letters, struct cursor *c,
			       struct cfi_cie *cie)
{
	uint64_t len = cursor_uleb(c);
	struct cursor data = { c->p, c->p, c->bad };
	uint8_t encoding;

	cie->has_augmentation = true;
	cursor_skip(c, len);
	data.end = c->p;
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->encoding = cursor_u8(&data);
			break;
		case 'L':
			cursor_u8(&data);
			break;
		case 'P':
			encoding = cursor_u8(&data);
			if (encoding != DW_EH_PE_OMIT)
				cfi_pointer(&data, encoding & (uint8_t)~DW_EH_PE_INDIRECT, sec);
			break;
		case 'S':
			cie->is_signal = true;
			break;
		case 'B':
		case 'G':
			break;
		default: /* its data may come before R's: nothing after it can be trusted */
			return false;
		}
	}
	return !data.bad && !c->bad;
}

static bool parse_augmentation_string(const struct cfi_section *sec, const char *letters,
				      struct cursor *c, struct cfi_cie *cie)
{
	if (*letters == 'z')
		return parse_augmentation(sec, letters + 1, c, cie);
	return !*letters || !strcmp(letters, "eh"); /* without a length, data cannot be skipped */
}

static int keep_last(void *ctx, uint64_t pc, const struct cfi_state *s)
{
	(void)pc;
	*(struct cfi_state *)ctx = *s;
	return 0;
}

/* The initial program runs once: FDEs begin with its result, and DW_CFA_restore goes back to it. */
static bool run_initial(const struct cfi_section *sec, struct cfi_cie *cie, const struct cursor *c)
{
	struct cfi_fde f = { .start = 0, .end = 1, .program = c->p, .program_end = c->end };
	struct cfi_state s = { 0 };

	if (cfi_run(sec, cie, &f, keep_last, &s))
		return false;
	cie->initial = s;
	return true;
}

static bool parse_cie(const struct cfi_section *sec, struct cursor *c, struct cfi_cie *cie)
{
	uint8_t version = cursor_u8(c);
	const char *letters = (const char *)c->p;

	if (version != 1 && version != 3 && version != 4)
		return false;
	if (!memchr(letters, '\0', cursor_left(c)))
		return false;
	cursor_skip(c, strlen(letters) + 1);
	if (version == 4 && cursor_uint(c, 2) != 8) /* address size 8, no segment selector */
		return false;
	if (!strcmp(letters, "eh"))
		cursor_skip(c, 8);
	cie->code_align = cursor_uleb(c);
	cie->data_align = cursor_sleb(c);
	cie->ra_column = version == 1 ? cursor_u8(c) : cursor_uleb(c);
	if (c->bad || !parse_augmentation_string(sec, letters, c, cie))
		return false;
	return run_initial(sec, cie, c);
}

void cfi_reader_init(struct cfi_reader *r, const struct cfi_section *sec)
{
	int i;

	r->sec = *sec;
	/* Real files parse each CIE a few times; a hostile one can make every FDE miss the cache.
	 */
	r->budget_bytes = 8 * (uint64_t)sec->size_bytes + 4096;
	for (i = 0; i < CFI_CIE_SLOTS; i++)
		r->cie[i] = (struct cfi_cie){ .offset = ~0ULL };
}

const struct cfi_cie *cfi_cie_at(struct cfi_reader *r, uint64_t offset)
{
	struct cfi_cie *cie = &r->cie[(offset >> 2) % CFI_CIE_SLOTS];
	struct record rec;
	size_t len;

	if (cie->offset == offset)
		return cie->ok ? cie : NULL;
	*cie = (struct cfi_cie){ .offset = offset };
	if (!read_record(&r->sec, offset, &rec) || !rec.is_cie || rec.body.bad)
		return NULL;
	len = cursor_left(&rec.body);
	if (len > r->budget_bytes)
		return NULL;
	r->budget_bytes -= len;
	cie->ok = parse_cie(&r->sec, &rec.body, cie);
	return cie->ok ? cie : NULL;
}

static bool parse_fde(const struct cfi_section *sec, struct record *r, const struct cfi_cie *cie,
		      struct cfi_fde *f)
{
	struct cursor *c = &r->body;
	uint64_t len;

	f->start = cfi_pointer(c, cie->encoding, sec);
	len = cfi_pointer(c, cie->encoding & 0x0f, sec);
	if (cie->has_augmentation)
		cursor_skip(c, cursor_uleb(c));
	f->cie = cie->offset;
	f->program = c->p;
	f->program_end = c->end;
	return !c->bad && !__builtin_add_overflow(f->start, len, &f->end);
}

void cfi_each_fde(struct cfi_reader *r, void (*fn)(void *ctx, const struct cfi_fde *f), void *ctx, size_t *n_bad)
{
	const struct cfi_cie *cie;
	uint64_t offset = 0;
	struct record rec;
	struct cfi_fde f;

	for (; read_record(&r->sec, offset, &rec); offset = rec.next) {
		if (rec.next == rec.id_offset) /* zero length */
			continue;
		if (rec.is_cie && !rec.body.bad)
			continue;
		cie = rec.body.bad ? NULL
				   : cfi_cie_at(r, r->sec.is_debug_frame ? rec.id
									 : rec.id_offset - rec.id);
		if (!cie || !parse_fde(&r->sec, &rec, cie, &f))
			(*n_bad)++;
		else if (f.end > f.start)
			fn(ctx, &f);
	}
}
