/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Every way in which memprobe can fail to count, one row each:
 *
 *	LOSS(ID, "name", "what it did to the figures")
 *
 * A new loss kind is a row here; it then has a counter in the kernel, a place in
 * struct profile and a line in every output. `name` is part of the formats.
 */
LOSS(THREAD_RECORD, "thread_record", "calls not seen: no per-thread record could be made")
LOSS(BLOCKS_FULL, "blocks_full", "blocks left out of live: the block table is full (raise --max-memory)")
LOSS(BLOCK_INSERT, "block_insert", "blocks left out of live: the kernel had no memory for the entry")
LOSS(STACKS_FULL, "stacks_full", "blocks left out of live: the stack table is full (raise --max-memory)")
LOSS(STACK_READ, "stack_read", "blocks counted under [stack unreadable]")
LOSS(STACK_UNSENT, "stack_unsent", "stacks sent late: the event buffer was full")
LOSS(STACK_HASH, "stack_hash", "stack records whose hash did not match their frames")
LOSS(TABLES_FULL, "unwind_tables_full", "objects walked by frame pointers: no room for their unwind tables (raise --max-memory)")
LOSS(LOST_RETURN, "lost_return", "calls entered whose return was never seen")
LOSS(NESTED_UNSURE, "nested_unsure", "calls not counted: made while another call was pending on another stack")
LOSS(NEW_NOT_FOLLOWED, "new_not_followed", "operator new not counted: a return probe could break its exception")
LOSS(MISSED_FREE, "missed_free", "live addresses allocated again: the free between was missed, and corrected")
LOSS(HEAP_ENDED, "heap_ended", "heaps destroyed as a whole: their blocks stay in live (mi_heap_destroy)")
LOSS(RESULT_READ, "result_read", "blocks not counted: the returned pointer could not be read")
LOSS(PROCS_FULL, "procs_full", "processes not followed: the process table is full")
LOSS(EVENT_UNSENT, "event_unsent", "process events not delivered: the event buffer was full")
LOSS(VM_UNSENT, "vm_unsent", "calls that change mappings not seen: the event buffer was full")
LOSS(VM_MISSED, "vm_missed", "mappings that ended or began unseen, put right by /proc/PID/maps")
LOSS(PROBE_MISSED, "probe_missed", "probe hits that the kernel did not run (recursion)")
LOSS(RSS_STACKS, "rss_stacks_full", "first touches in the process's sum only: the table of their stacks is full (raise --max-memory)")
LOSS(MAPS_UNSEEN, "maps_unseen", "mappings of code not seen, of any process: a library loaded then may have no probes and no names")
LOSS(STOPPED, "stopped", "times that memprobe was stopped (Ctrl-Z): what was allocated, freed or mapped meanwhile was not seen")
LOSS(PROBES_UNOPENED, "probes_unopened", "times that probes of an object could not be put back: its calls were not seen until the next time")
LOSS(CODE_UNASKED, "code_unasked", "stacks cut: the kernel had no memory to ask for the unwind table of their code")
