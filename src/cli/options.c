/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The command line; see options.h. An option is a row of the table here, a sub-command one of verbs.c, which names the
 * options that it takes. No abbreviations; COMMAND comes after "--".
 */
#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "base/version.h"
#include "base/xalloc.h"
#include "cli/verbs.h"

struct parser {
	struct options *o;
	struct buf *out;
	const char *given; /* the option as it was typed */
};

static enum options_result fail(struct parser *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static enum options_result fail(struct parser *p, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	buf_adds(p->out, "memprobe: ");
	buf_add_printable(p->out, b.data, b.len);
	buf_addf(p->out, "\nTry 'memprobe %s%s--help'.\n", verb_name(p->o->verb), p->o->verb ? " " : "");
	buf_release(&b);
	return OPTIONS_USAGE;
}

/* ---- one function per kind of argument ---- */

/* Once, however often it is named. */
static void add_pid(struct options *o, pid_t pid)
{
	size_t i;

	for (i = 0; i < o->n_pids; i++)
		if (o->pids[i] == pid)
			return;
	o->pids = xreallocarray(o->pids, o->n_pids + 1, sizeof(*o->pids));
	o->pids[o->n_pids++] = pid;
}

static enum options_result take_pids(struct parser *p, const char *arg)
{
	const char *s = arg;
	char *end;
	long pid;

	do {
		errno = 0;
		pid = strtol(s, &end, 10);
		if (end == s || *s < '0' || *s > '9' || (*end && *end != ',') || errno || pid <= 0 ||
		    pid > INT_MAX)
			return fail(p, "%s: not a process id: '%s'", p->given, arg);
		add_pid(p->o, (pid_t)pid);
		s = end + 1;
	} while (*end);
	return OPTIONS_RUN;
}

static enum options_result parse_time(struct parser *p, const char *arg, uint64_t *ns)
{
	int err = units_parse_duration(arg, ns);

	if (err == -ERANGE)
		return fail(p, "%s: too long: '%s'", p->given, arg);
	if (err)
		return fail(p, "%s: not a time: '%s' (30, 30s, 5m, 8h)", p->given, arg);
	return OPTIONS_RUN;
}

static enum options_result parse_size(struct parser *p, const char *arg, uint64_t *bytes)
{
	int err = units_parse_size(arg, bytes);

	if (err == -ERANGE)
		return fail(p, "%s: too large: '%s'", p->given, arg);
	if (err)
		return fail(p, "%s: not a size: '%s' (4096, 64K, 1.5G)", p->given, arg);
	return OPTIONS_RUN;
}

static enum options_result take_duration(struct parser *p, const char *arg)
{
	p->o->has_duration = true;
	return parse_time(p, arg, &p->o->duration_ns);
}

static enum options_result take_interval(struct parser *p, const char *arg)
{
	enum options_result r = parse_time(p, arg, &p->o->interval_ns);

	if (!r && p->o->interval_ns < 10 * NS_PER_MS)
		return fail(p, "%s: at least 10ms: '%s'", p->given, arg);
	return r;
}

static enum options_result take_mark(struct parser *p, const char *arg)
{
	enum options_result r = parse_time(p, arg, &p->o->mark_ns);

	if (!r && p->o->mark_ns < 100 * NS_PER_MS)
		return fail(p, "%s: at least 100ms: '%s'", p->given, arg);
	return r;
}

static enum options_result take_format(struct parser *p, const char *arg)
{
	p->o->renderer = renderer_by_name(arg);
	return p->o->renderer ? OPTIONS_RUN : fail(p, "%s: no such format: '%s'", p->given, arg);
}

/* --folded is -f folded, and so for each format. */
static enum options_result take_format_name(struct parser *p, const char *arg)
{
	(void)arg;
	return take_format(p, p->given + 2);
}

static enum options_result take_output(struct parser *p, const char *arg)
{
	const struct renderer *r = renderer_by_file(arg);
	struct options *o = p->o;

	if (!r)
		return fail(p, "%s: no format has the suffix of '%s'", p->given, arg);
	o->outputs = xreallocarray(o->outputs, o->n_outputs + 1, sizeof(*o->outputs));
	o->outputs[o->n_outputs++] = (struct output_option){ .path = arg, .renderer = r };
	return OPTIONS_RUN;
}

static enum options_result take_metric(struct parser *p, const char *arg)
{
	p->o->has_metric = true;
	if (metric_parse(arg, &p->o->metric))
		return fail(p, "%s: no such metric: '%s'", p->given, arg);
	return OPTIONS_RUN;
}

static enum options_result take_older(struct parser *p, const char *arg)
{
	return parse_time(p, arg, &p->o->older_ns);
}

static enum options_result take_min_size(struct parser *p, const char *arg)
{
	return parse_size(p, arg, &p->o->min_size_bytes);
}

static enum options_result take_max_size(struct parser *p, const char *arg)
{
	return parse_size(p, arg, &p->o->max_size_bytes);
}

static enum options_result take_min_bytes(struct parser *p, const char *arg)
{
	return parse_size(p, arg, &p->o->min_bytes);
}

static enum options_result take_max_memory(struct parser *p, const char *arg)
{
	enum options_result r = parse_size(p, arg, &p->o->max_memory_bytes);

	if (!r && p->o->max_memory_bytes < MIB)
		return fail(p, "%s: at least 1M: '%s'", p->given, arg);
	return r;
}

static enum options_result take_sample(struct parser *p, const char *arg)
{
	enum options_result r;
	uint64_t bytes;

	p->o->sample_auto = !strcmp(arg, "auto");
	p->o->sample_bytes = 0;
	if (p->o->sample_auto || !strcmp(arg, "off"))
		return OPTIONS_RUN;
	r = parse_size(p, arg, &bytes);
	if (!r && (bytes < MP_SAMPLE_LEAST || bytes > MP_SAMPLE_MOST))
		return fail(p, "%s: auto, off, or a mean interval from 8K to 64K: '%s'", p->given, arg);
	p->o->sample_bytes = (uint32_t)bytes;
	return r;
}

static enum options_result take_max_overhead(struct parser *p, const char *arg)
{
	char *end;
	double percent = strtod(arg, &end);

	if (*end == '%')
		end++;
	if (end == arg || *end || !(percent >= 0.5 && percent <= 1000))
		return fail(p, "%s: percent of the target's CPU time, from 0.5: '%s'", p->given, arg);
	p->o->max_overhead = percent / 100;
	return OPTIONS_RUN;
}

static enum options_result take_planes(struct parser *p, const char *arg)
{
	static const struct {
		const char *name;
		unsigned int plane;
	} planes[] = { { "heap", PLANE_HEAP }, { "vm", PLANE_VM }, { "rss", PLANE_RSS } };
	const char *s = arg;
	size_t len, i;

	p->o->planes = 0;
	p->o->has_planes = true;
	for (; strcmp(arg, "none") != 0; s += len + 1) {
		len = strcspn(s, ",");
		for (i = 0; i < 3; i++)
			if (strlen(planes[i].name) == len && !strncmp(planes[i].name, s, len))
				break;
		if (i == 3)
			return fail(p, "%s: heap, vm, rss, or none: '%s'", p->given, arg);
		p->o->planes |= planes[i].plane;
		if (!s[len])
			break;
	}
	return OPTIONS_RUN;
}

static enum options_result take_user(struct parser *p, const char *arg)
{
	p->o->user = arg;
	return OPTIONS_RUN;
}

static enum options_result take_pattern(struct parser *p, const char *text, size_t len)
{
	struct comm_option c = { .text = xstrndup(text, len) };
	int err = comm_pattern_compile(&c.pattern, c.text);
	enum options_result r = OPTIONS_RUN;

	if (err == -E2BIG)
		r = fail(p, "%s: a process name has at most %d bytes: '%s'", p->given, MP_COMM_BYTES, c.text);
	else if (err)
		r = fail(p, "%s: not a pattern: '%s'", p->given, c.text);
	else if (p->o->n_comms == MP_MAX_PATTERNS)
		r = fail(p, "%s: at most %d patterns", p->given, MP_MAX_PATTERNS);
	if (r) {
		free(c.text);
		return r;
	}
	p->o->comms = xreallocarray(p->o->comms, p->o->n_comms + 1, sizeof(*p->o->comms));
	p->o->comms[p->o->n_comms++] = c;
	return OPTIONS_RUN;
}

static enum options_result take_comms(struct parser *p, const char *arg)
{
	enum options_result r = OPTIONS_RUN;
	size_t len;

	for (; !r; arg += len + 1) {
		len = strcspn(arg, ",");
		r = take_pattern(p, arg, len);
		if (!arg[len])
			break;
	}
	return r;
}

static enum options_result take_cgroup(struct parser *p, const char *arg)
{
	if (!*arg)
		return fail(p, "%s: not a control group: ''", p->given);
	if (p->o->n_cgroups == MP_MAX_CGROUPS)
		return fail(p, "%s: at most %d groups", p->given, MP_MAX_CGROUPS);
	p->o->cgroups[p->o->n_cgroups++] = arg;
	return OPTIONS_RUN;
}

/* Options that are there or not. */
#define TAKE_FLAG(member)                                                                  \
	static enum options_result take_##member(struct parser *p, const char *arg)        \
	{                                                                                  \
		(void)arg;                                                                 \
		p->o->member = true;                                                       \
		return OPTIONS_RUN;                                                        \
	}

TAKE_FLAG(at_entry)
TAKE_FLAG(debuginfod)
TAKE_FLAG(no_follow)
TAKE_FLAG(no_lines)
TAKE_FLAG(no_save)
TAKE_FLAG(objects)
TAKE_FLAG(quiet)
TAKE_FLAG(strict)
TAKE_FLAG(threads)
TAKE_FLAG(verbose)

static enum options_result take_version(struct parser *p, const char *arg)
{
	(void)arg;
	buf_reset(p->out);
	buf_adds(p->out, "memprobe " MEMPROBE_VERSION "\n");
	return OPTIONS_EXIT_OK;
}

static enum options_result take_help(struct parser *p, const char *arg)
{
	(void)arg;
	buf_reset(p->out);
	options_help(p->out, p->o->verb);
	return OPTIONS_EXIT_OK;
}

/* ---- the table ---- */

static const struct option_row {
	char letter;	      /* 0: none */
	const char *name;     /* without "--" */
	const char *argument; /* NULL: takes none */
	enum options_result (*take)(struct parser *p, const char *arg);
	const char *group; /* non-NULL begins a group in --help */
	const char *help;
} rows[] = {
	{ 'p', "pid", "LIST", take_pids, "Processes", "running processes and all that descend from them: -p 4242 or -p 4242,4243" },
	{ 0, "no-follow", NULL, take_no_follow, NULL, "with -p: only those, no descendants" },
	{ 'n', "comm", "PATTERN", take_comms, NULL,
	  "processes by name, later ones too: -n 'puma*' or -n nginx,php-fpm" },
	{ 'c', "cgroup", "GROUP", take_cgroup, NULL,
	  "those of a control group: a path, or the first digits of a container's id" },
	{ 0, "user", "NAME", take_user, NULL,
	  "run COMMAND as this user (default under sudo: the invoking user)" },
	{ 'P', "planes", "LIST", take_planes, NULL,
	  "what is watched: heap, vm, rss (default: all); none = look only" },
	{ 0, "objects", NULL, take_objects, NULL,
	  "Ruby: objects made, by class and line (1 to 1.8 us each; within the budget)" },
	{ 'd', "duration", "TIME", take_duration, "Time",
	  "stop after TIME: 30, 5m, 8h; 0 = until Ctrl-C (default 30 s, COMMAND: all)" },
	{ 'i', "interval", "TIME", take_interval, NULL, "print a snapshot each TIME, for ever without -d" },
	{ 'M', "mark", "TIME", take_mark, NULL, "set a mark each TIME: what is born between marks and survives is told" },
	{ 'f', "format", "NAME", take_format, "Output",
	  "report (terminal), folded (else), flamegraph, pprof, json, heapprofile" },
	{ 0, "flamegraph", NULL, take_format_name, NULL, "short for -f flamegraph: one SVG file, for a web browser" },
	{ 0, "folded", NULL, take_format_name, NULL, "short for -f folded: stacks for any flame graph tool" },
	{ 0, "pprof", NULL, take_format_name, NULL, "short for -f pprof: for go tool pprof, Pyroscope, Parca" },
	{ 0, "json", NULL, take_format_name, NULL, "short for -f json: JSON lines with every figure, for programs" },
	{ 0, "report", NULL, take_format_name, NULL, "short for -f report" },
	{ 'o', "output", "FILE", take_output, NULL,
	  "FILE by its suffix: .svg .folded .txt .pb.gz .jsonl .heapprofile .memprobe" },
	{ 0, "no-save", NULL, take_no_save, NULL, "keep no recording in ~/.local/state/memprobe" },
	{ 'm', "metric", "NAME", take_metric, NULL,
	  "live-bytes (default), live-blocks, alloc-bytes, -blocks, rss-, peak-bytes" },
	{ 0, "older", "AGE", take_older, "Filters", "only live blocks at least this old" },
	{ 0, "min-size", "SIZE", take_min_size, NULL, "only live blocks of at least SIZE" },
	{ 0, "max-size", "SIZE", take_max_size, NULL, "only live blocks of at most SIZE" },
	{ 0, "min-bytes", "SIZE", take_min_bytes, NULL, "only stacks that hold at least SIZE" },
	{ 0, "threads", NULL, take_threads, NULL, "stacks of threads with different names apart" },
	{ 0, "sample", "BYTES", take_sample, "Limits",
	  "auto (default: exact while the budget lasts), off (exact), 8K to 64K" },
	{ 0, "max-overhead", "PCT", take_max_overhead, NULL,
	  "probes' share of the target's CPU time (default 10); --sample auto only" },
	{ 0, "max-memory", "SIZE", take_max_memory, NULL,
	  "kernel tables and memprobe itself (default: 256M or a tenth of free memory)" },
	{ 0, "debuginfod", NULL, take_debuginfod, NULL, "ask the servers in DEBUGINFOD_URLS for debug information" },
	{ 0, "no-lines", NULL, take_no_lines, NULL, "no source lines, no inlined functions: debug information is not read" },
	{ 0, "strict", NULL, take_strict, NULL, "exit 5 when anything was lost" },
	{ 0, "at-entry", NULL, take_at_entry, NULL, "probe the first instruction of each function, whatever it costs" },
	{ 'q', "quiet", NULL, take_quiet, "Messages", "errors only" },
	{ 'v', "verbose", NULL, take_verbose, NULL, "what is attached where; whole stacks in the report" },
	{ 0, "version", NULL, take_version, NULL, "print the version" },
	{ 'h', "help", NULL, take_help, NULL, "print this text" },
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static bool takes_option(enum verb verb, const struct option_row *r)
{
	const char *s = verbs[verb].options;
	size_t n = strlen(r->name);

	for (; s && (s = strstr(s, r->name)); s += n)
		if (s[-1] == ' ' && s[n] == ' ')
			break;
	return s || !verbs[verb].options;
}

void options_help(struct buf *out, enum verb verb)
{
	const char *group = NULL, *help;
	char left[40];
	size_t i;

	buf_adds(out, verbs[verb].help);
	for (i = 0; i < N_ROWS; i++) {
		const struct option_row *r = &rows[i];

		if (r->group)
			group = r->group;
		if (!takes_option(verb, r))
			continue;
		if (group)
			buf_addf(out, "\n%s\n", group);
		group = NULL;
		help = verb_option_help(verb, r->name);
		snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", r->letter ? '-' : ' ',
			 r->letter ? r->letter : ' ', r->letter ? "," : " ", r->name,
			 r->argument ? " " : "", r->argument ? r->argument : "");
		buf_addf(out, "%-24s %s\n", left, help ? help : r->help);
	}
	buf_adds(out, verbs[verb].ending);
}

static const struct option_row *find_long(const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < N_ROWS; i++)
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
			return &rows[i];
	return NULL;
}

