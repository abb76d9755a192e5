#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
memprobe top in a real terminal (tmux): what the screen shows against the target's own count, each key, sizes down to
20 x 5, and the terminal's settings before and after each way that a run can end.
"""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from harness import MEMPROBE, STATE, Failure, Skip, Target, main, test

WIDTH, HEIGHT = 100, 40
START_S = 30


class Terminal:
    """A shell in a tmux server of its own."""

    def __init__(self, env=None, width=WIDTH, height=HEIGHT):
        if not shutil.which("tmux"):
            raise Skip("no tmux")
        self.directory = tempfile.TemporaryDirectory(prefix="memprobe-top.")
        self.env = {k: v for k, v in os.environ.items() if k not in ("TMUX", "NO_COLOR", "LC_ALL")}
        self.env.update(TMUX_TMPDIR=self.directory.name, XDG_STATE_HOME=STATE, LANG="C.UTF-8", PS1="$ ", HISTFILE="")
        self.env.update(env or {})
        self.tmux("new-session", "-d", "-x", width, "-y", height, "-c", self.directory.name,
                  "bash", "--norc", "--noprofile")
        self.type("PS1='$ '; stty -ixon -echoctl", "Enter") # settings of its own: those must come back

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        subprocess.run(["tmux", "kill-server"], env=self.env, check=False, capture_output=True)
        self.directory.cleanup()

    def tmux(self, *args):
        done = subprocess.run(["tmux", "-f", "/dev/null", *map(str, args)], env=self.env, capture_output=True, text=True,
                              timeout=20, check=False)
        if done.returncode:
            raise Failure(f"tmux {args}: {done.stderr}")
        return done.stdout

    def type(self, *keys):
        self.tmux("send-keys", *keys)

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options)

    def wait_for(self, pattern, timeout_s=10.0, absent=False):
        """The screen, as soon as it has (or has no more) what is looked for."""
        end = time.monotonic() + timeout_s
        while True:
            text = self.screen()
            if (re.search(pattern, text, re.M) is None) == absent:
                return text
            if time.monotonic() > end:
                raise Failure(f"{'still' if absent else 'no'} {pattern!r} after {timeout_s} s in:\n{text}")
            time.sleep(0.1)

    def shows(self, t, name, pattern, timeout_s=10.0, absent=False):
        try:
            text = self.wait_for(pattern, timeout_s, absent)
        except Failure as why:
            t.fail(name, why)
            return ""
        t.ok(name)
        return text

    def file(self, name):
        try:
            with open(os.path.join(self.directory.name, name)) as f:
                return f.read().strip()
        except OSError:
            return ""

    def files(self, suffix):
        return [f for f in os.listdir(self.directory.name) if f.endswith(suffix)]

    def start(self, *args, prefix=""):
        """memprobe top, with the terminal's settings before and after in files, and its status."""
        self.type(f"clear; stty -g >before; {prefix} {MEMPROBE} top {' '.join(map(str, args))}; "
                  "echo status $? >status; stty -g >after", "Enter")
        return self.wait_for(r"^memprobe top  \S", START_S) # two blanks: not the command's echo

    def pid(self):
        shell = int(self.tmux("display-message", "-p", "#{pane_pid}"))
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as f:
                    name, rest = f.read().rsplit(")", 1)
            except OSError:
                continue
            if int(rest.split()[1]) == shell and name.endswith("(memprobe"):
                return int(pid)
        raise Failure("memprobe is not there")

    def ended(self, timeout_s=20.0):
        end = time.monotonic() + timeout_s
        while not self.file("after"):
            if time.monotonic() > end:
                raise Failure(f"memprobe did not end:\n{self.screen()}")
            time.sleep(0.05)

    def is_restored(self):
        """Settings, screen and cursor. After kill -9 another process restores them: soon, not at once."""
        end = time.monotonic() + 3
        while True:
            self.type("stty -g >after", "Enter")
            time.sleep(0.2)
            state = (self.file("after") == self.file("before"),
                     self.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").strip())
            if state == (True, "0 1") or time.monotonic() > end:
                return state

    def forget(self):
        for name in ("before", "after", "status"):
            if os.path.exists(os.path.join(self.directory.name, name)):
                os.unlink(os.path.join(self.directory.name, name))


def mib(text):
    """"+41.6 MiB", in bytes."""
    number, unit = re.match(r"([-+]?[\d.]+) (B|KiB|MiB|GiB)", text).groups()
    return float(number) * {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]


def live_of(target):
    return target.ask("tell").sites["s_leak"].live_bytes


@test
def figures(t):
    with Target("leaking") as target, Terminal() as term:
        term.start("-p", target.pid, "--sample", "off", "-P", "heap")
        target.ask("go")
        text = term.shows(t, "the_leaking_function__is_the_first_stack",
                          r"^ +LIVE .*WHERE *\n +[\d.]+ [KM]iB .* s_leak leaking\.c:\d+ < main")
        t.true("the_process__names_its_growing_site", re.search(rf"> +{target.pid} +leaking .* s_leak$", text, re.M),
               text)
        term.type("m")
        marked, at = live_of(target), time.monotonic()
        term.wait_for(r"mark 1 set")
        term.type("g") # growth twice: since the mark
        term.wait_for(r"since mark 1, [56]\.\d s|since mark 1, [678] s", 15)
        text, now, seconds = term.screen(), live_of(target), time.monotonic() - at
        row = re.search(r"^ +(\+[\d.]+ [KM]iB) +(\+[\d.]+) .* s_leak ", text, re.M)
        if not t.true("growth_since_a_mark__is_shown", row, text):
            return
        grown, rate = mib(row.group(1)), float(row.group(2)) * (1 << 20) / 60
        t.between("growth_since_a_mark__is_the_targets_own_within_20_percent", grown / (now - marked), 0.8, 1.2)
        t.between("its_rate__is_the_targets_own_within_20_percent", rate / ((now - marked) / seconds), 0.8, 1.2)
        total = term.wait_for(r"exact  lost 0")
        t.true("nothing_is_lost", total)
        term.type("q")
        term.ended()
        term.wait_for(r"^trust ")
        text = term.screen("-S", "-200") # messages of the run follow the report, and may be as long as another memprobe's
        t.true("the_report__names_it_too", re.search(r"^ 1 .*s_leak", text, re.M), text)


@test
def keys(t):
    with Target("leaking") as target, Terminal() as term:
        term.start("-p", target.pid, "-P", "heap")
        target.ask("go")
        term.wait_for(r"s_leak")
        for key, word in ("b", "bytes"), ("a", "share alive"), ("c", "blocks made"), ("g", "growth"):
            term.type(key)
            text = term.shows(t, f"{key}__sorts", rf"by {word}, last")
            if key == "c":
                t.true("c__has_the_garbage_first", re.search(r"WHERE *\n.*s_garbage", text), text)
        term.type("Enter")
        term.wait_for(r"^> +[\d.]+ [KM]iB .* s_leak ")
        t.ok("enter__opens_the_stacks_with_a_cursor")
        term.type("Down")
        term.shows(t, "down__moves_it", r"^> .* s_garbage ")
        term.type("Up", "Enter")
        term.shows(t, "enter_again__shows_the_frames", r"^ \*   1  s_leak  .*leaking\.c:\d+  \(leaking\)$")
        term.type("Escape")
        term.shows(t, "escape__goes_back", r"^> .* s_leak ")
        term.type("BSpace")
        term.shows(t, "backspace__goes_back", r"^ +PID +PROCESS")
        term.type("Tab")
        term.shows(t, "tab__shows_the_stacks_of_all", r"^--- all processes ---")
        term.type("Tab", "/", "garb")
        term.shows(t, "a_filter__is_shown_while_typed", r"^filter: garb_")
        term.type("Enter")
        term.shows(t, "what_has_another_name__is_gone", r"s_leak <", absent=True)
        term.type("Escape")
        term.shows(t, "escape__ends_the_filter", r"s_leak")
        term.type("p")
        first = term.wait_for(r"PAUSED")
        time.sleep(1.5)
        t.equal("p__stops_the_figures", term.screen(), first)
        term.type("p")
        term.shows(t, "p_again__lets_them_go_on", r"PAUSED", absent=True)
        term.type("?")
        term.shows(t, "question_mark__is_help", r"flame graph into a file here")
        term.type("x", "s", "f", "h")
        term.shows(t, "h__says_what_it_is_for", r"for the whole machine")
        files(t, term)
        term.type("q")
        term.ended()
        t.equal("q__is_status_0", term.file("status"), "status 0")
        t.true("q__prints_the_report", "s_leak" in term.wait_for(r"^trust "), term.screen())


def files(t, term):
    svg, recording = term.files(".svg"), term.files(".memprobe")
    if t.true("s_and_f__write_a_file_each", len(svg) == 1 and len(recording) == 1, f"{svg} {recording}"):
        t.true("the_flame_graph__has_the_function", "s_leak" in term.file(svg[0]))
        done = subprocess.run([MEMPROBE, "report", "--folded", os.path.join(term.directory.name, recording[0])],
                              capture_output=True, text=True, timeout=30, check=False)
        t.true("the_recording__has_it_too", done.returncode == 0 and "s_leak" in done.stdout, done.stderr)


@test
def sizes(t):
    with Target("leaking") as target, Terminal() as term:
        term.start("-p", target.pid, "-P", "heap", "-i", "300ms")
        target.ask("go")
        term.wait_for(r"s_leak")
        for width, height, pattern in (20, 5, r"20x5 is too small"), (80, 24, r"s_leak leak"), (60, 15, r"WHERE"), \
                (3, 2, r"mem"), (40, 8, r"^> +\d+ +leaking"), (20, 5, r"too small"), (WIDTH, HEIGHT, r"s_leak leaking"):
            term.tmux("resize-window", "-x", width, "-y", height)
            text = term.shows(t, f"{width}x{height}__is_drawn_anew", pattern)
            lines = text.rstrip("\n").split("\n")
            t.true(f"{width}x{height}__holds_every_line", max(map(len, lines)) <= width and len(lines) <= height, text)
        term.type("C-c")
        term.ended()
        t.equal("after_resizing__the_terminal_is_as_before", term.is_restored(), (True, "0 1"))


@test
def whole_machine(t):
    with Target("leaking") as target, Terminal() as term:
        target.ask("go")
        term.start()
        text = term.shows(t, "the_machines_memory__is_the_heading", r"^RAM  [\d.]+ of [\d.]+ [MG]iB ", 20)
        t.true("memory_of_no_process__has_rows", re.search(r"^ +kernel +[\d.]+ [MG]iB", text, re.M), text)
        with open("/proc/meminfo") as f:
            total = int(re.search(r"MemTotal: +(\d+) kB", f.read()).group(1)) / (1 << 20)
        shown = re.search(r"^RAM  [\d.]+ of ([\d.]+) (.)", text, re.M)
        t.between("ram__is_what_the_kernel_says", float(shown.group(1)) / (1024 if shown.group(2) == "M" else 1),
                  total - 0.06, total + 0.06)
        term.type("/", "leaking", "Enter")
        row = rf"^> +{target.pid}  leaking +[\d.]+ MiB +\+[\d.]+ "
        text = term.shows(t, "a_process_that_grows__has_a_row", row, 20)
        end = time.monotonic() + 30
        while not re.search(row + ".*s_leak", text, re.M) and time.monotonic() < end:
            term.type("h") # others may grow faster, and then it has none by itself
            time.sleep(1)
            text = term.screen()
            if "as many processes as may have heap probes" in text:
                raise Skip("four other processes grow faster here")
        t.true("with_heap_probes__its_site_is_named", re.search(row + ".*s_leak", text, re.M), text)
        term.type("Enter")
        term.shows(t, "enter__opens_its_stacks", r"^> .* s_leak leaking\.c")
        term.type("Escape", "h")
        term.shows(t, "h_again__takes_its_probes_out", rf"process {target.pid}: its heap probes (are taken out|cannot be)")
        term.type("q")
        term.ended()
        t.equal("the_terminal__is_as_before", term.is_restored(), (True, "0 1"))


@test
def looks(t):
    """Characters and colours."""
    with Target("leaking") as target, Terminal() as term:
        target.ask("go")
        term.start("-p", target.pid, "-P", "heap", "-d", 6, "-i", "300ms")
        term.shows(t, "utf_8__has_blocks", r"memory .*[\u2581-\u2588]{4}", 6)
        term.type("p")
        term.wait_for("PAUSED")
        t.true("on_a_terminal__there_are_colours", "\x1b[33m" in term.screen("-e"), repr(term.screen("-e")[:200]))
        term.ended()
        t.equal("d__ends_it", term.file("status"), "status 0")
        term.forget()
        term.start("-p", target.pid, "-P", "heap", prefix="NO_COLOR=1 LC_ALL=C")
        text = term.shows(t, "elsewhere__sparklines_are_ascii", r"memory .*[.,=+*#-]{4}")
        t.true("and_so_is_all_the_screen", text.isascii(), text)
        term.type("p")
        term.wait_for("PAUSED")
        t.true("no_color__has_none", not re.search(r"\x1b\[[0-9;]*3[0-7]m", term.screen("-e")))
        term.type("q")
        term.ended()


@test
def without_a_terminal(t):
    with Target("leaking") as target, Terminal() as term:
        target.ask("go")
        done = subprocess.run([MEMPROBE, "top", "-p", str(target.pid), "-P", "heap", "-d", "2", "-i", "1"],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
        t.true("without_a_terminal__it_says_so_once",
               done.stderr.count("top: standard output is no terminal: a report each 1.0 s instead") == 1, done.stderr)
        t.true("and_prints_reports", done.returncode == 0 and done.stdout.count(" s_leak ") >= 2, done.stdout)
        t.true("without_escape_sequences", "\x1b" not in done.stdout + done.stderr)
        term.type(f"clear; TERM=nonsense {MEMPROBE} top -p {target.pid} -P heap -d 1", "Enter")
        term.shows(t, "an_unknown_terminal__is_named_as_the_reason", r"top: TERM is not set, or names", 20)
        term.shows(t, "and_there_is_a_report_too", r"^trust ", 20)


def end_by(t, name, target, end, status):
    """One way to end, and what the terminal is like afterwards."""
    with Terminal() as term:
        term.start("-p", target.pid, "-P", "heap", "-i", "300ms")
        end(term)
        term.ended()
        text = term.screen()
        t.equal(f"after_{name}__the_terminal_is_as_before", term.is_restored(), (True, "0 1"))
        t.true(f"after_{name}__the_status_is_right", re.fullmatch(status, term.file("status")), term.file("status"))
        return text


def send(signo):
    return lambda term: os.kill(term.pid(), signo)


@test
def endings(t):
    with Target("leaking") as target:
        target.ask("go")
        text = end_by(t, "q", target, lambda term: term.type("q"), "status 0")
        t.true("what_was_said_meanwhile__follows", "memprobe: saved:" in text, text)
        end_by(t, "ctrl_c", target, lambda term: term.type("C-c"), "status 0")
        end_by(t, "sigterm", target, send(signal.SIGTERM), "status 0")
        end_by(t, "a_crash", target, send(signal.SIGSEGV), "status 139")
        end_by(t, "an_abort", target, send(signal.SIGABRT), "status 134")
        end_by(t, "kill_9", target, send(signal.SIGKILL), "status 137")
        t.true("the_target__lives_on", target.is_alive())
        end_by(t, "the_targets_death", target, lambda term: os.kill(target.pid, signal.SIGKILL), "status 0")


@test
def stopped(t):
    with Target("leaking") as target, Terminal() as term:
        target.ask("go")
        term.start("-p", target.pid, "-P", "heap", "-i", "300ms")
        term.wait_for(r"s_leak")
        pid = term.pid()
        if not n_links(pid):
            t.skip("while_stopped__the_target_has_no_probes", "this kernel does not tell what a link is for")
        term.type("C-z")
        term.wait_for(r"Stopped")
        t.equal("while_stopped__the_target_has_no_probes", n_links(pid), 0)
        t.equal("while_stopped__the_terminal_is_as_before", term.is_restored(), (True, "0 1"))
        term.type("clear; fg", "Enter")
        term.shows(t, "fg__shows_the_screen_again", r"^memprobe top .*\n(.*\n)+.*s_leak ")
        term.type("q")
        term.wait_for(r"^trust ", 20)
        t.equal("after_stop_and_fg__the_terminal_is_as_before", term.is_restored(), (True, "0 1"))



def n_links(pid):
    """Links to probes in the C library that a process holds, as far as the kernel tells (6.16 and later)."""
    n = 0
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                text = f.read()
        except OSError:
            continue
        n += "link_id" in text and "/libc" in text
    return n


@test
def stopped_without_a_screen(t):
    """Ctrl-Z in the middle of a run that reports at its end."""
    with Target("leaking") as target, Terminal() as term:
        target.ask("go")
        term.type(f"clear; {MEMPROBE} -d 0 --no-save --sample off -P heap,rss -p {target.pid}; echo status $? >status", "Enter")
        term.wait_for(r"armed:", START_S)
        pid = term.pid()
        before = n_links(pid)
        term.type("C-z")
        term.wait_for(r"Stopped")
        t.equal("a_report_s_run_that_is_stopped__has_taken_its_probes_out", n_links(pid), 0)
        marked = live_of(target)
        end = time.monotonic() + 20
        while live_of(target) == marked and time.monotonic() < end:
            time.sleep(0.05) # it works on meanwhile
        term.type("clear; fg", "Enter")
        term.shows(t, "going_on__says_what_was_missed", r"stopped for .* s, without probes")
        t.equal("and_puts_the_probes_back", n_links(pid) > 0, before > 0)
        term.type("C-c")
        text = term.shows(t, "the_report__counts_it_as_a_loss", r"lost: stopped 1", 20)
        t.true("and_names_the_site", "s_leak" in term.screen("-S", "-60"), text)



@test
def progress_of_a_command(t):
    with Terminal() as term:
        term.type(f"clear; {MEMPROBE} --no-save -P heap --report -- sh -c 'sleep 7'", "Enter")
        term.shows(t, "a_command__has_a_line_of_progress_on_a_terminal", r"^memprobe: PRELIMINARY, [5-9]\S* s   ", 40)
        term.shows(t, "and_then_its_report", r"^trust ", 40)


if __name__ == "__main__":
    main()
