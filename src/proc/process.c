/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What /proc says of a process, of the machine and of memprobe's own capabilities; see process.h.
 *
 * Field meanings: proc(5). Memory limits are cgroup.c. Depends on base and libc.
 */
#include "proc/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "proc/proc_internal.h"

#define MAX_TEXT_BYTES ((size_t)4 << 20) /* /proc/stat-like files are far below */

int proc_read_text(struct buf *text, const char *proc_root, pid_t pid, const char *name)
{
	char *path = pid ? xasprintf("%s/%d/%s", proc_root, (int)pid, name)
			 : xasprintf("%s/%s", proc_root, name);
	int err;

	buf_reset(text);
	err = buf_read_file(text, path, MAX_TEXT_BYTES);
	free(path);
	return err == -ENOENT || err == -ENOTDIR ? -ESRCH : err;
}

/*
 * The rest of the first line that begins with key ("VmRSS:"), blanks skipped; NULL when there is
 * none. It ends at '\n' or NUL.
 */
static const char *text_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (text && strncmp(text, key, len) != 0) {
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	if (!text)
		return NULL;
	text += len;
	while (*text == ' ' || *text == '\t')
		text++;
	return text;
}

bool text_number(const char *text, const char *key, uint64_t *out)
{
	const char *v = text_value(text, key);

	if (!v || !isdigit((unsigned char)*v))
		return false;
	*out = strtoull(v, NULL, 10);
	return true;
}

static uint64_t number_or_zero(const char *text, const char *key)
{
	uint64_t n;

	return text_number(text, key, &n) ? n : 0;
}

/* "VmRSS:	    1234 kB" */
static uint64_t kib_value(const char *text, const char *key)
{
	uint64_t n = number_or_zero(text, key);

	return n > UINT64_MAX / KIB ? 0 : n * KIB;
}

/* The kernel writes newline and backslash in a name as \n and \\. */
static void copy_comm(char *out, size_t cap, const char *v)
{
	size_t n = 0;

	while (v && *v && *v != '\n' && n + 1 < cap) {
		if (v[0] == '\\' && (v[1] == 'n' || v[1] == '\\'))
			v++, out[n++] = *v++ == 'n' ? '\n' : '\\';
		else
			out[n++] = *v++;
	}
	out[n] = '\0';
}

/* The last number of the line "NSpid:	4242	7": the innermost namespace. */
static pid_t last_number(const char *v, pid_t otherwise)
{
	pid_t last = otherwise;
	char *end;

	while (v && isdigit((unsigned char)*v)) {
		last = (pid_t)strtol(v, &end, 10);
		for (v = end; *v == ' ' || *v == '\t'; v++)
			;
	}
	return last;
}

static uint32_t effective_uid(const char *text)
{
	const char *v = text_value(text, "Uid:");
	unsigned int real, effective;

	return v && sscanf(v, "%u %u", &real, &effective) == 2 ? effective : 0;
}

static void parse_memory(struct proc_status *st, const char *text)
{
	uint64_t n;

	st->has_memory = text_number(text, "VmSize:", &n);
	st->rss_bytes = kib_value(text, "VmRSS:");
	st->rss_anon_bytes = kib_value(text, "RssAnon:");
	st->rss_file_bytes = kib_value(text, "RssFile:");
	st->rss_shmem_bytes = kib_value(text, "RssShmem:");
	st->swap_bytes = kib_value(text, "VmSwap:");
}

static int parse_status(struct proc_status *st, const char *text, pid_t pid)
{
	const char *state = text_value(text, "State:");

	*st = (struct proc_status){ 0 };
	if (!state || !*state)
		return -EINVAL;
	st->state = *state;
	copy_comm(st->comm, sizeof(st->comm), text_value(text, "Name:"));
	st->tgid = (pid_t)number_or_zero(text, "Tgid:");
	st->ppid = (pid_t)number_or_zero(text, "PPid:");
	st->ns_pid = last_number(text_value(text, "NSpid:"), pid);
	st->n_threads = (uint32_t)number_or_zero(text, "Threads:");
	st->uid = effective_uid(text);
	parse_memory(st, text);
	return 0;
}

