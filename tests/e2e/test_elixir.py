#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Elixir on a living node: modules, functions and registered names as Elixir writes them, against its own stack.
"""
import os
import shutil

from erlang_node import armed
from harness import HERE, Memprobe, Skip, Target, main, sum_of, test


@test
def names_as_elixir_writes_them(t):
    elixir = shutil.which("elixir")
    if not elixir:
        raise Skip("no Elixir")
    with Target(elixir, os.path.join(HERE, "targets", "feed.exs"), env={"HOME": "/tmp", "LC_ALL": "C.UTF-8"}) as target, \
            Memprobe("-v", "--no-follow", "-d", 0, "-p", target.pid, "-m", "live-bytes") as m:
        armed(m, target)
        truth = target.ask("go")
        m.stop()
        target.exit()
        stacks = m.stacks()
    blocks = [frames for frames, size in stacks
              if frames[-1] == "[binary]" and "Feed.Json.encode/1" in frames and size > 1000000]
    want = [place for place in truth.args[0].split() if place.startswith("Feed.")]
    t.equal("every_request__told_the_same_stack", len(set(truth.args)), 1)
    t.true("their_stack__is_what_elixir_tells",
           blocks and all([f for f in reversed(frames) if f.startswith("Feed.")] == want for frames in blocks),
           f"{blocks} {want}")
    t.between("blocks_of_a_known_size__have_their_function", sum_of(stacks, "Feed.Json.encode/1"), 30 * 1000003,
              30 * (1000003 + 64) + 100000)
    t.equal("a_process__has_its_function_or_its_registered_name", {frames[1] for frames in blocks},
            {"[process Feed.Channel.loop/1]", "[process Feed.Server]"})


if __name__ == "__main__":
    main()
