/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Symbol tables per file, shared and bounded; see sym_file.h. Depends on base, proc and the ELF
 * reader. */
#include "symbol/sym_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "symbol/debug_file.h"

#define PAGE_BYTES 4096ULL /* smallest; segments begin within the page that is mapped */

static void unload(struct sym_files *fs, struct sym_file *f)
{
	fs->bytes -= f->bytes;
	f->bytes = 0;
	elf_symbols_release(&f->symbols);
	table_release(&f->demangled);
	lines_close(f->lines);
	f->lines = NULL;
	f->is_loaded = false;
}

static struct sym_file *least_recently_used(const struct sym_files *fs, const struct sym_file *keep)
{
	struct sym_file *oldest = NULL;
	size_t i;

	for (i = 0; i < fs->n; i++) {
		struct sym_file *f = fs->v[i];

		if (f->is_loaded && f->bytes && !f->is_pinned && f != keep &&
		    (!oldest || f->last_use < oldest->last_use))
			oldest = f;
	}
	return oldest;
}

static void keep_bound(struct sym_files *fs, const struct sym_file *current)
{
	struct sym_file *f;

	while (fs->bytes > fs->max_bytes && (f = least_recently_used(fs, current)))
		unload(fs, f);
}

void sym_files_touch(struct sym_files *fs, struct sym_file *f)
{
	f->last_use = ++fs->uses;
}

static void identify(struct sym_identity *id, const struct stat *st, struct elf_file *elf)
{
	memset(id, 0, sizeof(*id)); /* padding too: it is hashed */
	id->ino = st->st_ino;
	id->size_bytes = (uint64_t)st->st_size;
	id->mtime_ns = (uint64_t)st->st_mtim.tv_sec * NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;
	if (elf)
		id->build_id_bytes = elf_file_build_id(elf, id->build_id, sizeof(id->build_id));
	if (!id->build_id_bytes)
		id->dev = st->st_dev;
}

static struct sym_file *new_file(struct sym_files *fs)
{
	XGROW(fs->v, fs->n, fs->cap);
	fs->v[fs->n] = xcalloc(1, sizeof(struct sym_file));
	fs->v[fs->n]->number = fs->n + 1;
	return fs->v[fs->n++];
}

static struct sym_file *find_or_add(struct sym_files *fs, const struct sym_identity *id)
{
	uint64_t h = hash_bytes(id, sizeof(*id)), *at;
	struct sym_file *f;

	while ((at = table_get(&fs->by_identity, h))) {
		if (!memcmp(&fs->v[*at]->identity, id, sizeof(*id)))
			return fs->v[*at];
		h++;
	}
	table_put(&fs->by_identity, h, fs->n);
	f = new_file(fs);
	f->identity = *id;
	return f;
}

static void copy_segments(struct sym_file *f, const struct elf_file *elf)
{
	free(f->segments);
	f->n_segments = elf->n_segments;
	f->segments = xcalloc(elf->n_segments, sizeof(*f->segments));
	memcpy(f->segments, elf->segments, elf->n_segments * sizeof(*f->segments));
}

