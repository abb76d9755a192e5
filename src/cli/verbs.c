/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The table of sub-commands; see verbs.h. */
#include "cli/verbs.h"

#include <string.h>

static const struct verb_option diff_options[] = {
	{ "format", "report (terminal), folded (else: two columns, A and B), flamegraph" },
	{ NULL, NULL },
};

static const struct verb_option top_options[] = {
	{ "duration", "stop after TIME: 30, 5m, 8h (default: at q, or when all have ended)" },
	{ "interval", "time between two looks (default 1 s)" },
	{ NULL, NULL },
};

static const struct verb_option census_options[] = {
	{ "pid", "the process, one" },
	{ "interval", "time between the two looks (default 10 s)" },
	{ NULL, NULL },
};

const struct verb_row verbs[] = {
	[VERB_PROFILE] = {
		"", NULL, 0,
		"memprobe shows which code holds the memory of a running process: no restart, no agent.\n\n"
		"  sudo memprobe -p 4242                     who allocates and keeps memory, for 30 s\n"
		"  sudo memprobe --flamegraph > out.svg      the whole machine, as a picture\n"
		"  sudo memprobe -- ./server --port 80       from its first allocation to its exit\n\n"
		"Usage: memprobe [OPTION...]                     every process\n"
		"       memprobe [OPTION...] -p PID[,PID...]     running processes, and what they start\n"
		"       memprobe [OPTION...] -n PATTERN          processes by name\n"
		"       memprobe [OPTION...] -c GROUP            the processes of a container or control group\n"
		"       memprobe [OPTION...] -- COMMAND [ARG...] a command, and what it starts\n"
		"       memprobe report FILE[@TIME]              any format from a recording, no root needed\n"
		"       memprobe diff A[@TIME] B[@TIME]          two moments of a recording, or two runs\n"
		"       memprobe top [OPTION...]                 live view: processes, their stacks, as they grow\n"
		"       memprobe census -p PID                   its objects by type, twice: what grew\n"
		"       memprobe doctor [-p PID[,PID...]]        dry run: what works here, what would be probed\n",
		"\nSizes are powers of 1024. Signals: SIGINT, SIGTERM, SIGHUP end with the final report, a second one\n"
		"at once; SIGUSR1 prints a snapshot, SIGUSR2 sets a mark. Exit status: 0 ok, 1 failed, 2 usage,\n"
		"3 privilege or kernel, 4 no such target, 5 incomplete under --strict; with COMMAND its own.\n",
		NULL,
	},
	[VERB_DOCTOR] = {
		"doctor", " pid no-follow max-memory at-entry verbose help ", 0,
		"memprobe doctor is a dry run: it tells what works here, and why the rest does not, and what would\n"
		"be probed in a process, at what cost. No process but its own is touched.\n\n"
		"  sudo memprobe doctor             this machine: rights, kernel, each kind of probe by trying it\n"
		"  sudo memprobe doctor -p 4242     and a process: its allocators, each probe, unwind tables\n\n"
		"Usage: memprobe doctor [OPTION...] [-p PID[,PID...]]\n",
		"\nExit status: 0 memprobe works here, 1 failed, 2 usage, 3 privilege or kernel, 4 no such process, or\n"
		"nothing to probe in it.\n",
		NULL,
	},
	[VERB_REPORT] = {
		"report", " format flamegraph folded pprof json report output metric min-bytes quiet verbose help ", 1,
		"memprobe report shows a recording in any format, as the run itself would have. No root needed.\n\n"
		"  memprobe report FILE                      what the run printed at its end\n"
		"  memprobe report --flamegraph FILE@10s     as it was after 10 s\n\n"
		"Usage: memprobe report [OPTION...] FILE[@TIME]\n",
		"\nRuns are kept in ~/.local/state/memprobe, the last ten. Exit status: 0 ok, 1 failed, or the\n"
		"recording is cut or damaged (what can be read is shown), 2 usage.\n",
		NULL,
	},
	[VERB_DIFF] = {
		"diff", " format folded flamegraph report output metric min-bytes quiet verbose help ", 2,
		"memprobe diff tells what changed: between two moments of one run how the levels did, between two\n"
		"runs what each did per second. Levels of two runs are never subtracted.\n\n"
		"  memprobe diff FILE@10s FILE@30s           what grew from 10 s to 30 s\n"
		"  memprobe diff before.memprobe after.memprobe\n\n"
		"Usage: memprobe diff [OPTION...] A[@TIME] B[@TIME]\n",
		"\nExit status: 0 ok, 1 failed, or a recording is cut or damaged, 2 usage.\n",
		diff_options,
	},
	[VERB_TOP] = {
		"top", " pid no-follow comm cgroup planes duration interval output no-save min-bytes threads sample max-overhead "
		       "max-memory debuginfod no-lines strict at-entry quiet verbose help ", 0,
		"memprobe top shows on the terminal which processes and which of their stacks grow, while they do.\n\n"
		"  sudo memprobe top -p 4242       a process and what it starts\n"
		"  sudo memprobe top               the whole machine\n\n"
		"Usage: memprobe top [OPTION...] [-p PID[,PID...] | -n PATTERN | -c GROUP]\n\n"
		"Keys: ? shows them all. enter opens a process, then a stack; esc goes back; g b a c sort by\n"
		"growth, bytes, share alive, count (pressed twice: since the start); / filters, p pauses, m marks,\n"
		"s saves a recording, f a flame graph; q quits and prints the report.\n",
		"\nWithout a terminal a report is printed each 5 s, or each -i. Exit status: as without top.\n",
		top_options,
	},
	[VERB_CENSUS] = {
		"census", " pid interval quiet verbose help ", 0,
		"memprobe census counts the objects of a process by type, from outside and twice: what grew comes\n"
		"first. Python, Ruby and JavaScript objects, Erlang processes, Go's goroutines and memory profile,\n"
		"where the runtime is known; else the blocks of glibc's heap by C++ class and size. No probe, no\n"
		"stop, so it is approximate.\n\n"
		"  sudo memprobe census -p 4242             10 s between the looks\n"
		"  sudo memprobe census -p 4242 -i 1m\n\n"
		"Usage: memprobe census [-i TIME] -p PID\n",
		"\nExit status: 0 ok, 1 failed, 2 usage, 3 privilege, 4 no such process, or nothing in it that can be\n"
		"counted.\n",
		census_options,
	},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

const char *verb_name(enum verb verb)
{
	return verbs[verb].name;
}

enum verb verb_find(const char *name)
{
	size_t i;

	for (i = 1; i < N_VERBS; i++)
		if (!strcmp(name, verbs[i].name))
			return (enum verb)i;
	return VERB_PROFILE;
}

const char *verb_option_help(enum verb verb, const char *option)
{
	const struct verb_option *own;

	for (own = verbs[verb].own; own && own->name; own++)
		if (!strcmp(own->name, option))
			return own->help;
	return NULL;
}
