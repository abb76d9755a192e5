/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The table of managed runtimes, and what they share; see runtime.h. */
#include "runtime/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "proc/process.h"
#include "runtime/runtimes.h"

#define YOUNG_NS (5 * NS_PER_S)
/* One that waits for a CPU, or is held meanwhile, is no older for that; but one at rest is. */
#define YOUNG_RAN_NS NS_PER_S
#define YOUNG_MOST_NS (20 * NS_PER_S)

/* In this order; a process has one. */
static const struct runtime_ops *const table[] = {
#define RUNTIME(ops) &ops,
#include "runtime/runtimes.def"
#undef RUNTIME
	NULL,
};

int runtime_open(struct runtime **out, const char *proc_root, pid_t pid)
{
	struct runtime *r = xcalloc(1, sizeof(*r));
	int err = runtime_process_open(&r->process, proc_root, pid);
	size_t i;

	if (err) {
		free(r);
		return err;
	}
	err = -ENOENT;
	for (i = 0; table[i] && err == -ENOENT; i++) {
		r->ops = table[i];
		err = table[i]->open(r);
	}
	if (!err) {
		*out = r;
		return 0;
	}
	runtime_process_close(&r->process);
	free(r);
	return err;
}

void runtime_close(struct runtime *r)
{
	if (!r)
		return;
	r->ops->close(r);
	runtime_process_close(&r->process);
	free(r);
}

bool runtime_may_be(const char *module)
{
	size_t i;

	for (i = 0; table[i]; i++)
		if (table[i]->is_own_object(module))
			return true;
	return false;
}

const struct runtime_ops *runtime_ops_named(const char *name)
{
	size_t i;

	for (i = 0; table[i]; i++)
		if (!strcmp(table[i]->name, name))
			return table[i];
	return NULL;
}

int runtime_open_state(struct runtime *r, struct runtime_object *o, size_t bytes,
		       int (*prepare)(struct runtime *r, struct runtime_object *o, void *state))
{
	int err;

	r->state = xcalloc(1, bytes);
	err = prepare(r, o, r->state);
	if (err)
		runtime_free_state(r);
	return err;
}

void runtime_free_state(struct runtime *r)
{
	free(r->state);
	r->state = NULL;
}

bool runtime_is_young(const struct runtime *r)
{
	struct proc_stat st;

	if (proc_stat_read(&st, r->process.proc_root, r->process.pid))
		return false;
	return st.start_age_ns < YOUNG_NS || (st.start_age_ns < YOUNG_MOST_NS && st.cpu_ns < YOUNG_RAN_NS);
}

void runtime_name_release(struct runtime_name *n)
{
	buf_release(&n->function);
	buf_release(&n->file);
}

void runtime_census_add(struct runtime_census *c, const char *name, uint64_t objects, uint64_t bytes)
{
	XGROW(c->v, c->n, c->cap);
	c->v[c->n++] = (struct runtime_type){ .name = xstrdup(name), .objects = objects, .bytes = bytes };
}

void runtime_ranges_add(struct runtime_ranges *v, uint64_t start, uint64_t end)
{
	if (v->n && v->v[v->n - 1].end == start) {
		v->v[v->n - 1].end = end;
		return;
	}
	XGROW(v->v, v->n, v->cap);
	v->v[v->n++] = (struct runtime_range){ start, end };
}

void runtime_ranges_release(struct runtime_ranges *v)
{
	free(v->v);
	*v = (struct runtime_ranges){ 0 };
}

void runtime_census_set_old(struct runtime_census *c, uint64_t objects, uint64_t bytes, uint32_t *since)
{
	c->v[c->n - 1].old = objects;
	c->v[c->n - 1].old_bytes = bytes;
	c->v[c->n - 1].since = since;
}

void runtime_census_release(struct runtime_census *c)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		free(c->v[i].name);
		free(c->v[i].since);
	}
	free(c->v);
	free(c->holders);
	free(c->held);
	intern_release(&c->holder_names);
	*c = (struct runtime_census){ 0 };
}

void runtime_merge(const bool *eval, size_t n_native, const struct mp_rt_frame *v, size_t n, uint32_t *before)
{
	size_t i, at = 0;

	memset(before, 0, (n_native + 1) * sizeof(*before));
	for (i = 0; i < n_native && at < n; i++) {
		if (!eval[i])
			continue;
		while (at < n) {
			before[i]++;
			if (v[at++].at & MP_RT_ENTRY)
				break;
		}
	}
	before[n_native] = (uint32_t)(n - at);
}
