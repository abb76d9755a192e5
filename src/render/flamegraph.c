/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Flame graph: one SVG file, no network, that is a picture without scripts and interactive with them.
 *
 *	gatewayd (pid 4242) on app-17: 43.2 MiB allocated since the attach and still live (30 s to ...)
 *	Width = live bytes. Not in the picture: 5.60 GiB of anonymous memory from before the attach.
 *	EXACT: every malloc and free was counted, nothing sampled. Lost: nothing. Complete stacks: 99.98 %
 *	+-------------------------------- all ---------------------------------+
 *	+--------------------------- gatewayd-4242 ----------------------------+
 *	+---------------------------- main ------------------------------+|load|
 *	+----------------------- EventLoop::run ------------+|parse|//////
 *
 * The first view is drawn here: for mail previews, converters and pages that run no scripts. The
 * script (flamegraph_script.c) draws it again from the data in the <metadata> elements:
 *
 *	mp-info	   NAME VALUE lines: total, cut, names left out
 *	mp-names   TOTAL NAME lines, total in base 36: exact, also of frames too small for the tree
 *	mp-modules one object a line
 *	mp-places  one source file and line, or "inlined", a line; the first is of those without
 *	mp-keys	   name,module,kind * FLAME_SHADES + shade,place; by ';'. place 0 is left out. Numbers of lines
 *	           from 0, all in base 36. The first is the root's, of kind 0: its name is none of the names
 *	mp-nodes   key,bytes,blocks,up,stacks; by ';', in pre-order. up: levels between the node before
 *	           and this one's parent (0, left out: its child). No key: a remainder, with its stacks.
 *	           Of a comparison there is +GROWN behind: bytes are what changed, this much of it up
 *
 * Foreign text gets into the file through flame_add_clean and flame_add_xml only, and the script
 * makes text nodes of it, never markup. The same profile gives the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "render/flamegraph_internal.h"
#include "render/formats.h"

#define WIDTH 1200
#define MARGIN 10
#define ROW 18	      /* from one row of frames to the next */
#define CELL 7.3      /* width of a letter in a frame, monospace, 12 px */
#define TEXT_CELL 6.3 /* of a letter elsewhere; a mean, rather wide */
#define TITLE_CELL 8.6
#define LINE 17
#define NARROW 4      /* frames below have no border: it would be all that is seen */
#define BAR 40 /* room of the tool bar */
/* Frames narrower than this share of the picture are merged, at any zoom, in parts of a thousand. */
#define MIN_SHARE 1
/* More frames than this are not drawn here: narrower ones go to the remainders until they fit. */
#define MAX_DRAWN 2500
/* A frame's title in the first view is cut here; the script shows all of it. */
#define MAX_TITLE_COLUMNS 160

struct view {
	struct buf *out; /* NULL: only count */
	const struct flame *f;
	double min_width;
	unsigned int top; /* of the first row */
	unsigned int n_drawn, n_rows;
};

/* ---- frames ---- */

static void add_rect(struct view *v, const struct flame_node *n, unsigned int depth, double x, double width)
{
	bool is_rest = n->key == FLAME_NO_KEY;
	const struct flame_key *k = is_rest ? NULL : &v->f->keys[n->key];
	unsigned int y = v->top + depth * ROW;
	struct buf text = BUF_INIT, label = BUF_INIT;

	flame_add_details(&text, v->f, n);
	flame_add_label(&label, text.data, MAX_TITLE_COLUMNS);
	buf_adds(v->out, "<g><title>");
	flame_add_xml(v->out, label.data, label.len);
	buf_adds(v->out, "</title><rect class=\"");
	if (v->f->diff && !is_rest)
		buf_addf(v->out, "g%d ", flame_sign_of(n));
	buf_addf(v->out, "k%u s%u%s\" x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\"/>",
		 is_rest ? (unsigned int)FLAME_REST : (unsigned int)k->kind,
		 is_rest || v->f->diff ? 0 : flame_shade(flame_node_text(v->f, n)), width < NARROW ? " n" : "", x, y, width,
		 ROW - 1);
	buf_reset(&label);
	buf_reset(&text);
	if (v->f->diff && flame_sign_of(n))
		buf_adds(&text, flame_sign_of(n) == FLAME_GREW ? "+ " : "- ");
	buf_adds(&text, is_rest ? "smaller stacks" : flame_node_text(v->f, n));
	flame_add_label(&label, text.data, width > 6 ? (unsigned int)((width - 6) / CELL) : 0);
	if (label.len) {
		buf_addf(v->out, "<text x=\"%.1f\" y=\"%u\">", x + 3, y + 13);
		flame_add_xml(v->out, label.data, label.len);
		buf_adds(v->out, "</text>");
	}
	buf_adds(v->out, "</g>\n");
	buf_release(&text);
	buf_release(&label);
}

