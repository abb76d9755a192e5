/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Are two open files one file to the kernel's uprobes? See same_file.h. */
#include "proc/same_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/table.h"

#define OVERLAY_MAGIC 0x794c7630 /* OVERLAYFS_SUPER_MAGIC, linux/magic.h */

#define PAGE_BYTES 4096

/* overlayfs with xino keeps the number of the layer's file system in the upper bits. */
#define REAL_INO_BITS 48

/* Also of an O_PATH descriptor */
static ssize_t read_page(int fd, char page[PAGE_BYTES])
{
	ssize_t len = pread(fd, page, PAGE_BYTES, 0);
	char path[32];
	int again;

	if (len >= 0 || errno != EBADF)
		return len;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again < 0)
		return -1;
	len = pread(again, page, PAGE_BYTES, 0);
	close(again);
	return len;
}

int proc_file_id(int fd, struct proc_file_id *out)
{
	char page[PAGE_BYTES];
	struct statfs fs;
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return -errno;
	len = read_page(fd, page);
	if (len < 0)
		return -errno;
	*out = (struct proc_file_id){
		.dev = st.st_dev,
		.ino = st.st_ino,
		.content = hash_u64((uint64_t)st.st_size) ^ hash_bytes(page, (size_t)len),
		.is_overlay = fs.f_type == OVERLAY_MAGIC,
	};
	return 0;
}

static uint64_t real_ino(const struct proc_file_id *id)
{
	return id->is_overlay ? id->ino & ((1ULL << REAL_INO_BITS) - 1) : id->ino;
}

bool proc_is_same_file(const struct proc_file_id *a, const struct proc_file_id *b)
{
	if (a->dev == b->dev && a->ino == b->ino)
		return true;
	return (a->is_overlay || b->is_overlay) && real_ino(a) == real_ino(b) &&
	       a->content == b->content;
}
