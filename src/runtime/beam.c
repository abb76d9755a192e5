/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The BEAM (Erlang, Elixir): what ERTS takes memory for, the Erlang process that runs, and its stack as
 * Module:function/arity, without flags, from a stripped beam.smp with the JIT.
 *
 * Names need a layout that is known (a row below) and that the process confirms: of up to 100 return addresses on the
 * stacks of its processes, and of its processes, nine in ten must have names. Else blocks have their types, and the
 * reason is told.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/search.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "runtime/beam_layout.h"
#include "runtime/runtimes.h"

#define ATOM_TAG 0x0b /* low six bits of an atom */
#define MOST_FUNCTIONS 100000
#define MOST_TYPES 2048
#define TYPE_SHIFT 7
#define HEADER_WORDS 24
#define REREAD_NS NS_PER_S

static const struct beam_layout layouts[] = {
	/* OTP 25.2 (erts 13.1.5) */
	{ .erts = 13,
	  .current = 168, .type = 176, .number = 184, .dirty_number = 192, .gc_info = 41688, .table = 192, .table_max = 208,
	  .reg = 48, .htop = 80, .stop = 88, .heap = 128, .hend = 136, .goes_on = 256, .dictionary = 416, .initial = 448,
	  .old_hend = 504, .old_heap = 520, .gen_gcs = 528, .off_heap = 536, .writable = 552, .size_bytes = 768, .struct_bytes = 776,
	  .reg_process = 16, .reg_name = 32, .atom_segments = 120, .atom_length = 24, .atom_text = 32, .line_table = 72,
	  .dict_slots = 24, .binary_header = 0x20, .binary_size = 8, .binary_block = 24, .block_references = 8, .block_size = 16 },
	/*
	 * OTP 27.3 (erts 15.2.7): Process keeps a frame pointer after stop, and its def_arg_reg before heap; its
	 * element in erts_proc ends with the tracer; a BinRef (erl_bits.h) is what a ProcBin was, without a size; a
	 * Binary has its apparent_size before refc; an id has the element's place in erts_proc (erts_ptab_pixdata2data
	 * of erl_ptab.h)
	 */
	{ .erts = 15,
	  .current = 168, .type = 176, .number = 184, .dirty_number = 192, .gc_info = 41728, .table = 192, .table_max = 208,
	  .reg = 32, .htop = 80, .stop = 88, .heap = 192, .hend = 200, .goes_on = 248, .dictionary = 408, .initial = 440,
	  .gen_gcs = 484, .old_hend = 496, .old_heap = 512, .off_heap = 520, .writable = 536, .size_bytes = 752, .struct_bytes = 760,
	  .reg_process = 16, .reg_name = 32, .atom_segments = 120, .atom_length = 24, .atom_text = 32, .line_table = 72,
	  .dict_slots = 24, .binary_header = 0x28, .binary_block = 8, .block_references = 16, .block_size = 24, .id_mask = 216 },
};

static bool beam_is_own_object(const char *module)
{
	return !strncmp(module, "beam.", 5) || !strcmp(module, "beam");
}

static bool is_atom(uint64_t word)
{
	return (word & 0x3f) == ATOM_TAG && !(word >> 32);
}

