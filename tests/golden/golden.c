/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See golden.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/golden/golden.h"

void golden_inflate(struct buf *out, const struct buf *packed)
{
	z_stream z = { .next_in = (unsigned char *)packed->data, .avail_in = (unsigned int)packed->len };
	int status;

	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	do {
		buf_reserve(out, 4096);
		z.next_out = (unsigned char *)out->data + out->len;
		z.avail_out = 4096;
		status = inflate(&z, Z_NO_FLUSH);
		out->len += 4096 - z.avail_out;
	} while (status == Z_OK);
	assert_int_equal(status, Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
}

void golden_render(struct buf *out, const struct profile *p, const char *format, const struct render_opts *o)
{
	struct buf packed = BUF_INIT;
	bool is_packed = !strcmp(format, "pprof");

	renderer_by_name(format)->render(is_packed ? &packed : out, p, o);
	if (is_packed)
		golden_inflate(out, &packed);
	buf_release(&packed);
}

void golden_write(const struct buf *b, const char *path)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(b->data, 1, b->len, f), b->len);
	assert_int_equal(fclose(f), 0);
}

/* Where two begin to differ. */
static size_t first_difference(const struct buf *a, const struct buf *b)
{
	size_t i;

	for (i = 0; i < a->len && i < b->len && a->data[i] == b->data[i]; i++)
		;
	return i;
}

void golden_check(const struct buf *got, const char *path)
{
	struct buf want = BUF_INIT;
	size_t at;

	if (getenv("GOLDEN_WRITE"))
		golden_write(got, path);
	assert_int_equal(buf_read_file(&want, path, 1 << 20), 0);
	at = first_difference(got, &want);
	if (at < got->len || at < want.len)
		fail_msg("%s differs from byte %zu on, %zu bytes instead of %zu; now:\n%s", path, at, got->len, want.len,
			 got->data);
	buf_release(&want);
}

void golden_compare(const char *name, void (*make)(struct profile *p), const char *format, const char *suffix)
{
	struct render_opts o = { .metric = METRIC_LIVE_BYTES };
	struct buf got = BUF_INIT;
	struct profile p;
	char path[128];

	snprintf(path, sizeof(path), "tests/golden/%s.%s", name, suffix);
	make(&p);
	golden_render(&got, &p, format, &o);
	golden_check(&got, path);
	buf_release(&got);
	profile_release(&p);
}
