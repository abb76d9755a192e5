#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The bridge: where the resident memory of a process is. Its rows sum to the resident memory, at most 2 %
of it unexplained; held against smaps as this test reads it, and against what the programs hold.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import MEMPROBE, ROOT, TARGET_FLAGS, TARGETS, Memprobe, Skip, Talk, Target, main, test
from interpreters import Java, Program as InterpreterProgram, go_requests

MIB = 1 << 20


def smaps(pid):
    """[(fields of the first line, resident bytes)]"""
    found = []
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                found.append([words, 0])
            elif words[0] == "Rss:":
                found[-1][1] += int(words[1]) * 1024
    return found


class Run:
    """memprobe on a process for a while; smaps right after it."""

    def __init__(self, pid, seconds=2):
        began, before = time.monotonic(), smaps(pid)
        r = subprocess.run([MEMPROBE, "-p", str(pid), "-d", str(seconds), "--json", "--no-save"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60,
                           check=False)
        lines = [json.loads(line) for line in r.stdout.splitlines()]
        self.stderr = r.stderr
        self.smaps = smaps(pid)
        self.took_s = time.monotonic() - began
        self.rss = [sum(n for _, n in s) for s in (before, self.smaps)] # what it was in between, memprobe saw
        self.files = [sum(n for w, n in s if w[4] != "0" and "s" not in w[1]) for s in (before, self.smaps)]
        self.bridge = next((x for x in lines if x["type"] == "bridge"), None)
        self.now = {x["row"]: x["now_bytes"] for x in lines if x["type"] == "memory"}
        self.then = {x["row"]: x.get("at_attach_bytes") for x in lines if x["type"] == "memory"}
        self.before = [x for x in lines if x["type"] == "before"]
        self.window_s = next((x["window_ms"] / 1000 for x in lines if x["type"] == "header"), 0)


def check(t, name, run, heap):
    if not run.bridge:
        t.true(f"{name}__has_a_bridge", False, run.stderr)
        return
    for when, rows in (("now", run.now), ("at_the_attach", run.then)):
        parts = sum(v for k, v in rows.items() if k != "rss")
        t.equal(f"{name}__rows_sum_to_the_resident_memory_{when}", parts, rows["rss"])
        t.true(f"{name}__at_most_2_percent_are_unexplained_{when}",
               abs(rows["unexplained"]) <= rows["rss"] / 50, f"{rows}")
        t.true(f"{name}__no_row_but_unexplained_is_negative_{when}",
               all(v >= 0 for k, v in rows.items() if k != "unexplained"), f"{rows}")
    slack = max(run.rss) / 50
    t.between(f"{name}__rss_is_that_of_smaps", run.now["rss"], min(run.rss) - slack, max(run.rss) + slack)
    t.between(f"{name}__files_are_those_of_smaps", run.now["files"], min(run.files) - slack, max(run.files) + slack)
    t.equal(f"{name}__its_heap_is_read_or_not", run.bridge["heap"], heap)


class Program:
    def __init__(self, *argv, ready="ready", stdin=None):
        self.dir = tempfile.TemporaryDirectory()
        self.p = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                  cwd=self.dir.name)
        self.said = ""
        while ready and ready not in self.said:
            self.said = self.p.stdout.readline()
            if not self.said:
                raise Skip(f"{argv[0]} does not start here")

    def __enter__(self):
        return self.p.pid

    def __exit__(self, *exc):
        self.p.kill()
        self.p.wait()
        self.p.stdout.close()
        if self.p.stdin:
            self.p.stdin.close()
        self.dir.cleanup()


def need(program):
    if not shutil.which(program):
        raise Skip(f"no {program}")


