/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* See json_text.h. Pure. */
#include "render/json_text.h"

#include <string.h>

void json_add_string(struct buf *out, const char *text)
{
	size_t start, i;

	buf_addc(out, '"');
	start = out->len;
	buf_add_plain(out, text);
	if (strpbrk(out->data + start, "\"\\")) {
		struct buf plain = BUF_INIT;

		buf_add(&plain, out->data + start, out->len - start);
		out->len = start;
		for (i = 0; i < plain.len; i++) {
			if (plain.data[i] == '"' || plain.data[i] == '\\')
				buf_addc(out, '\\');
			buf_addc(out, plain.data[i]);
		}
		buf_release(&plain);
	}
	buf_addc(out, '"');
}

void json_add_number(struct buf *out, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	buf_add(out, digits + i, sizeof(digits) - i);
}

static void add_key(struct buf *out, const char *key)
{
	buf_adds(out, ",\"");
	buf_adds(out, key);
	buf_adds(out, "\":");
}

void json_add_text(struct buf *out, const char *key, const char *text)
{
	add_key(out, key);
	json_add_string(out, text);
}

void json_add_some_text(struct buf *out, const char *key, const char *text)
{
	if (*text)
		json_add_text(out, key, text);
}

void json_add_uint(struct buf *out, const char *key, uint64_t n)
{
	add_key(out, key);
	json_add_number(out, n);
}

void json_add_bool(struct buf *out, const char *key, bool yes)
{
	add_key(out, key);
	buf_adds(out, yes ? "true" : "false");
}
