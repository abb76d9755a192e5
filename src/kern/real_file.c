/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which file is it to the stack walk? The walk sees what lies below overlayfs or FUSE; /proc/PID/maps and stat show (since
 * 6.8) the upper one, and nothing in user space tells the device of the lower. So the file is mapped here, and the
 * kernel side looks at that mapping as it does at a target's. Nothing of it is read.
 */
#include <errno.h>
#include <sys/mman.h>

#include "kern/kern_internal.h"
#include "bpf/unwind.h"

#define PAGE_BYTES 4096

/* Another thread of ours may hold the lock of the mappings: the kernel side does not wait for it. */
#define MOST_TRIES 10

static int look(struct kern *k, const void *at, struct uw_object_key *key, uint64_t *version)
{
	LIBBPF_OPTS(bpf_test_run_opts, o);
	struct memprobe_bpf__bss *bss = k->skel->bss;
	int i, err;

	bss->real_at = (uint64_t)(uintptr_t)at;
	bss->real_ino = 0;
	for (i = 0; i < MOST_TRIES && !bss->real_ino; i++) {
		err = bpf_prog_test_run_opts(bpf_program__fd(k->skel->progs.find_real_file), &o);
		if (err)
			return err;
	}
	if (!bss->real_ino)
		return -EBUSY;
	*key = (struct uw_object_key){ .ino = bss->real_ino, .dev = bss->real_dev };
	*version = bss->real_version;
	return 0;
}

int real_file_find(struct kern *k, int fd, struct uw_object_key *key, uint64_t *version)
{
	void *at;
	int err;

	if (!bpf_program__autoload(k->skel->progs.find_real_file))
		return -EOPNOTSUPP;
	at = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	err = look(k, at, key, version);
	munmap(at, PAGE_BYTES);
	return err;
}
