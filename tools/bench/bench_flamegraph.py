#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The flame graph of 100 000 unique stacks: seconds of CPU, memory, bytes, beside flamegraph.pl on the same stacks, if
there is one (Debian: libdevel-nytprof-perl); the other formats; in a browser, if there is one, until it is painted, until
a zoom and a search are. Needs no root. Targets: 0.5 s, 150 MiB, 3 MB; 600, 100 and 300 ms.

    tools/bench/bench_flamegraph.py [ROUNDS]
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD") or os.path.join(ROOT, os.environ.get("O", "build"))
PROGRAM = os.path.join(BUILD, "tests", "golden", "test_flamegraph")
PEERS = ("/usr/share/perl5/Devel/NYTProf/flamegraph.pl", "/usr/local/bin/flamegraph.pl")
sys.path.append(os.path.join(ROOT, "tests", "golden"))

import browser # noqa: E402


def drawing(rounds):
    for fmt in ("flamegraph",) * rounds + ("pprof", "json", "heapprofile", "folded", "report"):
        line = subprocess.run([PROGRAM, "--bench", "100000", fmt], capture_output=True, text=True, check=True).stdout
        v = dict(re.findall(r"(\w+) ([\d.]+)", line))
        print(f"{fmt:<13}{float(v['seconds']) * 1000:6.0f} ms  peak {v['rss_peak_mib']} MiB "
              f"(profile alone {v['rss_before_mib']})  file {int(v['file_bytes']) / 1e6:.2f} MB")


def peer():
    path = shutil.which("flamegraph.pl") or next((p for p in PEERS if os.path.exists(p)), None)
    if not path:
        print("flamegraph.pl: skipped, none here (Debian: libdevel-nytprof-perl)")
        return
    with tempfile.TemporaryDirectory() as d:
        folded, svg = os.path.join(d, "large.folded"), os.path.join(d, "large.svg")
        with open(folded, "wb") as f:
            subprocess.run([PROGRAM, "--render", "large", "folded"], stdout=f, check=True)
        with open(svg, "wb") as f:
            p = subprocess.Popen(["perl", path, "--countname=bytes", folded], stdout=f, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(p.pid, 0)
        p.returncode = status
        print(f"flamegraph.pl{(used.ru_utime + used.ru_stime) * 1000:6.0f} ms  peak {used.ru_maxrss // 1024} MiB  "
              f"file {os.path.getsize(svg) / 1e6:.2f} MB, from {os.path.getsize(folded) / 1e6:.0f} MB of text; status {status}")


def timed(b, expression):
    """Milliseconds from the call to the second frame painted after it."""
    return b.evaluate(f"(async () => {{ const t = performance.now(); {expression}; await new Promise(r => "
                      "requestAnimationFrame(() => requestAnimationFrame(r))); return performance.now() - t; })()")


CLICK = "document.querySelectorAll('#mp-frames > g')[{0}].dispatchEvent(new MouseEvent('click', {{bubbles: true}}))"
SEARCH = ("(e => {{ e.value = '{0}'; e.dispatchEvent(new Event('input')); }})"
          "(document.querySelector('.bar input'))")


def viewing(rounds):
    path = browser.find()
    if not path:
        print("browser    none here")
        return
    with tempfile.NamedTemporaryFile(suffix=".svg") as f, browser.Browser(path) as b:
        f.write(subprocess.run([PROGRAM, "--render", "large"], capture_output=True, check=True).stdout)
        f.flush()
        for _ in range(rounds):
            load = b.open(f.name) * 1000
            search = timed(b, SEARCH.format("handle_6"))
            said = b.evaluate("document.getElementById('mp-said').textContent")
            timed(b, SEARCH.format(""))
            zoom = timed(b, CLICK.format(3))
            reset = timed(b, CLICK.format(0))
            nodes = b.evaluate("document.querySelectorAll('*').length")
            print(f"browser    load {load:5.0f} ms  zoom {zoom:4.0f}  reset {reset:4.0f}  search {search:4.0f}  "
                  f"{nodes} elements; {said}")
            b.call("Page.navigate", url="about:blank")
            time.sleep(0.2)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if not os.access(PROGRAM, os.X_OK):
        subprocess.run(["make", "-s", "-C", ROOT, f"O={BUILD}", "build-golden"], check=True)
    drawing(rounds)
    peer()
    viewing(rounds)


main()
