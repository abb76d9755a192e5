#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The report on terminals of several widths, of the recordings in the tree and of runs made here: every line fits, no report
has more than 40 lines, and what stands in a column adds up to what stands below it, as printed.
"""
import contextlib
import fcntl
import glob
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

from harness import MEMPROBE, ROOT, Failure, Memprobe, Target, main, test

WIDTHS = (60, 80, 100, 160)
MOST_LINES = 40
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(columns, *args, env=None, size=(50, None)):
    """What a command writes to a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[0], columns, 0, 0))
    process = subprocess.Popen(list(args), stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL,
                               env={k: v for k, v in {**os.environ, "TERM": "xterm", "LANG": "C.UTF-8", "LC_ALL": "",
                                                      "NO_COLOR": "", **(env or {})}.items() if v})
    os.close(slave)
    text = b""
    with contextlib.suppress(OSError):  # the last one has closed it
        while part := os.read(master, 65536):
            text += part
    os.close(master)
    return process.wait(timeout=20), text.decode(errors="replace").replace("\r\n", "\n")


def tenths(text):
    return round(float(text.replace(" ", "")) * 10)


def cell(line, heading, name, before):
    """The number below the end of a heading; what is left of the heading before belongs to that."""
    end = heading.index(name) + len(name)
    at = line[heading.index(before) + len(before) if before else 0:end]
    found = re.search(r"([-+]?\d[\d ]*(?:\.\d+)?)\s*$", at)
    if not found:
        raise Failure(f"no {name} in {line!r} below {heading!r}")
    return found[1]


def is_row(line, heading, name):
    end = heading.index(name) + len(name)
    return len(line) >= end and line[end - 1].isdigit() and not line[end:end + 1].strip()


def check_column(t, what, text, heading, lines, name, before):
    values = [tenths(cell(line, heading, name, before)) for line in lines]
    t.true(f"{what}__{name.strip()}_adds_up", sum(values[:-1]) == values[-1], f"{values}\n{text}")


def check_machine(t, what, text):
    """Trees of processes, other kinds of memory, all that is in use."""
    rows = text.split("PROCESS (TREE)")[1].split("shared pages")[0].rstrip("\n").split("\n")[1:]
    figures = [re.search(r" (-?\d+\.\d+) [MG]iB +([+-]?\d+\.\d)(?: |$)", row) for row in rows]
    t.true(f"{what}__every_row_has_its_figures", len(rows) >= 5 and all(figures), text)
    if not all(figures):
        return
    for column, name in (1, "memory"), (2, "rates"):
        values = [round(float(f[column]) * 100) for f in figures]
        t.true(f"{what}__{name}_add_up", sum(values[:-1]) == values[-1], f"{values}\n{text}")


def check_table(t, what, text):
    """Stacks, the rows below them, net."""
    if "PROCESS (TREE)" in text:
        check_machine(t, what, text)
        return
    all_lines = text.split("\n")
    at = next((i for i, line in enumerate(all_lines) if re.match(r" # +(LIVE|ALLOC) ", line)), None)
    t.true(f"{what}__has_a_table", at is not None, text)
    if at is None:
        return
    heading = all_lines[at]
    unit = re.search(r"(?:LIVE|ALLOC) \w+", heading)[0]
    block = all_lines[at + 1:all_lines.index("", at)]
    net = next((i for i, line in enumerate(block) if re.search(r"\d  +net\b", line)), len(block))
    rows = [line for line in block[:net + 1] if is_row(line, heading, unit) or is_row(line, heading, "/min")]
    t.true(f"{what}__ends_with_its_sum", rows and re.search(r"  net\b", rows[-1]), text)
    check_column(t, what, text, heading, rows, unit, " #")
    check_column(t, what, text, heading, rows, "/min", unit)
    if " BLOCKS" in heading and "ALIVE" in heading:
        check_column(t, what, text, heading, rows, "BLOCKS", "ALIVE")


def check_bridge(t, what, text):
    lines = text.split("\n")
    at = next((i for i, line in enumerate(lines) if line.startswith("WHERE ")), None)
    if at is None:
        return False
    heading, rows = lines[at], []
    for line in lines[at + 1:]:
        rows.append(line)
        if line.startswith("RSS "):
            break
    now = "at exit" if "at exit" in heading else "now"
    if "at attach" in heading:
        check_column(t, what, text, heading, rows, "at attach", ")" if ")" in heading else None)
        check_column(t, what, text, heading, rows, "change", now)
    check_column(t, what, text, heading, rows, now, "at attach" if "at attach" in heading else ")")
    return True


