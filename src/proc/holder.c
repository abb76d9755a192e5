/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Who holds a kernel object open, by the lines of /proc/PID/fdinfo; see process.h.
 *
 * Reads the descriptors of every process: for a message, not for a loop. Depends on base and libc.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "proc/process.h"

/* Is there a line "key:\tvalue" in the file? */
static bool has_line(const char *path, const char *key, uint32_t value)
{
	char line[256];
	size_t len = strlen(key);
	bool found = false;
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = !strncmp(line, key, len) && line[len] == ':' && strtoul(line + len + 1, NULL, 10) == value;
	fclose(f);
	return found;
}

static bool holds(const char *proc_root, pid_t pid, const char *key, uint32_t value)
{
	char *dir = xasprintf("%s/%d/fdinfo", proc_root, (int)pid), *path;
	struct dirent *e;
	bool found = false;
	DIR *d = opendir(dir);

	while (d && !found && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		path = xasprintf("%s/%s", dir, e->d_name);
		found = has_line(path, key, value);
		free(path);
	}
	if (d)
		closedir(d);
	free(dir);
	return found;
}

pid_t proc_holder(const char *proc_root, const char *key, uint32_t value)
{
	pid_t *pids, found = 0;
	size_t i, n;

	if (proc_list(&pids, &n, proc_root))
		return 0;
	for (i = 0; i < n && !found; i++)
		if (holds(proc_root, pids[i], key, value))
			found = pids[i];
	free(pids);
	return found;
}
