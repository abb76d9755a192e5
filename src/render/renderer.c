/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The table of renderers. A new format is one file and one row here. */
#include "render/renderer.h"

#include <stdlib.h>
#include <string.h>

#include "render/formats.h"

static const struct renderer renderers[] = {
	{ .name = "report", .suffixes = "txt", .machine = true, .render = render_report, .diff = render_diff_report },
	{ .name = "folded", .suffixes = "folded collapsed", .by_metric = true, .render = render_folded,
	  .diff = render_diff_folded },
	{ .name = "flamegraph", .suffixes = "svg", .binary = true, .single = true, .by_metric = true,
	  .render = render_flamegraph, .diff = render_diff_flamegraph },
	{ .name = "pprof", .suffixes = "pb.gz pprof", .binary = true, .single = true, .by_metric = true,
	  .render = render_pprof },
	{ .name = "json", .suffixes = "jsonl ndjson", .lines = true, .machine = true, .render = render_json_lines },
	{ .name = "heapprofile", .suffixes = "heapprofile", .binary = true, .single = true, .by_metric = true,
	  .render = render_heapprofile },
	{ .name = "memprobe", .suffixes = "memprobe", .binary = true, .single = true, .recording = true,
	  .machine = true, .render = render_recording },
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

/* Does the name end in a dot and one of the blank-separated suffixes? */
static bool has_suffix(const char *name, const char *suffixes)
{
	size_t len = strlen(name);

	while (*suffixes) {
		size_t n = strcspn(suffixes, " ");

		if (len > n && name[len - n - 1] == '.' && !memcmp(name + len - n, suffixes, n))
			return true;
		suffixes += n + (suffixes[n] == ' ');
	}
	return false;
}

const struct renderer *renderer_by_file(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	const struct renderer *r;

	for (r = renderers; r->name; r++)
		if (has_suffix(base, r->suffixes))
			return r;
	return NULL;
}

void renderer_run(const struct renderer *r, struct buf *out, const struct profile *p, const struct render_opts *o)
{
	struct profile view;

	if (!r->by_metric || !metric_needs_view(o->metric)) {
		r->render(out, p, o);
		return;
	}
	profile_metric_view(&view, p, o->metric);
	r->render(out, &view, o);
	free(view.stacks);
}
