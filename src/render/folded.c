/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Folded stacks, for any flame graph tool: root first, one line per stack, nothing else.
 *
 *	gatewayd-4242;main;EventLoop::run;SessionCache::insert;operator new(unsigned long) 43632000
 *	gatewayd-4242;[truncated: no unwind info in libcodec.so];decode;malloc 128
 *
 * An inlined function has "_[i]" behind its name, which flame graph tools know. ';' in a name becomes ':',
 * control bytes and Unicode's line ends a blank; equal lines are one; heaviest first, then by their names,
 * so that the same profile gives the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "render/folded_text.h"
#include "render/formats.h"
#include "render/stack_order.h"

static void add_name(struct buf *b, const char *name)
{
	/* line ends of Unicode, which end lines for readers in JavaScript (speedscope) and Python */
	static const char *const line_ends[] = { "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9" };
	size_t start = b->len, i, k, len;

	buf_add_plain(b, *name ? name : "[unknown]");
	for (i = start; i < b->len; i++)
		if (b->data[i] == ';')
			b->data[i] = ':';
	for (k = 0; k < 3; k++) {
		char *at = b->data + start;

		len = strlen(line_ends[k]);
		while ((at = strstr(at, line_ends[k]))) {
			*at++ = ' ';
			memmove(at, at + len - 1, (size_t)(b->data + b->len - at) - len + 2);
			b->len -= len - 1;
		}
	}
}

static void add_frame(struct buf *b, const struct profile *p, uint32_t frame)
{
	add_name(b, profile_str(p, p->frames[frame].name));
	if (p->frames[frame].inlined)
		buf_adds(b, "_[i]");
}

/* names: of each frame, as add_frame writes them, or NULL */
static void add_stack(struct buf *out, const struct profile *p, const struct profile_stack *s, char *const *names,
		      struct buf *mark)
{
	const struct profile_proc *proc = &p->procs[s->proc];
	uint32_t i;

	add_name(out, profile_str(p, proc->comm));
	if (proc->tgid)
		buf_addf(out, "-%d", proc->tgid);
	if (*stack_mark(p, s, mark)) {
		buf_addc(out, ';');
		add_name(out, mark->data);
	}
	for (i = s->n_frames; i-- > 0;) {
		uint32_t frame = p->stack_frames[s->first_frame + i];

		buf_addc(out, ';');
		if (names)
			buf_adds(out, names[frame]);
		else
			add_frame(out, p, frame);
	}
}

char *folded_text(const struct profile *p, const struct profile_stack *s)
{
	struct buf b = BUF_INIT, mark = BUF_INIT;

	add_stack(&b, p, s, NULL, &mark);
	buf_release(&mark);
	return buf_detach(&b);
}

/* Of each frame, as it stands in a line. */
static char **make_names(const struct profile *p)
{
	char **names = xcalloc(p->n_frames, sizeof(*names));
	size_t i;

	for (i = 0; i < p->n_frames; i++) {
		struct buf b = BUF_INIT;

		add_frame(&b, p, (uint32_t)i);
		names[i] = buf_detach(&b);
	}
	return names;
}

void render_folded(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	char **names = make_names(p);
	struct buf mark = BUF_INIT;
	struct stack_order order;
	size_t i;

	stack_order_make_by_names(&order, p, o, (const char *const *)names);
	for (i = 0; i < order.n && ordered_stack_metric(&order.v[i], o->metric); i++) {
		add_stack(out, p, order.v[i].s, names, &mark);
		buf_addf(out, " %llu\n", (unsigned long long)ordered_stack_metric(&order.v[i], o->metric));
		render_drain(o, out);
	}
	for (i = 0; i < p->n_frames; i++)
		free(names[i]);
	free(names);
	buf_release(&mark);
	stack_order_release(&order);
}
