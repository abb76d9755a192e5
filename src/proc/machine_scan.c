/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* All processes of a machine; see machine_scan.h. Depends on base and process.h. */
#include "proc/machine_scan.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "base/xalloc.h"
#include "proc/proc_internal.h"
#include "proc/process.h"

#define MAX_CMDLINE_BYTES 4096

void proc_scan_init(struct proc_scan *s, const char *proc_root)
{
	*s = (struct proc_scan){ .proc_root = xstrdup(proc_root), .next_id = 1 };
	buf_init(&s->text);
	s->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
}

void proc_scan_release(struct proc_scan *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->v[i].cgroup);
	free(s->v);
	free(s->proc_root);
	table_release(&s->by_pid);
	buf_release(&s->text);
	*s = (struct proc_scan){ 0 };
}

/* ---- what is read once ---- */

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* text: the options, the last letters of one word, after which the program itself follows. */
struct interpreter {
	const char *name, *text;
};

static const struct interpreter *interpreter_of(const char *comm)
{
	static const struct interpreter all[] = {
		{ "python", "c" }, { "node", "ep" }, { "ruby", "e" }, { "java", "" }, { "perl", "eE" },
		{ "php", "r" },	   { "bash", "c" },  { "sh", "c" },   { "dash", "c" },
	};
	size_t i, len;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		len = strlen(all[i].name);
		if (!strncmp(comm, all[i].name, len) && strspn(comm + len, "0123456789.-") == strlen(comm + len))
			return &all[i];
	}
	return NULL;
}

/* `python3 -c TEXT`, `ruby -we TEXT`, `node --eval TEXT`, `bash -lc TEXT` */
static bool is_text_next(const struct interpreter *of, const char *option)
{
	size_t len = strlen(option);

	if (!strcmp(option, "--eval"))
		return true;
	return len > 1 && len <= 4 && option[1] != '-' && strchr(of->text, option[len - 1]);
}

/*
 * The script of `python3 -u -m job /srv/x.py`: the first word that is no option; the option where the program is on the
 * command line; "" if there is neither.
 */
static const char *script_of(const struct interpreter *of, const char *cmdline, size_t len)
{
	const char *end = cmdline + len, *p = cmdline + strlen(cmdline) + 1;

	for (; p < end; p += strlen(p) + 1) {
		if (*p && *p != '-')
			return base_of(p);
		if (*p && is_text_next(of, p))
			return p;
	}
	return "";
}

static void read_name(struct proc_scan *s, struct proc_scanned *p, const char *comm)
{
	const struct interpreter *of = interpreter_of(comm);
	char *path;

	snprintf(p->name, sizeof(p->name), "%.47s", comm);
	if (!of)
		return;
	path = xasprintf("%s/%d/cmdline", s->proc_root, (int)p->pid);
	buf_reset(&s->text);
	buf_read_file(&s->text, path, MAX_CMDLINE_BYTES);
	free(path);
	if (s->text.len) {
		const char *script = script_of(of, s->text.data, s->text.len);

		snprintf(p->name, sizeof(p->name), "%.15s%s%.31s", comm, *script ? " " : "", script);
	}
}

/* "4:memory:/a/b" where version 1 has memory, else "0::/a/b". The caller frees. */
static char *memory_cgroup(const char *text)
{
	const char *line = text, *found = NULL;
	size_t found_len = 0;

	while (*line) {
		size_t len = strcspn(line, "\n");
		const char *list = memchr(line, ':', len);
		const char *path = list ? memchr(list + 1, ':', len - (size_t)(list + 1 - line)) : NULL;
		bool is_memory = path && path - list == 7 && !memcmp(list + 1, "memory", 6);

		if (path && (is_memory || (path == list + 1 && !found))) {
			found = path + 1;
			found_len = len - (size_t)(found - line);
		}
		if (is_memory)
			break;
		line += len + (line[len] == '\n');
	}
	return found ? xstrndup(found, found_len) : xstrdup("");
}

static void read_once(struct proc_scan *s, struct proc_scanned *p, const struct proc_status *st)
{
	struct proc_stat stat_line;
	struct stat file;
	char *path = xasprintf("%s/%d/exe", s->proc_root, (int)p->pid);

	p->ppid = st->ppid;
	if (!stat(path, &file))
		p->exe = hash_u64(hash_u64(file.st_dev) ^ file.st_ino);
	free(path);
	if (!proc_stat_read(&stat_line, s->proc_root, p->pid)) {
		p->start_age_ns = stat_line.start_age_ns;
		if (p->is_new)
			p->page_faults = stat_line.page_faults;
	}
	if (!proc_read_text(&s->text, s->proc_root, p->pid, "cgroup"))
		p->cgroup = memory_cgroup(s->text.data);
	else
		p->cgroup = xstrdup("");
	read_name(s, p, st->comm);
}

/* ---- a look ---- */

static void take_status(struct proc_scanned *p, const struct proc_status *st)
{
	p->anon_bytes = st->rss_anon_bytes;
	p->shmem_bytes = st->rss_shmem_bytes;
	p->file_bytes = st->rss_file_bytes;
	p->swap_bytes = st->swap_bytes;
	p->ppid = st->ppid;
}

/* An exec gives it another name, and often another program. */
static bool is_renamed(const struct proc_scanned *p, const char *comm)
{
	size_t len = strlen(comm);

	return strncmp(p->name, comm, len) != 0 || (p->name[len] && p->name[len] != ' ');
}

static struct proc_scanned *add(struct proc_scan *s, pid_t pid, const struct proc_status *st)
{
	struct proc_scanned *p;