/* A node and, left to right, its children; what is too narrow becomes one frame. */
static void draw(struct view *v, uint32_t at, unsigned int depth, double x, double width)
{
	const struct flame *f = v->f;
	const struct flame_node *n = &f->nodes[at], *c;
	double value = (double)flame_value(f, n), w;
	struct flame_node rest = { .key = FLAME_NO_KEY };
	uint32_t i;

	v->n_drawn++;
	if (depth >= v->n_rows)
		v->n_rows = depth + 1;
	if (v->out)
		add_rect(v, n, depth, x, width);
	for (i = at + 1; i < n->end; i = c->end) {
		c = &f->nodes[i];
		w = (double)flame_value(f, c) / value * width;
		if (c->key != FLAME_NO_KEY && w >= v->min_width) {
			draw(v, i, depth + 1, x, w);
			x += w;
			continue;
		}
		rest.bytes += c->bytes;
		rest.blocks += c->blocks;
		rest.grown += c->grown;
		rest.stacks += c->stacks;
	}
	w = (double)flame_value(f, &rest) / value * width;
	if (w < 0.5)
		return;
	v->n_drawn++;
	if (depth + 1 >= v->n_rows)
		v->n_rows = depth + 2;
	if (v->out)
		add_rect(v, &rest, depth + 1, x, w);
}

static void add_first_view(struct buf *out, const struct flame *f, unsigned int *y)
{
	const double width = WIDTH - 2 * MARGIN;
	struct view v = { .f = f, .top = *y };

	for (v.min_width = width * MIN_SHARE / 1000;; v.min_width *= 1.25) {
		v.n_drawn = v.n_rows = 0;
		draw(&v, 0, 0, MARGIN, width);
		if (v.n_drawn <= MAX_DRAWN)
			break;
	}
	v.out = out;
	buf_adds(out, "<g id=\"mp-frames\" class=\"f\">\n");
	draw(&v, 0, 0, MARGIN, width);
	buf_adds(out, "</g>\n");
	*y += v.n_rows * ROW;
}

/* ---- words ---- */

/* One text element, in as many lines as it needs. */
static void add_text(struct buf *out, const char *class, const char *text, double cell, unsigned int *y)
{
	size_t columns = (size_t)((WIDTH - 2 * MARGIN) / cell), len;

	*y += LINE;
	buf_addf(out, "<text class=\"%s\" x=\"%d\" y=\"%u\">", class, MARGIN, *y);
	for (; *text; text += len) {
		len = strlen(text);
		if (len > columns) {
			for (len = columns; len && text[len - 1] != ' '; len--)
				;
			len = len ? len : strcspn(text, " ");
		}
		buf_addf(out, "<tspan x=\"%d\" y=\"%u\">", MARGIN, *y);
		flame_add_xml(out, text, len);
		buf_adds(out, "</tspan>");
		if (text[len])
			*y += LINE;
	}
	buf_adds(out, "</text>\n");
}