def check_processes(t, what, text):
    found = re.search(r"^( +PID  PROCESS.*LIVE \w+ +\w+/min)\n((?:.+\n)+)", text, re.M)
    if found:
        heading, rows = found[1], found[2].rstrip("\n").split("\n")
        rows = rows[:next(i for i, line in enumerate(rows) if line.split()[0] == "all") + 1]
        check_column(t, what, text, heading, rows, re.search(r"LIVE \w+", heading)[0], "PROCESS")


def check_screen(t, what, columns, text):
    lines = text.rstrip("\n").split("\n")
    long = [line for line in lines if len(line) > columns]
    t.true(f"{what}__every_line_fits", not long, f"{long}\n{text}")
    t.true(f"{what}__is_at_most_{MOST_LINES}_lines", len(lines) <= MOST_LINES, f"{len(lines)} lines\n{text}")
    check_table(t, what, text)
    check_processes(t, what, text)
    return check_bridge(t, what, text)


def check_widths(t, name, recording, n_bridges):
    for columns in WIDTHS:
        status, text = on_terminal(columns, MEMPROBE, "report", recording)
        what = f"{name}_at_{columns}_columns"
        t.true(f"{what}__is_shown", status == 0 and text, f"{status}: {text}")
        n_bridges[0] += check_screen(t, what, columns, ESCAPE.sub("", text))


@test
def recordings_in_the_tree(t):
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "golden", "*.memprobe"))):
        check_widths(t, os.path.basename(path).split(".")[0], path, [0])