pid_t proc_living_thread(const char *proc_root, pid_t pid)
{
	char *path = xasprintf("%s/%d/task", proc_root, (int)pid);
	struct buf text = BUF_INIT;
	struct dirent *e;
	pid_t found = 0;
	uint64_t n;
	DIR *d = opendir(path);

	while (d && !found && (e = readdir(d))) {
		char *name;

		if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == pid)
			continue;
		name = xasprintf("task/%s/status", e->d_name);
		if (!proc_read_text(&text, proc_root, pid, name) &&
		    text_number(text.data, "VmSize:", &n))
			found = atoi(e->d_name);
		free(name);
	}
	if (d)
		closedir(d);
	buf_release(&text);
	free(path);
	return found;
}

/* A leader that called pthread_exit is a zombie without memory while its threads go on. */
static void take_memory_of_thread(struct proc_status *st, const char *proc_root, pid_t pid)
{
	pid_t tid = proc_living_thread(proc_root, pid);
	struct buf text = BUF_INIT;
	char *name;

	if (!tid)
		return;
	name = xasprintf("task/%d/status", (int)tid);
	if (!proc_read_text(&text, proc_root, pid, name))
		parse_memory(st, text.data);
	free(name);
	buf_release(&text);
}

int proc_status_read(struct proc_status *st, const char *proc_root, pid_t pid)
{
	struct buf text = BUF_INIT;
	int err = proc_read_text(&text, proc_root, pid, "status");

	if (!err)
		err = parse_status(st, text.data, pid);
	buf_release(&text);
	if (!err && !st->has_memory && st->state == 'Z' && st->n_threads > 1)
		take_memory_of_thread(st, proc_root, pid);
	return err;
}

static uint64_t ticks_to_ns(uint64_t ticks)
{
	long hz = sysconf(_SC_CLK_TCK);

	return ticks * (NS_PER_S / (uint64_t)(hz > 0 ? hz : 100));
}

static int uptime_read(uint64_t *uptime_ns, const char *proc_root)
{
	struct buf text = BUF_INIT;
	int err = proc_read_text(&text, proc_root, 0, "uptime");
	double seconds;

	if (!err && sscanf(text.data, "%lf", &seconds) != 1)
		err = -EINVAL;
	if (!err)
		*uptime_ns = (uint64_t)(seconds * (double)NS_PER_S);
	buf_release(&text);
	return err;
}

int proc_stat_read(struct proc_stat *st, const char *proc_root, pid_t pid)
{
	uint64_t utime, stime, start, minor, major, threads, uptime_ns = 0;
	struct buf text = BUF_INIT;
	const char *p = NULL;
	char state;
	int err = proc_read_text(&text, proc_root, pid, "stat");

	if (!err)
		p = strrchr(text.data, ')'); /* the name before it may hold blanks and brackets */
	/*
	 * Fields 3 state, 4-9, 10 minflt, 11, 12 majflt, 13, 14 utime, 15 stime, 16-19, 20 num_threads, 21, 22
	 * starttime.
	 */
	if (!err && (!p || sscanf(p + 1,
				  " %c %*s %*s %*s %*s %*s %*s %" SCNu64 " %*s %" SCNu64 " %*s %" SCNu64
				  " %" SCNu64 " %*s %*s %*s %*s %" SCNu64 " %*s %" SCNu64,
				  &state, &minor, &major, &utime, &stime, &threads, &start) != 7))
		err = -EINVAL;
	buf_release(&text);
	if (!err)
		err = uptime_read(&uptime_ns, proc_root);
	if (err)
		return err;
	st->cpu_ns = ticks_to_ns(utime + stime);
	st->start_ticks = start;
	st->page_faults = minor + major;
	st->has_ended = state == 'Z' && threads <= 1;
	st->start_age_ns = uptime_ns > ticks_to_ns(start) ? uptime_ns - ticks_to_ns(start) : 0;
	return 0;
}

int proc_page_faults_read(uint64_t *n, const char *proc_root)
{
	struct buf text = BUF_INIT;
	int err = proc_read_text(&text, proc_root, 0, "vmstat");

	if (!err && !text_number(text.data, "pgfault ", n))
		err = -ENODATA;
	buf_release(&text);
	return err;
}

