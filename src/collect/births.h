/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Objects of managed languages by class and line (--objects): finds the probes that a runtime was built with, has them
 * attached, and puts what they told into the profile. Ruby's are the only ones.
 *
 * object__create tells of what Class#new, allocate, dup and clone make, those of String, Array and Hash too. What their
 * allocators tell beside it (a length that is a constant) is left out. string__create, array__create, hash__create and
 * symbol__create tell of literals, and of much that the library makes; not of a text with #{}, nor of what extensions
 * fill by themselves (JSON.parse): for these Ruby has no probe.
 */
#ifndef MEMPROBE_COLLECT_BIRTHS_H
#define MEMPROBE_COLLECT_BIRTHS_H

#include <stdbool.h>
#include <sys/types.h>

#include "collect/collector.h"
#include "symbol/elf_file.h"
#include "symbol/elf_usdt.h"

#define BIRTHS_SITES 32 /* of a file; Ruby 3.1 has 12 */

struct births {
	struct probe_site sites[BIRTHS_SITES];
	struct mp_object_form forms[BIRTHS_SITES];
	size_t n;
};

/* Those that the file was built with and whose arguments lie where they can be read: object__create first. How many. */
size_t births_find(struct elf_file *f, struct births *out);
/* pid 0: in every process. True: attached. */
bool births_attach(struct kern *k, struct elf_file *f, const char *path, int file_fd, pid_t pid);
/* 0 or -errno. */
int births_fill(struct collector *c);

#endif
