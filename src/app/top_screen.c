/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The terminal of `memprobe top`, by ncursesw; see top_screen.h. */
#define NCURSES_WIDECHAR 1
#include "app/top_screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <curses.h>

#include "app/top_guard.h"
#include "render/top_state.h"

#define ESCAPE_MS 50 /* a key's bytes come together */

/* Attributes of each style; the colour is added where there are colours. */
static const struct {
	attr_t attributes;
	short colour; /* -1: the terminal's own */
} looks[TOP_STYLES] = {
	[TOP_PLAIN] = { A_NORMAL, -1 },
	[TOP_BOLD] = { A_BOLD, -1 },
	[TOP_DIM] = { A_DIM, -1 },
	[TOP_BAR] = { A_UNDERLINE, -1 },
	[TOP_CURSOR] = { A_REVERSE, -1 },
	[TOP_BAD] = { A_BOLD, COLOR_RED },
	[TOP_WARN] = { A_BOLD, COLOR_YELLOW },
	[TOP_GOOD] = { A_NORMAL, COLOR_GREEN },
};

static bool wants_colours(void)
{
	const char *no = getenv("NO_COLOR");

	return has_colors() && !(no && *no);
}

static void begin_colours(void)
{
	short i;

	if (!wants_colours() || start_color() == ERR || use_default_colors() == ERR)
		return;
	for (i = 0; i < TOP_STYLES; i++)
		if (looks[i].colour >= 0)
			init_pair((short)(i + 1), looks[i].colour, -1);
}

int top_screen_open(void)
{
	setlocale(LC_CTYPE, "");
	if (!newterm(NULL, stdout, stdin))
		return -ENOTTY;
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	begin_colours();
	refresh(); /* the terminal is in the screen's state now */
	top_guard_on();
	return 0;
}

void top_screen_close(void)
{
	endwin();
	top_guard_off();
}

bool top_screen_is_utf8(void)
{
	const char *term = getenv("TERM");

	/* the console's fonts have not all of the blocks */
	return !strcmp(nl_langinfo(CODESET), "UTF-8") && term && strcmp(term, "linux");
}

void top_screen_size(unsigned int *width, unsigned int *height)
{
	*width = (unsigned int)(COLS > 0 ? COLS : 1);
	*height = (unsigned int)(LINES > 0 ? LINES : 1);
}

void top_screen_resize(void)
{
	struct winsize w;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_row && w.ws_col)
		resizeterm(w.ws_row, w.ws_col);
	clearok(stdscr, TRUE);
}

static void draw_cell(const struct top_cell *cell)
{
	wchar_t text[2] = { (wchar_t)cell->rune, 0 };
	short pair = has_colors() && wants_colours() && looks[cell->style].colour >= 0 ? (short)(cell->style + 1) : 0;
	cchar_t c;

	setcchar(&c, text, looks[cell->style].attributes, pair, NULL);
	add_wch(&c);
}

void top_screen_draw(const struct top_canvas *c)
{
	unsigned int row, column;

	erase();
	for (row = 0; row < c->height; row++) {
		move((int)row, 0);
		for (column = 0; column < c->width; column++)
			draw_cell(&c->cells[(size_t)row * c->width + column]);
	}
	refresh();
}

int top_screen_key(void)
{
	static const struct {
		int code;
		int key;
	} keys[] = {
		{ KEY_UP, TOP_KEY_UP },		  { KEY_DOWN, TOP_KEY_DOWN },	{ KEY_PPAGE, TOP_KEY_PAGE_UP },
		{ KEY_NPAGE, TOP_KEY_PAGE_DOWN }, { KEY_HOME, TOP_KEY_HOME },	{ KEY_END, TOP_KEY_END },
		{ KEY_ENTER, TOP_KEY_ENTER },	  { '\r', TOP_KEY_ENTER },	{ '\n', TOP_KEY_ENTER },
		{ KEY_BACKSPACE, TOP_KEY_BACK },  { 0x7f, TOP_KEY_BACK },	{ '\b', TOP_KEY_BACK },
		{ KEY_LEFT, TOP_KEY_BACK },	  { KEY_RIGHT, TOP_KEY_ENTER }, { 0x1b, TOP_KEY_ESCAPE },
		{ '\t', TOP_KEY_TAB },
	};
	int code = getch();
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].code == code)
			return keys[i].key;
	if (code == ERR)
		return -1;
	return code < 0x100 ? code : 0; /* 0: a key that means nothing */
}

void top_screen_suspend(void (*stand_still)(void))
{
	def_prog_mode();
	top_screen_close();
	stand_still();
	reset_prog_mode();
	top_screen_resize();
	refresh();
	top_guard_on();
}
