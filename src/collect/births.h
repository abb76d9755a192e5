/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Objects of managed languages by class and line (--objects): finds the probe that a runtime was built with, has it
 * attached, and puts what it told into the profile. Ruby's object__create is the only one.
 */
#ifndef MEMPROBE_COLLECT_BIRTHS_H
#define MEMPROBE_COLLECT_BIRTHS_H

#include <stdbool.h>
#include <sys/types.h>

#include "collect/collector.h"
#include "symbol/elf_file.h"
#include "symbol/elf_usdt.h"

/* Was the file built with the probe, and are its arguments where they can be read? */
bool births_find(struct elf_file *f, struct elf_usdt *usdt, struct mp_usdt_arg args[MP_OBJECT_ARGS]);
/* pid 0: in every process. True: attached. */
bool births_attach(struct kern *k, struct elf_file *f, const char *path, int file_fd, pid_t pid);
/* 0 or -errno. */
int births_fill(struct collector *c);

#endif
