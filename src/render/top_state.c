/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What keys do; see top_state.h. Pure. */
#include "render/top_state.h"

#include <string.h>

/* The end of the filter's text goes, one character of UTF-8. */
static void cut_filter(struct top_state *st)
{
	size_t n = strlen(st->filter);

	while (n && (st->filter[--n] & 0xc0) == 0x80)
		;
	st->filter[n] = '\0';
}

static void type(struct top_state *st, unsigned int key)
{
	size_t n = strlen(st->filter);

	switch (key) {
	case TOP_KEY_ENTER:
		st->is_typing = false;
		break;
	case TOP_KEY_ESCAPE:
		st->is_typing = false;
		memcpy(st->filter, st->old_filter, sizeof(st->filter));
		break;
	case TOP_KEY_BACK:
		cut_filter(st);
		break;
	default:
		if (key >= ' ' && key < 0x100 && key != 0x7f && n + 1 < sizeof(st->filter)) {
			st->filter[n] = (char)key;
			st->filter[n + 1] = '\0';
		}
	}
}

static void sort_by(struct top_state *st, enum top_sort sort)
{
	size_t i;

	st->since_start = st->sort == sort && !st->since_start;
	st->sort = sort;
	for (i = 0; i < TOP_FRAMES; i++)
		st->lists[i] = (struct top_list){ .id = TOP_NONE };
}

static void move(struct top_list *l, long by)
{
	long at = (long)l->at + by, last = l->n ? (long)l->n - 1 : 0;

	l->at = (size_t)(at < 0 ? 0 : at > last ? last : at);
	l->id = TOP_NONE; /* the row that is there */
	l->follows = l->at > 0;
}

static void open_list(struct top_state *st, enum top_depth depth)
{
	st->depth = depth;
	st->lists[depth] = (struct top_list){ .id = TOP_NONE };
}

static void enter(struct top_state *st)
{
	uint32_t id = st->lists[st->depth].opens;

	if (st->lists[st->depth].id == TOP_NONE || id == TOP_NONE || st->depth == TOP_FRAMES)
		return;
	if (st->depth == TOP_PROCESSES) {
		st->proc = id;
		st->all_stacks = false;
		open_list(st, TOP_STACKS);
	} else {
		st->stack = id;
		open_list(st, TOP_FRAMES);
	}
}

static void back(struct top_state *st)
{
	if (st->depth > TOP_PROCESSES)
		st->depth--;
	else
		st->filter[0] = '\0';
}

static enum top_action toggle_tree(struct top_state *st)
{
	int32_t tree = st->depth == TOP_PROCESSES ? st->lists[TOP_PROCESSES].tree : 0;

	st->open_tree = st->open_tree == tree ? 0 : tree;
	return TOP_TREE;
}

static void toggle_stacks(struct top_state *st)
{
	if (st->depth == TOP_PROCESSES) {
		st->all_stacks = true;
		st->proc = TOP_NONE;
		open_list(st, TOP_STACKS);
	} else {
		st->depth = TOP_PROCESSES;
	}
}

/* Keys that move; false: another. */
static bool navigate(struct top_state *st, unsigned int key)
{
	struct top_list *l = &st->lists[st->depth];
	long page = l->page > 1 ? (long)l->page - 1 : 1;

	switch (key) {
	case TOP_KEY_UP: case 'k': move(l, -1); break;
	case TOP_KEY_DOWN: case 'j': move(l, 1); break;
	case TOP_KEY_PAGE_UP: move(l, -page); break;
	case TOP_KEY_PAGE_DOWN: move(l, page); break;
	case TOP_KEY_HOME: move(l, -(long)l->n); break;
	case TOP_KEY_END: move(l, (long)l->n); break;
	case TOP_KEY_ENTER: enter(st); break;
	case TOP_KEY_BACK: case TOP_KEY_ESCAPE: back(st); break;
	case TOP_KEY_TAB: toggle_stacks(st); break;
	default: return false;
	}
	return true;
}

static enum top_action command(struct top_state *st, unsigned int key)
{
	switch (key) {
	case 'q': return TOP_QUIT;
	case 'm': return TOP_MARK;
	case 's': return TOP_SAVE;
	case 'f': return TOP_FLAME;
	case 'h': return TOP_HEAP;
	case '+': return toggle_tree(st);
	case 'g': sort_by(st, TOP_BY_GROWTH); break;
	case 'b': sort_by(st, TOP_BY_BYTES); break;
	case 'a': sort_by(st, TOP_BY_ALIVE); break;
	case 'c': sort_by(st, TOP_BY_COUNT); break;
	case 'p': case ' ': st->is_paused = !st->is_paused; break;
	case '?': st->shows_help = true; break;
	case '/':
		st->is_typing = true;
		memcpy(st->old_filter, st->filter, sizeof(st->filter));
		break;
	}
	return TOP_NOTHING;
}

enum top_action top_key(struct top_state *st, unsigned int key)
{
	if (st->is_typing) {
		type(st, key);
		return TOP_NOTHING;
	}
	if (st->shows_help) { /* any key closes it */
		st->shows_help = false;
		return key == 'q' ? TOP_QUIT : TOP_NOTHING;
	}
	return navigate(st, key) ? TOP_NOTHING : command(st, key);
}

void top_list_place(struct top_list *l, const uint32_t *ids, size_t n, size_t page)
{
	size_t i;

	l->n = n;
	l->page = page;
	if (l->follows && l->id != TOP_NONE) {
		for (i = 0; i < n && ids[i] != l->id; i++)
			;
		if (i < n)
			l->at = i;
	}
	if (l->at >= n)
		l->at = n ? n - 1 : 0;
	l->id = n ? ids[l->at] : TOP_NONE;
	if (l->at < l->first)
		l->first = l->at;
	if (page && l->at >= l->first + page)
		l->first = l->at - page + 1;
	if (l->first + page > n)
		l->first = n > page ? n - page : 0;
}
