/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The JVM: recognised, and what its own tools would tell is named. Its frames get names from a perf map when there
 * is one (jcmd PID Compiler.perfmap); without frame pointers in compiled code (-XX:+PreserveFramePointer) stacks end at
 * the first compiled method. No census, no probe of its heap's allocation.
 *
 * Its collections and what its heap holds are read from the counters that it keeps for its own tools (jvm_perfdata.h):
 * in its own memory, where it maps their file, never from a path. A JVM without them (-XX:-UsePerfData,
 * -XX:+PerfDisableSharedMem) says neither.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "runtime/jvm_heap.h"
#include "runtime/jvm_perfdata.h"
#include "runtime/runtimes.h"

struct jvm {
	struct runtime_range heap; /* reserved; end 0: not known */
	bool looked;
	uint64_t refresh_ns; /* CLOCK_MONOTONIC: the mappings are not read anew before, where the counters are not among them */
};

#define REFRESH_NS (NS_PER_S / 4)

static bool jvm_is_own_object(const char *module)
{
	return !strcmp(module, "libjvm.so");
}

/* Among the mappings as they were read last. */
static bool find_counters(struct runtime *r, struct jvm_counters *out)
{
	const struct proc_maps *maps = &r->process.maps;
	bool ok = false;
	size_t i;

	for (i = 0; i < maps->n && !ok; i++) {
		const struct proc_map *m = &maps->v[i];
		size_t len = m->end - m->start;
		uint8_t *data;

		if (!strstr(m->path, "/hsperfdata_") || m->exec || len > JVM_PERFDATA_MOST)
			continue;
		data = xmalloc(len);
		ok = runtime_read(&r->process, m->start, data, len) && jvm_perfdata_parse(data, len, out);
		free(data);
	}
	return ok;
}

/* The counters now; false: there are none. A JVM that begins maps them later than its code. */
static bool read_counters(struct runtime *r, struct jvm_counters *out)
{
	struct jvm *j = r->state;
	uint64_t now;

	if (find_counters(r, out))
		return true;
	now = clock_monotonic_ns();
	if (now < j->refresh_ns || runtime_process_refresh(&r->process))
		return false;
	j->refresh_ns = now + REFRESH_NS;
	return find_counters(r, out);
}

static int jvm_collections(struct runtime *r, uint64_t *full)
{
	struct jvm_counters c;

	if (!read_counters(r, &c) || !c.has_collections)
		return -ENOTSUP;
	*full = c.full;
	return 0;
}

/* It does not move. */
static int jvm_heap_ranges(struct runtime *r, struct runtime_ranges *out)
{
	struct runtime_object *o = runtime_find_object(&r->process, "libjvm");
	struct jvm *j = r->state;
	int err = o && !j->looked ? jvm_heap_range(r, o, &j->heap.start, &j->heap.end) : 0;

	j->looked = err != -EAGAIN;
	if (err)
		j->heap = (struct runtime_range){ 0 };
	if (!j->heap.end)
		return -ENOTSUP;
	runtime_ranges_add(out, j->heap.start, j->heap.end);
	return 0;
}

static int jvm_heap(struct runtime *r, struct runtime_heap *out)
{
	struct jvm_counters c;

	if (!read_counters(r, &c) || !c.has_heap)
		return -ENOTSUP;
	*out = (struct runtime_heap){
		.used_bytes = c.used_bytes,
		.committed_bytes = c.committed_bytes,
		.most_bytes = c.most_bytes,
		.young = c.young,
		.kept_bytes = c.kept_bytes,
	};
	return 0;
}

static int jvm_open(struct runtime *r)
{
	struct runtime_object *o = runtime_find_object(&r->process, "libjvm");
	struct buf b = BUF_INIT;
	uint64_t release, text;

	if (!o)
		return -ENOENT;
	release = runtime_symbol(&r->process, o, "_ZN19Abstract_VM_Version13_s_vm_releaseE");
	text = runtime_word(&r->process, release);
	if (release && !text && runtime_is_young(r))
		return -EAGAIN; /* the loader has not relocated it */
	r->state = xcalloc(1, sizeof(struct jvm));
	if (text && runtime_text(&r->process, text, sizeof(r->version) - 1, &b))
		snprintf(r->version, sizeof(r->version), "%s", b.data);
	buf_release(&b);
	snprintf(r->reason, sizeof(r->reason), "Java methods have names from a perf map only");
	snprintf(r->hint, sizeof(r->hint),
		 "names: jcmd %d Compiler.perfmap; by class: jcmd %d GC.class_histogram; stacks: -XX:+PreserveFramePointer",
		 (int)r->process.pid, (int)r->process.pid);
	return 0;
}

static void jvm_close(struct runtime *r)
{
	free(r->state);
}

const struct runtime_ops jvm_runtime = {
	.name = "JVM",
	.kind = MP_RT_NONE,
	.open = jvm_open,
	.close = jvm_close,
	.is_own_object = jvm_is_own_object,
	.collections = jvm_collections,
	.heap = jvm_heap,
	.heap_ranges = jvm_heap_ranges,
	.heap_name = "Java heap",
};
