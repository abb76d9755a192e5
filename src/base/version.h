/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The version, in one place: --version and the formats that name their writer. */
#ifndef MEMPROBE_BASE_VERSION_H
#define MEMPROBE_BASE_VERSION_H

#define MEMPROBE_VERSION "0.1.0"

#endif
