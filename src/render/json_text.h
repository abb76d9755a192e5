/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Pieces of JSON (RFC 8259), for the formats that are made of it: compact, integers as integers, keys as
 * they are given (ours, never escaped). A member writes a comma before itself: it is never the first.
 *
 *	buf_adds(b, "{\"type\":\"loss\"");
 *	json_add_text(b, "name", "blocks_full");	,"name":"blocks_full"
 *	json_add_uint(b, "events", 5);			,"events":5
 */
#ifndef MEMPROBE_RENDER_JSON_TEXT_H
#define MEMPROBE_RENDER_JSON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Foreign text in quotes: control characters and invalid UTF-8 become '?', a tab a blank. */
void json_add_string(struct buf *out, const char *text);
void json_add_number(struct buf *out, uint64_t n);

void json_add_text(struct buf *out, const char *key, const char *text);
/* Left out when empty. */
void json_add_some_text(struct buf *out, const char *key, const char *text);
void json_add_uint(struct buf *out, const char *key, uint64_t n);
void json_add_bool(struct buf *out, const char *key, bool yes);

#endif
