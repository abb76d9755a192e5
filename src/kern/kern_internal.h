/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files of src/kern share. Not for others. */
#ifndef MEMPROBE_KERN_INTERNAL_H
#define MEMPROBE_KERN_INTERNAL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kern/kern.h"
#include "memprobe.skel.h"
#include "model/others_budget.h"
#include "model/watched.h"

enum attach_kind { ATTACH_SESSION, ATTACH_MULTI, ATTACH_PERF };

struct kern_link {
	int fd;		       /* raw multi or session link, or -1 */
	struct bpf_link *perf; /* or a perf link */
	bool gated, hot, frees;	       /* taken away between bursts (gate.c) */
	bool scoped;	       /* to one process */
	pid_t pid;	       /* that one; 0: all */
};

/* Probes of one program on one file. */
struct probe_set {
	int file_fd; /* O_PATH */
	struct bpf_program *prog;
	uint32_t type, flags; /* of a multi link; MP_UPROBE_MULTI_RETURN also of perf links */
	struct probe_site *sites;
	size_t n;
	pid_t pid;
	bool gated;
	bool frees; /* entries of frees: they may stay when the gate is shut */
	bool is_open;
};

struct kern {
	struct memprobe_bpf *skel;
	struct memprobe_bpf *bumps; /* the object once more, for one program; NULL: nobody wanted it (bump.c) */
	int bumps_err; /* why it cannot be loaded: -errno; 0: it can, or nobody wanted it */
	struct ring_buffer *ring;
	enum attach_kind kind;
	bool sees_one_thread; /* links of one process do; for all processes they see every thread */
	enum kern_verify verify;
	bool find_vma; /* the kernel side finds mappings by itself */
	bool rss; /* resident memory is watched (rss.c) */
	bool rss_faults; /* with the addresses of first touches */
	const char *rss_missing;
	struct bpf_link *rss_link;
	bool objects; /* births of objects */
	unsigned int n_object_forms;
	enum first_touches rss_level; /* wanted */
	bool rss_begun, rss_paused;
	bool tables; /* stacks by unwind tables, else by frame pointers */
	bool vm, vm_lock_path; /* the vm plane is there (vm.c); its tracepoints' form */
	bool vm_by_calls;      /* ... by system-call tracepoints, which everybody pays for */
	uint32_t vm_call_ns;   /* so much per call */
	struct unwinder *unwinder;
	struct kern_link *links;
	size_t n_links, links_cap;
	struct probe_set *sets; /* what a gate opens again, what is made wide */
	size_t n_sets, sets_cap;
	bool gate_shut, frees_shut;
	uint64_t n_unopened; /* times that a set was to be put back, and was not */
	struct {
		bool gate_shut, frees_shut;
		uint32_t armed;
	} before_pause;
	struct watched_spans watched; /* when frees were, up to the last shutting */
	uint64_t close_scoped_ns; /* CLOCK_MONOTONIC; 0: nothing to close (widen.c) */
	struct scoped_closer *scoped_closer;
	struct others *others;	 /* what links there were at the last look (others.c) */
	struct closing *closing; /* links that are being closed, or NULL */
	struct kern_link loader;
	const struct kern_handlers *handlers; /* during kern_poll */
	uint32_t next_user_gen;
	unsigned int n_cpus;
};

/*
 * feature.c: the best attach kind that works here, by trying, into k->kind and k->sees_one_thread; first_killed as for
 * scratch_lock_up. 0, -EOPNOTSUPP (return probes would kill sandboxed programs), or what the last trial
 * came to.
 */
int feature_find_links(struct kern *k, uint32_t first_killed);

/* One kind alone, on a scratch process without sandbox: 0 (it fired at entry and return) or -errno. */
int feature_try_kind(struct kern *k, enum attach_kind kind);

/* load.c: libbpf's own messages only with -v; what the verifier went through, with -v */
void kern_quiet_libbpf(void);
void kern_log_verified(const struct bpf_object *obj);

/* bump.c: the program for probes with is_bump, loaded with the first; NULL: it cannot be, and a message has said so */
struct bpf_program *bump_program(struct kern *k);

/*
 * vm.c: has this kernel what the vm plane takes (k->vm, k->vm_by_calls)? Its programs in the object, if k->vm;
 * attached.
 */
void vm_plane_find(struct kern *k, bool by_calls);
/* The programs were refused: by calls then, if it was not by those; else there is no plane. */
void vm_plane_lessen(struct kern *k);
void vm_choose(struct kern *k);
int vm_attach(struct kern *k);

