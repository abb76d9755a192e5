/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The command line: what is accepted, what is refused and how; --help, and the man page beside it. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "cli/options.h"

#define MAX_ARGS 20

/* Blank-separated arguments; '~' stands for an argument of its own that is empty. */
static enum options_result parse(struct options *o, struct buf *out, const char *line)
{
	static char copy[512];
	static char *argv[MAX_ARGS + 2] = { (char *)"memprobe" }; /* options point into it */
	int argc = 1;
	char *word, *rest;

	snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok_r(copy, " ", &rest); word && argc <= MAX_ARGS; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = strcmp(word, "~") ? word : word + 1;
	argv[argc] = NULL;
	buf_reset(out);
	return options_parse(o, argc, argv, out);
}

static void accepted_forms__set_what_they_say(void **state)
{
	struct buf out = BUF_INIT;
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, &out, "-p 42,43,42 -p7 -p 43 -d 5m -i500ms --metric=alloc-bytes -v --strict"), OPTIONS_RUN);
	assert_int_equal(o.n_pids, 3);
	assert_int_equal(o.pids[1], 43);
	assert_int_equal(o.pids[2], 7);
	assert_int_equal(o.duration_ns, 300 * NS_PER_S);
	assert_int_equal(o.interval_ns, 500 * NS_PER_MS);
	assert_int_equal(o.metric, METRIC_ALLOC_BYTES);
	assert_true(o.verbose && o.strict && o.has_duration && !o.quiet);
	options_release(&o);
	assert_int_equal(parse(&o, &out, "-o a.folded -o b.txt --min-size 1K --older 2s -- prog -p 3 --help"), OPTIONS_RUN);
	assert_int_equal(o.n_outputs, 2);
	assert_string_equal(o.outputs[1].renderer->name, "report");
	assert_int_equal(o.min_size_bytes, 1024);
	assert_string_equal(o.command[0], "prog");
	assert_string_equal(o.command[3], "--help");
	options_release(&o);
	assert_int_equal(parse(&o, &out, "--folded -d 0"), OPTIONS_RUN);
	assert_string_equal(o.renderer->name, "folded");
	assert_true(o.sample_auto && o.max_overhead == 0.1);
	options_release(&o);
	assert_int_equal(parse(&o, &out, "-n ab*,c -n d? -c /x -c 3f2a"), OPTIONS_RUN);
	assert_int_equal(o.n_comms, 3);
	assert_string_equal(o.comms[2].text, "d?");
	assert_true(comm_pattern_matches(&o.comms[0].pattern, "abc"));
	assert_int_equal(o.n_cgroups, 2);
	assert_string_equal(o.cgroups[1], "3f2a");
	options_release(&o);
	assert_int_equal(parse(&o, &out, "--sample 16K --max-overhead 25%"), OPTIONS_RUN);
	assert_true(!o.sample_auto && o.sample_bytes == 16384 && o.max_overhead == 0.25);
	options_release(&o);
	assert_int_equal(parse(&o, &out, "--sample 16K --sample off"), OPTIONS_RUN);
	assert_true(!o.sample_auto && !o.sample_bytes);
	options_release(&o);
	assert_int_equal(parse(&o, &out, "-i 5 -o a.SVG -o b.svg"), OPTIONS_USAGE);
	options_release(&o);
	assert_int_equal(parse(&o, &out, "-i 5 --flamegraph -o b.svg"), OPTIONS_RUN);
	assert_string_equal(o.renderer->name, "flamegraph");
	assert_string_equal(o.outputs[0].renderer->name, "flamegraph");
	options_release(&o);
	assert_int_equal(parse(&o, &out, "-i 5 --json -o a.pb.gz -o d.gz/b.heapprofile -o c.jsonl"), OPTIONS_RUN);
	assert_string_equal(o.renderer->name, "json");
	assert_string_equal(o.outputs[0].renderer->name, "pprof");
	assert_string_equal(o.outputs[1].renderer->name, "heapprofile");
	assert_string_equal(o.outputs[2].renderer->name, "json");
	options_release(&o);
	assert_int_equal(parse(&o, &out, "-i 5 --json"), OPTIONS_RUN);
	options_release(&o);
	assert_int_equal(parse(&o, &out, "--folded -d 0"), OPTIONS_RUN);
	assert_true(o.has_duration && !o.duration_ns);
	options_release(&o);
	buf_release(&out);
}

