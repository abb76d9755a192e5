/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See preliminary.h. */
#include "app/preliminary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app/output.h"
#include "base/log.h"
#include "base/units.h"
#include "base/xalloc.h"

#define FIRST_NS (5 * NS_PER_S)
#define EACH_NS NS_PER_S
#define COST_FACTOR 20 /* a drawing takes a twentieth of the time at most */
#define CLEAR "\r\033[J"
#define MOST_LINES 24u

struct preliminary {
	const struct options *o;
	uint64_t due_ns, armed_ns, end_ns;
	bool is_drawn;
	bool as_lines;	 /* to stderr: the screen is COMMAND's */
	uint64_t wait_ns; /* until the next of them */
};

/* COMMAND writes to the terminal, too: a line of progress now and then, ever more seldom. */
static struct preliminary *new_lines(const struct options *o)
{
	struct preliminary *p;

	if (!isatty(STDERR_FILENO) || options_whole_machine(o))
		return NULL;
	p = xcalloc(1, sizeof(*p));
	*p = (struct preliminary){ .o = o, .due_ns = UINT64_MAX, .as_lines = true, .wait_ns = FIRST_NS };
	return p;
}

/* With snapshots in between others write to the terminal too. */
struct preliminary *preliminary_new(const struct options *o)
{
	const char *term = getenv("TERM");
	struct preliminary *p;

	if (o->verb == VERB_PROFILE && !o->quiet && !o->interval_ns && o->command)
		return new_lines(o);
	if (o->verb != VERB_PROFILE || o->quiet || o->interval_ns || o->n_outputs)
		return NULL;
	if (!isatty(STDOUT_FILENO) || !term || !*term || !strcmp(term, "dumb"))
		return NULL;
	if (o->renderer && strcmp(o->renderer->name, "report") != 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->o = o;
	p->due_ns = UINT64_MAX;
	return p;
}

static void put(const char *s, size_t len)
{
	ssize_t n = write(STDOUT_FILENO, s, len);

	(void)n; /* the report's own writing will tell */
}

void preliminary_clear(struct preliminary *p)
{
	if (!p)
		return;
	log_set_prelude(NULL);
	if (p->is_drawn)
		put(CLEAR, strlen(CLEAR));
	p->is_drawn = false;
}

void preliminary_free(struct preliminary *p)
{
	preliminary_clear(p);
	free(p);
}

uint64_t preliminary_due_ns(const struct preliminary *p)
{
	return p ? p->due_ns : UINT64_MAX;
}

void preliminary_begin(struct preliminary *p, uint64_t armed_ns, uint64_t end_ns)
{
	if (!p)
		return;
	p->armed_ns = armed_ns;
	p->end_ns = end_ns;
	p->due_ns = armed_ns + FIRST_NS;
}

/* The last line has no end, and then up to the first: a scroll moves both. */
static void draw(struct buf *text)
{
	struct buf b = BUF_INIT;
	unsigned int lines = 0;
	const char *s;

	if (text->len && text->data[text->len - 1] == '\n')
		text->data[--text->len] = '\0';
	buf_adds(&b, CLEAR);
	for (s = text->data; *s; s++) {
		if (*s == '\n')
			buf_addc(&b, '\r');
		lines += *s == '\n';
		buf_addc(&b, *s);
	}
	buf_addc(&b, '\r');
	if (lines)
		buf_addf(&b, "\033[%uA", lines);
	put(b.data, b.len);
	buf_release(&b);
}

static void tell(struct preliminary *p, const struct profile *profile, struct report_preliminary_opts *o, uint64_t now_ns)
{
	struct buf b = BUF_INIT;

	p->wait_ns *= 2;
	p->due_ns = now_ns + p->wait_ns;
	o->render.color = false;
	o->lines = 2;
	report_preliminary(&b, profile, o);
	log_info("%.*s", (int)strcspn(b.data, "\n"), b.data);
	buf_release(&b);
}

void preliminary_draw(struct preliminary *p, const struct profile *profile, uint64_t began_ns, uint64_t now_ns)
{
	uint64_t wait_ns = (now_ns - began_ns) * COST_FACTOR;
	struct report_preliminary_opts o = { .end_ns = p->end_ns == UINT64_MAX ? 0 : p->end_ns - p->armed_ns };
	struct winsize w;
	struct buf b = BUF_INIT;

	p->due_ns = now_ns + (wait_ns > EACH_NS ? wait_ns : EACH_NS);
	output_render_options(p->o, &o.render);
	if (p->as_lines) {
		tell(p, profile, &o, now_ns);
		return;
	}
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || w.ws_row < 4 || w.ws_col < 20)
		return;
	o.render.columns = w.ws_col;
	o.lines = w.ws_row - 1u < MOST_LINES ? w.ws_row - 1u : MOST_LINES;
	report_preliminary(&b, profile, &o);
	draw(&b);
	p->is_drawn = true;
	if (isatty(STDERR_FILENO))
		log_set_prelude(CLEAR);
	buf_release(&b);
}