static const struct option_row *find_letter(char letter)
{
	size_t i;

	for (i = 0; i < N_ROWS; i++)
		if (rows[i].letter == letter)
			return &rows[i];
	return NULL;
}

/* --name, --name=VALUE, --name VALUE */
static enum options_result take_long(struct parser *p, char **argv, int *at)
{
	const char *s = argv[*at] + 2, *eq = strchr(s, '=');
	size_t len = eq ? (size_t)(eq - s) : strlen(s);
	const struct option_row *r = find_long(s, len);
	const char *value = eq ? eq + 1 : NULL;
	enum options_result res;
	char *given;

	if (!r)
		return fail(p, "no such option: %s", argv[*at]);
	if (!takes_option(p->o->verb, r))
		return fail(p, "%s takes no option --%s", verb_name(p->o->verb), r->name);
	if (eq && !r->argument)
		return fail(p, "--%s takes no argument", r->name);
	if (r->argument && !value)
		value = argv[++*at];
	if (r->argument && !value)
		return fail(p, "--%s needs an argument: %s", r->name, r->argument);
	given = xasprintf("--%s", r->name);
	p->given = given;
	res = r->take(p, value);
	free(given);
	return res;
}

/* -p VALUE, -pVALUE, -qv */
static enum options_result take_letters(struct parser *p, char **argv, int *at)
{
	const char *s = argv[*at] + 1;
	enum options_result res = OPTIONS_RUN;
	char given[3] = "-?";

