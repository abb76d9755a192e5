/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ruby 2.7, 3.1 and 3.3, read from outside: strings, instruction sequences and their lines, heap pages. The ops are in
 * ruby.c, the versions in ruby_layout.c; all that is read is checked by the type in its flags.
 */
#ifndef MEMPROBE_RUNTIME_RUBY_H
#define MEMPROBE_RUNTIME_RUBY_H

#include "runtime/runtime.h"
#include "runtime/thread_local.h"

#define RUBY_FRAME_BYTES 64 /* rb_control_frame_t, at most */
#define RUBY_FLAG_FINISH 0x20 /* in ep[0]: entered from C */

enum ruby_type { RUBY_OBJECT = 1, RUBY_CLASS = 2, RUBY_MODULE = 3, RUBY_STRING = 5, RUBY_ARRAY = 7, RUBY_IMEMO = 0x1a,
		 RUBY_NODE = 0x1b, RUBY_ICLASS = 0x1c, RUBY_ZOMBIE = 0x1d, RUBY_MOVED = 0x1e };

/* Offsets in bytes; 0 of some: it has none. */
struct ruby_layout {
	uint32_t context_stack, context_words, context_frame, context_thread; /* rb_execution_context_t */
	uint32_t vm_ractor; /* rb_vm_t: its main ractor; 0: by a symbol */
	uint32_t thread_native; /* rb_thread_t: its native thread; 0: that is a part of it */
	uint32_t thread_words;	/* in which the native thread's own word is */
	uint32_t thread_id;	/* of 2.7, whose context is a global: that word; 0: the context is thread-local */
	uint32_t thread_context; /* the same: which context the thread is in */
	uint32_t frame_bytes, frame_pc, frame_iseq, frame_ep; /* rb_control_frame_t */
	uint32_t iseq_body;
	uint32_t body_size, body_encoded, body_path, body_base_label, body_label, body_first, body_last, body_lines, body_n_lines,
		body_index; /* rb_iseq_constant_body */
	uint32_t line_bytes; /* iseq_insn_info_entry, which begins with the line */
	uint32_t string_length, string_text; /* of one that is not embedded */
	uint32_t string_embedded;	     /* text of one that is; 0: behind the flags, which tell its length */
	uint32_t class_path;		     /* its name; 0: it is among its variables */
	uint32_t page_bytes, bitmap_words, most_slot; /* heap pages: at multiples of it; slots of 40, 80 ... bytes */
	uint32_t page_start, page_bitmaps; /* words of struct heap_page, which begins with their size but where it is one: */
	bool has_one_slot_size;
	uint32_t is_old;			      /* flags of an object that has outlived collections */
	/*
	 * rb_objspace_t: all objects ever made, and those at the last collection (0: not in one word); the table of
	 * pages; collections
	 */
	uint32_t ever_made, made_then, sorted_pages, minor, count;
};

/* Of a version as Ruby writes it, or NULL. */
const struct ruby_layout *ruby_layout_find(const char *version);

struct ruby_slot {
	uint8_t is;    /* a hash of an object's first words; 0: none that is old */
	uint8_t since; /* number of the look that saw it first */
};

/* Which slots held old objects at one moment: those that are the same after the next full collection have outlived it. */
struct ruby_old {
	struct table of_page; /* address -> index of its slots: i * page_slots */
	struct ruby_slot *slots; /* of each 40 bytes of a page; larger objects at their first */
	size_t n, cap;	/* pages */
	uint32_t page_slots;
	uint64_t full; /* major collections then */
	uint8_t look;  /* its number, from 1; the last one stays */
	bool is_there;
};

struct ruby {
	struct ruby_layout layout;
	struct thread_local_place place; /* of the execution context */
	uint64_t ractor;		 /* address of a pointer to the main ractor; 0: the virtual machine has it */
	uint64_t string_class;		 /* address of rb_cString */
	uint64_t vm;			 /* address of ruby_current_vm_ptr; 0: none */
	uint64_t eval, eval_end;	 /* rb_vm_exec in the file, where it has no name; 0: it has one */
	uint64_t objspace;		 /* 0: not found yet */
	struct ruby_old old;		 /* at the last census with another number of collections */
};

/*
 * ruby_find.c: where the library keeps things, from what it exports, and from the code of functions that do nothing but
 * read them: from 3.3 on most of it has no name in a stripped one. False: it cannot be told.
 */
bool ruby_find(struct runtime *r, struct runtime_object *o, struct ruby *ruby);
/*
 * Address in the process of the word that a function's first instructions load; code: its bytes, at pc. 0: they do not.
 * Pure.
 */
uint64_t ruby_loaded_word(const uint8_t *code, size_t len, uint64_t pc);
/*
 * The one function that both call or jump to, of those that begin at one of starts (n, ascending); 0: none, or more
 * than one. Pure.
 */
struct ruby_code {
	const uint8_t *bytes;
	size_t len;
	uint64_t vaddr;
};
uint64_t ruby_common_callee(const struct ruby_code *a, const struct ruby_code *b, const uint64_t *starts, size_t n);

/* Flags of an object; 0 when it is none. */
uint64_t ruby_flags(const struct runtime_process *p, uint64_t object);
bool ruby_text(const struct runtime_process *p, const struct ruby_layout *l, uint64_t string, size_t max, struct buf *out);

/*
 * Which of the positions set is the last up to pos, counted from 1; from the head of a succinct index
 * (struct succ_index_table, iseq.c): counters of 7 bits, nine a word, for the first 54, then for each 512
 * positions {rank, counters of 9 bits of its eight words, the words}. read: words at an offset of the table. 0:
 * unreadable.
 */
uint32_t ruby_rank(bool (*read)(void *ctx, uint64_t offset, void *out, size_t len), void *ctx, uint32_t pos);

/* 0; *line and both names, appended; or -ESTALE. */
int ruby_frame_name(const struct runtime_process *p, const struct ruby_layout *l, uint64_t iseq, uint64_t pc, struct runtime_name *name);
/* 0; -EAGAIN: it does not run Ruby code yet; -ESTALE: not what it should be. */
int ruby_check(struct runtime *r, const struct ruby *ruby);
/* The current rb_vm_t; 0: none. */
uint64_t ruby_machine(const struct runtime_process *p, const struct ruby *ruby);

/* Do heap pages have slots of that size? */
bool ruby_is_slot(const struct ruby_layout *l, uint32_t bytes);
/* Size and number of slots, from struct heap_page's first word. False: it is none. */
bool ruby_page_slots(const struct ruby_layout *l, uint64_t word, uint32_t *slot_bytes, uint32_t *n);
int ruby_census(struct runtime *r, struct runtime_census *out);
/* Where its heap pages are. 0; -ENOTSUP: there are none; -E2BIG: too much to look through; -errno. */
int ruby_pages(struct runtime *r, struct runtime_ranges *out);
void ruby_old_release(struct ruby_old *old);
int ruby_collections(struct runtime *r, uint64_t *full);
/* Nothing is being marked now, so what is marked lived at the last collection; *full major ones so far. */
bool ruby_is_marked(struct runtime *r, uint64_t *full);
uint64_t ruby_object_counter(struct runtime *r);

#endif
