/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Fuzzing the text of /proc/PID/smaps, and the search for stacks in what it gives. */
#include <stdint.h>
#include <stdlib.h>

#include "proc/smaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proc_smaps s = { 0 };
	struct proc_stack *v;
	char *text = malloc(size + 1); /* a C string, as files are read */
	uint64_t sum = 0;
	size_t n, i;

	for (i = 0; i < size; i++)
		text[i] = (char)data[i];
	text[size] = '\0';
	proc_smaps_parse(&s, text, size);
	for (i = 0; i < s.maps.n; i++)
		sum += s.rss_bytes[i];
	if (sum != s.rss_sum_bytes)
		abort();
	proc_stacks_find(&v, &n, &s.maps, "/nonexistent", 1);
	for (i = 0; i < n; i++)
		if (v[i].end < v[i].start)
			abort();
	free(v);
	free(text);
	proc_smaps_release(&s);
	return 0;
}
