#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The private directory of recordings: rights, the last ten, --no-save; links that others plant lead nowhere; a full
disk or a directory that cannot be written is a warning.
"""
import fcntl
import glob
import os
import pty
import re
import stat
import subprocess
import tempfile
import termios
import time

from harness import MEMPROBE, Memprobe, Target, main, parse_folded, sum_of, test

UID = 12345


def state(d):
    return os.path.join(d, "memprobe")


def record(target, home, *args, env=None, argv0=()):
    """A short run: status and stderr. home: of recordings."""
    with Memprobe("-d", "0.2", "-p", target.pid, *args, env={"XDG_STATE_HOME": home, **(env or {})}, argv0=argv0) as m:
        m.wait()
        return m.status, m.stderr


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def saved(stderr):
    return re.findall(r"^memprobe: saved: (.*\.memprobe) \(", stderr, re.M)


@test
def the_directory(t):
    with tempfile.TemporaryDirectory() as d, Target("steps") as target:
        home = os.path.join(d, "a", "b")
        status, err = record(target, home)
        t.equal("a_run__is_saved", (status, len(saved(err))), (0, 1))
        path = saved(err)[0]
        t.equal("below_the_state_directory", os.path.dirname(path), state(home))
        t.equal("the_directory_and_the_file__are_private", (mode(state(home)), mode(path)), (0o700, 0o600))
        t.true("the_name__tells_process_and_time", re.search(rf"/{target.pid}-\d{{8}}-\d{{6}}\.memprobe$", path), path)
        t.equal("nothing_else__is_left_there", os.listdir(state(home)), [os.path.basename(path)])
        status, err = record(target, home, "--no-save")
        t.equal("--no-save__saves_nothing", (status, saved(err), len(os.listdir(state(home)))), (0, [], 1))
        os.chmod(state(home), 0o755)
        record(target, home)
        t.equal("a_directory_that_others_could_read__becomes_private", mode(state(home)), 0o700)
        target.exit()


@test
def the_last_ten(t):
    with tempfile.TemporaryDirectory() as home, Target("steps") as target:
        os.mkdir(state(home), 0o700)
        names = [f"old-{n:02}.memprobe" for n in range(12)] + ["killed.memprobe.part", "notes.txt"]
        for n, name in enumerate(names):
            path = os.path.join(state(home), name)
            with open(path, "w") as f:
                f.write("x" * 100)
            os.utime(path, (1000000000 + n,) * 2)
        os.symlink("/etc/passwd", os.path.join(state(home), "link.memprobe"))
        _, err = record(target, home)
        left = sorted(os.listdir(state(home)))
        t.equal("ten_are_left__the_newest",
                [n for n in left if n.startswith("old")], [f"old-{n:02}.memprobe" for n in range(4, 12)])
        t.true("the_new_one_and_a_killed_run's__are_two_of_them",
               os.path.basename(saved(err)[0]) in left and "killed.memprobe.part" in left, f"{left}")
        t.true("what_is_no_recording__stays", "notes.txt" in left and "link.memprobe" in left, f"{left}")
        with open(os.path.join(state(home), "old-11.memprobe"), "w") as f:
            os.truncate(f.fileno(), 250 << 20)
        os.utime(os.path.join(state(home), "old-11.memprobe"), (1000000011,) * 2)
        os.utime(os.path.join(state(home), "old-10.memprobe"), (1000000012,) * 2)
        with open(os.path.join(state(home), "old-10.memprobe"), "w") as f:
            os.truncate(f.fileno(), 10 << 20)
        os.utime(os.path.join(state(home), "old-10.memprobe"), (1000000020,) * 2)
        record(target, home)
        left = sorted(n for n in os.listdir(state(home)) if n.startswith("old"))
        t.equal("more_than_256_MiB_together__makes_the_older_ones_go", left, ["old-10.memprobe"])
        target.exit()


@test
def two_runs_at_once(t):
    with tempfile.TemporaryDirectory() as home, Target("steps") as target:
        os.mkdir(state(home), 0o700)
        with Memprobe("-d", 0, "-p", target.pid, env={"XDG_STATE_HOME": home}) as m:
            m.armed()
            for n in range(11): # newer than the recording that goes on
                path = os.path.join(state(home), f"new-{n}.memprobe")
                with open(path, "w") as f:
                    f.write("x")
                os.utime(path, (time.time() + 100 + n,) * 2)
            status, _ = record(target, home)
            t.equal("a_run_that_ends_meanwhile__is_well", status, 0)
            m.stop()
            t.true("the_recording_of_a_run_that_goes_on__is_not_taken_away",
                   m.status == 0 and saved(m.stderr) and os.path.exists(saved(m.stderr)[0]), m.stderr)
        target.exit()


@test
def planted_links(t):
    with tempfile.TemporaryDirectory() as d, Target("steps") as target:
        victim, home = os.path.join(d, "victim"), os.path.join(d, "home")
        os.mkdir(victim)
        os.mkdir(home)
        os.symlink(victim, state(home))
        status, err = record(target, home)
        t.true("a_link_in_the_directory's_place__is_a_warning",
               status == 0 and "this run is not saved" in err and not saved(err), err)
        t.equal("and_nothing_is_written_behind_it", os.listdir(victim), [])
        os.unlink(state(home))
        os.mkdir(state(home), 0o700)
        precious = os.path.join(victim, "precious")
        with open(precious, "w") as f:
            f.write("precious")
        now = time.time()
        for n in range(60):
            name = f"{target.pid}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now + n))}.memprobe"
            for link in (name, name + ".part"):
                os.symlink(precious, os.path.join(state(home), link))
        status, err = record(target, home)
        t.equal("a_link_in_the_file's_place__is_not_followed", (status, open(precious).read()), (0, "precious"))
        t.true("and_the_recording_has_another_name", saved(err) and saved(err)[0].endswith("-2.memprobe"), err)
        os.chown(state(home), UID, UID)
        status, err = record(target, home)
        t.true("a_directory_of_somebody_else__is_a_warning",
               status == 0 and "this run is not saved" in err and not saved(err), err)
        target.exit()


def with_passwd(d, home):
    """Runs what follows with a user of ours in /etc/passwd, in a mount namespace of its own."""
    passwd = os.path.join(d, "passwd")
    with open("/etc/passwd") as f, open(passwd, "w") as out:
        out.write(f.read() + f"someone:x:{UID}:{UID}::{home}:/bin/sh\n")
    os.chmod(passwd, 0o644)
    return ("unshare", "-m", "sh", "-c", f"mount --bind {passwd} /etc/passwd && exec \"$@\"", "sh")


@test
def under_sudo(t):
    with tempfile.TemporaryDirectory() as d, Target("steps") as target:
        os.chmod(d, 0o755)
        home, root_only = os.path.join(d, "home"), os.path.join(d, "root-only")
        os.mkdir(home, 0o755)
        os.chown(home, UID, UID)
        os.mkdir(root_only, 0o700)
        argv0, env = with_passwd(d, home), {"SUDO_UID": str(UID), "SUDO_GID": str(UID)}
        status, err = record(target, root_only, env=env, argv0=argv0)
        t.true("under_sudo__the_recording_is_in_the_invoking_user's_home",
               status == 0 and saved(err) and os.path.dirname(saved(err)[0]) == home + "/.local/state/memprobe", err)
        path = saved(err)[0]
        owners = {(s.st_uid, s.st_gid) for s in map(os.stat, (path, os.path.dirname(path), home + "/.local"))}
        t.equal("and_his", (owners, mode(path), mode(os.path.dirname(path))), ({(UID, UID)}, 0o600, 0o700))
        os.rename(home + "/.local", home + "/.away")
        os.symlink(root_only, home + "/.local")
        status, err = record(target, root_only, env=env, argv0=argv0)
        t.true("a_link_of_his_to_where_he_must_not_write__is_a_warning",
               status == 0 and "this run is not saved" in err and not saved(err), err)
        t.equal("and_nothing_is_made_there", os.listdir(root_only), [])
        target.exit()


@test
def closed_streams(t):
    with tempfile.TemporaryDirectory() as home, Target("steps") as target:
        record(target, home, argv0=("sh", "-c", 'exec "$@" 2>&-', "sh"))
        record(target, home, "-o", home + "/own.memprobe", argv0=("sh", "-c", 'exec "$@" 2>&-', "sh"))
        files = glob.glob(state(home) + "/*.memprobe") + [home + "/own.memprobe"]
        ended = [subprocess.run([MEMPROBE, "report", f], capture_output=True, check=False) for f in files]
        t.equal("with_stderr_closed__no_message_goes_into_a_recording",
                [e.returncode for e in ended], [0] * 3)
        target.exit()


@test
def no_room(t):
    with tempfile.TemporaryDirectory() as d, Target("steps") as target:
        script = (f"mount -t tmpfs -o size=8k,mode=700 none {d} && head -c 8192 /dev/zero >{d}/full; "
                  f"\"$@\"; s=$?; find {d} -name '*memprobe?*' -type f >&2; exit $s")
        status, err = record(target, d, argv0=("unshare", "-m", "sh", "-c", script, "sh"))
        t.true("a_full_disk__is_a_warning_and_no_failure", status == 0 and "No space left" in err, f"{status} {err}")
        t.true("and_nothing_half_written_is_left", not re.search(r"^/.*\.memprobe", err, re.M) and not saved(err), err)
        status, err = record(target, "/proc/no/such")
        t.true("a_place_that_cannot_be_made__too", status == 0 and "this run is not saved" in err, err)
        target.exit()
        t.equal("nothing_is_in_the_directory_of_this_test", glob.glob(d + "/*"), [])


@test
def a_terminal_that_goes(t):
    """As when the connection breaks: the session gets SIGHUP, and nothing can be written any more."""
    for how, args in (("left", ()), ("ignored_as_by_nohup", ("sh", "-c", 'trap "" HUP; exec "$@"', "sh"))):
        with tempfile.TemporaryDirectory() as home, Target("steps") as target:
            master, terminal = pty.openpty()
            process = subprocess.Popen([*args, MEMPROBE, "-d", "6", "-P", "heap", "-p", str(target.pid)], stdin=terminal,
                                       stdout=terminal, stderr=terminal, env=dict(os.environ, XDG_STATE_HOME=home), cwd=home,
                                       start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
            os.close(terminal)
            said = b""
            while b"armed" not in said:
                said += os.read(master, 4096)
            truth = target.ask("step")
            begin = time.monotonic()
            os.close(master)
            process.wait(20)
            recordings = os.listdir(state(home))
            t.true(f"the_recording_of_a_run_whose_terminal_has_gone__is_whole__{how}",
                   len(recordings) == 1 and recordings[0].endswith(".memprobe"), f"{recordings} {process.returncode} {said}")
            if how == "left":
                t.true("it_ends_at_once", time.monotonic() - begin < 4, f"{time.monotonic() - begin} s")
            else:
                t.true("it_runs_to_its_end", time.monotonic() - begin > 4, f"{time.monotonic() - begin} s")
            told = subprocess.run([MEMPROBE, "report", "--folded", os.path.join(state(home), *recordings[:1])],
                                  stdout=subprocess.PIPE, text=True, check=True).stdout
            t.equal(f"and_has_what_the_target_keeps__{how}", sum_of(parse_folded(told), "s_kept"), truth.of("s_kept", "live-bytes"))
            target.exit()


if __name__ == "__main__":
    main()
