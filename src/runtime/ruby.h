/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ruby 3.1, read from outside: strings, instruction sequences and their lines, heap pages. The ops are in ruby.c. Offsets from
 * vm_core.h, iseq.h, gc.c and internal/class.h of 3.1; all that is read is checked by the type in its flags.
 */
#ifndef MEMPROBE_RUNTIME_RUBY_H
#define MEMPROBE_RUNTIME_RUBY_H

#include "runtime/runtime.h"
#include "runtime/thread_local.h"

#define RUBY_FRAME_BYTES 64 /* rb_control_frame_t */
#define RUBY_FLAG_FINISH 0x20 /* in ep[0]: entered from C */

enum ruby_type { RUBY_OBJECT = 1, RUBY_CLASS = 2, RUBY_MODULE = 3, RUBY_STRING = 5, RUBY_ARRAY = 7, RUBY_IMEMO = 0x1a,
		 RUBY_NODE = 0x1b, RUBY_ICLASS = 0x1c, RUBY_ZOMBIE = 0x1d, RUBY_MOVED = 0x1e };

/* Offsets in bytes. */
struct ruby_layout {
	uint32_t context_stack, context_words, context_frame, context_thread; /* rb_execution_context_t */
	uint32_t frame_pc, frame_iseq, frame_ep;
	uint32_t iseq_body;
	uint32_t body_size, body_encoded, body_path, body_base_label, body_label, body_first, body_last, body_lines, body_n_lines,
		body_index; /* rb_iseq_constant_body */
	uint32_t string_length, string_text; /* of one that is not embedded */
};

extern const struct ruby_layout ruby_layout_3_1;

#define RUBY_PAGE_SLOTS 409 /* of 40 bytes; larger ones stand at the place of their first */

/* Which slots held old objects at one moment: those that are the same after the next full collection have outlived it. */
struct ruby_old {
	struct table of_page; /* address -> index in v */
	struct ruby_old_page {
		uint8_t of_slot[RUBY_PAGE_SLOTS]; /* a hash of the object's first words; 0: none that is old */
	} *v;
	size_t n, cap;
	uint64_t full; /* major collections then */
	bool is_there;
};

struct ruby {
	struct ruby_layout layout;
	struct thread_local_place place; /* of the execution context */
	uint64_t ractor;		 /* address of ruby_single_main_ractor */
	uint64_t string_class;		 /* address of rb_cString */
	uint64_t vm;			 /* address of ruby_current_vm_ptr; 0: none */
	uint64_t objspace;		 /* 0: not found yet */
	struct ruby_old old;		 /* at the last census with another number of collections */
};

/* Flags of an object; 0 when it is none. */
uint64_t ruby_flags(const struct runtime_process *p, uint64_t object);
bool ruby_text(const struct runtime_process *p, const struct ruby_layout *l, uint64_t string, size_t max, struct buf *out);

/*
 * Which of the positions set is the last up to pos, counted from 1; from the head of a succinct index
 * (struct succ_index_table, iseq.c): counters of 7 bits, nine a word, for the first 54, then for each 512
 * positions {rank, counters of 9 bits of its eight words, the words}. read: words at an offset of the table. 0: unreadable.
 */
uint32_t ruby_rank(bool (*read)(void *ctx, uint64_t offset, void *out, size_t len), void *ctx, uint32_t pos);

/* 0; *line and both names, appended; or -ESTALE. */
int ruby_frame_name(const struct runtime_process *p, const struct ruby_layout *l, uint64_t iseq, uint64_t pc, struct runtime_name *name);
/* 0; -EAGAIN: it does not run Ruby code yet; -ESTALE: not what it should be. */
int ruby_check(struct runtime *r, const struct ruby *ruby);

int ruby_census(struct runtime *r, struct runtime_census *out);
void ruby_old_release(struct ruby_old *old);
int ruby_collections(struct runtime *r, uint64_t *full);
/* Nothing is being marked now, so what is marked lived at the last collection; *full major ones so far. */
bool ruby_is_marked(struct runtime *r, uint64_t *full);
uint64_t ruby_object_counter(struct runtime *r);

#endif
