/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the user of `memprobe top` has chosen, and what a key changes of it. Pure: no terminal, no figures.
 *
 *	processes --enter--> stacks of one --enter--> frames of one		esc or backspace: back
 *	tab: the stacks of all processes
 *
 * What a key asks of the run (a mark, a file, the end) comes back as an action.
 */
#ifndef MEMPROBE_RENDER_TOP_STATE_H
#define MEMPROBE_RENDER_TOP_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum top_depth { TOP_PROCESSES = 0, TOP_STACKS, TOP_FRAMES, TOP_DEPTHS };
enum top_sort { TOP_BY_GROWTH = 0, TOP_BY_BYTES, TOP_BY_ALIVE, TOP_BY_COUNT };

/* Keys that are no characters; others are their own code. */
enum top_key {
	TOP_KEY_UP = 0x1000,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_ENTER,
	TOP_KEY_BACK, /* backspace */
	TOP_KEY_ESCAPE,
	TOP_KEY_TAB,
};

enum top_action {
	TOP_NOTHING = 0,
	TOP_QUIT,
	TOP_MARK,
	TOP_SAVE,
	TOP_FLAME,
	TOP_HEAP, /* probes of the process under the cursor on or off */
	TOP_TREE, /* its children */
};

#define TOP_NONE UINT32_MAX
#define TOP_FILTER_BYTES 64

/* A list with a cursor. The view fills in all but the wishes. */
struct top_list {
	size_t n, page;	  /* rows, of which so many are shown */
	size_t first, at; /* first row that is shown; the cursor's */
	uint32_t id;	  /* under the cursor; TOP_NONE: no row */
	uint32_t opens;	  /* what enter opens: process or stack of the profile; TOP_NONE: nothing */
	int32_t pid, tree; /* of the row; of its tree's root; 0: none */
	bool follows;	  /* the cursor stays on id when the order changes; else on its place */
};

struct top_state {
	enum top_depth depth;
	enum top_sort sort;
	bool since_start; /* else the last minute */
	bool is_paused, shows_help, is_typing;
	bool all_stacks; /* TOP_STACKS of all processes */
	int32_t own_pid;   /* memprobe's: not among those that grow */
	int32_t open_tree; /* whose members are shown; 0: none */
	uint32_t proc, stack; /* opened: indices in the profile */
	char filter[TOP_FILTER_BYTES], old_filter[TOP_FILTER_BYTES];
	struct top_list lists[TOP_DEPTHS];
};

#define TOP_STATE_INIT { .proc = TOP_NONE, .stack = TOP_NONE }

enum top_action top_key(struct top_state *st, unsigned int key);
/* Keep the cursor where it belongs in a list of n rows with these ids, of which `page` are shown. */
void top_list_place(struct top_list *l, const uint32_t *ids, size_t n, size_t page);

#endif