struct refused {
	const char *line, *says;
};

/* Each is a usage error that says so, and where help is. */
static void assert_refused(const struct refused *v, size_t n, const char *help)
{
	struct buf out = BUF_INIT;
	struct options o;
	size_t i;

	for (i = 0; i < n; i++) {
		if (parse(&o, &out, v[i].line) != OPTIONS_USAGE || !strstr(out.data, v[i].says))
			fail_msg("%s: %s", v[i].line, out.data);
		assert_non_null(strstr(out.data, help));
		options_release(&o);
	}
	buf_release(&out);
}

static void bad_input__is_a_usage_error_that_names_it(void **state)
{
	static const struct refused v[] = {
		{ "-p 0", "'0'" },
		{ "-p -5", "'-5'" },
		{ "-p 1,abc", "'1,abc'" },
		{ "-p 99999999999", "'99999999999'" },
		{ "-p 5,", "'5,'" },
		{ "-p", "-p needs an argument" },
		{ "-d soon", "'soon'" },
		{ "-d ~", "''" },
		{ "-d 99999999999999999999", "too long" },
		{ "-i 0", "'0'" },
		{ "-f svg", "no such format: 'svg'" },
		{ "-o out.svgz", "'out.svgz'" },
		{ "-i 1 --flamegraph", "-i with -f flamegraph needs -o FILE" },
		{ "-i 1 --pprof", "-i with -f pprof needs -o FILE" },
		{ "-i 1 -f heapprofile", "-i with -f heapprofile needs -o FILE" },
		{ "--heapprofile", "no such option: --heapprofile" },
		{ "--debuginfod --no-lines", "--debuginfod and --no-lines exclude each other" },
		{ "-o out.gz", "'out.gz'" },
		{ "-o out.json", "'out.json'" },
		{ "-o folded", "'folded'" },
		{ "-m rss", "no such metric: 'rss'" },
		{ "--min-size 18446744073709551616", "too large" },
		{ "--min-size 2K --max-size 1K", "--min-size is larger" },
		{ "--max-memory 12", "at least 1M" },
		{ "-x", "no such option: -x" },
		{ "--samples 8K", "no such option: --samples" },
		{ "--sample 8", "from 8K to 64K: '8'" },
		{ "--sample 65K", "from 8K to 64K: '65K'" },
		{ "--sample on", "'on'" },
		{ "--max-overhead 0", "from 0.5: '0'" },
		{ "--max-overhead 10x", "'10x'" },
		{ "--max-overhead nan", "'nan'" },
		{ "--dur 5", "no such option: --dur" },
		{ "--quiet=1", "takes no argument" },
		{ "-q -v", "exclude each other" },
		{ "-p 1 -- prog", "exclude each other" },
		{ "--no-follow", "--no-follow needs -p" },
		{ "-n a-name-of-16-byt", "at most 15 bytes" },
		{ "-n a,", "''" },
		{ "-n a\\", "not a pattern" },
		{ "-n a,b,c,d,e,f,g,h,i", "at most 8 patterns" },
		{ "-n a -p 1", "exclude each other" },
		{ "-c /a -- prog", "exclude each other" },
		{ "--no-follow -- prog", "--no-follow needs -p" },
		{ "--user me", "--user needs a command" },
		{ "--", "a command is needed" },
		{ "4242", "unexpected '4242'" },
	};

	(void)state;
	assert_refused(v, sizeof(v) / sizeof(v[0]), "\nTry 'memprobe --help'.\n");
}

