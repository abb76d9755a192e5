/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A JVM's counters: what is read of a record, and of every record that is cut or changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/jvm_perfdata.h"

struct record {
	uint8_t bytes[4096];
	uint32_t len, n;
};

static void put32(struct record *r, uint32_t at, uint32_t v)
{
	memcpy(r->bytes + at, &v, sizeof(v));
}

static void begin(struct record *r)
{
	static const uint8_t header[] = { 0xca, 0xfe, 0xc0, 0xc0, 1, 2, 0, 1 };

	*r = (struct record){ .len = 32 };
	memcpy(r->bytes, header, sizeof(header));
	put32(r, 24, 32);
}

/* text NULL: a number */
static void add(struct record *r, const char *name, const char *text, uint64_t number)
{
	uint32_t at = r->len, data = 20 + (uint32_t)strlen(name) + 1, bytes = text ? (uint32_t)strlen(text) + 1 : 8;

	put32(r, at, data + bytes);
	put32(r, at + 4, 20);
	put32(r, at + 8, text ? bytes : 0);
	r->bytes[at + 12] = text ? 'B' : 'J';
	put32(r, at + 16, data);
	memcpy(r->bytes + at + 20, name, data - 20);
	memcpy(r->bytes + at + data, text ? (const void *)text : (const void *)&number, bytes);
	r->len = at + data + bytes;
	put32(r, 28, ++r->n);
}

static void add_heap(struct record *r, const char *policy)
{
	begin(r);
	add(r, "java.version", "17", 0);
	add(r, "sun.gc.policy.name", policy, 0);
	add(r, "sun.gc.collector.0.invocations", NULL, 7);
	add(r, "sun.gc.collector.1.invocations", NULL, 2);
	add(r, "sun.gc.collector.2.invocations", NULL, 5);
	add(r, "sun.gc.generation.0.capacity", NULL, 100);
	add(r, "sun.gc.generation.0.maxCapacity", NULL, 900);
	add(r, "sun.gc.generation.0.space.0.used", NULL, 50);
	add(r, "sun.gc.generation.0.space.1.used", NULL, 30);
	add(r, "sun.gc.generation.1.capacity", NULL, 400);
	add(r, "sun.gc.generation.1.maxCapacity", NULL, 900);
	add(r, "sun.gc.generation.1.space.0.used", NULL, 200);
}

static void g1__collects_old_garbage_by_its_cycles_too_and_has_one_heap(void **state)
{
	struct jvm_counters c;
	struct record r;

	(void)state;
	add_heap(&r, "GarbageFirst");
	assert_true(jvm_perfdata_parse(r.bytes, r.len, &c));
	assert_true(c.has_collections && c.has_heap);
	assert_int_equal(c.full, 2 + 5 / 2);
	assert_int_equal(c.young, 7);
	assert_int_equal(c.used_bytes, 280);
	assert_int_equal(c.kept_bytes, 230); /* without eden */
	assert_int_equal(c.committed_bytes, 500);
	assert_int_equal(c.most_bytes, 900);
}

static void generations_of_their_own__add_up(void **state)
{
	struct jvm_counters c;
	struct record r;

	(void)state;
	add_heap(&r, "Copy:MSC");
	assert_true(jvm_perfdata_parse(r.bytes, r.len, &c));
	assert_int_equal(c.full, 2);
	assert_int_equal(c.most_bytes, 1800);
}

static void pauses_of_a_collector_that_is_not_known__are_no_collections(void **state)
{
	struct jvm_counters c;
	struct record r;

	(void)state;
	add_heap(&r, "ParNew:CMS");
	assert_true(jvm_perfdata_parse(r.bytes, r.len, &c));
	assert_false(c.has_collections);
	assert_true(c.has_heap);
}

static void more_in_use_than_there_is__is_no_heap(void **state)
{
	struct jvm_counters c;
	struct record r;

	(void)state;
	add_heap(&r, "Copy:MSC");
	add(&r, "sun.gc.generation.1.space.1.used", NULL, 221);
	assert_true(jvm_perfdata_parse(r.bytes, r.len, &c));
	assert_false(c.has_heap);
	r.bytes[7] = 0; /* not accessible yet */
	assert_false(jvm_perfdata_parse(r.bytes, r.len, &c));
}

/* Each copy ends where its bytes end, so that a sanitizer sees a read beyond. */
static void a_record_that_is_cut_or_changed__is_read_within_its_bytes(void **state)
{
	struct jvm_counters c;
	struct record r;
	uint32_t len, at;

	(void)state;
	add_heap(&r, "GarbageFirst");
	for (len = 0; len <= r.len; len++) {
		uint8_t *copy = malloc(len + !len);

		memcpy(copy, r.bytes, len);
		assert_false(jvm_perfdata_parse(copy, len, &c) && c.has_heap && len < r.len);
		for (at = 0; at + 4 <= len; at += 4) {
			memset(copy + at, 0xff, 4);
			jvm_perfdata_parse(copy, len, &c);
			assert_false(c.has_heap && c.used_bytes > c.committed_bytes);
			memcpy(copy + at, r.bytes + at, 4);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(g1__collects_old_garbage_by_its_cycles_too_and_has_one_heap),
		cmocka_unit_test(generations_of_their_own__add_up),
		cmocka_unit_test(pauses_of_a_collector_that_is_not_known__are_no_collections),
		cmocka_unit_test(more_in_use_than_there_is__is_no_heap),
		cmocka_unit_test(a_record_that_is_cut_or_changed__is_read_within_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
