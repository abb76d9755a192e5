/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * memprobe's kernel side, one object. The parts, in the order of DESIGN's pipeline:
 * target? (process) -> outermost? (heap) -> stack -> ledger; life cycles in task.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#include "memprobe.h"
#include "maps.bpf.h"
#include "guard.bpf.h"
#include "arch.bpf.h"
#include "select.bpf.h"
#include "process.bpf.h"
#include "call.bpf.h"
#include "unwind.bpf.h"
#include "runtime.bpf.h"
#include "stack.bpf.h"
#include "ledger.bpf.h"
#include "tcache.bpf.h"
#include "sample.bpf.h"
#include "heap.bpf.h"
#include "rss.bpf.h"

#include "heap.bpf.c"
#include "bump.bpf.c"
#include "task.bpf.c"
#include "trial.bpf.c"
#include "verify.bpf.c"
#include "rss.bpf.c"
#include "vm.bpf.c"
#include "vm_calls.bpf.c"
#include "oom.bpf.c"
#include "objects.bpf.c"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
