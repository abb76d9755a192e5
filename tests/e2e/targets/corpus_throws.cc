// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A program of the verdict's corpus that leaks only when a request fails: an exception passes over the place where its
 * buffer would be deleted. One request in 50 fails. See corpus.h.
 */
#include <stdexcept>

#include "corpus.h"

#define BUFFER 2000

SITE void s_parse(unsigned int n)
{
	if (n % 50 == 0)
		throw std::runtime_error("malformed");
}

SITE void s_handle(unsigned int n)
{
	char *buffer = new char[BUFFER];

	memset(buffer, 1, BUFFER);
	KEEP(buffer);
	s_parse(n);
	delete[] buffer;
}

static void requests(long step)
{
	static double left;
	static unsigned int n;

	(void)step;
	for (due(&left, 50 * 45e3); left >= BUFFER; left -= BUFFER) {
		try {
			s_handle(++n);
		} catch (const std::runtime_error &) {
		}
	}
}

int main(int argc, char **argv)
{
	static const struct shape shapes[] = { { "throws", nullptr, requests } };

	return corpus_main(shapes, 1, argc, argv);
}
