#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Outputs that cannot be written, in each format: a reader that leaves, a full disk, no directory, a run that is
aborted. An error and its message, the other files whole, under a final name a whole file or the one that was there before.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from harness import MEMPROBE, ROOT, Memprobe, Target, main, run, test

sys.path.append(os.path.join(ROOT, "tests", "golden"))
from flame_file import FlameFile # noqa: E402
from formats_file import HeapProfile, JsonLines, Pprof # noqa: E402

FORMATS = {"report": "txt", "folded": "folded", "flamegraph": "svg", "pprof": "pb.gz", "json": "jsonl", "heapprofile": "heapprofile"}
WHOLE = {"svg": FlameFile, "pb.gz": Pprof, "jsonl": JsonLines, "heapprofile": HeapProfile}


def shell(text, *args):
    return subprocess.run(["bash", "-c", text, "bash", *map(str, args)], capture_output=True, timeout=60, check=False)


@test
def readers_that_leave(t):
    # exact: so short a run within the budget may see nothing, and of nothing there is no byte
    options = ("-d", "0.2", "--sample", "off", "--no-save")
    with Target("server") as target:
        for name in FORMATS:
            ended = shell('set -o pipefail; "$@" | head -c 1 | wc -c', MEMPROBE, *options, "-p", target.pid, "-f", name)
            t.equal(f"a_reader_that_leaves_after_a_byte_of_{name}__is_no_error",
                    (ended.returncode, ended.stdout.strip(), b"Broken pipe" in ended.stderr), (0, b"1", False))
            ended = shell('"$@" > /dev/full', MEMPROBE, *options, "-p", target.pid, "-f", name)
            t.equal(f"{name}_to_a_full_device__is_an_error_with_its_reason",
                    (ended.returncode, b"cannot write standard output: No space left on device" in ended.stderr), (1, True))
        # a recording comes in parts: the second, a second later, has no reader
        ended = shell('set -o pipefail; "$@" | head -c 1 | wc -c', MEMPROBE, "-d", 4, *options[2:], "-p", target.pid, "-f", "memprobe")
        t.equal("a_reader_that_leaves_after_a_byte_of_a_recording__is_no_error",
                (ended.returncode, ended.stdout.strip(), b"Broken pipe" in ended.stderr), (0, b"1", False))
        t.equal("the_target__runs_on", target.exit(), 0)


def small_disk(d, size="4k"):
    path = os.path.join(d, "small")
    os.mkdir(path)
    return path if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path], capture_output=True,
                                  check=False).returncode == 0 else None


def fill(disk):
    with open(os.path.join(disk, "filler"), "wb", buffering=0) as f:
        try:
            while f.write(bytes(512)):
                pass
        except OSError:
            pass


def no_room_for(path):
    return f"cannot write {path}: No space left on device"


@test
def full_disk(t):
    with tempfile.TemporaryDirectory() as d, Target("server") as target:
        disk = small_disk(d)
        if not disk:
            t.skip("a_disk_that_is_full__leaves_no_half_file", "cannot mount a small file system")
            return
        try:
            for name, suffix in FORMATS.items():
                path, good = os.path.join(disk, "out." + suffix), os.path.join(d, "good.svg")
                with open(path, "w") as f:
                    f.write("before")
                fill(disk)
                ended = run("-d", "0.2", "-p", target.pid, "-o", path, "-o", good, "--no-save")
                t.equal(f"a_full_disk__is_an_error_that_names_the_file_of_{name}",
                        (ended.status, no_room_for(path) in ended.stderr), (1, True))
                with open(path) as f:
                    t.equal(f"what_was_there_before__stays_instead_of_half_a_{name}", f.read(), "before")
                t.equal(f"no_temporary_file_of_{name}__stays", sorted(os.listdir(disk)), sorted(["filler", "out." + suffix]))
                with open(good, "rb") as f:
                    t.true(f"the_other_file_beside_{name}__is_whole", FlameFile(f.read()).nodes, "")
                os.remove(path)
                os.remove(os.path.join(disk, "filler"))
        finally:
            subprocess.run(["umount", disk], check=False)
        target.exit()


def told(*args):
    """What memprobe makes of a recording: (status, bytes)"""
    ended = subprocess.run([MEMPROBE, "report", *args], capture_output=True, timeout=60, check=False)
    return ended.returncode, ended.stdout


def content(path):
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as f:
        return f.read()


def disk_fills_up(t, name, d, disk, failing, options):
    """The run goes on to its end without that file: (output, stderr, the saved recording)."""
    with Target("server") as target:
        with Memprobe("-d", 4, "-p", target.pid, "-o", failing, *options, env={"XDG_STATE_HOME": os.path.join(d, "state")}) as m:
            m.armed()
            fill(disk)
            begin = time.monotonic()
            m.wait()
            t.between(f"{name}__the_run_goes_on_to_its_end", time.monotonic() - begin, 3, 60)
            t.equal(f"{name}__is_an_error_that_is_told_once", (m.status, m.stderr.count(no_room_for(failing))), (1, 1))
            saved = re.findall(r"^memprobe: saved: (.*\.memprobe) \(", m.stderr, re.M)
            t.equal(f"{name}__the_private_copy_is_saved", len(saved), 1)
            return m.stdout.encode(), m.stderr, saved[0] if saved else "none"