	for (; *s && !res; s++) {
		const struct option_row *r = find_letter(*s);
		const char *value = NULL;

		given[1] = *s;
		p->given = given;
		if (!r)
			return fail(p, "no such option: -%c", *s);
		if (!takes_option(p->o->verb, r))
			return fail(p, "%s takes no option -%c", verb_name(p->o->verb), *s);
		if (r->argument) {
			value = s[1] ? s + 1 : argv[++*at];
			if (!value)
				return fail(p, "-%c needs an argument: %s", *s, r->argument);
		}
		res = r->take(p, value);
		if (r->argument)
			break;
	}
	return res;
}

static enum options_result check_combination(struct parser *p)
{
	const struct options *o = p->o;

	if (o->n_files < verbs[o->verb].n_files)
		return fail(p, o->verb == VERB_DIFF ? "two recordings are needed: A[@TIME] B[@TIME]" :
						      "a recording is needed: FILE or FILE@TIME");
	if (o->command && !*o->command)
		return fail(p, "nothing after --: a command is needed");
	if (o->command && o->n_pids)
		return fail(p, "-p and a command exclude each other");
	if ((o->n_comms || o->n_cgroups) && (o->command || o->n_pids))
		return fail(p, "%s and %s exclude each other", o->n_comms ? "-n" : "-c", o->command ? "a command" : "-p");
	if (o->no_follow && !o->n_pids)
		return fail(p, "--no-follow needs -p");
	if (o->user && !o->command)
		return fail(p, "--user needs a command");
	if (o->metric == METRIC_PEAK_BYTES && !o->command && !o->verb)
		return fail(p, "-m peak-bytes needs a command, or a recording of one");
	if (o->min_size_bytes > o->max_size_bytes)
		return fail(p, "--min-size is larger than --max-size");
	if (o->interval_ns && !o->n_outputs && o->renderer && o->renderer->single)
		return fail(p, "-i with -f %s needs -o FILE: each snapshot replaces it", o->renderer->name);
	if (o->objects && !(o->planes & PLANE_HEAP))
		return fail(p, "--objects needs the heap plane: -P heap");
	if (o->debuginfod && o->no_lines)
		return fail(p, "--debuginfod and --no-lines exclude each other");
	if (o->quiet && o->verbose)
		return fail(p, "-q and -v exclude each other");
	return OPTIONS_RUN;
}

