/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where: a stack in a line or two beside a row's figures, the user's own code first, or all of its frames below them.
 * For the report and the comparison. Pure.
 */
#include <string.h>

#include "render/report_internal.h"

#define LEAST_WIDTH 10

struct where {
	struct buf text; /* finished lines */
	size_t column; /* where it begins */
	size_t width, used;
	unsigned int line, lines;
	bool full;
};

/* One more piece; begins the next line when it does not fit, cuts it when it is alone too long. */
static void where_add(struct where *w, const char *piece, size_t len)
{
	const char *separator = w->text.len ? " < " : "";
	size_t need = strlen(separator) + text_width(piece, len);

	if (w->full)
		return;
	if (w->used + need > w->width && w->used) {
		if (++w->line >= w->lines) {
			w->full = true;
			return;
		}
		buf_addc(&w->text, '\n');
		buf_pad(&w->text, ' ', w->column);
		separator = "< ";
		w->used = 0;
		need = 2 + text_width(piece, len);
	}
	buf_adds(&w->text, separator);
	if (w->used + need > w->width) {
		size_t room = w->width - w->used - strlen(separator) - 3;

		buf_add(&w->text, piece, text_cut(piece, len, room));
		buf_adds(&w->text, "...");
		w->used = w->width;
		return;
	}
	buf_add(&w->text, piece, len);
	w->used += need;
}

/* How often the frame at i stands there in a row, as in a recursion. */
static uint32_t equal_frames(const struct profile *p, const struct profile_stack *s, uint32_t i)
{
	const uint32_t *frames = &p->stack_frames[s->first_frame];
	uint32_t n = 1;

	while (i + n < s->n_frames && frames[i + n] == frames[i])
		n++;
	return n;
}

/* " session_cache.cc:118" */
static void add_place(struct buf *out, const struct profile *p, const struct profile_frame *f)
{
	const char *file = profile_str(p, f->file), *slash = strrchr(file, '/');

	if (!*file || !f->line)
		return;
	file = slash ? slash + 1 : file;
	buf_addc(out, ' ');
	buf_add_printable(out, file, strlen(file));
	buf_addf(out, ":%u", f->line);
}

void report_add_where(struct buf *out, const struct profile *p, const struct profile_stack *s, size_t column,
		      unsigned int columns, unsigned int lines)
{
	struct where w = { .text = BUF_INIT, .lines = lines };
	struct buf name = BUF_INIT, mark = BUF_INIT;
	uint32_t i;

	columns = columns ? columns : 100;
	w.column = column;
	w.width = columns > w.column + LEAST_WIDTH ? columns - w.column : LEAST_WIDTH;
	for (i = first_own_frame(p, s); i < s->n_frames && !w.full; i++) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];
		uint32_t again = equal_frames(p, s, i);
		size_t keep; /* where all of it has no room, the name has it */

		buf_reset(&name);
		if (p->n_procs > 1 && !w.text.len) { /* whose stack it is */
			buf_add_plain(&name, profile_str(p, p->procs[s->proc].comm));
			buf_adds(&name, ": ");
		}
		if (s->plane == STACK_VM && !w.text.len && f->class != FRAME_NOTE)
			buf_addf(&name, "%s ", profile_str(p, p->frames[p->stack_frames[s->first_frame]].name));
		add_short_name(&name, profile_str(p, f->name));
		if (again > 1)
			buf_addf(&name, " x%u", again);
		i += again - 1;
		keep = name.len;
		add_place(&name, p, f);
		where_add(&w, name.data, text_width(name.data, name.len) + 2 <= w.width ? name.len : keep);
	}
	buf_reset(&name);
	stack_mark(p, s, &mark);
	buf_add_printable(&name, mark.data, mark.len);
	if (name.len)
		where_add(&w, name.data, name.len);
	if (!s->n_frames)
		where_add(&w, "[unknown]", 9);
	buf_add(out, w.text.data, w.text.len);
	buf_addc(out, '\n');
	buf_release(&w.text);
	buf_release(&name);
	buf_release(&mark);
}

void report_add_frames(struct buf *out, const struct profile *p, const struct profile_stack *s)
{
	const struct profile_proc *proc = &p->procs[s->proc];
	struct buf mark = BUF_INIT;
	uint32_t i;

	buf_adds(out, "          ");
	buf_add_plain(out, profile_str(p, proc->comm));
	buf_addf(out, " (pid %d)\n", proc->tgid);
	for (i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = &p->frames[p->stack_frames[s->first_frame + i]];
		const char *name = profile_str(p, f->name), *module = profile_str(p, f->module);

		buf_adds(out, "          ");
		buf_add_printable(out, name, strlen(name));
		if (*module && name[0] != '[') {
			buf_adds(out, "  (");
			buf_add_plain(out, module);
			buf_addc(out, ')');
		}
		add_place(out, p, f);
		if (f->inlined)
			buf_adds(out, "  inlined");
		buf_addc(out, '\n');
	}
	if (*stack_mark(p, s, &mark)) {
		buf_adds(out, "          ");
		buf_add_printable(out, mark.data, mark.len);
		buf_addc(out, '\n');
	}
	buf_release(&mark);
}
