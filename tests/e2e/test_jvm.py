#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A JVM (OpenJDK 17): Java methods by a perf map that jcmd writes, direct buffers as malloc's bytes, and what is said of a heap
that fills without a collection.
"""
import collections
import os
import re
import tempfile
import time

from harness import Memprobe, main, run, test
from interpreters import Java, JsonLines, blocks_through, last_snapshot, profile_until

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


def is_generated(frame):
    """Of no object, and no word of memprobe's own."""
    return not frame.get("module") and frame["kind"] != "note" and frame["name"] != "[unknown]"


def is_method(frame):
    """"void Requests.serve(java.lang.String, int)", but not "Interpreter" or a stub."""
    return is_generated(frame) and frame["name"].endswith(")") and "." in frame["name"]


class BelowJava:
    """
    Blocks that were allocated below Java code in a snapshot: all, with a Java method's name, with generated code without a name;
    and those of direct buffers, by the names of the program's own methods that they pass.
    """

    def __init__(self, snapshot):
        frames = {f["id"]: f for f in snapshot["frame"]}
        self.all = self.named = self.unnamed = self.unnamed_mappings = 0
        self.buffers = collections.Counter()
        for s in snapshot["stack"]:
            generated = [frames[n] for n in s["frames"] if is_generated(frames[n])]
            names = {f["name"] for f in generated}
            if s.get("plane"):
                self.unnamed_mappings += s["alloc_blocks"] * ("[jit]" in names)
            if s.get("plane") or not generated:
                continue
            self.all += s["alloc_blocks"]
            self.named += s["alloc_blocks"] * any(map(is_method, generated))
            self.unnamed += s["alloc_blocks"] * ("[jit]" in names)
            if any("allocateMemory0" in name for name in names):
                for name in names:
                    if name == "[jit]" or " Requests." in name:
                        self.buffers[name.split(" Requests.")[-1].split("(")[0]] += s["alloc_blocks"]

    def __repr__(self):
        return f"all {self.all}, named {self.named}, with [jit] {self.unnamed} and {self.unnamed_mappings} mappings, buffers {dict(self.buffers)}"


LATE = ["-XX:+PreserveFramePointer", "-Xmx512m", "-XX:MaxDirectMemorySize=1g", "-XX:CompileCommand=quiet",
        "-XX:CompileCommand=dontinline,Requests.keepLate", "-XX:CompileCommand=dontinline,Requests.keepBuffer"]


def as_json(recording):
    return BelowJava(JsonLines(run("report", "--json", recording).stdout.encode()).snapshots[-1])


def said_of_names(text):
    """In the last of the reports: [(the share, why, what to run)]."""
    return re.findall(r"([0-9.]+) % of the allocations in Java code pass \[jit\], (.*?); .*=> (.*?);",
                      " ".join(text.split("\nruntime ")[-1].split("\nwindow ")[0].split()))


@test
def code_that_is_newer_than_the_perf_map(t):
    with tempfile.TemporaryDirectory() as d, Java(LATE, "direct", 400) as program:
        while program.tell("count")["kept"] < 2000:
            time.sleep(0.05)
        program.perf_map()
        out, recording, text = (os.path.join(d, name) for name in ("out.jsonl", "out.memprobe", "out.txt"))
        with Memprobe("-d", 0, "-i", 1, "-p", program.process.pid, "--sample", "off", "-o", out, "-o", recording, "-o", text,
                      auto=True) as m:
            m.armed()
            program.tell("late")
            while program.tell("count")["late"] < 4000:
                time.sleep(0.05)
            late = program.tell("rest")["late"]
            time.sleep(3.5) # a snapshot of which all was allocated by now
            with open(out, "rb") as f:
                lines = f.read()
            before = BelowJava(JsonLines(lines[:lines.rindex(b"\n") + 1]).snapshots[-2]) # the last one may be in the making
            with open(text) as f:
                said = said_of_names(f.read().rpartition("\nruntime ")[0])
            program.perf_map()
            m.stop()
            assert m.status == 0, m.stderr
        with open(text) as f:
            said_after = said_of_names(f.read())
        after, recorded = BelowJava(last_snapshot(out)), as_json(recording)
    t.true("a_method_compiled_after_the_map__has_no_name", before.buffers["[jit]"] > 0.8 * late and not before.buffers["keepLate"],
           (late, before))
    # what it allocated before it was compiled is the interpreter's
    t.between("with_a_second_map__it_has_its_name_in_stacks_that_were_met_before", after.buffers["keepLate"],
              0.8 * before.buffers["[jit]"], late)
    # code that the JVM has given up in between has none
    t.true("with_a_second_map__hardly_any_stays_without_a_name", after.unnamed <= 0.01 * after.all and
           after.unnamed_mappings <= 0.01 * late / 50, after)
    # each fiftieth makes a thread, and that a stack
    t.true("before_it__mappings_had_no_name_either", before.unnamed_mappings >= 0.8 * late / 50, (late, before))
    t.true("no_buffer__is_said_to_be_of_a_method_that_does_not_make_them", set(after.buffers) <=
           {"keepBuffer", "keepLate", "handle", "serve", "lambda$main$0"}, after)
    t.true("what_was_named_before__keeps_its_name", before.buffers["keepBuffer"] <= after.buffers["keepBuffer"] < 0.1 * late,
           (before, after))
    t.equal("the_report__tells_the_share_and_what_to_run", said, [(
        f"{100 * before.unnamed / before.all:.1f}", "code newer than the perf map",
        f"again for names: jcmd {program.process.pid} Compiler.perfmap")])
    t.equal("when_all_have_names__it_tells_nothing", bool(said_after), after.unnamed * 1000 >= after.all)
    t.equal("a_recording_of_many_snapshots__says_the_same", repr(recorded), repr(after))