enum options_result options_parse(struct options *o, int argc, char **argv, struct buf *out)
{
	struct parser p = { .o = o, .out = out };
	enum options_result res = OPTIONS_RUN;
	int i;

	*o = (struct options){ .max_size_bytes = UINT64_MAX, .argv = argv, .sample_auto = true,
			       .max_overhead = 0.1, .planes = PLANES_ALL };
	if (argc > 1)
		o->verb = verb_find(argv[1]);
	for (i = o->verb ? 2 : 1; i < argc && !res; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--") && !o->verb) {
			o->command = argv + i + 1;
			break;
		}
		if (a[0] == '-' && a[1] == '-' && a[2])
			res = take_long(&p, argv, &i);
		else if (a[0] == '-' && a[1])
			res = take_letters(&p, argv, &i);
		else if (o->n_files < verbs[o->verb].n_files)
			file_option_parse(&o->files[o->n_files++], a);
		else if (verbs[o->verb].n_files)
			res = fail(&p, "unexpected '%s': that is one file more than %s takes", a, verb_name(o->verb));
		else if (o->verb)
			res = fail(&p, "unexpected '%s': %s takes process ids after -p only", a,
				   verb_name(o->verb));
		else
			res = fail(&p, "unexpected '%s': put a command after --, a process id after -p", a);
	}
	return res ? res : check_combination(&p);
}

void options_release(struct options *o)
{
	size_t i;

	for (i = 0; i < o->n_comms; i++)
		free(o->comms[i].text);
	free(o->comms);
	for (i = 0; i < o->n_files; i++)
		free(o->files[i].path);
	free(o->pids);
	free(o->outputs);
	*o = (struct options){ 0 };
}
