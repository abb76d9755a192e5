/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * CPython: Python functions and lines in the stacks of python 3.11, 3.12 and 3.13, and its objects by type. Of other
 * versions, and of builds without a global interpreter lock, only the name. The current thread's state is found as
 * _PyThreadState_UncheckedGet itself does.
 */
#include "runtime/cpython.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtimes.h"

#define CHECKS 20 /* the process runs meanwhile: one look may see two moments */

static bool is_version_next(const char *s)
{
	return !*s || (*s >= '0' && *s <= '9');
}

static bool cpython_is_own_object(const char *module)
{
	return (!strncmp(module, "libpython", 9) && is_version_next(module + 9)) ||
	       (!strncmp(module, "python", 6) && is_version_next(module + 6));
}

/* The object with the interpreter: the library before the program, which may be a mere start of it (then, none yet). */
static struct runtime_object *find_interpreter(struct runtime_process *p)
{
	static const char *const names[] = { "libpython", "libpython3", "python", "python3", "uwsgi" };
	struct runtime_object *o, *named = NULL;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		o = runtime_find_object(p, names[i]);
		if (o && runtime_symbol(p, o, "_PyRuntime"))
			return o;
		if (o && !named && cpython_is_own_object(o->name) && runtime_symbol(p, o, "Py_Initialize"))
			named = o;
	}
	return named;
}

static uint32_t read_version(struct runtime *r, struct runtime_object *o)
{
	uint64_t at = runtime_symbol(&r->process, o, "Py_Version");
	uint32_t v = at ? (uint32_t)runtime_word(&r->process, at) : 0;

	if (v)
		snprintf(r->version, sizeof(r->version), "%u.%u.%u", v >> 24, v >> 16 & 255, v >> 8 & 255);
	else
		snprintf(r->version, sizeof(r->version), "before 3.11");
	return v;
}

/* Types known by their symbols; the code object's type tells where its instructions begin (tp_basicsize). */
static bool find_types(struct runtime *r, struct runtime_object *o, struct cpython *c)
{
	struct runtime_process *p = &r->process;

	c->code_type = runtime_symbol(p, o, "PyCode_Type");
	c->bytes_type = runtime_symbol(p, o, "PyBytes_Type");
	c->unicode_type = runtime_symbol(p, o, "PyUnicode_Type");
	c->type_type = runtime_symbol(p, o, "PyType_Type");
	c->dict_type = runtime_symbol(p, o, "PyDict_Type");
	c->list_type = runtime_symbol(p, o, "PyList_Type");
	c->set_type = runtime_symbol(p, o, "PySet_Type");
	if (!c->code_type || !c->bytes_type || !c->unicode_type || !c->type_type)
		return false;
	c->code_start = (uint32_t)runtime_word(p, c->code_type + 32);
	return c->code_start >= c->layout.code_linetable + 8 && c->code_start <= 256;
}

static bool find_place(struct runtime *r, struct runtime_object *o, struct cpython *c)
{
	static const char *const getters[] = { "_PyThreadState_UncheckedGet", "PyThreadState_GetUnchecked",
					       "_PyThreadState_GetCurrent" };
	size_t i;

	for (i = 0; i < sizeof(getters) / sizeof(getters[0]); i++)
		if (thread_local_of_getter(&r->process, o, getters[i], &c->place))
			return true;
	return false;
}

/* r->reason, or it can be read. 0, or -EAGAIN. */
static int prepare(struct runtime *r, struct runtime_object *o, void *state)
{
	struct cpython *c = state;
	uint32_t version = read_version(r, o);
	int err = -ESTALE, i;

	c->runtime = runtime_symbol(&r->process, o, "_PyRuntime");
	if (!version || !c->runtime ||
	    !cpython_layout_find(&c->layout, &r->process, version, c->runtime)) {
		snprintf(r->reason, sizeof(r->reason), "its layout is not known here: native stacks only");
		return 0;
	}
	if (!find_types(r, o, c) || !find_place(r, o, c)) {
		if (runtime_is_young(r))
			return -EAGAIN;
		snprintf(r->reason, sizeof(r->reason), "where it keeps its thread state cannot be told: native stacks only");
		return 0;
	}
	for (i = 0; i < CHECKS && err == -ESTALE; i++)
		err = cpython_check(r, c);
	if (err == -EAGAIN)
		return err;
	r->has_frames = r->has_census = !err;
	c->own_state = err ? 0 : cpython_own_state(&r->process, c);
	if (err)
		snprintf(r->reason, sizeof(r->reason), "it is not laid out as this version should be: native stacks only");
	else
		snprintf(r->hint, sizeof(r->hint),
			 "blocks are malloc's, not objects of up to 512 B; objects by type: memprobe census -p %d",
			 (int)r->process.pid);
	return 0;
}

