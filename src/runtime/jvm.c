/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The JVM: recognised, and what its own tools would tell is named. Its frames get names from a perf map when there
 * is one (jcmd PID Compiler.perfmap); without frame pointers in compiled code (-XX:+PreserveFramePointer) stacks end at the
 * first compiled method. No census, no probe of its heap's allocation.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/runtimes.h"

static bool jvm_is_own_object(const char *module)
{
	return !strcmp(module, "libjvm.so");
}

static int jvm_open(struct runtime *r)
{
	struct runtime_object *o = runtime_find_object(&r->process, "libjvm");
	struct buf b = BUF_INIT;
	uint64_t text;

	if (!o)
		return -ENOENT;
	text = runtime_word(&r->process, runtime_symbol(&r->process, o, "_ZN19Abstract_VM_Version13_s_vm_releaseE"));
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
	(void)r;
}

const struct runtime_ops jvm_runtime = {
	.name = "JVM",
	.kind = MP_RT_NONE,
	.open = jvm_open,
	.close = jvm_close,
	.is_own_object = jvm_is_own_object,
};
