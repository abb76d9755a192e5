/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Offsets in Ruby's structures by version; see ruby.h. From vm_core.h, iseq.h, gc.c, internal/class.h and
 * core/rstring.h of 2.7.4, 3.1.2 and 3.3.8, those of the first and the last as gcc lays them out with Debian's
 * config.h. What follows is checked on the process (ruby_check, is_objspace): a vendor may have changed it.
 */
#include <string.h>

#include "runtime/ruby.h"

#define PROMOTED (1u << 5) /* FL_PROMOTED; up to 3.1 two of them count collections */

static const struct {
	const char *version;
	struct ruby_layout layout;
} known[] = {
	{ "2.7.",
	  { .context_stack = 0, .context_words = 8, .context_frame = 16, .context_thread = 56, .thread_id = 72, .thread_context = 32,
	    .frame_bytes = 56, .frame_pc = 0, .frame_iseq = 16, .frame_ep = 32, .iseq_body = 16,
	    .body_size = 4, .body_encoded = 8, .body_path = 64, .body_base_label = 72, .body_label = 80, .body_first = 100,
	    .body_last = 108, .body_lines = 120, .body_n_lines = 136, .body_index = 144, .line_bytes = 8,
	    .string_length = 16, .string_text = 24,
	    .page_bytes = 16384, .bitmap_words = 7, .most_slot = 40, .page_start = 3, .page_bitmaps = 7, .has_one_slot_size = true,
	    .is_old = 3 * PROMOTED,
	    .ever_made = 24, .made_then = 408, .sorted_pages = 248, .minor = 376, .count = 424 } },
	{ "3.1.",
	  { .context_stack = 0, .context_words = 8, .context_frame = 16, .context_thread = 48, .thread_words = 64,
	    .frame_bytes = 64, .frame_pc = 0, .frame_iseq = 16, .frame_ep = 32, .iseq_body = 16,
	    .body_size = 4, .body_encoded = 8, .body_path = 64, .body_base_label = 72, .body_label = 80, .body_first = 100,
	    .body_last = 108, .body_lines = 120, .body_n_lines = 136, .body_index = 144, .line_bytes = 12,
	    .string_length = 16, .string_text = 24,
	    .page_bytes = 16384, .bitmap_words = 7, .most_slot = 320, .page_start = 4, .page_bitmaps = 8, .is_old = 3 * PROMOTED,
	    .ever_made = 24, .made_then = 424, .sorted_pages = 256, .minor = 384, .count = 440 } },
	{ "3.3.",
	  { .context_stack = 0, .context_words = 8, .context_frame = 16, .context_thread = 48, .vm_ractor = 32, .thread_native = 40,
	    .thread_words = 15, .frame_bytes = 56, .frame_pc = 0, .frame_iseq = 16, .frame_ep = 32, .iseq_body = 16,
	    .body_size = 4, .body_encoded = 8, .body_path = 64, .body_base_label = 72, .body_label = 80, .body_first = 96,
	    .body_last = 104, .body_lines = 112, .body_n_lines = 128, .body_index = 136, .line_bytes = 12,
	    .string_length = 16, .string_text = 24, .string_embedded = 24, .class_path = 152,
	    .page_bytes = 65536, .bitmap_words = 26, .most_slot = 640, .page_start = 4, .page_bitmaps = 8, .is_old = PROMOTED,
	    .sorted_pages = 1208, .minor = 1336, .count = 1392 } },
};

const struct ruby_layout *ruby_layout_find(const char *version)
{
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strncmp(version, known[i].version, strlen(known[i].version)))
			return &known[i].layout;
	return NULL;
}
