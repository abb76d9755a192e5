/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * embeds_python LIBPYTHON SCRIPT [ARGUMENT...]: a server that runs Python inside, as uwsgi does: libpython is loaded into a program that
 * has another name. Without Python's headers: the three functions are stable.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

int main(int argc, char **argv)
{
	wchar_t *words[16];
	int (*run)(int, wchar_t **);
	void *python;
	int i;

	python = argc > 2 && argc < 16 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
	if (!python) {
		fprintf(stderr, "embeds_python: %s\n", dlerror());
		return 1;
	}
	*(void **)&run = dlsym(python, "Py_Main");
	for (i = 1; i < argc; i++) {
		size_t n = mbstowcs(NULL, argv[i], 0) + 1;

		words[i - 1] = malloc(n * sizeof(wchar_t));
		mbstowcs(words[i - 1], argv[i], n);
	}
	words[argc - 1] = NULL;
	return run ? run(argc - 1, words) : 1;
}
