/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ruby 2.7, 3.1 and 3.3 (libruby): Ruby methods and lines in the stacks, and its objects by class. Of other versions only
 * the name. The current thread's execution context is found as libruby itself does, in thread-local storage; in
 * 2.7 it is a global, that of the thread which runs. C functions have no frames of their own here: the native ones show
 * them.
 */
#include "runtime/ruby.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtimes.h"

#define CHECKS 20 /* the process runs meanwhile: one look may see two moments */

static bool is_version_next(const char *s)
{
	return !*s || (*s >= '0' && *s <= '9') || *s == '.' || *s == '-';
}

static bool ruby_is_own_object(const char *module)
{
	return (!strncmp(module, "libruby", 7) && is_version_next(module + 7)) ||
	       (!strncmp(module, "ruby", 4) && is_version_next(module + 4));
}

/* r->reason, or it can be read. 0, or -EAGAIN. */
static int prepare(struct runtime *r, struct runtime_object *o, void *state)
{
	const struct ruby_layout *layout;
	struct ruby *ruby = state;
	struct buf version = BUF_INIT;
	int err = -ESTALE, i;

	runtime_text(&r->process, runtime_symbol(&r->process, o, "ruby_version"), 16, &version);
	snprintf(r->version, sizeof(r->version), "%s", version.len ? version.data : "(unknown)");
	buf_release(&version);
	layout = ruby_layout_find(r->version);
	if (!layout) {
		snprintf(r->reason, sizeof(r->reason), "its layout is not known here: native stacks only");
		return 0;
	}
	ruby->layout = *layout;
	if (!ruby_find(r, o, ruby)) {
		if (runtime_is_young(r))
			return -EAGAIN;
		snprintf(r->reason, sizeof(r->reason), "where it keeps its context cannot be told: native stacks only");
		return 0;
	}
	for (i = 0; i < CHECKS && err == -ESTALE; i++)
		err = ruby_check(r, ruby);
	if (err == -EAGAIN)
		return err;
	r->has_frames = r->has_census = !err;
	if (err)
		snprintf(r->reason, sizeof(r->reason), "it is not laid out as this version should be: native stacks only");
	else
		snprintf(r->hint, sizeof(r->hint), "blocks are malloc's, not objects; objects by class: memprobe census -p %d",
			 (int)r->process.pid);
	return 0;
}

static int ruby_open(struct runtime *r)
{
	struct runtime_object *o = runtime_find_object(&r->process, "libruby");

	if (!o || !runtime_symbol(&r->process, o, "ruby_version"))
		o = runtime_find_object(&r->process, "ruby");
	if (!o || !runtime_symbol(&r->process, o, "ruby_version"))
		return -ENOENT;
	return runtime_open_state(r, o, sizeof(struct ruby), prepare);
}

static void ruby_close(struct runtime *r)
{
	struct ruby *ruby = r->state;

	ruby_old_release(&ruby->old);
	runtime_free_state(r);
}

static void ruby_config(const struct runtime *r, struct mp_runtime *words)
{
	const struct ruby *ruby = r->state;

	words->w[MP_RB_TLS_HOW] = ruby->place.how;
	words->w[MP_RB_TLS_MODULE] = ruby->place.module;
	words->w[MP_RB_TLS_AT] = ruby->place.at;
	words->w[MP_RB_FRAME_WORDS] = ruby->layout.frame_bytes / 8;
	words->w[MP_RB_THREAD] = ruby->layout.context_thread;
	words->w[MP_RB_THREAD_ID] = ruby->layout.thread_id;
}

/* .../lib/ruby/3.1.0/set.rb and rubygems itself, but no gem; what is built in has "<internal:array>". */
static bool is_standard_library(const char *file)
{
	const char *lib = strstr(file, "/lib/ruby/");

	if (!strncmp(file, "<internal:", 10))
		return true;
	return lib && !strstr(lib, "/gems/") &&
	       ((lib[10] >= '0' && lib[10] <= '9') || !strncmp(lib + 10, "vendor_ruby/rubygems", 20));
}

static int ruby_resolve(struct runtime *r, uint64_t code, uint64_t at, struct runtime_name *name)
{
	int err = ruby_frame_name(&r->process, &((const struct ruby *)r->state)->layout, code, at, name);

	if (!err)
		name->is_internal = is_standard_library(name->file.data);
	return err;
}

/*
 * Each run of the loop has one frame of rb_vm_exec; the loop itself, which that calls, has no name in a stripped
 * library, and may not be there while an exception is looked after.
 */
static bool ruby_is_eval(const struct runtime *r, const char *symbol, const char *module, uint64_t vaddr)
{
	const struct ruby *ruby = r->state;

	if (!ruby_is_own_object(module))
		return false;
	if (ruby->eval)
		return vaddr >= ruby->eval && vaddr < ruby->eval_end;
	return !strcmp(symbol, "rb_vm_exec") || !strcmp(symbol, "vm_exec") || !strncmp(symbol, "rb_vm_exec.", 11);
}

/*
 * Arrays and small hashes lie in a heap of their own while they are young (transient_heap.c, 2.6 to 3.2). When they
 * have outlived a collection they move to malloc's, as a postponed job, in whatever method runs next.
 */
static bool ruby_is_mover(const char *symbol, const char *module)
{
	return !strcmp(symbol, "rb_postponed_job_flush") && ruby_is_own_object(module);
}

static bool ruby_is_at_rest(struct runtime *r)
{
	uint64_t full;

	return ruby_is_marked(r, &full);
}

const struct runtime_ops ruby_runtime = {
	.name = "Ruby",
	.kind = MP_RT_RUBY,
	.open = ruby_open,
	.close = ruby_close,
	.config = ruby_config,
	.resolve = ruby_resolve,
	.is_eval = ruby_is_eval,
	.is_mover = ruby_is_mover,
	.is_own_object = ruby_is_own_object,
	.census = ruby_census,
	.census_is_quick = true,
	.is_at_rest = ruby_is_at_rest,
	.collections = ruby_collections,
	.object_counter = ruby_object_counter,
	.heap_ranges = ruby_pages,
	.heap_name = "Ruby's heap pages",
};
