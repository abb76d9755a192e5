/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Folded stacks, for any flame graph tool: root first, one line per stack, nothing else.
 *
 *	gatewayd-4242;main;EventLoop::run;SessionCache::insert;operator new(unsigned long) 43632000
 *	gatewayd-4242;[truncated: no unwind info in libcodec.so];decode;malloc 128
 *
 * An inlined function has "_[i]" behind its name, which flame graph tools know. ';' in a name becomes ':',
 * control bytes a blank; equal lines are one; heaviest first, then by text, so that the same profile gives the
 * same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "render/folded_text.h"
#include "render/formats.h"

struct line {
	char *text;
	uint64_t value;
};

static void add_name(struct buf *b, const char *name)
{
	struct buf clean = BUF_INIT;
	size_t i;

	buf_add_printable(&clean, name, strlen(name));
	for (i = 0; i < clean.len; i++) {
		char c = clean.data[i];

		buf_addc(b, c == ';' ? ':' : c == '\t' ? ' ' : c);
	}
	if (!clean.len)
		buf_adds(b, "[unknown]");
	buf_release(&clean);
}

char *folded_text(const struct profile *p, const struct profile_stack *s)
{
	const struct profile_proc *proc = &p->procs[s->proc];
	struct buf b = BUF_INIT, mark = BUF_INIT;
	uint32_t i;

	add_name(&b, profile_str(p, proc->comm));
	if (proc->tgid)
		buf_addf(&b, "-%d", proc->tgid);
	if (*stack_mark(p, s, &mark)) {
		buf_addc(&b, ';');
		add_name(&b, mark.data);
	}
	buf_release(&mark);
	for (i = s->n_frames; i-- > 0;) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];

		buf_addc(&b, ';');
		add_name(&b, profile_str(p, f->name));
		if (f->inlined)
			buf_adds(&b, "_[i]");
	}
	return buf_detach(&b);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

static int by_weight(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return strcmp(x->text, y->text);
}

static size_t merge_equal(struct line *lines, size_t n)
{
	size_t i, o = 0;

	for (i = 0; i < n; i++) {
		if (o && !strcmp(lines[o - 1].text, lines[i].text)) {
			lines[o - 1].value += lines[i].value;
			free(lines[i].text);
		} else {
			lines[o++] = lines[i];
		}
	}
	return o;
}

void render_folded(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct line *lines = xcalloc(p->n_stacks, sizeof(*lines));
	size_t n = 0, i;

	for (i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];
		uint64_t value = stack_metric(s, o->metric);

		if (value && s->live_bytes >= o->min_bytes)
			lines[n++] = (struct line){ folded_text(p, s), value };
	}
	if (n)
		qsort(lines, n, sizeof(*lines), by_text);
	n = merge_equal(lines, n);
	if (n)
		qsort(lines, n, sizeof(*lines), by_weight);
	for (i = 0; i < n; i++) {
		buf_addf(out, "%s %llu\n", lines[i].text, (unsigned long long)lines[i].value);
		free(lines[i].text);
	}
	free(lines);
}
