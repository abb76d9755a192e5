/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Glob patterns to automata; see comm_pattern.h. What an element other than * accepts is asked of
 * fnmatch(3), byte by byte, so that sets and classes are the C library's.
 */
#include "proc/comm_pattern.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

/* Length of the element at s: [set], \c or one byte. A [ without its ] is itself. */
static size_t element_length(const char *s)
{
	size_t i = 1;

	if (s[0] == '\\')
		return s[1] ? 2 : 0;
	if (s[0] != '[')
		return 1;
	if (s[i] == '!' || s[i] == '^')
		i++;
	if (s[i] == ']')
		i++;
	while (s[i] && s[i] != ']') {
		const char *end = s[i] == '[' && s[i + 1] == ':' ? strstr(s + i + 2, ":]") : NULL;

		if (end)
			i = (size_t)(end + 2 - s);
		else
			i += s[i] == '\\' && s[i + 1] ? 2 : 1;
	}
	return s[i] ? i + 1 : 1;
}

static void accept_bytes(struct mp_comm_pattern *p, unsigned int position, const char *element, size_t len)
{
	char pattern[64], byte[2] = { 0 };
	unsigned int c;

	if (len >= sizeof(pattern))
		len = 1; /* no set of bytes needs that many */
	memcpy(pattern, len == 1 && *element == '[' ? "\\[" : element, len + 1);
	pattern[len == 1 && *element == '[' ? 2 : len] = '\0';
	for (c = 1; c < 256; c++) {
		byte[0] = (char)c;
		if (!fnmatch(pattern, byte, 0))
			p->accepts[c] |= 1u << position;
	}
}

int comm_pattern_compile(struct mp_comm_pattern *p, const char *glob)
{
	unsigned int position = 0;
	const char *s = glob;

	*p = (struct mp_comm_pattern){ 0 };
	if (!*s)
		return -EINVAL;
	while (*s) {
		size_t len = element_length(s);

		if (!len)
			return -EINVAL;
		if (*s == '*') {
			p->loops |= 1u << position;
		} else if (position == MP_COMM_BYTES) {
			return -E2BIG;
		} else {
			accept_bytes(p, position++, s, len);
		}
		s += len;
	}
	p->final = 1u << position;
	return 0;
}

bool comm_pattern_matches(const struct mp_comm_pattern *p, const char *comm)
{
	unsigned int state = 1, i;

	for (i = 0; i < MP_COMM_BYTES && comm[i]; i++)
		state = (state & p->accepts[(unsigned char)comm[i]]) << 1 | (state & p->loops);
	return state & p->final;
}