static void a_sub_command__takes_its_own_options_only(void **state)
{
	static const struct refused bad[] = {
		{ "doctor -d 1", "doctor takes no option -d" },
		{ "doctor --folded", "doctor takes no option --folded" },
		{ "doctor --id 4", "no such option: --id" },
		{ "doctor 42", "unexpected '42'" },
		{ "doctor -- true", "no such option" },
		{ "doctor --no-save", "doctor takes no option --no-save" },
	};
	struct buf out = BUF_INIT;
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, &out, "doctor -p 42,43 --max-memory 8M --at-entry -v"), OPTIONS_RUN);
	assert_int_equal(o.verb, VERB_DOCTOR);
	assert_int_equal(o.n_pids, 2);
	assert_true(o.at_entry && o.verbose);
	options_release(&o);
	assert_int_equal(parse(&o, &out, "-- doctor"), OPTIONS_RUN);
	assert_int_equal(o.verb, VERB_PROFILE);
	options_release(&o);
	assert_int_equal(parse(&o, &out, "doctor --help"), OPTIONS_EXIT_OK);
	assert_non_null(strstr(out.data, "Usage: memprobe doctor"));
	assert_non_null(strstr(out.data, "--pid LIST"));
	assert_null(strstr(out.data, "--duration"));
	options_release(&o);
	assert_int_equal(parse(&o, &out, "report"), OPTIONS_USAGE);
	assert_non_null(strstr(out.data, "a recording is needed"));
	options_release(&o);
	buf_reset(&out);
	assert_int_equal(parse(&o, &out, "report a b"), OPTIONS_USAGE);
	assert_non_null(strstr(out.data, "unexpected 'b'"));
	options_release(&o);
	buf_release(&out);
	assert_refused(bad, sizeof(bad) / sizeof(bad[0]), "\nTry 'memprobe doctor --help'.\n");
}

static void a_recording__is_a_file_and_perhaps_a_time(void **state)
{
	static const struct {
		const char *arg, *path;
		bool has_time;
		uint64_t time_ns;
	} v[] = {
		{ "a.memprobe", "a.memprobe", false, 0 },
		{ "a.memprobe@10s", "a.memprobe", true, 10 * NS_PER_S },
		{ "a.memprobe@1.5", "a.memprobe", true, 3 * NS_PER_S / 2 },
		{ "dir@home/a", "dir@home/a", false, 0 },
		{ "dir@home/a@5m", "dir@home/a", true, 300 * NS_PER_S },
		{ "a@", "a@", false, 0 },
		{ "@10s", "@10s", false, 0 },
		{ "a@later", "a@later", false, 0 },
	};
	struct buf out = BUF_INIT;
	char line[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct options o;

		snprintf(line, sizeof(line), "report --json %s", v[i].arg);
		assert_int_equal(parse(&o, &out, line), OPTIONS_RUN);
		assert_int_equal(o.verb, VERB_REPORT);
		assert_int_equal(o.n_files, 1);
		assert_string_equal(o.files[0].path, v[i].path);
		assert_int_equal(o.files[0].has_time, v[i].has_time);
		assert_int_equal(o.files[0].time_ns, v[i].time_ns);
		options_release(&o);
		buf_reset(&out);
	}
	buf_release(&out);
}

static void the_command_line__can_be_pasted_into_a_shell(void **state)
{
	struct buf out = BUF_INIT;
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, &out, "-p 42 -o $(x);'y'.svg --older=2s"), OPTIONS_RUN);
	buf_reset(&out);
	options_command_line(&out, &o);
	assert_string_equal(out.data, "memprobe -p 42 -o '$(x);'\\''y'\\''.svg' --older=2s");
	options_release(&o);
	assert_int_equal(parse(&o, &out, "-- prog ~ --x"), OPTIONS_RUN);
	buf_reset(&out);
	options_command_line(&out, &o);
	assert_string_equal(out.data, "memprobe -- prog '' --x");
	options_release(&o);
	buf_release(&out);
}

static void help__fits_the_screen(void **state)
{
	static const enum verb verbs[] = { VERB_PROFILE, VERB_DOCTOR, VERB_REPORT, VERB_DIFF, VERB_TOP, VERB_CENSUS };
	const char *line, *end;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		struct buf help = BUF_INIT;

		options_help(&help, verbs[i]);
		for (line = help.data; *line; line = end + 1) {
			end = strchr(line, '\n');
			if (end - line > 100)
				fail_msg("%d columns: %.*s", (int)(end - line), (int)(end - line), line);
		}
		buf_release(&help);
	}
}

