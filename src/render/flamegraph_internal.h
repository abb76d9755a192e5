/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the files of the flame graph share. Not for others, but for heapprofile.c, which writes the same tree.
 *
 *	profile --flamegraph_tree.c--> struct flame: pruned call tree, exact totals per name
 *	        --flamegraph_text.c--> words: header, legend, footer, one line per frame
 *	        --flamegraph.c-------> the file: first view, data for the script
 *	          flamegraph_script.c  script and style sheet, as they stand in the file
 *	          flamegraph_diff.c    words of a comparison
 */
#ifndef MEMPROBE_RENDER_FLAMEGRAPH_INTERNAL_H
#define MEMPROBE_RENDER_FLAMEGRAPH_INTERNAL_H

#include "render/renderer.h"

/* Kinds of frames: the colour, the legend. The script knows FLAME_REST and FLAME_ALL by number. */
enum flame_kind {
	FLAME_ALL = 0, /* the root */
	FLAME_PROCESS,
	FLAME_APP,
	FLAME_LIBRARY,
	FLAME_RUNTIME,
	FLAME_ALLOCATOR, /* and libc */
	FLAME_KERNEL,
	FLAME_UNNAMED,
	FLAME_NOTE, /* memprobe's own word: where a stack was cut */
	FLAME_REST, /* smaller stacks, taken together */
	FLAME_KIND_NR
};

/* Frames of one colour are drawn in so many shades, by name. */
#define FLAME_SHADES 3
/* The key of a remainder. */
#define FLAME_NO_KEY UINT32_MAX

struct flame_name {
	uint32_t text;	/* id in flame.texts */
	uint64_t total; /* of the metric: stacks that have the name at least once; exact */
};

/* What is one frame in a row of the picture: functions of one name in two objects are two. */
struct flame_key {
	uint32_t name, module; /* ids in flame.texts */
	enum flame_kind kind;
	uint32_t file;	 /* id in flame.texts: the source file of all its frames; "" if unknown or several */
	uint32_t line;	 /* of all its frames; 0 if unknown or several */
	bool is_mixed;	 /* several files */
	bool is_inlined; /* in all places */
};

/*
 * The tree in pre-order; siblings by size, the remainder last.
 *
 *	all 100 ── main 90 ── parse 60
 *	      │         ├──── load 20
 *	      │         └──── [3 smaller stacks] 7       main itself: 90 - 60 - 20 - 7 = 3
 *	      └─── worker 10
 */
struct flame_node {
	uint32_t key; /* FLAME_NO_KEY: a remainder */
	uint32_t depth;
	uint32_t end;	 /* index behind its subtree */
	uint32_t stacks; /* different ones below it */
	uint64_t bytes, blocks;
	uint64_t grown; /* of a comparison: bytes and blocks are both how much changed, up or down; this much of it up */
};

struct flame {
	const struct profile *profile;
	const struct diff *diff; /* of a comparison; NULL: of a profile */
	enum profile_metric metric;
	struct intern texts; /* valid UTF-8 without control characters */
	struct flame_key *keys; /* in order of text */
	size_t n_keys;
	struct flame_name *names; /* largest first: those of the kept tree, and as many more as fit */
	size_t n_names, n_names_left_out;
	struct flame_node *nodes; /* empty when there is nothing to draw */
	size_t n_nodes, nodes_cap;
	uint64_t cut;	       /* smaller frames are in remainders; 0 = all frames are there */
	uint64_t hidden_bytes; /* in stacks below --min-bytes: not in the picture */
	size_t n_hidden;
};

void flame_build(struct flame *f, const struct profile *p, const struct render_opts *o);
void flame_build_diff(struct flame *f, const struct diff *d, const struct render_opts *o);
void flame_release(struct flame *f);

/* How a frame of a comparison looks: class gN of the style sheet. */
enum flame_sign { FLAME_SAME = 0, FLAME_GREW, FLAME_SHRANK };

static inline enum flame_sign flame_sign_of(const struct flame_node *n)
{
	uint64_t fell = n->bytes - n->grown;

	return n->grown > fell ? FLAME_GREW : n->grown < fell ? FLAME_SHRANK : FLAME_SAME;
}

static inline bool flame_by_blocks(const struct flame *f)
{
	return f->metric == METRIC_LIVE_BLOCKS || f->metric == METRIC_ALLOC_BLOCKS;
}

static inline uint64_t flame_value(const struct flame *f, const struct flame_node *n)
{
	return flame_by_blocks(f) ? n->blocks : n->bytes;
}

enum flame_kind flame_kind_of(const struct profile_frame *frame, const char *module);
unsigned int flame_shade(const char *name);

/* Foreign text: no control characters, valid UTF-8, no code point that XML forbids; "" becomes "[unknown]". */
void flame_add_clean(struct buf *out, const char *text);
/* Clean text, with the five characters escaped that XML gives a meaning. */
void flame_add_xml(struct buf *out, const char *clean, size_t len);
/*
 * Clean text in so many columns: without a function's parameters, then without its outer scopes, then
 * cut. "" when nothing readable fits.
 */
void flame_add_label(struct buf *out, const char *clean, unsigned int columns);
/* "parse: 41.6 MiB (43 632 000 B), 21 816 blocks of 2000 B, 96.3 %, app" */
void flame_add_details(struct buf *out, const struct flame *f, const struct flame_node *n);
/* "batch.cc:17, inlined", "batch.cc", "inlined" or nothing */
void flame_add_place(struct buf *out, const struct flame *f, const struct flame_key *k);
const char *flame_node_text(const struct flame *f, const struct flame_node *n);

/* The words around the picture; one line each, not escaped. */
void flame_add_title(struct buf *out, const struct flame *f);
void flame_add_width(struct buf *out, const struct flame *f);	  /* what the width means, what is not drawn */
void flame_add_trust(struct buf *out, const struct flame *f);	  /* exact or sampled, lost, complete */
void flame_add_losses(struct buf *out, const struct flame *f);	  /* a line per kind, '\n' after each */
void flame_add_nothing(struct buf *out, const struct flame *f);	  /* why there is no picture */
void flame_add_remainder(struct buf *out, const struct flame *f); /* what "smaller stacks" are; may be "" */
void flame_add_origin(struct buf *out, const struct flame *f);	  /* version, command, host, kernel */
const char *flame_kind_text(enum flame_kind kind);

/* flamegraph_diff.c: the same of a comparison */
void flame_diff_add_details(struct buf *out, const struct flame *f, const struct flame_node *n);
void flame_diff_add_title(struct buf *out, const struct flame *f);
void flame_diff_add_width(struct buf *out, const struct flame *f);
void flame_diff_add_trust(struct buf *out, const struct flame *f);
void flame_diff_add_nothing(struct buf *out, const struct flame *f);

/* NULL-terminated lines. */
extern const char *const flame_style[];
extern const char *const flame_script[];

#endif