@test
def a_program_that_holds_most_from_before(t):
    with Program(os.path.join(TARGETS, "heap_holder"), "200") as pid:
        run = Run(pid, 3)
    name = "a_fragmented_program_with_95_percent_from_before"
    check(t, name, run, "glibc")
    if not run.bridge:
        return
    now, then = run.now, run.then
    t.equal("shared_memory__is_what_it_touched", now["shared"], 8 * MIB)
    t.true("direct_mappings__are_what_it_touched", 16 * MIB <= now["direct"] <= 17 * MIB, f"{now}")
    t.true("thread_stacks__are_what_they_touched",
           6 * 250 * 1024 <= now["stacks"] + 256 * 1024 <= 6 * 400 * 1024, f"{now}")
    held = 200 * MIB * 2 / 3
    early = 500 * (run.took_s - run.window_s) # at most so many has it leaked before the attach
    t.between("the_heap_from_before__is_what_it_kept", now["heap_before"], held * 0.97, held * 1.03 + early * 6200)
    t.true("the_heap_from_before__does_not_grow", now["heap_before"] <= then["heap_before"] + 64 * 1024,
           f"{then} {now}")
    t.true("what_was_freed__is_kept_free", abs(now["heap_kept"] - 200 * MIB / 3) <= 200 * MIB * 0.03,
           f"{now}")
    # 500 a second of 2008 bytes at most: usleep may take longer; the 4 KiB keep their first word only
    t.true("the_heap_since__grows_as_it_leaks",
           0.3e6 * run.window_s <= now["heap_since"] <= 500 * 6200 * run.took_s, f"{now}")
    t.true("95_percent__are_from_before", then["rss"] >= 0.95 * now["rss"], f"{then} {now}")
    first = run.before[0]
    t.equal("the_largest_sum__is_of_its_class_and_size",
            (first["chunk_bytes"], first.get("class")), (2016, "Entry"))
    kept = sum(n - (n + 2) // 3 for n in [200 * MIB // 2000 // 5] * 5)
    t.true("its_blocks__are_counted", kept * 0.99 <= first["blocks"] <= kept * 1.01 + early and
           first["class_blocks"] >= 0.99 * first["blocks"], f"{first}, kept {kept}, {early} early")
    named = (sum(b["chunk_bytes"] * b["blocks"] for b in run.before) + now["heap_since"] +
             now["heap_kept"] + sum(now[k] for k in ("direct", "stacks", "files", "shared")))
    t.true("90_percent_of_the_memory__have_a_name", named >= 0.9 * now["rss"], f"{named} of {now}")


@test
def allocators_that_are_not_read(t):
    """What is mapped, less what is seen since; an estimate. The program keeps two blocks of three, of 200 MiB."""
    holder = os.path.join(TARGETS, "heap_holder")
    for library in "libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2":
        path = f"/usr/lib/x86_64-linux-gnu/{library}"
        name = library.split(".")[0][3:]
        if not os.path.exists(path):
            t.skip(f"{name}__is_a_row_of_its_own", f"no {path}")
            continue
        with Program("env", f"LD_PRELOAD={path}", holder, "200") as pid:
            run = Run(pid, 3)
        check(t, name, run, run.bridge["heap"] if run.bridge else "")
        if not run.bridge:
            continue
        t.equal(f"{name}__is_named", run.bridge["allocator"], name)
        # and the 16 MiB that the program has mapped itself, which nobody can tell from the allocator's
        t.between(f"{name}__what_it_has_mapped__is_what_the_program_keeps_at_least_and_had_at_most",
                  run.now.get("other_heap", 0) + run.now["heap_since"], 0.97 * 200 * MIB * 2 / 3 + 16 * MIB, 1.15 * 200 * MIB + 17 * MIB)
        t.between(f"{name}__what_was_allocated_since__is_what_it_leaks", run.now["heap_since"], 0.3e6 * run.window_s,
                  500 * 6200 * run.took_s)


@test
def what_leaks_beside_a_larger_cache(t):
    """In two seconds the full cache of the demo's server replaces more than its leak makes: #1 is the leak all the same."""
    server = os.path.join(TARGETS, "leaky_server")
    subprocess.run(["tools/build-target.sh", "tools/demo/leaky_server.c", server, *TARGET_FLAGS], check=True, cwd=ROOT)
    process = subprocess.Popen([server, "30"], stdout=subprocess.DEVNULL)
    try:
        time.sleep(6)
        with Memprobe("-d", 2, "-p", process.pid, "-f", "report", auto=True) as m:
            report = m.wait().stdout
    finally:
        process.kill()
        process.wait()
    t.true("the_first_row__is_the_leak", re.search(r"^ 1 .* session_open ", report, re.M), report)
    t.equal("what_is_called_its_size__is_that_of_its_blocks", re.findall(r"chunks of (\d+) B, #1's size", report), ["16400"])
    found = re.search(r"^  #1's rate times the uptime \(([\d.]+) s\) is ([\d.]+) MiB; in use of its size: ([\d.]+) MiB", report, re.M)
    if not t.true("the_rate_of_the_leak_times_the_uptime__stands_beside_what_there_is", found, report):
        return
    t.between("the_product__is_a_MiB_a_second", float(found[2]) / float(found[1]), 0.85, 1.15)
    t.between("it_is_in_use", float(found[3]) / float(found[1]), 0.85, 1.15)


@test
def mappings_of_the_program_itself(t):
    """4 MiB of its own before the attach, 8 after it; 92 MiB more are given back each time."""
    with tempfile.TemporaryDirectory() as d, Target("page_rounds") as target:
        target.ask("go")
        with Memprobe("-d", 0, "-p", target.pid, "-o", f"{d}/run.jsonl", "-o", f"{d}/run.txt", auto=True) as m:
            m.armed()
            target.ask("go")
            target.ask("go")
            m.stop()
        target.exit()
        lines = [json.loads(line) for line in open(f"{d}/run.jsonl")]
        report = open(f"{d}/run.txt").read()
    now, then = ({x["row"]: x.get(key) for x in lines if x["type"] == "memory"} for key in ("now_bytes", "at_attach_bytes"))
    t.equal("what_it_has_mapped_since_the_attach__is_to_the_page_what_it_kept", now.get("direct_since"), 8 * MIB)
    t.equal("before_the_attach__there_was_nothing_of_it", then.get("direct_since"), 0)
    t.between("what_it_had_mapped_before__is_in_a_row_of_its_own", now.get("direct"), 4 * MIB, 5 * MIB)
    t.equal("its_rows__sum_to_the_resident_memory", sum(v for k, v in now.items() if k != "rss"), now.get("rss"))
    t.true("the_report__tells_them_apart", re.search(r"^direct mmap, before or unseen .*\ndirect mmap, since attach ", report, re.M),
           report)


@test
def a_command_at_its_exit(t):
    """Where its memory was is read while it stands still, about to go."""
    program = ("import os, sys; x = [bytes(600) for _ in range(40000)]; b = bytearray(16 << 20); "
               "b[::4096] = bytes(4096); print(open('/proc/self/statm').read().split()[1]); sys.stdout.flush(); os._exit(3)")
    with tempfile.NamedTemporaryFile("r") as out:
        r = subprocess.run([MEMPROBE, "--sample", "off", "--no-save", "-o", out.name + ".jsonl", "--", sys.executable, "-S", "-c",
                            program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        with open(out.name + ".jsonl") as f:
            lines = [json.loads(line) for line in f]
        os.unlink(out.name + ".jsonl")
    now = {x["row"]: x["now_bytes"] for x in lines if x["type"] == "memory"}
    t.equal("a_command_that_is_held_at_its_exit__ends_with_its_own_status", r.returncode, 3)
    if not now:
        t.fail("a_command_that_has_ended__has_a_bridge", r.stderr)
        return
    held = int(r.stdout.split()[0]) * 4096
    t.true("the_memory_of_a_command__is_what_it_had_at_its_exit", abs(now["rss"] - held) <= held * 0.03, f"{now}, {held}")
    t.equal("its_rows__sum_to_it", sum(v for k, v in now.items() if k != "rss"), now["rss"])
    t.true("its_heap__is_what_was_seen_of_it", now["heap_since"] >= 0.9 * (40000 * 633 + (16 << 20)), f"{now}")


@test
def an_interrupted_look(t):
    with Program(os.path.join(TARGETS, "small_blocks"), "512", stdin=subprocess.PIPE) as pid, \
            Memprobe("-v", "-d", 1, "--report", "-p", pid) as m:
        m.armed()
        line, end = f"memprobe: process {pid}: reading its heap", time.monotonic() + 60
        while m.stderr.count(line) < 2 and time.monotonic() < end and m.process.poll() is None:
            time.sleep(0.005)
        m.stop()
        found = re.findall(rf"process {pid}: heap read in (\d+) us(.*)", m.stderr)
        t.equal("a_report_whose_look_is_interrupted__is_made", (m.status, "WHERE" in m.stdout), (0, True))
        if len(found) < 2 or not found[1][1]:
            t.skip("an_interrupted_look__ends_at_once", f"the walk was over before the signal came: {found}")
            return
        t.true("an_interrupted_look__ends_before_it_has_read_all", "not read in the time allowed" in found[1][1],
               f"{found}")


@test
def python(t):
    code = ("import time\nx = [bytearray(3000) for i in range(30011)]\ny = [str(i) for i in range(200003)]\n"
            "print('ready', flush=True)\nz = []\nwhile 1:\n z.append(bytearray(5000)); time.sleep(0.002)")
    with Program("python3", "-c", code) as pid:
        run = Run(pid)
    check(t, "python3", run, "glibc")
    if run.bridge:
        t.true("python3__blocks_from_before_are_counted_by_size",
               any(b["chunk_bytes"] == 3024 and 30000 <= b["blocks"] <= 30200 for b in run.before),
               f"{run.before}")


@test
def redis(t):
    need("redis-server")
    with Program("redis-server", "--port", "7391", "--save", "", "--dir", "/tmp",
                 ready="eady to accept") as pid:
        fill = subprocess.Popen(["redis-cli", "-p", "7391", "--pipe"], stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL, text=True)
        fill.communicate("".join(f"SET key{i} {'x' * 500}\r\n" for i in range(100003)))
        more = subprocess.Popen(["sh", "-c", "i=0; while [ $i -lt 400 ]; do echo SET more$i $i; i=$((i+1));"
                                 " sleep 0.005; done | redis-cli -p 7391 >/dev/null"])
        run = Run(pid)
        more.wait()
    check(t, "redis_server", run, run.bridge["heap"] if run.bridge else "")
    if run.bridge and run.bridge.get("allocator") == "jemalloc":
        t.true("jemalloc__has_a_row_of_its_own", run.now["other_heap"] >= 50 * MIB, f"{run.now}")


@test
def ruby(t):
    need("ruby")
    code = ("$x = (0..200_003).map { |i| 'r' * (40 + i % 200) }\nputs 'ready'\n$stdout.flush\n"
            "y = []\nloop { y << 'z' * 5000; sleep 0.002 }")
    with Program("ruby", "-e", code) as pid:
        run = Run(pid)
    check(t, "ruby", run, "glibc")


@test
def node_buffers(t):
    need("node")
    code = ("const x = []; for (let i = 0; i < 300003; i++) x.push({ a: i, b: 'v' + i });"
            "console.log('ready'); const y = []; setInterval(() => y.push(Buffer.alloc(5000, 1)), 2)")
    with Program("node", "-e", code) as pid:
        run = Run(pid)
    check(t, "node", run, "glibc")


def heap_of_a_runtime(t, name, program, label, settle="collect"):
    """Its run, the row of its heap, and what the program says of its heap before (all garbage collected) and after."""
    before = program.tell(settle)
    run = Run(program.process.pid)
    after = program.tell("count")
    check(t, name, run, run.bridge["heap"] if run.bridge else "")
    t.equal(f"{name}__the_row_of_its_heap_has_its_name", run.bridge and run.bridge.get("managed_heap"), label)
    return run, run.now.get("managed_heap", 0), before, after


def resident_within(run, start, end):
    ranges = [([int(x, 16) for x in words[0].split("-")], n) for words, n in run.smaps]
    return sum(n for (first, last), n in ranges if start <= first and last <= end)


@test
def java_heap(t):
    with tempfile.NamedTemporaryFile("r") as log:
        options = ["-Xms64m", "-Xmx64m", "-XX:+AlwaysPreTouch", f"-Xlog:gc+heap+coops=debug:file={log.name}"]
        for collector in ("UseSerialGC", "UseG1GC"):
            with Java([*options, "-XX:+" + collector], "steady", 100) as program:
                at = re.findall(r"Heap address: 0x([0-9a-f]+), size: (\d+) MB", open(log.name).read())
                if not at:
                    raise Skip("this JVM does not log where its heap is")
                run, row, before, after = heap_of_a_runtime(t, collector, program, "Java heap")
            start, size = int(at[-1][0], 16), int(at[-1][1]) * MIB
            t.equal(f"{collector}__the_row_is_what_smaps_has_where_the_JVM_says_that_its_heap_is", row,
                    resident_within(run, start, start + size))
            t.between(f"{collector}__the_row_is_what_the_JVM_has_committed_and_touched", row, before["committed"], after["most"] + 3 * MIB)
            t.true(f"{collector}__what_is_used_is_in_it", row >= before["used"], (row, before))


@test
def go_heap(t):
    with InterpreterProgram(go_requests(False), "map", "5000", "5000") as program:
        while program.tell("count")["requests"] < 5000:
            time.sleep(0.05)
        run, row, before, after = heap_of_a_runtime(t, "go", program, "Go's heap and goroutine stacks", "settle")
    arenas = resident_within(run, 0xc000000000, 0xd000000000)
    t.true("go__the_row_is_what_smaps_has_in_Go's_arenas", abs(row - arenas) <= arenas * 0.02, (row, arenas))
    t.true("go__the_row_is_what_its_MemStats_say", before["used"] * 0.98 <= row <= after["mapped"] + MIB, (before, row, after))


@test
def python_heap(t):
    """Its small objects, by the interpreter's own figures: pools that hold some, and those that are free, used before or not."""
    with tempfile.NamedTemporaryFile("r") as figures:
        code = (f"import os, sys, time\nos.dup2(os.open('{figures.name}', os.O_WRONLY), 2)\n"
                "x = [(i, str(i)) for i in range(300003)]\ndel x[::7]\nsys._debugmallocstats()\n"
                "print('ready', flush=True)\ntime.sleep(60)")
        with Program("python3", "-c", code) as pid:
            run = Run(pid)
        said = figures.read()
    check(t, "python", run, "glibc")
    t.equal("python__the_row_of_its_heap_has_its_name", run.bridge and run.bridge.get("managed_heap"), "pymalloc: Python's small objects")
    told = {name: int(n.replace(",", "")) for name, n in re.findall(r"^# bytes (?:in|lost to) (.*?) += +([\d,]+)$", said, re.M)}
    held = sum(told[name] for name in ("allocated blocks", "available blocks", "pool headers", "quantization"))
    arenas = int(re.search(r"^(\d+) arenas \* 1048576 bytes/arena", said, re.M)[1]) * MIB
    # of each of its 32 sizes one pool may not be touched to its end
    t.between("python__the_row_is_what_sys._debugmallocstats_says", run.now.get("managed_heap", 0), held - 32 * 16384, arenas)


@test
def ruby_heap(t):
    need("ruby")
    code = ("x = (0..300_003).map { |i| \"r#{i}\" }\nx.reject!.with_index { |_, i| i % 7 == 0 }\nGC.start\n"
            "puts \"ready #{GC.stat(:heap_allocated_pages)} #{GC::INTERNAL_CONSTANTS[:HEAP_PAGE_SIZE] || 65536}\"\n"
            "$stdout.flush\nsleep 60")
    program = Program("ruby", "-e", code)
    with program as pid:
        run = Run(pid)
    check(t, "ruby", run, "glibc")
    t.equal("ruby__the_row_of_its_heap_has_its_name", run.bridge and run.bridge.get("managed_heap"), "Ruby's heap pages")
    pages, page = (int(n) for n in program.said.split()[1:])
    t.between("ruby__the_row_is_what_GC.stat_says", run.now.get("managed_heap", 0), pages * page * 0.98, pages * page)


@test
def node_heap(t):
    need("node")
    code = ("const x = []; for (let i = 0; i < 300003; i++) x.push({ a: i, b: i, c: i }); gc();"
            "setInterval(() => x.length, 60000); console.log(JSON.stringify(process.memoryUsage()))")
    program = Talk(subprocess.Popen(["node", "--expose-gc", "-e", code], stdout=subprocess.PIPE))
    try:
        said = json.loads(program.line())
        run = Run(program.process.pid)
    finally:
        program.process.kill()
        program.process.wait()
        program.process.stdout.close()
    check(t, "node", run, "glibc")
    t.equal("node__the_row_of_its_heap_has_its_name", run.bridge and run.bridge.get("managed_heap"), "V8's heap")
    # six words each; pages that V8 has freed and not yet given back are none of its own sum
    t.between("node__the_row_is_what_it_keeps_and_at_most_what_process.memoryUsage()_says", run.now.get("managed_heap", 0),
              300003 * 6 * 8, said["heapTotal"] + 3 * MIB)


@test
def limits(t):
    """The tightest limit: of address space, set by ulimit."""
    target = os.path.join(TARGETS, "heap_holder")
    with Program("sh", "-c", f"ulimit -v 3000000; exec {target} 20") as pid:
        r = subprocess.run([MEMPROBE, "-p", str(pid), "-d", "1", "--report", "--no-save"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    t.true("a_limit_of_address_space__is_told_when_it_comes_first",
           "limit 2.86 GiB (RLIMIT_AS)" in r.stdout and "malloc fails; nothing is killed" in r.stdout,
           r.stdout + r.stderr)
    blocks = [b for b in r.stdout.split("\n\n") if b.startswith(("WHERE", "FROM BEFORE", "target"))]
    t.equal("the_report__has_its_blocks_on_memory", len(blocks), 3)
    wide = [line for b in blocks for line in b.splitlines() if len(line) > 100]
    t.equal("every_line_of_them__fits", wide, [])


if __name__ == "__main__":
    main()
