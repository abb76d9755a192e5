# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Commands that run as nobody, with some capabilities; and a memprobe that nobody may run. Declares no tests."""
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

from harness import MEMPROBE, Skip, parse_folded, sum_of

SETPRIV = shutil.which("setpriv")


@contextlib.contextmanager
def copy_for_all():
    """A memprobe that nobody may run."""
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        path = os.path.join(d, "memprobe")
        shutil.copy(MEMPROBE, path)
        yield path


def as_nobody(caps=()):
    """What to write before a command."""
    if not SETPRIV:
        raise Skip("no setpriv")
    text = ",".join(["-all", *(f"+{c}" for c in caps)])
    return [SETPRIV, "--reuid", "65534", "--regid", "65534", "--clear-groups", f"--inh-caps={text}",
            f"--ambient-caps={text}"]


def run_as(caps, *args):
    with copy_for_all() as copy:
        return subprocess.run([*as_nobody(caps), copy, *map(str, args)], capture_output=True, text=True,
                              timeout=60, check=False)


def profile_as(caps, target):
    """(status, the bytes of s_parent, the truth, stderr)"""
    with tempfile.TemporaryDirectory() as d, copy_for_all() as copy, \
            open(os.path.join(d, "out"), "w+") as out, open(os.path.join(d, "err"), "w+") as err:
        process = subprocess.Popen([*as_nobody(caps), copy, "-d", "0", "-p", str(target.pid)],
                                   stdout=out, stderr=err)
        try:
            end = time.monotonic() + 20
            while "memprobe: armed:" not in open(err.name).read():
                if process.poll() is not None or time.monotonic() > end:
                    return process.poll(), None, None, open(err.name).read()
                time.sleep(0.02)
            truth = target.ask("go").of("s_parent", "live-bytes")
            process.send_signal(signal.SIGINT)
            status = process.wait(30)
            got = sum_of(parse_folded(open(out.name).read()), "s_parent")
            return status, got, truth, open(err.name).read()
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def sleeper_of_nobody(caps=()):
    """The id of a process."""
    process = subprocess.Popen([*as_nobody(caps), "sleep", "60"])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()
