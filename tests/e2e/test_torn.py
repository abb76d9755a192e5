#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Six threads on one CPU, each at its own depth, give exactly six stacks: nobody's scratch is overwritten."""
from harness import Memprobe, build, main, test

import subprocess


@test
def torn(t):
    target = subprocess.Popen([build("torn"), "60000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        target.stdout.readline()
        with Memprobe("-d", 0, "-p", target.pid, "-m", "alloc-blocks") as m:
            m.armed()
            target.stdin.write("go\n")
            target.stdin.flush()
            t.equal("torn__the_target_ends_as_without_memprobe", target.stdout.readline(), "done\n")
            m.stop()
            stacks = [(frames, n) for frames, n in m.stacks() if "s_torn" in frames]
            t.equal("six_threads_at_six_depths__give_six_stacks", len(stacks), 6)
            t.equal("six_threads_at_six_depths__lose_no_call", sum(n for _, n in stacks), 360000)
            t.equal("six_threads_at_six_depths__have_their_depths",
                    sorted(sum(f == "deeper" for f in frames) for frames, _ in stacks),
                    [11 + 7 * i for i in range(6)])
            t.no_loss("six_threads_at_six_depths__lose_nothing", m)
    finally:
        target.kill()
        target.wait()


if __name__ == "__main__":
    main()