static void add_words(struct buf *out, const struct flame *f, const char *class, double cell,
		      void (*words)(struct buf *out, const struct flame *f), unsigned int *y)
{
	struct buf b = BUF_INIT;
	char *line, *end;

	words(&b, f);
	for (line = b.data; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		add_text(out, class, line, cell, y);
	}
	buf_release(&b);
}

static void add_header(struct buf *out, const struct flame *f, unsigned int *y)
{
	buf_adds(out, "<g id=\"mp-head\">\n");
	*y += 8;
	add_words(out, f, "t", TITLE_CELL, flame_add_title, y);
	*y += 4;
	add_words(out, f, "d", TEXT_CELL, flame_add_width, y);
	add_words(out, f, "d", TEXT_CELL, flame_add_trust, y);
	add_words(out, f, "w", TEXT_CELL, flame_add_losses, y);
	buf_adds(out, "</g>\n");
	*y += 8;
}

static double add_legend_entry(struct buf *out, double x, unsigned int y, const char *class, const char *text)
{
	buf_addf(out, "<g transform=\"translate(%.0f %u)\"><rect class=\"%s\" y=\"2\" width=\"14\" height=\"12\"/>"
		      "<text x=\"19\" y=\"12\">%s</text></g>\n", x, y, class, text);
	return x + 19 + TEXT_CELL * (double)strlen(text) + 18;
}

static void add_diff_legend(struct buf *out, unsigned int *y)
{
	double x = MARGIN;

	*y += 10;
	buf_adds(out, "<g id=\"mp-legend\" class=\"d\">\n");
	x = add_legend_entry(out, x, *y, "g1", "+ grew");
	x = add_legend_entry(out, x, *y, "g2", "- shrank");
	x = add_legend_entry(out, x, *y, "g0", "as much up as down");
	add_legend_entry(out, x, *y, "k9", flame_kind_text(FLAME_REST));
	buf_adds(out, "</g>\n");
	*y += LINE;
}

static void add_legend(struct buf *out, const struct flame *f, unsigned int *y)
{
	bool is_there[FLAME_KIND_NR] = { [FLAME_REST] = true };
	char class[] = "k?";
	double x = MARGIN;
	size_t i;

	for (i = 0; i < f->n_nodes; i++)
		if (f->nodes[i].key != FLAME_NO_KEY)
			is_there[f->keys[f->nodes[i].key].kind] = true;
	*y += 10;
	buf_addf(out, "<g id=\"mp-legend\" class=\"d\">\n");
	for (i = FLAME_PROCESS; i < FLAME_KIND_NR; i++) {
		if (!is_there[i])
			continue;
		class[1] = (char)('0' + i);
		x = add_legend_entry(out, x, *y, class, flame_kind_text((enum flame_kind)i));
	}
	buf_adds(out, "</g>\n");
	*y += LINE;
}

static void add_footer(struct buf *out, const struct flame *f, unsigned int *y)
{
	buf_adds(out, "<g id=\"mp-foot\">\n");
	*y += 2;
	if (f->n_nodes)
		add_words(out, f, "d", TEXT_CELL, flame_add_remainder, y);
	add_words(out, f, "d", TEXT_CELL, flame_add_origin, y);
	buf_adds(out, "</g>\n");
	*y += MARGIN;
}

/* ---- data for the script ---- */

static void add_36(struct buf *out, uint64_t n)
{
	char digits[16];
	size_t i = sizeof(digits);

	do {
		digits[--i] = "0123456789abcdefghijklmnopqrstuvwxyz"[n % 36];
		n /= 36;
	} while (n);
	buf_add(out, digits + i, sizeof(digits) - i);
}

static void add_names(struct buf *out, const struct flame *f)
{
	const char *text;
	size_t i;

	buf_adds(out, "<metadata id=\"mp-names\">");
	for (i = 0; i < f->n_names; i++) {
		text = intern_str(&f->texts, f->names[i].text);
		if (i)
			buf_addc(out, '\n');
		add_36(out, f->names[i].total);
		buf_addc(out, ' ');
		flame_add_xml(out, text, strlen(text));
	}
	buf_adds(out, "</metadata>\n");
}

