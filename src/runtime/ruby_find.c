/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where libruby keeps its virtual machine and each thread's context, and which function is its loop; see ruby.h. Up to
 * 3.2 they are symbols, in 2.7 the context too. From 3.3 on they are hidden (vm_core.h: the MJIT that needed them is gone), and Debian's
 * library is stripped: then from the code of exported functions, x86-64 as gcc writes it:
 *
 *	rb_gc_count		lea or mov of ruby_current_vm_ptr, then objspace, then its count
 *	rb_thread_current	__tls_get_addr of ruby_current_ec, then its thread
 *	rb_iseq_eval, rb_iseq_eval_main		both go to rb_vm_exec, and to no other function of the library
 *
 * None of it is trusted before ruby_check has found all that hangs on it.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/ruby.h"

#define MOST_CODE 512u /* of a function that is looked at */

static int32_t displacement(const uint8_t *at)
{
	int32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

uint64_t ruby_loaded_word(const uint8_t *code, size_t len, uint64_t pc)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa }, lea[] = { 0x48, 0x8d, 0x05 }, /* x(%rip),%rax */
		mov[] = { 0x48, 0x8b, 0x05 }, deref[] = { 0x48, 0x8b, 0x00 };		     /* (%rax),%rax */
	size_t i = len >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64)) ? sizeof(endbr64) : 0;

	if (len < i + 10)
		return 0;
	if (memcmp(code + i, mov, sizeof(mov)) != 0 &&
	    (memcmp(code + i, lea, sizeof(lea)) != 0 || memcmp(code + i + 7, deref, sizeof(deref)) != 0))
		return 0;
	return pc + i + 7 + (uint64_t)(int64_t)displacement(code + i + 3);
}

/* Where the call or jump at that byte goes to, if it is one. */
static uint64_t callee(const struct ruby_code *c, size_t i)
{
	if (i + 5 > c->len || (c->bytes[i] != 0xe8 && c->bytes[i] != 0xe9))
		return 0;
	return c->vaddr + i + 5 + (uint64_t)(int64_t)displacement(c->bytes + i + 1);
}

static bool is_callee(const struct ruby_code *c, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < c->len; i++)
		if (callee(c, i) == vaddr)
			return true;
	return false;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Bytes that look like a call but are none lead to no function's start. */
uint64_t ruby_common_callee(const struct ruby_code *a, const struct ruby_code *b, const uint64_t *starts, size_t n)
{
	uint64_t found = 0, to;
	size_t i;

	for (i = 0; i < a->len; i++) {
		to = callee(a, i);
		if (!to || to == found || !bsearch(&to, starts, n, sizeof(*starts), by_value) || !is_callee(b, to))
			continue;
		if (found)
			return 0;
		found = to;
	}
	return found;
}

static bool read_code(struct runtime_object *o, const char *function, uint8_t bytes[MOST_CODE], struct ruby_code *out)
{
	struct elf_symbol sym;
	long n;

	if (!elf_find_symbol(o->elf, function, &sym) || !sym.offset || !sym.size_bytes)
		return false;
	n = elf_file_read(o->elf, sym.offset, bytes, sym.size_bytes < MOST_CODE ? (size_t)sym.size_bytes : MOST_CODE);
	*out = (struct ruby_code){ bytes, n > 0 ? (size_t)n : 0, sym.vaddr };
	return n > 0;
}

/* True: it has a name, or ruby->eval to eval_end is it. */
static bool find_eval(struct runtime_object *o, struct ruby *ruby)
{
	uint8_t bytes[2][MOST_CODE];
	struct ruby_code eval, eval_main;
	struct elf_symbol sym;
	uint64_t *starts;
	size_t n, i;

	if (elf_find_symbol(o->elf, "rb_vm_exec", &sym) || elf_find_symbol(o->elf, "vm_exec", &sym))
		return true;
	if (!read_code(o, "rb_iseq_eval", bytes[0], &eval) || !read_code(o, "rb_iseq_eval_main", bytes[1], &eval_main) ||
	    !elf_function_starts(o->elf, &starts, &n))
		return false;
	ruby->eval = ruby_common_callee(&eval, &eval_main, starts, n);
	for (i = 0; i < n && starts[i] <= ruby->eval; i++)
		;
	ruby->eval_end = i < n ? starts[i] : 0;
	free(starts);
	return ruby->eval && ruby->eval_end;
}

static uint64_t find_machine(struct runtime *r, struct runtime_object *o)
{
	uint64_t vm = runtime_symbol(&r->process, o, "ruby_current_vm_ptr");
	uint8_t bytes[MOST_CODE];
	struct ruby_code code;

	if (!vm && read_code(o, "rb_gc_count", bytes, &code))
		vm = ruby_loaded_word(bytes, code.len, code.vaddr + o->bias);
	return vm;
}

bool ruby_find(struct runtime *r, struct runtime_object *o, struct ruby *ruby)
{
	struct runtime_process *p = &r->process;
	uint64_t pair;

	ruby->string_class = runtime_symbol(p, o, "rb_cString");
	ruby->vm = find_machine(r, o);
	if (ruby->layout.thread_id) {
		ruby->place.at = runtime_symbol(p, o, "ruby_current_execution_context_ptr"); /* MP_TLS_ADDRESS */
		return ruby->place.at && find_eval(o, ruby);
	}
	if (!ruby->layout.vm_ractor)
		ruby->ractor = runtime_symbol(p, o, "ruby_single_main_ractor");
	if (ruby->layout.vm_ractor ? !ruby->vm : !ruby->ractor)
		return false;
	if (elf_find_tls_pair(o->elf, "ruby_current_ec", &pair) ? !thread_local_of_pair(p, pair + o->bias, &ruby->place) :
								  !thread_local_of_getter(p, o, "rb_thread_current", &ruby->place))
		return false;
	return find_eval(o, ruby);
}
