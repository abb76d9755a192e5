/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Finding separate debug files; see debug_file.h. GDB manual, "Debugging Information in Separate
 * Files", defines the places and the CRC (zlib's crc32). Depends on base, zlib and the ELF reader.
 */
#include "symbol/debug_file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "symbol/elf_internal.h"

#define MAX_LINK_BYTES 4096
#define MAX_CRC_BYTES ((uint64_t)2 << 30) /* a file above is not read through */
#define CRC_CHUNK_BYTES ((size_t)256 << 10)

/* What the object says of its debug file. */
struct wanted {
	uint8_t id[ELF_MAX_BUILD_ID];
	size_t id_bytes;
	char *link; /* NULL: no .gnu_debuglink */
	uint32_t crc;
};

static bool crc_matches(struct elf_file *f, uint32_t want)
{
	uint8_t *chunk;
	uint64_t at = 0;
	uLong crc = crc32(0, NULL, 0);
	long n;

	if (f->size_bytes > MAX_CRC_BYTES)
		return false;
	chunk = xmalloc(CRC_CHUNK_BYTES);
	while ((n = elf_file_read(f, at, chunk, CRC_CHUNK_BYTES)) > 0) {
		crc = crc32(crc, chunk, (uInt)n);
		at += (uint64_t)n;
	}
	free(chunk);
	return n == 0 && crc == want;
}

static bool is_wanted(struct elf_file *f, const struct wanted *w)
{
	uint8_t id[ELF_MAX_BUILD_ID];
	size_t n = elf_file_build_id(f, id, sizeof(id));

	if (n && w->id_bytes)
		return n == w->id_bytes && !memcmp(id, w->id, n);
	return w->link && crc_matches(f, w->crc);
}

/* Only regular files: a FIFO or device may lie there to make us wait. */
static struct elf_file *try_file(const char *path, const struct wanted *w)
{
	struct elf_file *f;
	struct stat st;
	int fd;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || elf_file_open(&f, fd))
		return NULL;
	if (is_wanted(f, w))
		return f;
	elf_file_close(f);
	return NULL;
}

static struct elf_file *try_build_id(const char *root, const struct debug_search *where,
				     const struct wanted *w)
{
	struct buf path = BUF_INIT;
	struct elf_file *f;
	size_t i;

	if (w->id_bytes < 2)
		return NULL;
	buf_addf(&path, "%s%s/.build-id/%02x/", root, where->debug_root, w->id[0]);
	for (i = 1; i < w->id_bytes; i++)
		buf_addf(&path, "%02x", w->id[i]);
	buf_adds(&path, ".debug");
	f = try_file(path.data, w);
	buf_release(&path);
	return f;
}

static struct elf_file *try_link(const char *root, const struct debug_search *where,
				 const struct wanted *w)
{
	const char *slash = strrchr(where->object_path, '/');
	int dir_len = slash ? (int)(slash - where->object_path) : 0;
	const char *dir = where->object_path;
	struct elf_file *f = NULL;
	char *paths[3];
	size_t i;

	if (!w->link || !slash)
		return NULL;
	paths[0] = xasprintf("%s%.*s/%s", root, dir_len, dir, w->link);
	paths[1] = xasprintf("%s%.*s/.debug/%s", root, dir_len, dir, w->link);
	paths[2] = xasprintf("%s%s%.*s/%s", root, where->debug_root, dir_len, dir, w->link);
	for (i = 0; i < 3; i++) {
		if (!f)
			f = try_file(paths[i], w);
		free(paths[i]);
	}
	return f;
}

/* .gnu_debuglink: a file name, NUL, padding to 4 bytes, CRC. The name is one component, nothing
 * else. */
static void read_link(struct elf_file *f, struct wanted *w)
{
	GElf_Shdr sh;
	size_t len, name_bytes;
	char *data;

	if (!elf_find_section(f, ".gnu_debuglink", &sh))
		return;
	data = elf_read_section(f, &sh, MAX_LINK_BYTES, &len);
	if (!data)
		return;
	name_bytes = (strnlen(data, len) + 4) & ~(size_t)3;
	if (*data && !strchr(data, '/') && len >= name_bytes + sizeof(w->crc)) {
		memcpy(&w->crc, data + name_bytes, sizeof(w->crc));
		w->link = xstrdup(data);
	}
	free(data);
}

struct elf_file *debug_file_open(struct elf_file *f, const char *path)
{
	struct wanted w = { 0 };

	w.id_bytes = elf_file_build_id(f, w.id, sizeof(w.id));
	return w.id_bytes ? try_file(path, &w) : NULL;
}

struct elf_file *debug_file_find(struct elf_file *f, const struct debug_search *where)
{
	char *target_root = xasprintf("%s/%d/root", where->proc_root, (int)where->pid);
	const char *roots[] = { target_root, "" };
	struct elf_file *found = NULL;
	struct wanted w = { 0 };
	size_t i;

	w.id_bytes = elf_file_build_id(f, w.id, sizeof(w.id));
	read_link(f, &w);
	for (i = 0; i < 2 && !found; i++)
		found = try_build_id(roots[i], where, &w);
	for (i = 0; i < 2 && !found; i++)
		found = try_link(roots[i], where, &w);
	free(w.link);
	free(target_root);
	return found;
}