struct places {
	struct intern texts;
	struct buf lines;
};

static uint32_t place_number(struct places *places, const char *text)
{
	size_t before = places->texts.n;
	uint32_t number = intern_id(&places->texts, text);

	if (places->texts.n > before) {
		if (before)
			buf_addc(&places->lines, '\n');
		flame_add_xml(&places->lines, text, strlen(text));
	}
	return number;
}

static void add_key_place(struct buf *out, struct places *places, const struct flame *f, const struct flame_key *k)
{
	struct buf place = BUF_INIT;

	flame_add_place(&place, f, k);
	if (place.len) {
		buf_addc(out, ',');
		add_36(out, place_number(places, place.data));
	}
	buf_release(&place);
}

/* Modules and keys of the kept tree, numbered as they come; numbers: by key, plus one. */
static void add_keys(struct buf *out, const struct flame *f, uint32_t *numbers)
{
	uint32_t *name_at = xcalloc(f->texts.n, sizeof(*name_at)), n_keys = 0, n_modules = 0;
	uint32_t *module_at = xcalloc(f->texts.n, sizeof(*module_at));
	struct buf modules = BUF_INIT, keys = BUF_INIT;
	struct places places = { .lines = BUF_INIT };
	size_t i;

	place_number(&places, "");
	for (i = 0; i < f->n_names; i++)
		name_at[f->names[i].text] = (uint32_t)i;
	for (i = 0; i < f->n_nodes; i++) {
		uint32_t key = f->nodes[i].key;
		const struct flame_key *k;
		const char *module;

		if (key == FLAME_NO_KEY || numbers[key])
			continue;
		numbers[key] = ++n_keys;
		k = &f->keys[key];
		module = intern_str(&f->texts, k->module);
		if (!module_at[k->module]) {
			module_at[k->module] = ++n_modules;
			if (n_modules > 1)
				buf_addc(&modules, '\n');
			flame_add_xml(&modules, module, strlen(module));
		}
		if (n_keys > 1)
			buf_addc(&keys, ';');
		add_36(&keys, name_at[k->name]);
		buf_addc(&keys, ',');
		add_36(&keys, module_at[k->module] - 1);
		buf_addc(&keys, ',');
		add_36(&keys, k->kind * FLAME_SHADES + flame_shade(intern_str(&f->texts, k->name)));
		add_key_place(&keys, &places, f, k);
	}
	buf_addf(out, "<metadata id=\"mp-modules\">%s</metadata>\n", modules.data);
	buf_addf(out, "<metadata id=\"mp-places\">%s</metadata>\n", places.lines.data);
	buf_addf(out, "<metadata id=\"mp-keys\">%s</metadata>\n", keys.data);
	intern_release(&places.texts);
	buf_release(&places.lines);
	buf_release(&modules);
	buf_release(&keys);
	free(name_at);
	free(module_at);
}

static void add_nodes(struct buf *out, const struct flame *f, const uint32_t *numbers)
{
	uint32_t depth = 0, up;
	size_t i;

	buf_adds(out, "<metadata id=\"mp-nodes\">");
	for (i = 0; i < f->n_nodes; i++) {
		const struct flame_node *n = &f->nodes[i];

		up = i ? depth + 1 - n->depth : 0;
		depth = n->depth;
		if (i)
			buf_addc(out, ';');
		if (n->key != FLAME_NO_KEY)
			add_36(out, numbers[n->key] - 1);
		buf_addc(out, ',');
		add_36(out, n->bytes);
		buf_addc(out, ',');
		add_36(out, n->blocks);
		if (up || n->key == FLAME_NO_KEY) {
			buf_addc(out, ',');
			add_36(out, up);
		}
		if (n->key == FLAME_NO_KEY) {
			buf_addc(out, ',');
			add_36(out, n->stacks);
		}
		if (f->diff) {
			buf_addc(out, '+');
			add_36(out, n->grown);
		}
	}
	buf_adds(out, "</metadata>\n");
}