void sym_identity_build_id(const struct sym_identity *id, char hex[2 * ELF_MAX_BUILD_ID + 1])
{
	size_t i;

	*hex = '\0';
	for (i = 0; i < id->build_id_bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", id->build_id[i]);
}

/* ---- source lines ---- */

static void spend(struct sym_files *fs, uint64_t since_ns)
{
	uint64_t spent = clock_monotonic_ns() - since_ns;

	fs->lines_left_ns -= spent < fs->lines_left_ns ? spent : fs->lines_left_ns;
}

static void load_lines(struct sym_files *fs, struct sym_file *f, struct elf_file *elf, struct elf_file *debug)
{
	uint64_t start_ns = clock_monotonic_ns();

	if (!fs->lines_left_ns)
		return;
	f->lines = lines_open(elf, debug, fs->lines_left_ns);
	spend(fs, start_ns);
}

size_t sym_file_lines(struct sym_files *fs, struct sym_file *f, uint64_t vaddr, struct line_frame out[LINES_MAX_FRAMES])
{
	uint64_t start_ns, before = lines_bytes(f->lines);
	size_t n;

	if (!f->lines || !fs->lines_left_ns)
		return 0;
	start_ns = clock_monotonic_ns();
	n = lines_find(f->lines, vaddr, out);
	spend(fs, start_ns);
	f->bytes += lines_bytes(f->lines) - before;
	fs->bytes += lines_bytes(f->lines) - before;
	keep_bound(fs, f);
	return n;
}

/* From a server: only when the user asked for it, and where nothing else has lines. */
static struct elf_file *fetch_debug(struct sym_files *fs, const struct sym_file *f, struct elf_file *elf)
{
	char hex[2 * ELF_MAX_BUILD_ID + 1], *path;
	struct elf_file *debug;

	if (!fs->fetch_debug || !f->identity.build_id_bytes || lines_has(elf))
		return NULL;
	sym_identity_build_id(&f->identity, hex);
	path = fs->fetch_debug(fs->fetch_ctx, hex);
	debug = path ? debug_file_open(elf, path) : NULL;
	free(path);
	return debug;
}

/* elf NULL: not an ELF file, no names. */
static void load(struct sym_files *fs, struct sym_file *f, struct elf_file *elf,
		 const struct debug_search *where)
{
	struct elf_file *debug = NULL;

	f->is_loaded = true;
	if (!elf)
		return;
	copy_segments(f, elf);
	if (where && (fs->with_lines || !elf_table(elf, ELF_SYMTAB)->n))
		debug = debug_file_find(elf, where);
	if (where && !debug)
		debug = fetch_debug(fs, f, elf);
	elf_symbols_load(&f->symbols, elf, debug);
	if (fs->with_lines)
		load_lines(fs, f, elf, debug);
	elf_file_close(debug);
	f->bytes = elf_symbols_bytes(&f->symbols) + lines_bytes(f->lines);
	fs->bytes += f->bytes;
	keep_bound(fs, f);
}

struct sym_file *sym_files_get(struct sym_files *fs, pid_t pid, const struct proc_map *m)
{
	struct debug_search where = { fs->proc_root, fs->debug_root, pid, m->path };
	struct sym_identity id;
	struct elf_file *elf;
	struct sym_file *f;
	struct stat st;
	int fd = proc_map_open(fs->proc_root, pid, m);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st)) {
		close(fd);
		return NULL;
	}
	elf_file_open(&elf, fd);
	identify(&id, &st, elf);
	f = find_or_add(fs, &id);
	if (!f->is_loaded)
		load(fs, f, elf, &where);
	elf_file_close(elf);
	sym_files_touch(fs, f);
	return f;
}

struct sym_file *sym_files_add_image(struct sym_files *fs, void *image, size_t len)
{
	struct sym_file *f = new_file(fs);
	struct elf_file *elf;

	f->is_pinned = true;
	elf_file_open_image(&elf, image, len);
	load(fs, f, elf, NULL);
	elf_file_close(elf);
	return f;
}

void sym_files_release(struct sym_files *fs)
{
	size_t i;

	for (i = 0; i < fs->n; i++) {
		unload(fs, fs->v[i]);
		free(fs->v[i]->segments);
		free(fs->v[i]);
	}
	free(fs->v);
	table_release(&fs->by_identity);
	*fs = (struct sym_files){ 0 };
}

/* Where two segments share a page of the file, code is looked for. */
uint64_t sym_file_vaddr(const struct sym_file *f, uint64_t offset)
{
	const struct elf_segment *best = NULL;
	size_t i;

	for (i = 0; i < f->n_segments; i++) {
		const struct elf_segment *s = &f->segments[i];
		uint64_t in_page = s->offset & (PAGE_BYTES - 1);

		if (offset >= s->offset - in_page &&
		    offset - (s->offset - in_page) < s->file_bytes + in_page &&
		    (!best || (s->exec && !best->exec)))
			best = s;
	}
	return best ? offset - best->offset + best->vaddr : offset;
}
