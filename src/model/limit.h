/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which limit a growing process meets first, and what happens there. Pure.
 *
 *	limit of a control group (max)	pages go to swap while the group may, then the kernel kills in
 *					the group; malloc does not fail first
 *	the machine's RAM		the same, but the kernel chooses among all processes
 *	control group (high)		no end: the group is slowed down so that it is reclaimed
 *	RLIMIT_AS, RLIMIT_DATA		malloc fails; nothing is killed
 *	CommitLimit			the same, for every process (vm.overcommit_memory is 2)
 *
 * The first is the one with the least room, where swap that may be used counts as room before a
 * kill. All of them are taken to fill as fast as the process grows.
 */
#ifndef MEMPROBE_MODEL_LIMIT_H
#define MEMPROBE_MODEL_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum limit_kind {
	LIMIT_NONE = 0,
	LIMIT_GROUP_MAX,
	LIMIT_GROUP_HIGH,
	LIMIT_RAM,
	LIMIT_ADDRESS_SPACE,
	LIMIT_DATA,
	LIMIT_COMMIT,
	LIMIT_KIND_NR
};

enum limit_end {
	LIMIT_ENDS_NOT = 0,
	LIMIT_ENDS_KILLED,	 /* by the kernel */
	LIMIT_ENDS_GROUP_KILLED, /* with all of its control group */
	LIMIT_ENDS_SOME_KILLED,	 /* a process of the machine, most likely the largest */
	LIMIT_ENDS_OTHER_KILLED, /* it is protected: others are */
	LIMIT_ENDS_MALLOC_FAILS,
	LIMIT_END_NR
};

struct limit {
	enum limit_kind kind;
	uint64_t limit_bytes, used_bytes;
	uint64_t swap_left_bytes; /* may be used before the end */
	bool kills_group;
};

struct limit_outlook {
	size_t first;	 /* index; SIZE_MAX: nothing limits */
	enum limit_end end;
	uint64_t room_bytes; /* to there, swap not included */
	uint64_t swap_bytes; /* that fills up after that */
	size_t slowed; /* index of a LIMIT_GROUP_HIGH that comes before; SIZE_MAX: none */
};

/* can_be_killed: oom_score_adj is not -1000. */
struct limit_outlook limit_outlook_of(const struct limit *v, size_t n, bool can_be_killed);

#endif
