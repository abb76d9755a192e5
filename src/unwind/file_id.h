/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Which content a file has, cheaply: files with one identity share an unwind table. */
#ifndef MEMPROBE_UNWIND_FILE_ID_H
#define MEMPROBE_UNWIND_FILE_ID_H

#include <stdint.h>

/*
 * Hash of the GNU build id (program headers, PT_NOTE); for a file without one, of inode, size and modification time.
 * 0 only when fd cannot be read.
 */
uint64_t unwind_file_id(int fd);

#endif
