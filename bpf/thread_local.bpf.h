/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A word that a runtime keeps for each thread, of the current thread; src/runtime/thread_local.c reads the same from
 * outside and says where it is. 0 when there is none, or when it cannot be read.
 */
#ifndef MEMPROBE_THREAD_LOCAL_BPF_H
#define MEMPROBE_THREAD_LOCAL_BPF_H

/*
 * Of the current thread; the kernel keeps it here as long as the thread sets it by system calls, as glibc does. Not
 * told on arm64: src/runtime/thread_local.c knows x86-64 only.
 */
static __always_inline __u64 thread_pointer(void)
{
#if defined(__TARGET_ARCH_x86)
	return bpf_get_current_task_btf()->thread.fsbase;
#else
	return 0;
#endif
}

static __always_inline __u64 user_word(__u64 addr)
{
	__u64 word;

	return bpf_probe_read_user(&word, sizeof(word), (void *)addr) ? 0 : word;
}

/* w: {how, module, at} */
static __always_inline __u64 thread_local_word(const __u64 *w, __u64 thread)
{
	__u64 at = w[2];

	if (w[0] == MP_TLS_DYNAMIC)
		at += user_word(user_word(thread + 8) + 16 * w[1]);
	else if (w[0] == MP_TLS_STATIC)
		at += thread;
	return user_word(at);
}

#endif