bool beam_atom(const struct runtime *r, uint64_t atom, struct buf *out)
{
	const struct beam *b = r->state;
	const struct runtime_process *p = &r->process;
	uint64_t index = atom >> 6, segments, segment, entry, text;
	int16_t len;
	char name[256];

	if (!is_atom(atom))
		return false;
	segments = runtime_word(p, b->atoms + b->layout->atom_segments);
	segment = segments ? runtime_word(p, segments + 8 * (index >> 10)) : 0;
	entry = segment ? runtime_word(p, segment + 8 * (index & 1023)) : 0;
	text = entry ? runtime_word(p, entry + b->layout->atom_text) : 0;
	if (!text || !runtime_read(p, entry + b->layout->atom_length, &len, sizeof(len)) || len <= 0 ||
	    len > (int)sizeof(name) - 1 || !runtime_read(p, text, name, (size_t)len))
		return false;
	for (int i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	buf_add_printable(out, name, (size_t)len);
	return true;
}

bool beam_add_name(const struct runtime *r, uint64_t atom, struct buf *out)
{
	struct buf name = BUF_INIT;
	bool ok = beam_atom(r, atom, &name);

	if (ok)
		buf_adds(out, strncmp(name.data, "Elixir.", 7) ? name.data : name.data + 7);
	buf_release(&name);
	return ok;
}

bool beam_add_call(const struct runtime *r, uint64_t module, uint64_t function, uint64_t arity, struct buf *out)
{
	struct buf m = BUF_INIT, f = BUF_INIT;
	bool ok = arity < 256 && beam_atom(r, module, &m) && beam_atom(r, function, &f);

	if (ok && !strncmp(m.data, "Elixir.", 7))
		buf_addf(out, "%s.%s/%u", m.data + 7, f.data, (unsigned int)arity);
	else if (ok)
		buf_addf(out, "%s:%s/%u", m.data, f.data, (unsigned int)arity);
	buf_release(&m);
	buf_release(&f);
	return ok;
}

/* ---- types ---- */

/* erts_alc_n2td: descriptors of 8 bytes, beginning with the name's address; a type is its index and some flags. */
static bool name_type(const struct runtime *r, uint64_t type, struct buf *out)
{
	const struct beam *b = r->state;
	uint64_t text = type >> TYPE_SHIFT < MOST_TYPES ? runtime_word(&r->process, b->types + 8 * (type >> TYPE_SHIFT)) : 0;
	char name[48];
	size_t i;

	if (!text || !runtime_read(&r->process, text, name, sizeof(name)))
		return false;
	for (i = 0; i < sizeof(name) && (isalnum((unsigned char)name[i]) || name[i] == '_'); i++)
		;
	if (!i || i == sizeof(name) || name[i])
		return false;
	buf_adds(out, name);
	return true;
}

/* ---- code ---- */

/* Of three tables that take turns while code is loaded the one that counts, {modules, n, allocated, mid}; false: unread. */
static bool read_table(const struct runtime *r, uint32_t *index, uint64_t t[4])
{
	const struct beam *b = r->state;

	return runtime_read(&r->process, b->code_index, index, sizeof(*index)) && *index <= 2 &&
	       runtime_read(&r->process, b->range_table + *index * 4 * sizeof(*t), t, 4 * sizeof(*t)) && t[1] &&
	       t[1] <= BEAM_MOST_RANGES;
}

bool beam_read_ranges(struct runtime *r)
{
	struct beam *b = r->state;
	uint64_t t[4];
	size_t i;

	b->read_ns = clock_monotonic_ns();
	b->n_ranges = 0;
	if (!read_table(r, &b->read_index, t))
		return false;
	b->ranges = xrealloc(b->ranges, t[1] * sizeof(*b->ranges));
	if (!runtime_read(&r->process, t[0], b->ranges, t[1] * sizeof(*b->ranges)))
		return false;
	for (i = 1; i < t[1]; i++)
		if (b->ranges[i].start <= b->ranges[i - 1].start)
			return false;
	b->n_ranges = t[1];
	return true;
}

static const struct beam_range *find_range(const struct beam *b, uint64_t pc)
{
	size_t i = FIRST_ABOVE(b->ranges, b->n_ranges, start, pc);

	return i && pc < b->ranges[i - 1].end ? &b->ranges[i - 1] : NULL;
}

/*
 * The function of a module that pc is in: the module's header begins with their number; the array of pointers to them
 * is the first of the header's words that begins n increasing ones into the module.
 */
static bool find_function(const struct runtime *r, const struct beam_range *range, uint64_t pc, struct beam_function *out)
{
	uint64_t header[HEADER_WORDS], *f, n;
	size_t at, i;

	*out = (struct beam_function){ .start = range->start, .end = range->end };
	if (!runtime_read(&r->process, range->start, header, sizeof(header)))
		return false;
	n = header[0];
	if (!n || n > MOST_FUNCTIONS)
		return false;
	f = xcalloc(n, sizeof(*f));
	for (at = 6; at < HEADER_WORDS; at++) {
		if (header[at] <= range->start || header[at] >= range->end ||
		    !runtime_read(&r->process, range->start + 8 * at, f, n * sizeof(*f)))
			continue;
		for (i = 1; i < n && f[i] > f[i - 1] && f[i] < range->end; i++)
			;
		if (i < n)
			continue;
		for (i = n; i && f[i - 1] > pc; i--)
			;
		out->index = i ? i - 1 : 0;
		out->info = i ? f[i - 1] : 0;
		break;
	}
	free(f);
	return out->info != 0;
}

/* Each function begins with its info: three words in a row are the atoms of module and function, and the arity. */
static bool name_function(const struct runtime *r, struct beam_function *f, struct buf *out)
{
	uint64_t w[8];
	size_t i;

	if (!runtime_read(&r->process, f->info, w, sizeof(w)))
		return false;
	for (i = 1; i < 6; i++)
		if (is_atom(w[i]) && is_atom(w[i + 1]) && w[i + 2] < 256) {
			f->module = w[i];
			return beam_add_call(r, w[i], w[i + 1], w[i + 2], out);
		}
	return false;
}

/*
 * Is the table that was read still the one that counts, and range (NULL: any) in its place? A module that is loaded
 * comes with another table; after three of them it is the first one's turn again.
 */
static bool is_as_read(const struct runtime *r, const struct beam_range *range)
{
	const struct beam *b = r->state;
	struct beam_range now;
	uint64_t t[4];
	uint32_t index;

	if (!read_table(r, &index, t) || index != b->read_index || t[1] != b->n_ranges)
		return false;
	return !range || (runtime_read(&r->process, t[0] + (size_t)(range - b->ranges) * sizeof(now), &now, sizeof(now)) &&
			  now.start == range->start && now.end == range->end);
}

/* Code that is loaded later may lie in a new piece: the kernel side has to know. */
static bool read_again(struct runtime *r)
{
	struct beam *b = r->state;
	uint64_t code = b->code, code_bytes = b->code_bytes;
	size_t i;

	if (!beam_read_ranges(r))
		return false;
	for (i = 0; i < b->n_ranges && b->ranges[i].start - code < code_bytes; i++)
		;
	if (i < b->n_ranges && !runtime_process_refresh(&r->process) && beam_find_code(r))
		r->is_moved |= b->code != code || b->code_bytes != code_bytes;
	return true;
}

void beam_follow_code(struct runtime *r)
{
	if (!is_as_read(r, NULL))
		read_again(r);
}

/* The function of a return address, by name. */
static bool find_pc(struct runtime *r, uint64_t pc, struct beam_function *f, struct buf *out)
{
	struct beam *b = r->state;
	const struct beam_range *range = find_range(b, pc);
	bool is_old = !range && clock_monotonic_ns() - b->read_ns > REREAD_NS;

	if (is_old || !is_as_read(r, range))
		range = read_again(r) ? find_range(b, pc) : NULL;
	return range && find_function(r, range, pc, f) && name_function(r, f, out);
}

bool beam_name_pc(struct runtime *r, uint64_t pc, struct buf *out)
{
	struct beam_function f;

	return find_pc(r, pc - 1, &f, out);
}

/* ---- who is it? ---- */

/* Are there the names of types that every BEAM has? */
static bool check_types(const struct runtime *r)
{
	struct buf name = BUF_INIT;
	unsigned int seen = 0;
	uint64_t type;

	for (type = 0; type < MOST_TYPES; type++) {
		buf_reset(&name);
		if (!name_type(r, type << TYPE_SHIFT, &name))
			break;
		seen |= (!strcmp(name.data, "binary") ? 1u : 0) | (!strcmp(name.data, "db_term") ? 2u : 0);
	}
	buf_release(&name);
	return seen == 3;
}

static void read_version(struct runtime *r, const struct runtime_object *o)
{
	struct beam *b = r->state;
	const char *at = strstr(o->map->path, "/erts-");
	unsigned int major = 0, minor = 0;
	size_t i;

	snprintf(r->version, sizeof(r->version), "(unknown release)");
	if (!at || sscanf(at, "/erts-%u.%u", &major, &minor) < 1)
		return;
	/* erts 9 came with OTP 20, and so on */
	snprintf(r->version, sizeof(r->version), "OTP %u (erts %u.%u)", major + 12, major, minor);
	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		if (layouts[i].erts == major)
			b->layout = &layouts[i];
}

static void beam_close(struct runtime *r)
{
	struct beam *b = r->state;

	free(b->ranges);
	beam_collections_end(b);
	free(b);
}

static int beam_open(struct runtime *r)
{
	struct runtime_object *o = runtime_find_object(&r->process, "beam");
	const char *why;
	struct beam *b;
	int err = 0;

	if (!o)
		return -ENOENT;
	b = xcalloc(1, sizeof(*b));
	r->state = b;
	read_version(r, o);
	b->types = runtime_symbol(&r->process, o, "erts_alc_n2td");
	if (b->types && !check_types(r) && runtime_is_young(r)) { /* their names are relocated by the loader */
		beam_close(r);
		return -EAGAIN;
	}
	if (!b->types || !check_types(r)) {
		snprintf(r->reason, sizeof(r->reason), "the names of its allocation types were not found");
		return 0;
	}
	why = beam_find(r, o, &err);
	if (why && err && runtime_is_young(r)) {
		beam_close(r);
		return err;
	}
	if (why) {
		snprintf(r->reason, sizeof(r->reason), "%s: types only", why);
		b->code_bytes = 0;
	}
	r->has_frames = true;
	r->has_census = !why;
	return 0;
}

/* ---- the interface ---- */

/* Modules of Erlang's own (kernel, stdlib) and of Elixir's that are met below one's code. */
static bool is_otp(const char *mfa)
{
	static const char *const modules[] = { "erlang", "erts_", "prim_", "init", "proc_lib", "gen", "gen_server", "gen_statem",
					       "gen_event", "supervisor", "sys", "lists", "maps", "ets", "binary", "string",
					       "timer", "io", "io_lib", "io_lib_format", "code_server", "code", "error_handler",
					       "application_controller", "application_master", "group", "user_drv", "rand",
					       "logger", "erl_eval", "Enum", "Map", "String", "GenServer", "Kernel" };
	size_t len = strcspn(mfa, ":."), i, n;

	for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		n = strlen(modules[i]);
		if (!strncmp(mfa, modules[i], n) && (n == len || (n < len && modules[i][n - 1] == '_')))
			return true;
	}
	return false;
}

