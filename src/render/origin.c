/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See origin.h. The wording of losses and of what was not seen is the report's. Pure. */
#include "render/origin.h"

#include <string.h>
#include <time.h>

#include "base/units.h"
#include "base/version.h"
#include "render/report_internal.h"
#include "render/watch_text.h"

const char *origin_trust(const struct profile *p)
{
	if (!watch_is_exact(p))
		return "estimated";
	return profile_lost_events(p) ? "incomplete" : "exact";
}

void origin_add_time(struct buf *out, const struct profile *p)
{
	time_t t = (time_t)(p->wall_time_ns / NS_PER_S);
	char text[40];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_adds(out, text);
}

static void add_foreign(struct buf *out, const char *text)
{
	buf_add_printable(out, text, strlen(text));
}

static void add_where_and_when(struct buf *out, const struct profile *p)
{
	char length[24];

	if (*profile_str(p, p->host)) {
		add_foreign(out, profile_str(p, p->host));
		buf_adds(out, ", ");
	}
	if (*profile_str(p, p->kernel)) {
		buf_adds(out, "Linux ");
		add_foreign(out, profile_str(p, p->kernel));
		buf_adds(out, ": ");
	}
	buf_addf(out, "%s to ", units_format_duration(length, p->window_ns));
	origin_add_time(out, p);
	buf_adds(out, p->final ? "\n" : ", the run goes on\n");
}

static void add_completeness(struct buf *out, const struct profile *p)
{
	uint64_t by_end[MP_END_NR] = { 0 }, sum = blocks_by_end(p, by_end);

	if (by_end[MP_END_FRAME_POINTER])
		buf_adds(out, "stacks by frame pointers: may be short or wrong in code built without\n");
	else if (sum) /* rounded down: 100 is said only of all */
		buf_addf(out, "complete stacks: %.2f %% of blocks\n",
			 (double)(by_end[MP_END_COMPLETE] * 10000 / sum) / 100);
}

static void add_not_seen(struct buf *out, const struct profile *p)
{
	struct buf b = BUF_INIT;
	char *at;

	report_add_blind(&b, p, "");
	for (at = b.data; (at = strchr(at, '\n')) && at[1];) /* in one line */
		*at = ' ';
	buf_addf(out, "not seen: %s", b.data);
	buf_release(&b);
}

void origin_add_lines(struct buf *out, const struct profile *p, size_t n_hidden, uint64_t hidden_bytes)
{
	char size[16];

	buf_adds(out, "memprobe " MEMPROBE_VERSION);
	if (*profile_str(p, p->command_line)) {
		buf_adds(out, ": ");
		add_foreign(out, profile_str(p, p->command_line));
	}
	buf_addc(out, '\n');
	add_where_and_when(out, p);
	buf_addf(out, "%s: ", origin_trust(p));
	watch_add_how(out, p);
	buf_adds(out, profile_lost_events(p) ? ", but for what was lost\n" : "\n");
	add_completeness(out, p);
	if (profile_lost_events(p))
		report_add_losses(out, p, "");
	else
		buf_adds(out, "lost: nothing\n");
	add_not_seen(out, p);
	if (n_hidden)
		buf_addf(out, "left out: %zu stacks below --min-bytes (%s)\n", n_hidden,
			 units_format_size(size, hidden_bytes));
}