/* explain.c: log why not, and what to do; what kern_open returns: -EPERM, -EOPNOTSUPP, -errno */
int explain_links(const struct kern *k, int err);
int explain_load(int err);
/* -EPERM when the kernel refused for want of a right, else err. */
int explain_attach(const struct kern *k, const char *path, int err);

/* unwinder.c */
int unwinder_open(struct kern *k, uint64_t max_bytes);
void unwinder_close(struct kern *k);
/* Announcements that were put off: they may come again now. */
void unwinder_poll(struct kern *k);
struct uw_object_key;
/* real_file.c: what the walk takes the file for. -EOPNOTSUPP (then it is as in /proc/PID/maps) or -errno */
int real_file_find(struct kern *k, int fd, struct uw_object_key *key, uint64_t *version);
/* Of the tables' chunks, whose maps are in no skeleton. */
uint64_t unwinder_pool_bytes(const struct kern *k);

/* ranges.c: a process becomes a target */
int ranges_begin(struct kern *k, pid_t pid);

/* drain.c: a whole table by batches; 0 or -errno, logged */
typedef void (*drain_fn)(void *ctx, const void *key, const void *value);
int drain_map(const struct bpf_map *map, drain_fn fn, void *ctx);

/*
 * A reader of kern.h that hands a table's entries on as they are, while is_there (of k): the key as it stands, or as
 * the number that it is.
 */
#define KEY_STRUCT(key) (key)
#define KEY_U32(key) (*(const uint32_t *)(key))
#define KEY_U64(key) (*(const uint64_t *)(key))
#define DEFINE_READER(name, fn_type, map, key_as, is_there)                                                       \
	struct name##_call {                                                                                      \
		fn_type fn;                                                                                       \
		void *ctx;                                                                                        \
	};                                                                                                        \
	static void name##_one(void *ctx, const void *key, const void *value)                                     \
	{                                                                                                         \
		const struct name##_call *c = ctx;                                                                \
                                                                                                                  \
		c->fn(c->ctx, key_as(key), value);                                                                \
	}                                                                                                         \
	int name(struct kern *k, fn_type fn, void *ctx)                                                           \
	{                                                                                                         \
		struct name##_call c = { fn, ctx };                                                               \
                                                                                                                  \
		return (is_there) ? drain_map(k->skel->maps.map, name##_one, &c) : 0;                             \
	}

/* Delete the entries that go. How many, or -errno; then too those that were read are deleted. */
long drain_sweep(const struct bpf_map *map, bool (*goes)(void *ctx, const void *key, const void *value), void *ctx);

/* For a sweep: which generations have ended. */
struct generations {
	bool (*is_dead)(void *ctx, uint32_t gen);
	void *ctx;
};

/* rss.c: before the load, after it, when the run begins */
void rss_choose(struct kern *k);
int rss_prepare(struct kern *k);
void rss_arm(struct kern *k);
void rss_close(struct kern *k);
/* Counts nothing meanwhile; then begins with the sums of that moment. */
void rss_pause(struct kern *k);
void rss_resume(struct kern *k);

/* link.c */
/* A uprobe_multi or session link: n places in one file, for one program. */
struct multi_link {
	int prog_fd;
	uint32_t type;	/* MP_TRACE_UPROBE_MULTI, ..._SESSION */
	uint32_t flags; /* 0, MP_UPROBE_MULTI_RETURN */
	const char *path;
	const unsigned long *offsets;
	const unsigned long *counters; /* offsets of semaphores that switch the probes on; NULL: none have one */
	const uint64_t *cookies;
	uint32_t n;
	pid_t pid; /* 0: every process */
};
/* A file descriptor, or -errno. */
int link_multi(const struct multi_link *m);
/* Closed with k. */
void link_keep(struct kern *k, int fd, struct bpf_link *perf);
int probe_set_open(struct kern *k, const struct probe_set *s);

/* detach.c: all at once; 0.1 s */
void links_close(struct kern_link *links, size_t n);

/* widen.c: close the narrow links when it is time; wait for that to end. */
void widen_poll(struct kern *k);
void widen_close(struct kern *k);

/* others.c; links of this program are ours too */
void others_add_own(struct kern *k, const struct bpf_program *prog);
void others_release(struct kern *k);

/* gate.c: attach a set, now or when the gate opens; owns its fd and sites from here on. 0 or -errno. */
int gate_add(struct kern *k, const struct probe_set *s);
/* Should its links be there now? */
bool gate_wants(const struct kern *k, const struct probe_set *s);
void gate_release(struct kern *k);

#define MP_TRACE_UPROBE_MULTI 48
#define MP_TRACE_UPROBE_SESSION 57
#define MP_UPROBE_MULTI_RETURN 1u

#endif
