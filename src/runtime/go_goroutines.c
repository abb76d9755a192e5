/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Goroutines by the function that they were begun with, and the bytes of their stacks: runtime.allgs is a slice of
 * pointers to records {stack low, stack high, ...} (src/runtime/runtime2.go, since 1.4). What follows moves with
 * versions, so it is learnt from the process: startpc is the word that holds the begin of a function in each record,
 * runtime.main's in one; goid the word that differs in each and is 1 in that one, and the status stands 8 bytes before
 * it.
 */
#include "runtime/go.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/xalloc.h"

#define WORDS 60 /* of a record that are looked at */
#define LEARNT_FROM 64
#define MOST_GOROUTINES 4000000
#define MOST_STACK ((uint64_t)1 << 30) /* Go's own limit of one */
#define PIECE 4096
#define STATUS_IDLE 0
#define STATUS_DEAD 6
#define STATUS_LAST 9
#define STATUS_SCAN 0x1000u

struct goroutines {
	struct runtime *r;
	const struct elf_symbols *symbols;
	uint64_t bias;
	uint64_t learnt[LEARNT_FROM][WORDS];
	size_t n;
	size_t start, id; /* indices of words; the status is before the id */
};

/* The function that begins there, or NULL. */
static const char *function_at(const struct goroutines *g, uint64_t addr)
{
	const char *name = elf_symbols_find(g->symbols, addr - g->bias);
	const char *before = name ? elf_symbols_find(g->symbols, addr - g->bias - 1) : NULL;

	return name && (!before || strcmp(name, before)) ? name : NULL;
}

static uint32_t status_of(const struct goroutines *g, const uint64_t *record)
{
	return (uint32_t)record[g->id - 1] & ~STATUS_SCAN;
}

/* The record of the main goroutine; n: none, or the word at i is not where functions begin. */
static size_t find_main(const struct goroutines *g, size_t word)
{
	size_t i, found = g->n;

	for (i = 0; i < g->n; i++) {
		const char *name = g->learnt[i][word] ? function_at(g, g->learnt[i][word]) : NULL;

		if (!name && g->learnt[i][word])
			return g->n;
		if (name && !strcmp(name, "runtime.main"))
			found = i;
	}
	return found;
}

static bool is_id(const struct goroutines *g, size_t word, size_t of_main)
{
	struct table seen = TABLE_INIT;
	bool ok = g->learnt[of_main][word] == 1;
	size_t i;

	for (i = 0; ok && i < g->n; i++) {
		uint64_t id = g->learnt[i][word], status = (uint32_t)g->learnt[i][word - 1] & ~STATUS_SCAN;

		ok = id < (uint64_t)1 << 40 && status <= STATUS_LAST && (!id || !table_get(&seen, id));
		*table_put(&seen, id, 0) = 1;
	}
	table_release(&seen);
	return ok;
}

static bool learn(struct goroutines *g)
{
	size_t of_main = g->n;

	for (g->start = 2; g->start < WORDS && of_main == g->n; g->start++)
		of_main = find_main(g, g->start);
	g->start--;
	if (of_main == g->n)
		return false;
	for (g->id = 3; g->id < WORDS; g->id++)
		if (g->id != g->start && is_id(g, g->id, of_main))
			return true;
	return false;
}

static bool read_record(const struct goroutines *g, uint64_t at, uint64_t *record)
{
	return at && runtime_read(&g->r->process, at, record, WORDS * 8) && record[0] < record[1] &&
	       record[1] - record[0] <= MOST_STACK;
}

static void add_row(const struct goroutines *g, const uint64_t *record, struct table *rows, struct runtime_census *out)
{
	const char *function = function_at(g, record[g->start]);
	uint64_t *row;
	char *name;

	if (!function || status_of(g, record) == STATUS_DEAD || status_of(g, record) == STATUS_IDLE)
		return;
	row = table_put(rows, record[g->start], out->n);
	if (*row == out->n) {
		name = xasprintf("goroutine %s", function);
		runtime_census_add(out, name, 0, 0);
		free(name);
	}
	out->v[*row].objects++;
	out->v[*row].bytes += record[1] - record[0];
}

static void walk(struct goroutines *g, uint64_t array, uint64_t n, struct runtime_census *out)
{
	uint64_t at[PIECE], i, j, part, record[WORDS];
	struct table rows = TABLE_INIT; /* function -> row */

	for (i = 0; i < n; i += part) {
		part = n - i < PIECE ? n - i : PIECE;
		if (!runtime_read(&g->r->process, array + 8 * i, at, part * 8)) {
			out->is_partial = true;
			break;
		}
		for (j = 0; j < part; j++)
			if (read_record(g, at[j], record))
				add_row(g, record, &rows, out);
	}
	table_release(&rows);
}

bool go_goroutines(struct runtime *r, struct runtime_object *program, const struct elf_symbols *symbols,
		   struct runtime_census *out)
{
	struct goroutines *g = xcalloc(1, sizeof(*g));
	uint64_t slice[2] = { 0 }, addr = runtime_symbol(&r->process, program, "runtime.allgs"), i;
	bool ok;

	g->r = r;
	g->symbols = symbols;
	g->bias = program->bias;
	ok = addr && runtime_read(&r->process, addr, slice, sizeof(slice)) && slice[1] <= MOST_GOROUTINES;
	for (i = 0; ok && i < slice[1] && g->n < LEARNT_FROM; i++)
		if (read_record(g, runtime_word(&r->process, slice[0] + 8 * i), g->learnt[g->n]))
			g->n++;
	ok = ok && learn(g);
	if (ok)
		walk(g, slice[0], slice[1], out);
	free(g);
	return ok;
}
