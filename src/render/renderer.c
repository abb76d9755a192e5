/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The table of renderers. A new format is one file and one row here. */
#include "render/renderer.h"

#include <string.h>

#include "render/formats.h"

const struct renderer renderers[] = {
	{ .name = "report", .suffixes = "txt", .help = "who holds the memory, for people", .render = render_report },
	{ .name = "folded", .suffixes = "folded collapsed", .help = "one line per stack", .render = render_folded },
	{ .name = "flamegraph", .suffixes = "svg", .help = "interactive picture, one SVG file", .binary = true,
	  .single = true, .render = render_flamegraph },
	{ .name = NULL },
};

const struct renderer *renderer_by_name(const char *name)
{
	const struct renderer *r;

	for (r = renderers; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}

/* Is word one of the blank-separated list? */
static bool is_listed(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (len && *list) {
		size_t n = strcspn(list, " ");

		if (n == len && !memcmp(list, word, n))
			return true;
		list += n + (list[n] == ' ');
	}
	return false;
}

const struct renderer *renderer_by_file(const char *path)
{
	const char *base = strrchr(path, '/'), *dot;
	const struct renderer *r;

	dot = strrchr(base ? base : path, '.');
	for (r = renderers; dot && r->name; r++)
		if (is_listed(r->suffixes, dot + 1))
			return r;
	return NULL;
}
