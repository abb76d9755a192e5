/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Where a runtime keeps a word of each thread, and how it is read: at one address, at a distance from the thread
 * pointer, or in the block of a module that the thread's vector names (glibc on x86-64: the vector at thread pointer +
 * 8, 16 bytes for each module). bpf/thread_local.bpf.h reads the same for the current thread. No knowledge of any
 * runtime.
 */
#ifndef MEMPROBE_RUNTIME_THREAD_LOCAL_H
#define MEMPROBE_RUNTIME_THREAD_LOCAL_H

#include "bpf/memprobe.h"
#include "runtime/runtime_process.h"

struct thread_local_place {
	enum mp_tls_how how;
	uint64_t module; /* MP_TLS_DYNAMIC */
	uint64_t at;	 /* address, or offset */
};

/*
 * The place that a function reads whose whole work is to return the word, from its code: at an address or in
 * thread-local storage, directly, by an entry of the global offset table, or by __tls_get_addr. False when it is none
 * of these.
 */
bool thread_local_of_getter(struct runtime_process *p, struct runtime_object *o, const char *function,
			    struct thread_local_place *out);
/*
 * The same from the code's bytes; pc: address of the first in the process. *slot is 0, or the address of a word that is
 * to be added to out->at; of MP_TLS_DYNAMIC of two words, the module and the offset. Pure.
 */
bool thread_local_decode(const uint8_t *code, size_t len, uint64_t pc, struct thread_local_place *out, uint64_t *slot);
/* Of the pair of words {module, offset} in the process; false when they cannot be. */
bool thread_local_of_pair(const struct runtime_process *p, uint64_t pair, struct thread_local_place *out);
/* The word of the thread with that thread pointer. */
bool thread_local_read(const struct runtime_process *p, const struct thread_local_place *where, uint64_t thread,
		       uint64_t *word);
/* Is it a thread pointer? Its first and third word are itself. */
bool thread_local_is_thread(const struct runtime_process *p, uint64_t thread);

#endif