static void beam_config(const struct runtime *r, struct mp_runtime *words)
{
	const struct beam *b = r->state;
	const struct beam_layout *l = b->layout;

	if (!b->code_bytes)
		return;
	words->w[MP_BEAM_SCHEDULERS] = b->schedulers;
	words->w[MP_BEAM_DIRTY_CPU] = b->dirty_cpu;
	words->w[MP_BEAM_DIRTY_IO] = b->dirty_io;
	words->w[MP_BEAM_STRIDE] = b->stride;
	words->w[MP_BEAM_CURRENT] = l->current;
	words->w[MP_BEAM_HTOP] = l->htop;
	words->w[MP_BEAM_HEND] = l->hend;
	words->w[MP_BEAM_REG] = l->reg;
	words->w[MP_BEAM_REG_PROCESS] = l->reg_process;
	words->w[MP_BEAM_REG_NAME] = l->reg_name;
	words->w[MP_BEAM_INITIAL] = l->initial;
	words->w[MP_BEAM_CODE] = b->code;
	words->w[MP_BEAM_CODE_BYTES] = b->code_bytes;
	words->w[MP_BEAM_NOTES] = b->notes;
	words->w[MP_BEAM_NOTED] = b->noted;
	words->w[MP_BEAM_DICTIONARY] = l->dictionary;
	words->w[MP_BEAM_DICT_SLOTS] = l->dict_slots;
	words->w[MP_BEAM_GOES_ON] = l->goes_on;
}

