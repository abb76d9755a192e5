/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * .heapprofile: what V8's sampling heap profiler writes, for the Memory panel of Chrome's DevTools
 * (Load profile) and for speedscope. One call tree of the chosen metric, for programs in any language:
 *
 *	{"head":{"callFrame":{"functionName":"(root)",...},"selfSize":0,"id":1,"children":[
 *	  {"callFrame":{"functionName":"gatewayd-4242",...},"selfSize":0,"id":2,"children":[...]}]},
 *	 "memprobe":{"metric":"live-bytes","total":43632128,...,"comments":["lost: nothing",...]}}
 *
 * The tree is the flame graph's: pruned where it would not fit, with remainders, so that its sizes add up
 * to the total; DevTools cannot show millions of nodes, nor deeper ones than it can recurse into. url and line are the
 * source's where all calls of the node's function have them in common, else url is the object's name. The format has
 * no room for remarks: losses are leaves of size 0 below the root as well, where DevTools shows them; the rest is under
 * "memprobe", which readers pass over. Pure.
 */
#include <string.h>

#include "base/version.h"
#include "render/flamegraph_internal.h"
#include "render/formats.h"
#include "render/json_text.h"
#include "render/origin.h"
#include "render/report_internal.h"
#include "render/stack_order.h"

struct tree_writer {
	struct buf *out;
	uint64_t next_id;
};

/* Its children are open. */
static void open_node(struct tree_writer *w, const char *name, const char *url, uint32_t line, uint64_t self)
{
	buf_adds(w->out, "{\"callFrame\":{\"functionName\":");
	json_add_string(w->out, name);
	json_add_text(w->out, "scriptId", "0");
	json_add_text(w->out, "url", url);
	buf_addf(w->out, ",\"lineNumber\":%d,\"columnNumber\":-1}", line && line <= INT32_MAX ? (int)line - 1 : -1);
	json_add_uint(w->out, "selfSize", self);
	json_add_uint(w->out, "id", w->next_id++);
	buf_adds(w->out, ",\"children\":[");
}

static void close_node(struct tree_writer *w)
{
	buf_adds(w->out, "]}");
}

static uint64_t self_of(const struct flame *f, uint32_t at)
{
	uint64_t self = flame_value(f, &f->nodes[at]);
	uint32_t i;

	for (i = at + 1; i < f->nodes[at].end; i = f->nodes[i].end)
		self -= flame_value(f, &f->nodes[i]);
	return self;
}

static void open_flame_node(struct tree_writer *w, const struct flame *f, uint32_t at)
{
	const struct flame_node *n = &f->nodes[at];
	struct buf rest = BUF_INIT;

	if (n->key != FLAME_NO_KEY) {
		const struct flame_key *k = &f->keys[n->key];
		const char *file = intern_str(&f->texts, k->file);

		open_node(w, flame_node_text(f, n), *file ? file : intern_str(&f->texts, k->module), k->line, self_of(f, at));
		return;
	}
	buf_addf(&rest, "[%u smaller stacks]", n->stacks);
	open_node(w, rest.data, "", 0, flame_value(f, n));
	buf_release(&rest);
}

/* All but the root, which is open. */
static void add_nodes(struct tree_writer *w, const struct flame *f)
{
	uint32_t depth = 0;
	size_t i;

	for (i = 1; i < f->n_nodes; i++) {
		for (; depth >= f->nodes[i].depth; depth--)
			close_node(w);
		if (i > 1 && f->nodes[i - 1].depth >= f->nodes[i].depth)
			buf_addc(w->out, ',');
		open_flame_node(w, f, (uint32_t)i);
		depth = f->nodes[i].depth;
	}
	for (; depth; depth--)
		close_node(w);
}

static void add_loss_leaves(struct tree_writer *w, const struct profile *p, bool is_first)
{
	struct buf text = BUF_INIT;
	char *line, *end;

	report_add_losses(&text, p, "");
	for (line = text.data; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (!is_first)
			buf_addc(w->out, ',');
		is_first = false;
		open_node(w, line, "", 0, 0);
		close_node(w);
	}
	buf_release(&text);
}

/* What the format itself has no place for. */
static void add_remarks(struct buf *out, const struct profile *p, const struct render_opts *o, const struct flame *f)
{
	struct buf text = BUF_INIT;
	struct stack_order order;
	char *line, *end;

	stack_order_sum(&order, p, o);
	buf_adds(out, "\"memprobe\":{\"version\":\"" MEMPROBE_VERSION "\"");
	json_add_text(out, "metric", metric_name(o->metric));
	json_add_uint(out, "total", f->n_nodes ? flame_value(f, &f->nodes[0]) : 0);
	json_add_uint(out, "live_bytes", order.sum.live_bytes);
	json_add_uint(out, "live_blocks", order.sum.live_blocks);
	json_add_uint(out, "alloc_bytes", order.sum.t.alloc_bytes);
	json_add_uint(out, "alloc_blocks", order.sum.t.alloc_blocks);
	json_add_text(out, "trust", origin_trust(p));
	json_add_uint(out, "lost_events", profile_lost_events(p));
	buf_adds(out, ",\"comments\":[");
	origin_add_lines(&text, p, order.n_hidden, order.hidden_bytes);
	for (line = text.data; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (line != text.data)
			buf_addc(out, ',');
		json_add_string(out, line);
	}
	buf_adds(out, "]}");
	buf_release(&text);
}

void render_heapprofile(struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct tree_writer w = { .out = out, .next_id = 1 };
	struct flame f;

	flame_build(&f, p, o);
	buf_adds(out, "{\"head\":");
	open_node(&w, "(root)", "", 0, f.n_nodes ? self_of(&f, 0) : 0);
	add_nodes(&w, &f);
	add_loss_leaves(&w, p, !f.n_nodes);
	close_node(&w);
	buf_addc(out, ',');
	add_remarks(out, p, o, &f);
	buf_adds(out, "}\n");
	flame_release(&f);
}
