/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* build: -fPIC -shared -ldl */
/*
 * Preloaded into memprobe: a kernel whose verifier refuses the programs that walk by unwind tables, as one does that
 * finds them too large. All other system calls are what they were.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int walks_by_tables(const union bpf_attr *a)
{
	return !strcmp(a->prog_name, "heap_session") || !strcmp(a->prog_name, "heap_entry");
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long v[6];
	va_list ap;
	int i;

	va_start(ap, number);
	for (i = 0; i < 6; i++)
		v[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_bpf && v[0] == BPF_PROG_LOAD && walks_by_tables((const union bpf_attr *)v[1])) {
		errno = E2BIG;
		return -1;
	}
	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	return real(number, v[0], v[1], v[2], v[3], v[4], v[5]);
}