@test
def disk_that_fills_up(t):
    with tempfile.TemporaryDirectory() as d:
        disk = small_disk(d, "64k")
        if not disk:
            t.skip("a_disk_that_fills_up__costs_one_file", "cannot mount a small file system")
            return
        try:
            svg, twin, name = f"{d}/good.svg", f"{d}/good.memprobe", "a_recording_on_a_disk_that_fills_up"
            out, _, saved = disk_fills_up(t, name, d, disk, f"{disk}/bad.memprobe", ("-o", twin, "-o", svg, "-f", "report"))
            t.true(f"{name}__the_final_report_is_printed", b"\ntrust " in out, out)
            t.equal(f"{name}__the_saved_recording_is_whole", told("-f", "report", saved), (0, out))
            t.equal(f"{name}__another_recording_too", told("-f", "report", twin), (0, out))
            t.equal(f"{name}__and_the_picture", content(svg), told("--flamegraph", saved)[1])
            t.equal(f"{name}__no_half_file_stays_there", os.listdir(disk), ["filler"])
            os.remove(f"{disk}/filler")

            svg, name = f"{d}/last.svg", "a_log_on_a_disk_that_fills_up"
            _, _, saved = disk_fills_up(t, name, d, disk, f"{disk}/log.jsonl", ("-i", "0.5", "-o", svg))
            t.equal(f"{name}__the_picture_is_the_last_one", content(svg), told("--flamegraph", saved)[1])
        finally:
            subprocess.run(["umount", disk], check=False)


@test
def both(t):
    with Target("server") as target, tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.svg")
        ended = run("-d", "0.2", "--sample", "off", "--no-save", "-p", target.pid, "-f", "report", "-o", path)
        t.true("a_format_that_is_asked_for__is_printed_beside_a_file", "\ntrust " in ended.stdout, ended.stdout)
        t.true("a_file__is_written_beside_what_is_printed", os.path.getsize(path) > 1000)
        target.exit()


@test
def no_such_place(t):
    with tempfile.TemporaryDirectory() as d, Target("server") as target:
        for name, suffix in FORMATS.items():
            ended = run("-d", 1, "-p", target.pid, "-o", os.path.join(d, "no", "x." + suffix), "--no-save")
            t.equal(f"{name}_in_no_directory__fails_before_anything_is_attached",
                    (ended.status, "No such file or directory" in ended.stderr, "armed" in ended.stderr), (1, True, False))
            os.mkdir(os.path.join(d, "x." + suffix))
            ended = run("-d", 1, "-p", target.pid, "-o", os.path.join(d, "x." + suffix), "--no-save")
            t.equal(f"{name}_over_a_directory__fails_before_anything_is_attached",
                    (ended.status, "Is a directory" in ended.stderr, "armed" in ended.stderr), (1, True, False))
        t.equal("nothing_else__is_left", sorted(os.listdir(d)), sorted("x." + s for s in FORMATS.values()))
        target.exit()


@test
def aborted(t):
    with tempfile.TemporaryDirectory() as d, Target("server") as target:
        paths = {s: os.path.join(d, "out." + s) for s in FORMATS.values()}
        options = ["-d", 0, "-p", target.pid, "--no-save", *(a for p in paths.values() for a in ("-o", p))]
        with Memprobe(*options) as m:
            m.armed()
            t.true("while_the_run_goes_on__no_file_has_its_name", not any(os.path.exists(p) for p in paths.values()))
            m.process.send_signal(signal.SIGKILL)
            m.wait()
        t.true("nor_after_a_kill", not any(os.path.exists(p) for p in paths.values()), os.listdir(d))
        for name in os.listdir(d):
            os.remove(os.path.join(d, name))
        with Memprobe(*options) as m:
            m.armed()
            m.stop(signal.SIGTERM)
            t.equal("SIGTERM__ends_with_all_files_and_no_other", (m.status, sorted(os.listdir(d))),
                    (0, sorted(os.path.basename(p) for p in paths.values())))
        for suffix, reader in WHOLE.items():
            with open(paths[suffix], "rb") as f:
                t.true(f"the_{suffix}_file__is_whole", reader(f.read()))
        t.equal("files__are_readable_for_all", {os.stat(p).st_mode & 0o777 for p in paths.values()}, {0o644})
        target.exit()


@test
def lying_in_wait(t):
    """A link at the name that a predictable temporary file would have."""
    with tempfile.TemporaryDirectory() as d, Target("server") as target:
        victim = os.path.join(d, "victim")
        with open(victim, "w") as f:
            f.write("precious")
        m = Memprobe("-d", "0.3", "-p", target.pid, "-o", os.path.join(d, "out.folded"), "--no-save")
        with m:
            os.symlink(victim, os.path.join(d, f"out.folded.tmp-{m.process.pid}"))
            m.wait()
        with open(victim) as f:
            t.equal("a_link_that_waits_for_a_temporary_file__is_not_followed", f.read(), "precious")
        target.exit()


if __name__ == "__main__":
    main()