/* `--no-lines`, or \-\-no\-lines as roff has it, with nothing behind it that would be part of the name. */
static bool names_option(const char *text, const char *option, const char *dash)
{
	struct buf name = BUF_INIT;
	bool found = false;
	const char *s;

	for (s = option; *s; s++)
		buf_adds(&name, *s == '-' ? dash : (char[]){ *s, '\0' });
	for (s = text; !found && (s = strstr(s, name.data)); s += name.len)
		found = !isalpha((unsigned char)s[name.len]) && strncmp(s + name.len, dash, strlen(dash)) != 0;
	buf_release(&name);
	return found;
}

static void readme_and_man_page__have_each_option(void **state)
{
	struct buf help = BUF_INIT, man = BUF_INIT, readme = BUF_INIT;
	char option[64];
	const char *line;
	int n = 0;

	(void)state;
	options_help(&help, VERB_PROFILE);
	assert_int_equal(buf_read_file(&man, "man/memprobe.8", 1 << 20), 0);
	assert_int_equal(buf_read_file(&readme, "README.md", 1 << 20), 0);
	for (line = help.data; *line; line = strchr(line, '\n') + 1) {
		const char *name = strstr(line, "--");

		if (!name || name > line + 6 || line[0] != ' ')
			continue;
		snprintf(option, sizeof(option), "%.*s", (int)strcspn(name, " "), name);
		if (!names_option(man.data, option, "\\-"))
			fail_msg("not in the man page: %s", option);
		if (!names_option(readme.data, option, "-"))
			fail_msg("not in README.md: %s", option);
		n++;
	}
	assert_in_range(n, 19, 60);
	buf_release(&help);
	buf_release(&man);
	buf_release(&readme);
}

static void planes__are_all_but_those_that_are_left_out(void **state)
{
	static const struct {
		const char *list;
		unsigned int planes;
	} t[] = { { "heap", PLANE_HEAP }, { "vm,heap", PLANE_HEAP | PLANE_VM }, { "rss", PLANE_RSS }, { "none", 0 } };
	static char memprobe[] = "memprobe", letter[] = "-P";
	char *argv[] = { memprobe, letter, NULL, NULL };
	struct buf out = BUF_INIT;
	struct options o;
	size_t i;

	(void)state;
	assert_int_equal(options_parse(&o, 1, argv, &out), OPTIONS_RUN);
	assert_int_equal(o.planes, PLANES_ALL);
	options_release(&o);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		argv[2] = (char *)(uintptr_t)t[i].list;
		assert_int_equal(options_parse(&o, 3, argv, &out), OPTIONS_RUN);
		assert_int_equal(o.planes, t[i].planes);
		options_release(&o);
	}
	buf_release(&out);
}

static void an_unknown_plane__is_a_usage_error(void **state)
{
	static const char *const bad[] = { "", "heaps", "heap,", "none,heap", "he" };
	static char memprobe[] = "memprobe", letter[] = "-P";
	char *argv[] = { memprobe, letter, NULL, NULL };
	struct buf out = BUF_INIT;
	struct options o;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		argv[2] = (char *)(uintptr_t)bad[i];
		assert_int_equal(options_parse(&o, 3, argv, &out), OPTIONS_USAGE);
		options_release(&o);
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_forms__set_what_they_say),
		cmocka_unit_test(bad_input__is_a_usage_error_that_names_it),
		cmocka_unit_test(a_sub_command__takes_its_own_options_only),
		cmocka_unit_test(a_recording__is_a_file_and_perhaps_a_time),
		cmocka_unit_test(the_command_line__can_be_pasted_into_a_shell),
		cmocka_unit_test(planes__are_all_but_those_that_are_left_out),
		cmocka_unit_test(an_unknown_plane__is_a_usage_error),
		cmocka_unit_test(help__fits_the_screen),
		cmocka_unit_test(readme_and_man_page__have_each_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
