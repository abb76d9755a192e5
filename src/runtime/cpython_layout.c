/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Offsets in CPython's objects by version; see cpython.h. From the debug information of 3.11.7 and 3.12.1 (struct _ts,
 * _PyInterpreterFrame, PyCodeObject, PyInterpreterState of Include/cpython and Include/internal); 3.13 describes
 * itself (struct _Py_DebugOffsets, Include/internal/pycore_runtime.h). What follows of a version is checked on the
 * process (cpython_check): a vendor may have changed it.
 */
#include <string.h>

#include "runtime/cpython.h"

static const struct cpython_layout known[] = {
	{ .version = 0x030b, .runtime_interpreters = 40, .interp_next = 0, .interp_threads = 16, .interp_generations = 672,
	  .thread_next = 8, .thread_id = 152, .thread_frame = 56, .cframe_frame = 8 + 1, .frame_code = 32, .frame_previous = 48,
	  .frame_instr = 56, .frame_mark = 68, .is_entry = 1, .code_firstlineno = 72, .code_filename = 112,
	  .code_qualname = 128, .code_linetable = 136, .ascii_data = 48, .unicode_data = 72 },
	{ .version = 0x030c, .runtime_interpreters = 40, .interp_next = 0, .interp_threads = 72, .interp_generations = 136,
	  .thread_next = 8, .thread_id = 136, .thread_frame = 56, .cframe_frame = 0 + 1, .frame_code = 0, .frame_previous = 8,
	  .frame_instr = 56, .frame_mark = 70, .is_shim = 3, .code_firstlineno = 68, .code_filename = 112,
	  .code_qualname = 128, .code_linetable = 136, .ascii_data = 40, .unicode_data = 56 },
};

/* Where 3.13's table keeps them. */
static const struct {
	uint32_t in_table;
	size_t at;
} described[] = {
#define DESCRIBED(offset, field) { offset, offsetof(struct cpython_layout, field) }
	DESCRIBED(40, runtime_interpreters), DESCRIBED(64, interp_next),      DESCRIBED(72, interp_threads),
	DESCRIBED(80, interp_generations),   DESCRIBED(168, thread_next),     DESCRIBED(184, thread_frame),
	DESCRIBED(192, thread_id),	     DESCRIBED(232, frame_previous),  DESCRIBED(240, frame_code),
	DESCRIBED(248, frame_instr),	     DESCRIBED(264, frame_mark),      DESCRIBED(280, code_filename),
	DESCRIBED(296, code_qualname),	     DESCRIBED(304, code_linetable),  DESCRIBED(312, code_firstlineno),
	DESCRIBED(560, ascii_data),
#undef DESCRIBED
};

#define GENERATIONS_IN_GC 24 /* offset of generations in struct _gc_runtime_state, 3.11 to 3.13 */

bool cpython_layout_parse(struct cpython_layout *l, const uint8_t *table, size_t len)
{
	uint64_t version, free_threaded, v;
	size_t i;

	if (len < CPYTHON_TABLE_BYTES || memcmp(table, "xdebugpy", 8))
		return false;
	memcpy(&version, table + 8, sizeof(version));
	memcpy(&free_threaded, table + 16, sizeof(free_threaded));
	if (version >> 16 != 0x030d || free_threaded)
		return false;
	*l = (struct cpython_layout){ .version = 0x030d, .is_shim = 3 };
	for (i = 0; i < sizeof(described) / sizeof(described[0]); i++) {
		memcpy(&v, table + described[i].in_table, sizeof(v));
		if (v > 1 << 20)
			return false;
		*(uint32_t *)(void *)((char *)l + described[i].at) = (uint32_t)v;
	}
	l->interp_generations += GENERATIONS_IN_GC;
	l->unicode_data = l->ascii_data + 16; /* utf8_length, utf8 */
	return l->frame_code <= MP_PY_FRAME_BYTES - 8 && l->frame_previous <= MP_PY_FRAME_BYTES - 8 &&
	       l->frame_instr <= MP_PY_FRAME_BYTES - 8 && l->frame_mark < MP_PY_FRAME_BYTES;
}

bool cpython_layout_find(struct cpython_layout *l, const struct runtime_process *p, uint32_t version, uint64_t runtime)
{
	uint8_t table[CPYTHON_TABLE_BYTES];
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].version == version >> 16) {
			*l = known[i];
			return true;
		}
	return version >> 16 == 0x030d && runtime_read(p, runtime, table, sizeof(table)) &&
	       cpython_layout_parse(l, table, sizeof(table));
}
