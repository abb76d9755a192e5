/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Are two open files one file to the kernel's uprobes?
 *
 * Probes go to the inode that lies below: two overlay mounts of one lower file are one file, though
 * their devices differ (and in some mounts the upper bits of st_ino), and so is the lower file
 * itself. Elsewhere device and inode tell, as snapshots of one file on btrfs and mounted copies of one
 * image have the same inode numbers and the same contents, and are two files.
 *
 *	               dev     ino   overlay  content
 *	container 1    0:51    7311  yes      c0ffee..   \ one file
 *	container 2    0:58    7311  yes      c0ffee..   /
 *	snapshot 1     0:61    7311  no       c0ffee..   \ two files
 *	snapshot 2     0:62    7311  no       c0ffee..   /
 *
 * Not seen: an overlay of the one snapshot is taken for the same file as an overlay of the other.
 */
#ifndef MEMPROBE_PROC_SAME_FILE_H
#define MEMPROBE_PROC_SAME_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct proc_file_id {
	uint64_t dev, ino;
	uint64_t content; /* of size and first page, where ELF files keep headers and build id */
	bool is_overlay;
};

/* 0 or -errno. fd may be an O_PATH one; its offset stays. */
int proc_file_id(int fd, struct proc_file_id *out);
bool proc_is_same_file(const struct proc_file_id *a, const struct proc_file_id *b);

#endif