@test
def real_runs(t):
    ways = ["leak", "leak_in_garbage", "steady", "full_cache", "full_cache_of_all_sizes", "teeth", "filling"]
    n_bridges = [0]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        targets = [stack.enter_context(Target("behaves", w)) for w in ways]
        runs = [[*ways, "all"], [[t.pid] for t in targets] + [[t.pid for t in targets]]]
        files = [os.path.join(folder, f"{w}.memprobe") for w in runs[0]]
        running = [stack.enter_context(Memprobe("-p", ",".join(map(str, pids)), "-d", 5, "-o", f, "--no-save", auto=True))
                   for f, pids in zip(files, runs[1])]
        files.append(os.path.join(folder, "machine.memprobe"))
        running.append(stack.enter_context(Memprobe("-d", 5, "-o", files[-1], "--no-save", "-P", "none", auto=True)))
        for m in running:
            m.wait()
        for name, path in zip([*runs[0], "machine"], files):
            check_widths(t, name, path, n_bridges)
            check_widths(t, f"{name}_early", f"{path}@2s", [0])
    t.true("most_have_a_bridge", n_bridges[0] >= len(ways) * len(WIDTHS) // 2, str(n_bridges))


PYTHON = ("""import time
keep = [bytearray(3000) for i in range(30011)]
cache = {i: "x" * 200 + str(i) for i in range(100000)}
print("ready", flush=True)
leak = []
while True:
    leak.extend([bytearray(900) for _ in range(20)])
    time.sleep(0.02)
""")


@test
def most_from_before(t):
    """Two thirds of the memory were there; a runtime, several stacks, evidence: what they were has its lines all the same."""
    with tempfile.TemporaryDirectory() as folder, \
            subprocess.Popen(["python3", "-c", PYTHON], stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            path = os.path.join(folder, "python.memprobe")
            with Memprobe("-p", process.pid, "-d", 12, "--sample", "off", "-o", path, "--no-save", auto=True) as m:
                m.wait()
        finally:
            process.kill()
        check_widths(t, "python", path, [0])
        texts = {columns: on_terminal(columns, MEMPROBE, "report", path, env={"NO_COLOR": "1"})[1] for columns in WIDTHS}
    t.true("blocks_from_before__are_told_by_size", re.search(r"^ +[\d.]+ MiB  30 01\d chunks of 3024 B$", texts[100], re.M), texts[100])
    for columns, text in texts.items():
        if text.startswith(("LEAK", "GROWING")):
            t.true(f"at_{columns}_columns__the_evidence_and_what_speaks_against_it_are_there",
                   len(re.findall(r"^(?:why )? +\+ ", text, re.M)) >= 2 and re.search(r"^but  - ", text, re.M), text)
        t.true(f"at_{columns}_columns__no_sentence_ends_in_its_middle",
               re.search(r"^blind .*\n?.*(does not show|-d \d+[mh])$", text, re.M) and " most likely the\n\n" not in text, text)


class Screen:
    """What a run writes to a terminal, standard error included."""

    def __init__(self, columns, *args):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen([MEMPROBE, *map(str, args)], stdin=slave, stdout=slave, stderr=slave,
                                        env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"})
        os.close(slave)
        self.text = ""

    def until(self, what, timeout_s=30):
        """None: its end."""
        end = time.monotonic() + timeout_s
        seen = len(self.text)
        while what is None or what not in self.text[seen:]:
            if not select.select([self.master], [], [], 1)[0]:
                if time.monotonic() > end:
                    raise Failure(f"no {what!r} in {timeout_s} s: {self.text!r}")
                continue
            try:
                part = os.read(self.master, 65536)
            except OSError:
                part = b""
            if not part:
                return
            self.text += part.decode(errors="replace")


@test
def preliminary(t):
    with Target("behaves", "leak") as target:
        screen = Screen(90, "-p", target.pid, "-d", 0, "--no-save", "-P", "heap", "--sample", "off")
        screen.until("PRELIMINARY")
        screen.until("PRELIMINARY")
        screen.process.send_signal(signal.SIGUSR2)
        screen.until("mark 1 set")
        screen.until("PRELIMINARY")
        fcntl.ioctl(screen.master, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 64, 0, 0))
        screen.until("PRELIMINARY")
        screen.until("PRELIMINARY")
        screen.process.send_signal(signal.SIGINT)
        screen.until(None)
        screen.process.wait()
    text = screen.text
    drawn = re.findall(r"\r\x1b\[J(PRELIMINARY.*?)\r\x1b\[(\d+)A", text, re.S)
    t.true("it_is_drawn_again_and_again", len(drawn) >= 5 and "s_forget" in drawn[-1][0], f"{text!r}")
    t.equal("the_cursor__goes_back_to_where_it_began", [part.count("\n") for part, _ in drawn], [int(n) for _, n in drawn])
    widths = [max(len(line) for line in part.replace("\r", "").split("\n")) for part, _ in drawn]
    t.true("it_fits__before_and_after_a_change_of_size", max(widths) <= 90 and widths[-1] <= 64, f"{widths}")
    for what in "memprobe: mark 1 set", "GROWING":
        t.true(f"{what.split()[-1]}__comes_on_cleared_ground", f"\r\x1b[J{what}" in text or f"\r\x1b[J\r\x1b[J{what}" in text, f"{text!r}")
    t.true("the_report__is_the_last", "PRELIMINARY" not in text[text.rindex("\x1b[J"):], f"{text!r}")


@test
def preliminary_of_the_machine(t):
    screen = Screen(100, "-d", 30, "--no-save")
    screen.until("PRELIMINARY")
    screen.until("PRELIMINARY")
    screen.process.send_signal(signal.SIGINT)
    screen.until(None)
    screen.process.wait()
    drawn = re.findall(r"\r\x1b\[J(PRELIMINARY.*?)\r\x1b\[(\d+)A", screen.text, re.S)
    last = drawn[-1][0] if drawn else ""
    t.true("the_table_of_processes__is_drawn_while_it_runs",
           len(drawn) >= 2 and "memory in use" in last and "PROCESS (TREE)" in last and "unexplained" in last, f"{screen.text!r}")
    t.true("it_fits_the_screen", max(len(line) for line in last.replace("\r", "").split("\n")) <= 100, last)


@test
def colour(t):
    path = os.path.join(ROOT, "tests", "golden", "growing.memprobe")
    show = [MEMPROBE, "report", path]
    plain = subprocess.run([*show, "--report"], stdout=subprocess.PIPE, check=True).stdout.decode()
    t.true("a_pipe__gets_no_colour", "\x1b" not in plain, plain)
    _, text = on_terminal(100, *show)
    t.true("a_terminal__gets_the_word_in_colour", text.startswith("\x1b[33mGROWING\x1b[0m"), text)
    t.true("colour__is_sparing", len(ESCAPE.findall(text)) <= 8, text)
    for name, value in ("NO_COLOR", "1"), ("TERM", "dumb"):
        _, text = on_terminal(100, *show, env={name: value})
        t.equal(f"{name}={value}__gets_none", text, plain)
    _, text = on_terminal(100, *show, env={"LANG": "C"})
    t.true("a_locale_without_UTF_8__gets_plain_ASCII", text.isascii(), text)


if __name__ == "__main__":
    main()
