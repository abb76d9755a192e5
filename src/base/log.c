/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Messages on stderr; see log.h. Depends on libc only. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"

enum log_level log_level = LOG_NORMAL;

static const char *prelude = "";

void log_set_prelude(const char *text)
{
	prelude = text ? text : "";
}

static void emit(const char *fmt, va_list ap)
{
	struct buf raw = BUF_INIT, out = BUF_INIT;

	buf_vaddf(&raw, fmt, ap);
	buf_adds(&out, prelude);
	buf_adds(&out, "memprobe: ");
	buf_add_printable(&out, raw.data, raw.len);
	buf_addc(&out, '\n');
	fwrite(out.data, 1, out.len, stderr);
	buf_release(&raw);
	buf_release(&out);
}

#define DEFINE_LOG(name, least)                  \
	void log_##name(const char *fmt, ...)    \
	{                                        \
		va_list ap;                      \
						 \
		if (log_level < (least))         \
			return;                  \
		va_start(ap, fmt);               \
		emit(fmt, ap);                   \
		va_end(ap);                      \
	}

DEFINE_LOG(error, LOG_QUIET)
DEFINE_LOG(warn, LOG_NORMAL)
DEFINE_LOG(info, LOG_NORMAL)
DEFINE_LOG(debug, LOG_VERBOSE)