static int beam_resolve(struct runtime *r, uint64_t code, uint64_t at, struct runtime_name *name)
{
	struct buf text = BUF_INIT;
	struct beam_function f;
	bool ok = false;

	name->is_internal = (at & 0xff) != MP_BEAM_PC;
	switch (at & 0xff) {
	case MP_BEAM_TYPE:
		ok = name_type(r, code, &text);
		break;
	case MP_BEAM_PC:
		if (find_pc(r, code - 1, &f, &name->function)) {
			beam_line(r, &f, code - 1, name);
			name->is_internal = is_otp(name->function.data);
			return 0;
		}
		buf_release(&text);
		/* the JIT's own pieces of code, between two functions */
		return code - ((struct beam *)r->state)->code < ((struct beam *)r->state)->code_bytes ? -ENOENT : -ESTALE;
	case MP_BEAM_REGISTERED:
		ok = beam_add_name(r, code, &text);
		break;
	case MP_BEAM_SPAWNED:
		ok = beam_add_call(r, code >> 32, code & 0xffffffff, at >> 8 & 0xff, &text);
		break;
	}
	if (ok)
		buf_addf(&name->function, "[%s%s]", (at & 0xff) == MP_BEAM_TYPE ? "" : "process ", text.data);
	buf_release(&text);
	return ok ? 0 : -ESTALE;
}

static bool beam_is_eval(const struct runtime *r, const char *symbol, const char *module, uint64_t vaddr)
{
	(void)r;
	(void)module;
	(void)vaddr;
	return !strncmp(symbol, "erts_alcu_", 10); /* the type stands before its allocator */
}

static bool beam_is_language(const struct runtime *r, uint64_t addr)
{
	const struct beam *b = r->state;
	size_t i;

	if (b->code_bytes && addr - b->dirty_main < b->dirty_main_end - b->dirty_main)
		return true;
	for (i = 0; b->code_bytes && i < b->n_pieces; i++)
		if (addr >= b->pieces[i].start && addr < b->pieces[i].end)
			return true;
	return false;
}

/* No Erlang process runs there: of ports and of jobs that no process waits for. */
static bool beam_is_own_work(const char *symbol, const char *module)
{
	(void)module;
	return !strcmp(symbol, "erts_schedule");
}

const struct runtime_ops beam_runtime = {
	.name = "BEAM",
	.kind = MP_RT_BEAM,
	.open = beam_open,
	.close = beam_close,
	.config = beam_config,
	.resolve = beam_resolve,
	.is_eval = beam_is_eval,
	.is_language = beam_is_language,
	.is_own_work = beam_is_own_work,
	.is_own_object = beam_is_own_object,
	.census = beam_census,
	.collections = beam_collections,
	.all_collections = beam_all_collections,
	.has_holders = true,
};