int proc_thread_times_read(struct proc_thread_times **v, size_t *n, const char *proc_root, pid_t pid)
{
	char *path = xasprintf("%s/%d/task", proc_root, (int)pid), name[64];
	struct buf b = BUF_INIT;
	struct dirent *d;
	DIR *dir = opendir(path);
	int err = dir ? -ENOENT : -errno;
	size_t cap = 0;

	*v = NULL;
	*n = 0;
	while (dir && (d = readdir(dir))) {
		struct proc_thread_times t = { .tid = (pid_t)atoi(d->d_name) };

		buf_reset(&b);
		snprintf(name, sizeof(name), "task/%.32s/schedstat", d->d_name);
		if (t.tid <= 0 || proc_read_text(&b, proc_root, pid, name) ||
		    sscanf(b.data, "%" SCNu64 " %" SCNu64, &t.ran_ns, &t.waited_ns) != 2)
			continue;
		XGROW(*v, *n, cap);
		(*v)[(*n)++] = t;
		err = 0;
	}
	if (dir)
		closedir(dir);
	buf_release(&b);
	free(path);
	return err;
}

int proc_run_delay_read(uint64_t *delay_ns, const char *proc_root, pid_t pid)
{
	struct proc_thread_times *v;
	size_t i, n;
	int err = proc_thread_times_read(&v, &n, proc_root, pid);

	*delay_ns = 0;
	for (i = 0; i < n; i++)
		*delay_ns += v[i].waited_ns;
	free(v);
	return err;
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return x < y ? -1 : x > y;
}

int proc_list(pid_t **pids, size_t *n, const char *proc_root)
{
	DIR *d = opendir(proc_root);
	struct proc_status st;
	struct dirent *e;
	size_t cap = 0;

	*pids = NULL;
	*n = 0;
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		pid_t pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;

		if (pid <= 0 || proc_status_read(&st, proc_root, pid) || !st.has_memory)
			continue;
		XGROW(*pids, *n, cap);
		(*pids)[(*n)++] = pid;
	}
	closedir(d);
	if (*n)
		qsort(*pids, *n, sizeof(**pids), by_pid);
	return 0;
}

int proc_meminfo_read(struct proc_meminfo *m, const char *proc_root)
{
	struct buf text = BUF_INIT;
	uint64_t total;
	int err = proc_read_text(&text, proc_root, 0, "meminfo");

	if (!err && !text_number(text.data, "MemTotal:", &total))
		err = -EINVAL;
	if (!err)
		*m = (struct proc_meminfo){
			.total_bytes = kib_value(text.data, "MemTotal:"),
			.available_bytes = kib_value(text.data, "MemAvailable:"),
			.free_bytes = kib_value(text.data, "MemFree:"),
			.swap_total_bytes = kib_value(text.data, "SwapTotal:"),
			.swap_free_bytes = kib_value(text.data, "SwapFree:"),
			.commit_limit_bytes = kib_value(text.data, "CommitLimit:"),
			.committed_bytes = kib_value(text.data, "Committed_AS:"),
		};
	if (!err && !proc_read_text(&text, proc_root, 0, "sys/vm/overcommit_memory"))
		m->is_commit_limited = text.data[0] == '2';
	if (!err && !proc_read_text(&text, proc_root, 0, "vmstat"))
		text_number(text.data, "oom_kill ", &m->oom_kills);
	buf_release(&text);
	return err;
}

/* "Max address space        4294967296           unlimited            bytes" */
static uint64_t soft_limit(const char *text, const char *key)
{
	uint64_t n;

	return text_number(text, key, &n) ? n : UINT64_MAX;
}

int proc_rlimits_read(struct proc_rlimits *r, const char *proc_root, pid_t pid)
{
	struct buf text = BUF_INIT;
	int err = proc_read_text(&text, proc_root, pid, "limits");

	*r = (struct proc_rlimits){ 0 };
	if (!err) {
		r->address_space_bytes = soft_limit(text.data, "Max address space");
		r->data_bytes = soft_limit(text.data, "Max data size");
		err = proc_read_text(&text, proc_root, pid, "status");
	}
	if (!err) {
		r->vm_size_bytes = kib_value(text.data, "VmSize:");
		r->vm_data_bytes = kib_value(text.data, "VmData:");
	}
	if (!err && !proc_read_text(&text, proc_root, pid, "oom_score_adj"))
		r->oom_score_adj = atoi(text.data);
	buf_release(&text);
	return err;
}

int proc_own_capabilities(uint64_t *caps, const char *proc_root)
{
	struct buf text = BUF_INIT;
	const char *v = NULL;
	int err = proc_read_text(&text, proc_root, 0, "self/status");

	if (!err)
		v = text_value(text.data, "CapEff:");
	if (!err && (!v || !isxdigit((unsigned char)*v)))
		err = -EINVAL;
	if (!err)
		*caps = strtoull(v, NULL, 16);
	buf_release(&text);
	return err;
}
