/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The words of a flame graph: foreign text made safe, labels that fit, the lines around the
 * picture. Nothing here knows a coordinate. Pure.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "render/watch_text.h"
#include "base/version.h"
#include "render/flamegraph_internal.h"
#include "render/report_internal.h"

/* A name is cut here; the file has a bound, a symbol has none. */
#define MAX_NAME 1000

static const char ellipsis[] = "\xe2\x80\xa6";

/* ---- kinds ---- */

/* Programs and libraries that run code in another language; by the start of the object's name. */
static const char *const interpreters[] = {
	"python", "libpython", "ruby", "libruby", "node", "libnode", "libv8", "java", "libjvm", "perl",
	"libperl", "php", "libphp", "lua", "liblua", "beam.smp", "mono", "libmono", "libcoreclr", "guile", "libguile",
	NULL,
};

/* "python3.11" and "libruby-3.1.so.3", but not "nodetool" or "luanda". */
static bool is_interpreter(const char *module)
{
	size_t i, len;

	for (i = 0; interpreters[i]; i++) {
		len = strlen(interpreters[i]);
		if (!strncmp(module, interpreters[i], len) && !(module[len] >= 'a' && module[len] <= 'z'))
			return true;
	}
	return false;
}

static bool is_shared_object(const char *module)
{
	const char *so = strstr(module, ".so");

	return so && (so[3] == '\0' || so[3] == '.');
}

enum flame_kind flame_kind_of(const struct profile_frame *frame, const char *module)
{
	switch (frame->class) {
	case FRAME_APP:
		if (is_interpreter(module))
			return FLAME_RUNTIME;
		return is_shared_object(module) ? FLAME_LIBRARY : FLAME_APP;
	case FRAME_LIBC:
	case FRAME_ALLOCATOR:
		return FLAME_ALLOCATOR;
	case FRAME_CXX:
		return FLAME_LIBRARY;
	case FRAME_RUNTIME:
		return FLAME_RUNTIME;
	case FRAME_KERNEL:
		return FLAME_KERNEL;
	case FRAME_NOTE:
		return FLAME_NOTE;
	case FRAME_UNKNOWN:
		break;
	}
	return FLAME_UNNAMED;
}

const char *flame_kind_text(enum flame_kind kind)
{
	static const char *const texts[FLAME_KIND_NR] = {
		[FLAME_ALL] = "",
		[FLAME_PROCESS] = "process",
		[FLAME_APP] = "application",
		[FLAME_LIBRARY] = "library",
		[FLAME_RUNTIME] = "runtime, interpreter",
		[FLAME_ALLOCATOR] = "allocator, libc",
		[FLAME_KERNEL] = "kernel",
		[FLAME_UNNAMED] = "no name",
		[FLAME_NOTE] = "stack cut or missing",
		[FLAME_REST] = "smaller stacks",
	};

	return texts[kind];
}

unsigned int flame_shade(const char *name)
{
	return (unsigned int)(hash_bytes(name, strlen(name)) % FLAME_SHADES);
}

/* ---- foreign text ---- */