@test
def code_without_a_perf_map(t):
    with Java(LATE, "direct", 400) as program:
        enough = program.tell("count")["kept"] + 2000
        snapshot, text, _ = profile_until(program, lambda: program.tell("count")["kept"] > enough, "--sample", "off")
    below = BelowJava(snapshot)
    t.true("no_method_has_a_name", below.all >= 500 and not below.named and below.unnamed == below.all, below)
    t.equal("the_report__tells_that_there_is_no_map_and_what_to_run", said_of_names(text), [(
        "100.0", "code that no perf map has", f"names: jcmd {program.process.pid} Compiler.perfmap")])


def exchange_names(program):
    """Another perf map, in which each address has another name."""
    path = f"/tmp/perf-{program.process.pid}.map"
    with open(path) as f:
        lines = [line.split(" ", 2) for line in f]
    with open(path + ".new", "w") as f:
        f.writelines(f"{start} {size} moved {name}" for start, size, name in lines)
    os.rename(path + ".new", path)


@test
def code_that_moved(t):
    with tempfile.TemporaryDirectory() as d, Java(LATE, "direct", 400) as program:
        while program.tell("count")["kept"] < 2000:
            time.sleep(0.05)
        program.perf_map()
        out = os.path.join(d, "out.jsonl")
        with Memprobe("-d", 0, "-p", program.process.pid, "--sample", "off", "-o", out, auto=True) as m:
            m.armed()
            enough = program.tell("count")["kept"] + 500
            while program.tell("count")["kept"] < enough:
                time.sleep(0.05)
            program.tell("late")
            while program.tell("count")["late"] < 100: # before it is compiled
                time.sleep(0.02)
            exchange_names(program)
            enough = program.tell("count")["late"] + 1000
            while program.tell("count")["late"] < enough:
                time.sleep(0.05)
            m.stop()
            assert m.status == 0, m.stderr
        snapshot = last_snapshot(out)
    frames = {f["id"]: f["name"] for f in snapshot["frame"]}
    before = after = wrong = 0
    for s in snapshot["stack"]:
        names = [frames[n] for n in s["frames"]]
        has_moved = any(name.startswith("moved ") for name in names)
        if any(" Requests.keepBuffer(" in name for name in names):
            before += s["alloc_blocks"]
            wrong += s["alloc_blocks"] * has_moved
        elif any("allocateMemory0" in name for name in names):
            after += s["alloc_blocks"] * has_moved
    t.true("stacks_that_were_met_before_the_new_map__keep_their_names", before >= 500 and not wrong, (before, wrong))
    t.true("stacks_that_were_met_after_it__have_the_new_ones", after >= 300, after)


@test
def methods_after_the_warm_up(t):
    """A perf map written when the program has done for a while what it goes on to do."""
    with Java(LATE, "direct", 1000) as program:
        while program.tell("count")["kept"] < 12000:
            time.sleep(0.05)
        program.perf_map()
        enough = program.tell("count")["kept"] + 5000
        snapshot, text, said = profile_until(program, lambda: program.tell("count")["kept"] > enough, "--sample", "off")
    below, kept = BelowJava(snapshot), [s["kept"] for s in said]
    t.between("buffers_are_below_the_method_that_makes_them", below.buffers["keepBuffer"], kept[2] - kept[1], kept[3] - kept[0])
    t.between("of_all_allocations_below_java_code__a_java_name_have", below.named / below.all, 0.99, 1)
    t.between("of_all_allocations_below_java_code__only_names_have", 1 - below.unnamed / below.all, 0.99, 1)


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


