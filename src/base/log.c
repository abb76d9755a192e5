/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Messages on stderr; see log.h. Depends on libc only. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"

enum log_level log_level = LOG_NORMAL;

static const char *prelude = "";

void log_set_prelude(const char *text)
{
	prelude = text ? text : "";
}

/* Columns of the terminal that stderr is; 0: it is none, or does not say. */
static size_t columns_of_stderr(void)
{
	struct winsize w;

	return !isatty(STDERR_FILENO) || ioctl(STDERR_FILENO, TIOCGWINSZ, &w) ? 0 : w.ws_col;
}

/* Breaks lines between words, where a terminal would break them within; a word that is too long stays whole. */
static void add_folded(struct buf *out, const char *text, size_t used, size_t columns)
{
	const char *word = text, *end;

	for (; *word; word = end) {
		end = word + strspn(word, " ");
		end += strcspn(end, " ");
		if (columns && used + (size_t)(end - word) > columns) {
			word += strspn(word, " ");
			buf_adds(out, "\n  ");
			used = 2;
		}
		buf_add(out, word, (size_t)(end - word));
		used += (size_t)(end - word);
	}
}

static void emit(const char *fmt, va_list ap)
{
	struct buf raw = BUF_INIT, text = BUF_INIT, out = BUF_INIT;

	buf_vaddf(&raw, fmt, ap);
	buf_add_printable(&text, raw.data, raw.len);
	buf_adds(&out, prelude);
	buf_adds(&out, "memprobe: ");
	add_folded(&out, text.data, strlen("memprobe: "), columns_of_stderr());
	buf_addc(&out, '\n');
	fwrite(out.data, 1, out.len, stderr);
	buf_release(&raw);
	buf_release(&text);
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
