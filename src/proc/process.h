/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What /proc and the cgroup tree say of a process. Rooted at path arguments so that
 * tests run on fixture trees. Every reader returns 0, -ESRCH (gone) or -errno.
 */
#ifndef MEMPROBE_PROC_PROCESS_H
#define MEMPROBE_PROC_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_status {
	char comm[64];
	char state; /* R S D T Z X */
	pid_t tgid, ppid;
	pid_t ns_pid; /* its PID in its own innermost namespace */
	uint32_t n_threads;
	uint32_t uid; /* effective */
	uint64_t rss_bytes, rss_anon_bytes, rss_file_bytes, rss_shmem_bytes, swap_bytes;
	bool has_memory; /* false: kernel thread or zombie; a leader that ended has its threads' */
};

int proc_status_read(struct proc_status *st, const char *proc_root, pid_t pid);

struct proc_stat {
	uint64_t cpu_ns;	  /* user + system, of all threads */
	uint64_t start_age_ns;	  /* since the process started */
	uint64_t start_ticks;	  /* identity together with the pid */
	uint64_t page_faults;	  /* of all threads, also those that have ended */
	bool has_ended;		  /* a zombie, without threads that go on */
};

int proc_stat_read(struct proc_stat *st, const char *proc_root, pid_t pid);
/* Page faults of the whole machine since boot (/proc/vmstat). */
int proc_page_faults_read(uint64_t *n, const char *proc_root);

/* How long a living thread has run, and waited for a CPU while it could run. */
struct proc_thread_times {
	pid_t tid;
	uint64_t ran_ns, waited_ns;
};

/* Of all its threads (schedstat; -ENOENT where the kernel does not count it). *v: free() it; NULL on error. */
int proc_thread_times_read(struct proc_thread_times **v, size_t *n, const char *proc_root, pid_t pid);
/* The sum of what they waited. */
int proc_run_delay_read(uint64_t *delay_ns, const char *proc_root, pid_t pid);

/* PIDs of all processes that have memory, ascending; *pids is malloc'ed. */
int proc_list(pid_t **pids, size_t *n, const char *proc_root);

/*
 * All living descendants of the roots that have memory, the roots themselves left out, ascending; one look at
 * /proc: what forks meanwhile may be missing. *pids is malloc'ed.
 */
int proc_descendants(pid_t **pids, size_t *n, const char *proc_root, const pid_t *roots, size_t n_roots);

/*
 * The memory limit above a process: the smallest memory.max or memory.high (cgroup v2) or
 * memory.limit_in_bytes (v1) of its group and the groups above; the machine's RAM when none is below that.
 */
struct proc_limit {
	uint64_t limit_bytes;
	/* In the group that has the limit, without page cache that can be dropped; of RAM: total - available. */
	uint64_t used_bytes;
	uint64_t oom_kills; /* in that group and below it; of RAM: since boot */
	char name[128];	    /* last component: "gateway.service"; "RAM" when the machine is the limit */
};

int proc_limit_read(struct proc_limit *l, const char *proc_root, const char *cgroup_root, pid_t pid);

/* A control group above a process; UINT64_MAX: no such limit. */
struct proc_group {
	char name[128]; /* last component */
	uint64_t id;	/* of the whole path, for comparison */
	uint64_t max_bytes, high_bytes;
	/* of groups that have a limit: */
	uint64_t current_bytes;
	uint64_t used_bytes; /* current without page cache that can be dropped */
	uint64_t anon_bytes, file_bytes, shmem_bytes, kernel_bytes; /* of current */
	/* of all: */
	uint64_t swap_bytes;	  /* in use; in v1 of groups that have a limit only */
	uint64_t swap_left_bytes; /* by its limits and those above it, not by what the machine has; UINT64_MAX: none */
	uint64_t oom_kills;	  /* in it and below it */
	bool kills_group;	  /* memory.oom.group: all of it is killed together */
};

/* From the process's own group to the root of the hierarchy. */
struct proc_groups {
	struct proc_group *v;
	size_t n, cap;
};

int proc_groups_read(struct proc_groups *gs, const char *proc_root, const char *cgroup_root, pid_t pid);
void proc_groups_release(struct proc_groups *gs);

/* Limits of a process that make malloc fail; UINT64_MAX: none. */
struct proc_rlimits {
	uint64_t address_space_bytes, data_bytes;   /* RLIMIT_AS, RLIMIT_DATA, the soft ones */
	uint64_t vm_size_bytes, vm_data_bytes;	    /* what counts against them */
	int oom_score_adj;			    /* -1000: never killed */
};

int proc_rlimits_read(struct proc_rlimits *r, const char *proc_root, pid_t pid);

struct proc_meminfo {
	uint64_t total_bytes, available_bytes, free_bytes, swap_total_bytes, swap_free_bytes;
	uint64_t commit_limit_bytes, committed_bytes;
	bool is_commit_limited; /* vm.overcommit_memory is 2 */
	uint64_t oom_kills;	/* since boot */
};

int proc_meminfo_read(struct proc_meminfo *m, const char *proc_root);

/*
 * A process that holds what a line "key: value" of its /proc/PID/fdinfo names; 0: none that we may see. Reads them all.
 */
pid_t proc_holder(const char *proc_root, const char *key, uint32_t value);

/* Effective capabilities of this process (bit numbers of linux/capability.h). */
int proc_own_capabilities(uint64_t *caps, const char *proc_root);

#endif