def watched(options, mode, rate, seconds, collect_s=None):
    """The last snapshot, the report, and what the program said before and after."""
    with tempfile.TemporaryDirectory() as d, Java(options, mode, rate) as program:
        while program.tell("count")["requests"] < 2 * rate:
            time.sleep(0.05)
        text, out = os.path.join(d, "out.txt"), os.path.join(d, "out.jsonl")
        with Memprobe("-d", seconds, "-p", program.process.pid, "-o", out, "-o", text, auto=True) as m:
            m.armed()
            said = [program.tell("count")]
            while collect_s and m.process.poll() is None:
                program.tell("collect")
                time.sleep(collect_s)
            m.wait(seconds + 60)
            said.append(program.tell("count"))
        with open(text) as f:
            return last_snapshot(out), " ".join(f.read().split()), said


RESIDENT = ["-Xms256m", "-Xmx256m", "-Xmn64m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC"]


@test
def leak_into_a_heap_that_is_resident(t):
    """4 000 bytes of each request are kept, and its memory stands."""
    snapshot, text, said = watched(RESIDENT, "map", 200, 20)
    verdict = snapshot["verdict"][0]
    t.equal("a_leak_without_full_collections__it_made_none", said[1]["full"], said[0]["full"])
    t.equal("a_leak_without_full_collections__is_undecided", (verdict["word"], verdict["doubt"]), ("UNDECIDED", "hidden"))
    t.true("a_leak_without_full_collections__what_would_decide_is_told", verdict.get("need_ms", 0) > 20000 and
           "0 full collections seen, 6 over the window are needed" in text, text)
    snapshot, text, said = watched(RESIDENT, "map", 200, 30, 1.5)
    verdict, process = snapshot["verdict"][0], snapshot["process"][0]
    kept = (said[1]["kept"] - said[0]["kept"]) * 4016
    t.equal("a_leak_with_them__grows_by_what_they_leave", (verdict["word"], verdict["by"]), ("GROWING", "objects"))
    t.equal("a_leak_with_them__it_is_named", process.get("steady_class"), "Java heap")
    t.between("a_leak_with_them__by_no_more_than_it_kept_and_half_at_least", process.get("steady_bytes", 0), kept / 2, kept * 1.05)
    t.between("a_leak_with_them__at_its_rate", verdict["rate"], 0.8 * 200 * 4016, 1.1 * 200 * 4016)


@test
def leak_whose_collections_come_late(t):
    """G1 as it is by default: its cycles begin when the heap is half full, and the memory of the heap stands when all of it was used."""
    snapshot, text, said = watched(["-Xmx128m", "-XX:+UseG1GC"], "map", 500, 45)
    verdict, process = snapshot["verdict"][0], snapshot["process"][0]
    t.true("a_leak_of_G1__is_not_told_to_stand", verdict["word"] in ("UNDECIDED", "GROWING", "LEAK"), text)
    t.true("a_leak_of_G1__undecided_is_told_why", verdict["word"] != "UNDECIDED" or verdict["doubt"] in ("hidden", "collected"), verdict)
    t.true("a_leak_of_G1__what_outlives_collections_is_told_to_grow", process["managed_heap_kept_bytes"] -
           process["managed_heap_kept_then_bytes"] > (said[1]["kept"] - said[0]["kept"]) * 4016 / 2, (process, said))


@test
def steady_in_small_and_large_heaps(t):
    # 40 MB of garbage a second
    snapshot, text, said = watched(["-Xmx64m", "-XX:+UseSerialGC"], "steady", 2000, 20)
    t.true("steady__small_heap__young_collections_were_made", said[1]["young"] - said[0]["young"] >= 3, said)
    t.true("steady__small_heap__nothing_outlives_them_so_no_growth_is_hidden",
           snapshot["verdict"][0]["word"] not in ("GROWING", "LEAK") and snapshot["verdict"][0]["doubt"] in ("none", "noise"), text)
    # eden is full once, and then is filled again
    snapshot, text, said = watched(["-Xms1g", "-Xmx1g", "-Xmn500m", "-XX:+UseSerialGC"], "steady", 2000, 20)
    verdict = snapshot["verdict"][0]
    t.between("steady__large_heap__one_or_two_young_collections_were_made", said[1]["young"] - said[0]["young"], 1, 2)
    t.equal("steady__large_heap__nothing_is_known_of_it", verdict["word"], "UNDECIDED")
    t.true("steady__large_heap__why_is_told", verdict["doubt"] in ("hidden", "collected") and "0 full collections seen" in text, text)
    snapshot, text, said = watched(["-Xms1g", "-Xmx1g", "-Xmn500m", "-XX:+UseSerialGC"], "steady", 2000, 20, 1.5)
    # eden is touched for the first time meanwhile, and shrunk by some collections: noise is an answer
    t.true("steady__collected__is_no_growth", snapshot["verdict"][0]["word"] not in ("GROWING", "LEAK") and
           snapshot["verdict"][0]["doubt"] in ("none", "noise"), text)
    t.equal("steady__collected__nothing_is_kept", snapshot["process"][0].get("steady_class"), None)


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