static int cpython_open(struct runtime *r)
{
	struct runtime_object *o = find_interpreter(&r->process);

	return o ? runtime_open_state(r, o, sizeof(struct cpython), prepare) : -ENOENT;
}

static void cpython_config(const struct runtime *r, struct mp_runtime *words)
{
	const struct cpython *c = r->state;
	const struct cpython_layout *l = &c->layout;

	words->w[MP_PY_TLS_HOW] = c->place.how;
	words->w[MP_PY_TLS_MODULE] = c->place.module;
	words->w[MP_PY_TLS_AT] = c->place.at;
	words->w[MP_PY_THREAD_ID] = l->thread_id;
	words->w[MP_PY_FRAME] = l->thread_frame;
	words->w[MP_PY_CFRAME_FRAME] = l->cframe_frame;
	words->w[MP_PY_FRAME_CODE] = l->frame_code;
	words->w[MP_PY_FRAME_PREVIOUS] = l->frame_previous;
	words->w[MP_PY_FRAME_INSTR] = l->frame_instr;
	words->w[MP_PY_FRAME_MARK] = l->frame_mark;
	words->w[MP_PY_FRAME_IS_SHIM] = l->is_shim;
	words->w[MP_PY_FRAME_IS_ENTRY] = l->is_entry;
	words->w[MP_PY_OWN_STATE] = c->own_state;
}

/* .../lib/python3.11/json/encoder.py, but not what was installed beside it; what is built in has "<frozen os>". */
static bool is_standard_library(const char *file)
{
	const char *lib = strstr(file, "/lib/python3");
	const char *next = lib ? strchr(lib + 5, '/') : NULL;

	if (!strncmp(file, "<frozen ", 8))
		return true;
	return next && strncmp(next, "/site-packages/", 15) && strncmp(next, "/dist-packages/", 15);
}

static int cpython_resolve(struct runtime *r, uint64_t code, uint64_t at, struct runtime_name *name)
{
	const struct cpython *c = r->state;
	struct cpython_code k;
	int err;

	if (!cpython_code_read(&r->process, c, code, &k))
		return -ESTALE;
	err = cpython_code_line(&r->process, c, &k, at, &name->line);
	if (err)
		return err;
	/* what was compiled without a file has "" */
	if (!cpython_text(&r->process, c, k.qualname, &name->function) || !name->function.len ||
	    !cpython_text(&r->process, c, k.filename, &name->file))
		return -ESTALE;
	name->is_internal = is_standard_library(name->file.data);
	return 0;
}

static bool cpython_is_eval(const struct runtime *r, const char *symbol, const char *module, uint64_t vaddr)
{
	(void)r;
	(void)vaddr;
	return !strncmp(symbol, "_PyEval_EvalFrameDefault", 24) &&
	       (cpython_is_own_object(module) || !strncmp(module, "uwsgi", 5));
}

const struct runtime_ops cpython_runtime = {
	.name = "CPython",
	.kind = MP_RT_CPYTHON,
	.open = cpython_open,
	.close = runtime_free_state,
	.config = cpython_config,
	.resolve = cpython_resolve,
	.is_eval = cpython_is_eval,
	.is_own_object = cpython_is_own_object,
	.census = cpython_census,
	.census_is_quick = true,
	.collections = cpython_collections,
	.heap_ranges = cpython_pools,
	.heap_name = "pymalloc: Python's small objects",
};