static size_t cp_len(const char *s)
{
	unsigned char c = (unsigned char)*s;

	return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

void flame_add_clean(struct buf *out, const char *text)
{
	struct buf b = BUF_INIT;
	size_t i, n;

	buf_add_printable(&b, text, strlen(text));
	if (!b.len)
		buf_adds(&b, "[unknown]");
	for (i = 0; i < b.len; i += n) {
		n = cp_len(b.data + i);
		if (i + n > MAX_NAME) {
			buf_adds(out, ellipsis);
			break;
		}
		if (b.data[i] == '\t')
			buf_addc(out, ' ');
		else if (!memcmp(b.data + i, "\xef\xbf\xbe", n) || !memcmp(b.data + i, "\xef\xbf\xbf", n))
			buf_addc(out, '?'); /* U+FFFE and U+FFFF are no XML characters */
		else
			buf_add(out, b.data + i, n);
	}
	buf_release(&b);
}

void flame_add_xml(struct buf *out, const char *clean, size_t len)
{
	const char *end = clean + len;

	while (clean < end) {
		size_t n = strcspn(clean, "<>&\"'");

		if (n >= (size_t)(end - clean)) {
			buf_add(out, clean, (size_t)(end - clean));
			return;
		}
		buf_add(out, clean, n);
		buf_addf(out, "&#%d;", clean[n]);
		clean += n + 1;
	}
}

/* East Asian letters and what else is as wide; roughly, as a label may be too short, never too long. */
static unsigned int columns_of(const char *s)
{
	return (unsigned char)*s >= 0xe1 ? 2 : 1;
}

static unsigned int n_columns(const char *s)
{
	unsigned int n = 0;

	for (; *s; s += cp_len(s))
		n += columns_of(s);
	return n;
}

/* Behind the first "::" outside of <> and (); NULL when there is none, or nothing behind it. */
static const char *inner_scope(const char *name)
{
	int level = 0;

	for (; *name; name++) {
		if (*name == '<' || *name == '(')
			level++;
		else if (*name == '>' || *name == ')')
			level--;
		else if (!level && name[0] == ':' && name[1] == ':')
			return name[2] ? name + 2 : NULL;
	}
	return NULL;
}

void flame_add_label(struct buf *out, const char *clean, unsigned int columns)
{
	struct buf name = BUF_INIT;
	const char *s, *start, *inner;
	unsigned int n = 0;

	if (columns < 3)
		return;
	if (n_columns(clean) <= columns)
		buf_adds(&name, clean);
	else
		add_short_name(&name, clean);
	for (start = name.data; n_columns(start) > columns && (inner = inner_scope(start)); start = inner)
		;
	if (n_columns(start) <= columns) {
		buf_adds(out, start);
	} else {
		for (s = start; n + columns_of(s) < columns; s += cp_len(s))
			n += columns_of(s);
		buf_add(out, start, (size_t)(s - start));
		buf_adds(out, ellipsis);
	}
	buf_release(&name);
}

/* ---- one frame ---- */

const char *flame_node_text(const struct flame *f, const struct flame_node *n)
{
	return intern_str(&f->texts, f->keys[n->key].name);
}

static void add_share(struct buf *out, uint64_t part, uint64_t whole)
{
	buf_addf(out, "%.1f %%", whole ? (double)part * 100 / (double)whole : 0.0);
}

void flame_add_place(struct buf *out, const struct flame *f, const struct flame_key *k)
{
	const char *file = intern_str(&f->texts, k->file), *slash = strrchr(file, '/');

	buf_adds(out, slash ? slash + 1 : file);
	if (*file && k->line)
		buf_addf(out, ":%u", k->line);
	if (k->is_inlined)
		buf_adds(out, *file ? ", inlined" : "inlined");
}

void flame_add_details(struct buf *out, const struct flame *f, const struct flame_node *n)
{
	char size[16], bytes[32], blocks[32], average[16];
	const char *module = "";

	if (f->diff) {
		flame_diff_add_details(out, f, n);
		return;
	}
	if (n->key == FLAME_NO_KEY) {
		buf_addf(out, "%s smaller stacks", units_format_count(blocks, n->stacks));
	} else {
		buf_adds(out, flame_node_text(f, n));
		module = intern_str(&f->texts, f->keys[n->key].module);
	}
	buf_addf(out, ": %s", units_format_size(size, n->bytes));
	if (n->bytes >= 1024)
		buf_addf(out, " (%s B)", units_format_count(bytes, n->bytes));
	buf_addf(out, ", %s block%s", units_format_count(blocks, n->blocks), n->blocks == 1 ? "" : "s");
	if (n->blocks > 1)
		buf_addf(out, ", average %s", units_format_size(average, n->bytes / n->blocks));
	buf_adds(out, ", ");
	add_share(out, flame_value(f, n), flame_value(f, &f->nodes[0]));
	if (*module)
		buf_addf(out, ", %s", module);
	if (n->key != FLAME_NO_KEY && (f->keys[n->key].is_inlined || *intern_str(&f->texts, f->keys[n->key].file))) {
		buf_adds(out, ", ");
		flame_add_place(out, f, &f->keys[n->key]);
	}
}

/* ---- the lines around the picture ---- */

static void add_who(struct buf *out, const struct profile *p)
{
	if (p->n_procs == 1) {
		flame_add_clean(out, profile_str(p, p->procs[0].comm));
		buf_addf(out, " (pid %d)", p->procs[0].tgid);
	} else {
		buf_addf(out, "%zu processes", p->n_procs);
	}
	if (*profile_str(p, p->host)) {
		buf_adds(out, " on ");
		flame_add_clean(out, profile_str(p, p->host));
	}
}

static void add_total(struct buf *out, const struct flame *f)
{
	static const struct flame_node none = { 0 };
	const struct flame_node *root = f->n_nodes ? &f->nodes[0] : &none;
	char size[16], blocks[32];

	if (flame_by_blocks(f))
		buf_addf(out, "%s blocks", units_format_count(blocks, root->blocks));
	else
		buf_adds(out, units_format_size(size, root->bytes));
	if (f->metric == METRIC_LIVE_BYTES || f->metric == METRIC_LIVE_BLOCKS)
		buf_adds(out, " allocated since the attach and still live");
	else if (f->metric == METRIC_PEAK_BYTES)
		buf_adds(out, " live when most lived");
	else if (f->metric == METRIC_RSS_BYTES)
		buf_adds(out, " first touched since the attach, less what was seen to be given back");
	else
		buf_adds(out, " allocated since the attach, freed again or not");
}

void flame_add_title(struct buf *out, const struct flame *f)
{
	const struct profile *p = f->profile;
	time_t t = (time_t)(p->wall_time_ns / NS_PER_S);
	char length[24], when[40];
	struct tm tm;

	if (f->diff) {
		flame_diff_add_title(out, f);
		return;
	}
	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	add_who(out, p);
	buf_adds(out, ": ");
	add_total(out, f);
	buf_addf(out, " (%s to %s)", units_format_duration(length, p->window_ns), when);
}

static void add_before_attach(struct buf *out, const struct profile *p)
{
	uint64_t anon = 0, rss = 0;
	struct heap_net h = heap_net_of(p, UINT32_MAX);
	char size[16], freed[16], n[32];
	size_t i;

	for (i = 0; i < p->n_procs; i++) {
		if (p->procs[i].begin_ns)
			continue; /* began later: what it had from its parent is not older than itself */
		anon += p->procs[i].at_attach.rss_anon_bytes;
		rss += p->procs[i].at_attach.rss_bytes;
	}
	if (!rss && !anon && !h.old_blocks) {
		buf_adds(out, " nothing from before the attach");
		return;
	}
	if (anon)
		buf_addf(out, " %s of anonymous memory from before the attach",
			 units_format_size(size, anon));
	else
		buf_addf(out, " what is older than the attach (%s were resident then)", units_format_size(size, rss));
	if (!h.old_blocks)
		return;
	buf_addf(out, ", %s block%s of which %s freed since", units_format_count(n, h.old_blocks),
		 h.old_blocks == 1 ? "" : "s", h.old_blocks == 1 ? "was" : "were");
	if (h.old_bytes)
		buf_addf(out, " (%s)", units_format_size(freed, h.old_bytes));
}

void flame_add_width(struct buf *out, const struct flame *f)
{
	char size[16];

	if (f->diff) {
		flame_diff_add_width(out, f);
		return;
	}
	buf_addf(out, "Width = %s. Not in the picture:",
		 f->metric == METRIC_LIVE_BYTES	  ? "live bytes" :
		 f->metric == METRIC_LIVE_BLOCKS  ? "live blocks" :
		 f->metric == METRIC_ALLOC_BYTES ? "bytes allocated" :
		 f->metric == METRIC_PEAK_BYTES	 ? "bytes live when most lived" :
		 f->metric == METRIC_RSS_BYTES	 ? "resident bytes by who touched them first" :
						    "blocks allocated");
	add_before_attach(out, f->profile);
	if (f->n_hidden)
		buf_addf(out, "; %zu stacks below --min-bytes (%s)", f->n_hidden,
			 units_format_size(size, f->hidden_bytes));
	buf_addc(out, '.');
}

static void add_completeness(struct buf *out, const struct profile *p)
{
	uint64_t by_end[MP_END_NR] = { 0 }, sum;

	sum = blocks_by_end(p, by_end);
	if (!sum)
		return;
	if (by_end[MP_END_FRAME_POINTER]) {
		buf_adds(out, " Stacks by frame pointers: may be short or wrong in code built without.");
		return;
	}
	/* rounded down: 100 is said only of all */
	buf_addf(out, " Complete stacks: %.2f %% of blocks.",
		 (double)(by_end[MP_END_COMPLETE] * 10000 / sum) / 100);
}

void flame_add_trust(struct buf *out, const struct flame *f)
{
	const struct profile *p = f->profile;
	uint64_t lost = profile_lost_events(p);
	char n[32];

	if (f->diff) {
		flame_diff_add_trust(out, f);
		return;
	}
	buf_adds(out, !watch_is_exact(p) ? "ESTIMATED: " : lost ? "INCOMPLETE: " : "EXACT: ");
	watch_add_how(out, p);
	buf_adds(out, !watch_is_exact(p) ? "; small frames are uncertain." : lost ? ", but for what was lost." : ".");
	if (lost)
		buf_addf(out, " Lost: %s event%s, see below.", units_format_count(n, lost), lost == 1 ? "" : "s");
	else
		buf_adds(out, " Lost: nothing.");
	add_completeness(out, p);
	if (!p->final)
		buf_adds(out, " The run goes on.");
}

void flame_add_losses(struct buf *out, const struct flame *f)
{
	report_add_losses(out, f->profile, "");
}

void flame_add_nothing(struct buf *out, const struct flame *f)
{
	const struct profile *p = f->profile;
	char n[32], length[24];

	if (f->diff) {
		flame_diff_add_nothing(out, f);
		return;
	}
	units_format_duration(length, p->window_ns);
	if (f->n_hidden)
		buf_adds(out, "Every stack is below --min-bytes.");
	else if (p->cost.probe_hits)
		buf_addf(out, "Nothing allocated in %s was kept. %s calls of malloc and free were seen, so the probes work.",
			 length, units_format_count(n, p->cost.probe_hits));
	else
		buf_addf(out, "No allocator call was made in %s.", length);
}

void flame_add_remainder(struct buf *out, const struct flame *f)
{
	char size[16], n[32];

	if (!f->cut)
		return;
	buf_adds(out, "Frames below ");
	buf_adds(out, flame_by_blocks(f) ? units_format_count(n, f->cut) : units_format_size(size, f->cut));
	buf_addf(out, "%s (%.3f %%) are in \"smaller stacks\" at every zoom; ", flame_by_blocks(f) ? " blocks" : "",
		 (double)f->cut * 100 / (double)flame_value(f, &f->nodes[0]));
	if (f->n_names_left_out)
		buf_addf(out, "search finds all but the %s smallest names of them.",
			 units_format_count(n, f->n_names_left_out));
	else
		buf_adds(out, "search finds their names and exact totals all the same.");
}

void flame_add_origin(struct buf *out, const struct flame *f)
{
	const struct profile *p = f->profile;

	buf_adds(out, "memprobe " MEMPROBE_VERSION);
	if (*profile_str(p, p->command_line)) {
		buf_adds(out, " \xc2\xb7 ");
		flame_add_clean(out, profile_str(p, p->command_line));
	}
	if (*profile_str(p, p->kernel)) {
		buf_adds(out, " \xc2\xb7 Linux ");
		flame_add_clean(out, profile_str(p, p->kernel));
	}
	buf_adds(out, " \xc2\xb7 one file, no network");
}
