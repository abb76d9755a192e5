/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The command line. Parsing and --help come from the table in options.c; that README.md and the man page have each
 * option is tested (tests/unit/test_options.c). Only what works is accepted.
 */
#ifndef MEMPROBE_CLI_OPTIONS_H
#define MEMPROBE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "proc/comm_pattern.h"
#include "render/renderer.h"

struct output_option {
	const char *path;
	const struct renderer *renderer; /* from the suffix */
};

/* What memprobe does; a sub-command is its first argument. */
enum verb {
	VERB_PROFILE, /* none */
	VERB_DOCTOR,
	VERB_REPORT,
	VERB_DIFF,
	VERB_TOP,
	VERB_CENSUS,
};

/* FILE or FILE@TIME */
struct file_option {
	char *path;
	bool has_time; /* false: its last snapshot */
	uint64_t time_ns;
};

#define OPTIONS_MAX_FILES 2

struct comm_option {
	char *text;
	struct mp_comm_pattern pattern;
};

struct options {
	char **argv; /* as given */
	enum verb verb;
	pid_t *pids; /* -p; NULL with n_pids 0 */
	size_t n_pids;
	char **command; /* argv after --, NULL-terminated; NULL without */
	uint64_t duration_ns;
	bool has_duration; /* -d given; 0 = until Ctrl-C */
	uint64_t interval_ns; /* -i; 0 = none */
	const struct renderer *renderer; /* -f; NULL: report on a terminal, else folded */
	enum profile_metric metric;
	bool has_metric; /* -m given */
	struct output_option *outputs; /* -o, in order */
	size_t n_outputs;
	uint64_t mark_ns; /* --mark: one each so often; 0: none */
	uint64_t older_ns; /* --older: only blocks at least this old */
	uint64_t min_size_bytes, max_size_bytes; /* of a block; max UINT64_MAX = none */
	uint64_t min_bytes; /* of a stack */
	uint64_t max_memory_bytes; /* 0 = default */
	bool sample_auto;	   /* --sample auto: as the budget allows */
	uint32_t sample_bytes;	   /* --sample BYTES; 0 with !sample_auto: off, every block */
	double max_overhead;	   /* --max-overhead: 0.1 = 10 % */
	const char *user; /* --user NAME for COMMAND */
	struct comm_option *comms; /* -n */
	size_t n_comms;
	const char *cgroups[MP_MAX_CGROUPS]; /* -c */
	size_t n_cgroups;
	bool no_follow; /* with -p: no descendants */
	unsigned int planes; /* -P: enum plane; 0: look only */
	bool has_planes; /* -P given */
	struct file_option files[OPTIONS_MAX_FILES]; /* of report and diff */
	size_t n_files;
	bool no_save; /* no recording in the private directory */
	bool objects; /* births of objects by class and line */
	bool threads; /* stacks by thread name too */
	bool no_lines; /* no DWARF is read */
	bool debuginfod; /* DWARF from servers too */
	bool strict, at_entry;
	bool quiet, verbose;
};

/* No process was named in any way. */
static inline bool options_whole_machine(const struct options *o)
{
	return !o->n_pids && !o->command && !o->n_comms && !o->n_cgroups;
}

enum options_result {
	OPTIONS_RUN = 0,
	OPTIONS_EXIT_OK,   /* --help, --version: text is in out */
	OPTIONS_USAGE,	   /* error text (one line plus "Try 'memprobe --help'.") is in out */
};

enum options_result options_parse(struct options *o, int argc, char **argv, struct buf *out);
/* "memprobe -p 4242 --flamegraph", for a shell. */
void options_command_line(struct buf *out, const struct options *o);
void options_release(struct options *o);
/* FILE@TIME, if what follows the last @ is a time; else all of it is the file's name. */
void file_option_parse(struct file_option *f, const char *arg);
/* Appends the --help text (<= 100 columns). */
void options_help(struct buf *out, enum verb verb);

#endif