	XGROW(s->v, s->n, s->cap);
	p = &s->v[s->n];
	*p = (struct proc_scanned){ .id = s->next_id++, .pid = pid, .is_new = true };
	read_once(s, p, st);
	*table_put(&s->by_pid, (uint64_t)pid, 0) = s->n++;
	s->n_came += s->n_looks > 1;
	return p;
}

/* "1234 567 89 ...": all, resident, shared pages. A kernel thread has zeros. */
static bool read_statm(struct proc_scan *s, pid_t pid, uint64_t statm[2])
{
	unsigned long long size, resident, shared;

	if (proc_read_text(&s->text, s->proc_root, pid, "statm") ||
	    sscanf(s->text.data, "%llu %llu %llu", &size, &resident, &shared) != 3)
		return false;
	statm[0] = resident;
	statm[1] = shared;
	return size != 0;
}

static void look_at(struct proc_scan *s, pid_t pid)
{
	uint64_t *at = table_get(&s->by_pid, (uint64_t)pid), statm[2];
	struct proc_scanned *p = at ? &s->v[*at] : NULL;
	struct proc_status st;
	bool has_statm = read_statm(s, pid, statm);

	if (!has_statm && !p && s->n_looks > 1)
		return; /* a kernel thread, most likely; one whose first thread has ended is found at the first look */
	if (p && has_statm && p->statm[0] == statm[0] && p->statm[1] == statm[1]) {
		p->seen = s->n_looks;
		return;
	}
	if (proc_status_read(&st, s->proc_root, pid) || !st.has_memory)
		return;
	if (!p)
		p = add(s, pid, &st);
	else if (is_renamed(p, st.comm)) {
		free(p->cgroup);
		read_once(s, p, &st);
	}
	take_status(p, &st);
	p->seen = s->n_looks;
	if (has_statm)
		memcpy(p->statm, statm, sizeof(p->statm));
}

static void drop_ended(struct proc_scan *s)
{
	size_t i = 0;

	while (i < s->n) {
		s->v[i].is_new = false;
		if (!s->v[i].has_ended) {
			i++;
			continue;
		}
		free(s->v[i].cgroup);
		s->v[i] = s->v[--s->n];
		if (i < s->n && !s->v[i].has_ended)
			*table_put(&s->by_pid, (uint64_t)s->v[i].pid, 0) = i;
	}
}

int proc_scan_look(struct proc_scan *s)
{
	DIR *d = opendir(s->proc_root);
	struct dirent *e;
	size_t i;

	if (!d)
		return -errno;
	s->n_looks++;
	drop_ended(s);
	while ((e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]))
			look_at(s, atoi(e->d_name));
	closedir(d);
	for (i = 0; i < s->n; i++) {
		if (s->v[i].seen == s->n_looks)
			continue;
		s->v[i].has_ended = true;
		table_remove(&s->by_pid, (uint64_t)s->v[i].pid);
		s->n_went++;
	}
	return 0;
}

const struct proc_scanned *proc_scan_find(const struct proc_scan *s, pid_t pid)
{
	const uint64_t *at = table_get(&s->by_pid, (uint64_t)pid);

	return at ? &s->v[*at] : NULL;
}

/* ---- names of control groups ---- */

/* Where a container's id begins: at least 12 hex digits at the end, a suffix aside; NULL: there is none. */
static const char *container_id(const char *name, size_t *len)
{
	size_t end = strlen(name), begin;

	if (end > 6 && !strcmp(name + end - 6, ".scope"))
		end -= 6;
	begin = end;
	while (begin && isxdigit((unsigned char)name[begin - 1]))
		begin--;
	*len = end - begin;
	return *len >= 32 ? name + begin : NULL;
}

/* "pod1b2c3d4e-..." or "kubepods-burstable-pod1b2c3d4e_....slice" */
static const char *pod_uid(const char *path)
{
	const char *p, *found = NULL;

	for (p = strstr(path, "pod"); p; p = strstr(p + 1, "pod"))
		if (p > path && (p[-1] == '/' || p[-1] == '-') && isxdigit((unsigned char)p[3]) &&
		    strspn(p + 3, "0123456789abcdef") >= 8)
			found = p + 3;
	return found;
}

void proc_cgroup_short(char *out, size_t cap, const char *path, const char *host)
{
	const char *name = base_of(path), *pod = pod_uid(path), *id;
	size_t len;

	id = container_id(name, &len);
	if (!path[0] || !strcmp(path, "/"))
		snprintf(out, cap, "-");
	else if (pod && *host)
		snprintf(out, cap, "pod %s", host);
	else if (pod)
		snprintf(out, cap, "pod %.8s", pod);
	else if (id && *host)
		snprintf(out, cap, "%s", host);
	else if (id && !strncmp(name, "docker-", 7))
		snprintf(out, cap, "docker %.12s", id);
	else if (id)
		snprintf(out, cap, "%.12s", id);
	else
		snprintf(out, cap, "%s", name);
}

void proc_container_name(char *out, size_t cap, const char *proc_root, pid_t pid)
{
	struct buf text = BUF_INIT;
	const char *p, *name;

	out[0] = '\0';
	if (proc_read_text(&text, proc_root, pid, "environ"))
		return;
	for (p = text.data; p < text.data + text.len; p += strlen(p) + 1) {
		name = p + strlen("HOSTNAME=");
		/* docker's own default is the id again */
		if (!strncmp(p, "HOSTNAME=", strlen("HOSTNAME=")) && strspn(name, "0123456789abcdef") != 12)
			snprintf(out, cap, "%s", name);
	}
	buf_release(&text);
}