static void add_data(struct buf *out, const struct flame *f)
{
	uint32_t *numbers = xcalloc(f->n_keys, sizeof(*numbers));

	buf_addf(out, "<metadata id=\"mp-info\">metric %s\ncut %llu\nleft-out %zu", metric_name(f->metric),
		 (unsigned long long)f->cut, f->n_names_left_out);
	if (f->diff)
		buf_addf(out, "\nsigned yes\nper %s", f->diff->is_one_run ? "run" : "second");
	buf_adds(out, "</metadata>\n");
	add_names(out, f);
	add_keys(out, f, numbers);
	add_nodes(out, f, numbers);
	free(numbers);
}

/* ---- the file ---- */

static void add_lines(struct buf *out, const char *tag, const char *const *lines)
{
	buf_addf(out, "<%s><![CDATA[\n", tag);
	for (; *lines; lines++) {
		buf_adds(out, *lines);
		buf_addc(out, '\n');
	}
	buf_addf(out, "]]></%s>\n", tag);
}

static void add_opening(struct buf *out, const struct flame *f, unsigned int height)
{
	struct buf title = BUF_INIT;

	flame_add_title(&title, f);
	buf_addf(out,
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		 "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"mp\" width=\"%d\" height=\"%u\" "
		 "viewBox=\"0 0 %d %u\" role=\"img\" aria-label=\"Flame graph of memory: ",
		 WIDTH, height, WIDTH, height);
	flame_add_xml(out, title.data, title.len);
	buf_adds(out, "\">\n<title>memprobe: ");
	flame_add_xml(out, title.data, title.len);
	buf_adds(out, "</title>\n");
	add_lines(out, "style", flame_style);
	buf_adds(out, "<defs><pattern id=\"mp-hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
		      "patternTransform=\"rotate(45)\"><rect class=\"h0\" width=\"6\" height=\"6\"/>"
		      "<rect class=\"h1\" width=\"2\" height=\"6\"/></pattern>"
		      "<pattern id=\"mp-stripes\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">"
		      "<rect class=\"h2\" width=\"6\" height=\"6\"/><rect class=\"h3\" width=\"2\" height=\"6\"/>"
		      "</pattern></defs>\n"
		      "<rect class=\"bg\" width=\"100%\" height=\"100%\"/>\n");
	buf_release(&title);
}

static void add_file(struct buf *out, const struct flame *f)
{
	struct buf body = BUF_INIT;
	unsigned int y = 0;

	add_header(&body, f, &y);
	if (f->n_nodes) {
		buf_addf(&body, "<g id=\"mp-bar\" transform=\"translate(%d %u)\"><text class=\"d\" y=\"18\">"
				"In a web browser: click to zoom, search, details of each frame.</text></g>\n",
			 MARGIN, y);
		y += BAR;
		add_first_view(&body, f, &y);
		if (f->diff)
			add_diff_legend(&body, &y);
		else
			add_legend(&body, f, &y);
	} else {
		y += 20;
		add_words(&body, f, "t", TITLE_CELL, flame_add_nothing, &y);
		y += 20;
	}
	add_footer(&body, f, &y);
	add_opening(out, f, y);
	buf_add(out, body.data, body.len);
	if (f->n_nodes) {
		add_data(out, f);
		add_lines(out, "script", flame_script);
	}
	buf_adds(out, "</svg>\n");
	buf_release(&body);
}

void render_flamegraph(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct flame f;

	flame_build(&f, p, o);
	add_file(out, &f);
	flame_release(&f);
}

void render_diff_flamegraph(struct buf *out, const struct diff *d, const struct render_opts *o)
{
	struct flame f;

	flame_build_diff(&f, d, o);
	add_file(out, &f);
	flame_release(&f);
}
