#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A JVM (OpenJDK 17): Java methods by a perf map that jcmd writes, direct buffers as malloc's bytes, and what is said of a heap
that fills without a collection.
"""
import time

from harness import Memprobe, main, test
from interpreters import Java, JsonLines, blocks_through, profile_until

BUFFER = 20000


def resident_bytes(program):
    with open(f"/proc/{program.process.pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS:"))


@test
def direct_buffers(t):
    with Java(["-XX:+PreserveFramePointer", "-Xmx256m"], "direct", 200) as program:
        while program.tell("count")["kept"] < 100:
            time.sleep(0.05)
        program.perf_map()
        enough = program.tell("count")["kept"] + 1000
        snapshot, text, said = profile_until(program, lambda: program.tell("count")["kept"] > enough, "--sample", "off")
    kept = [s["kept"] for s in said]
    frames = {f["id"]: f for f in snapshot["frame"]}
    top = max(snapshot["stack"], key=lambda s: s["live_bytes"])
    names = [frames[n]["name"] for n in reversed(top["frames"])]
    t.between("direct_buffers__are_malloc's_bytes", blocks_through(snapshot, ["llocateMemory0"], BUFFER) / BUFFER,
              (kept[2] - kept[1]) * 0.99, kept[3] - kept[0])
    t.true("their_stack__passes_Unsafe_allocateMemory0", any("llocateMemory0" in n for n in names), names)
    t.true("its_methods__have_names_from_the_perf_map", any("java.nio" in n or "Requests." in n or "Unsafe" in n for n in names),
           names)
    t.true("the_process__says_which_runtime_it_is", snapshot["process"][0].get("runtime", "").startswith("JVM "),
           snapshot["process"][0])
    t.true("what_the_JVM's_own_tools_tell__is_named_with_the_command", f"jcmd {program.process.pid} Compiler.perfmap" in
           " ".join(text.split()), text)
    t.true("it_is_no_flat_process", snapshot["verdict"][0]["word"] in ("GROWING", "LEAK", "UNDECIDED"), snapshot["verdict"])


@test
def heap_that_fills_without_a_collection(t):
    with Java(["-Xms1g", "-Xmx1g", "-Xmn900m", "-XX:+UseSerialGC"], "steady", 400) as program:
        while program.tell("count")["requests"] < 200:
            time.sleep(0.05)
        before, end = resident_bytes(program), time.monotonic() + 15
        snapshot, _, said = profile_until(program, lambda: time.monotonic() > end)
        grown = resident_bytes(program) - before
    verdict = snapshot["verdict"][0]
    t.true("no_collection__was_due", said[-1]["requests"] * 20 * 1050 < 700 * 2 ** 20, said)
    t.true("its_memory__grew_by_garbage", grown > 50 * 2 ** 20, grown)
    t.equal("garbage_that_was_not_collected_yet__is_no_leak_and_not_flat", verdict["word"], "UNDECIDED")


@test
def collections_and_heap(t):
    for collector in ("UseSerialGC", "UseG1GC"):
        with Java(["-Xms64m", "-Xmx96m", "-XX:+AlwaysPreTouch", "-XX:+" + collector], "steady", 2000) as program:
            while program.tell("count")["requests"] < 200:
                time.sleep(0.05)
            earlier = program.tell("count")
            with Memprobe("-d", 0, "-p", program.process.pid, "--json", auto=True) as m:
                m.armed()
                first = program.tell("count")
                for _ in range(5):
                    last = program.tell("collect")
                wanted = last["young"] + 3
                while last["young"] < wanted: # 40 MB of garbage a second
                    time.sleep(0.1)
                    last = program.tell("count")
                before = program.tell("collect")
                m.stop()
                after = program.tell("count")
                process = JsonLines(m.stdout.encode()).snapshots[-1]["process"][0]
        seen = process.get("collections")
        t.true(f"{collector}__the_program_made_its_full_collections", before["full"] - first["full"] >= 6, (first, before))
        t.between(f"{collector}__full_collections_are_counted_as_the_JVM_says", seen, before["full"] - first["full"],
                  after["full"] - first["full"])
        t.between(f"{collector}__young_collections_are_counted_as_the_JVM_says", process["young_collections"],
                  before["young"] - first["young"], after["young"] - earlier["young"])
        # of the serial collector's two survivor spaces, 2 MiB each, the JVM's own sum leaves one out
        t.between(f"{collector}__committed_is_what_the_JVM_says", process["managed_heap_committed_bytes"],
                  min(before["committed"], after["committed"]) - 2 ** 20, max(before["committed"], after["committed"]) + 3 * 2 ** 20)
        t.between(f"{collector}__in_use_is_what_the_JVM_says_since_its_last_collection", process["managed_heap_used_bytes"],
                  before["used"] - 4 * 2 ** 20, max(before["used"], after["used"]) + 4 * 2 ** 20)
        # all of what is committed was touched when the JVM began
        t.between(f"{collector}__what_is_resident_is_what_is_committed", process["managed_heap_resident_bytes"],
                  before["committed"] * 0.9, 96 * 2 ** 20)
        t.between(f"{collector}__the_most_is_what_the_JVM_says", process["managed_heap_most_bytes"], before["most"], 96 * 2 ** 20 + 64)


if __name__ == "__main__":
    main()
