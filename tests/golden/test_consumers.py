#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
What memprobe writes for other programs, read by those programs: go tool pprof, protoc, speedscope, the Memory
panel of Chrome's DevTools. What they show is compared with the folded format. Each is skipped where it is not installed.

speedscope is looked for in $SPEEDSCOPE and where npm installs for all users (npm install -g speedscope@1.25.0).
"""
import base64
import collections
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import browser # noqa: E402
from flame_file import parse_folded, program # noqa: E402
from formats_file import INLINED, METRICS, PPROF_TYPES, PROFILE_PROTO, HeapProfile, Pprof # noqa: E402
from harness import Tests # noqa: E402

PROFILES = ("empty", "growing", "many", "rich", "kinds", "hostile", "deep")
WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--allow-file-access-from-files")
SPEEDSCOPE = ("/usr/lib/node_modules/speedscope", "/usr/local/lib/node_modules/speedscope")


def folded_totals(name):
    return {m: sum(parse_folded(program("--render", name, "folded", m)).values()) for m in METRICS}


def by_name(name, metric="live-bytes"):
    """{frame: bytes of the stacks that have it}, as a table of functions shows it."""
    totals = collections.Counter()
    for frames, value in parse_folded(program("--render", name, "folded", metric)).items():
        for frame in set(frames):
            totals[frame] += value
    return totals


def output(args, d, **kwargs):
    return subprocess.run(args, capture_output=True, timeout=60, check=False, env=dict(os.environ, PPROF_TMPDIR=d), **kwargs)


# ---- go tool pprof ----

def raw_samples(text):
    """Sums of the columns of -raw, and the number of samples."""
    lines = text[text.index("Samples:"):text.index("\nLocations")].splitlines()
    types = [t.removesuffix("[dflt]") for t in lines[1].split()]
    rows = [[int(n) for n in l.split(":")[0].split()] for l in lines[2:] if re.match(r" *\d+ +\d+ +\d+ +\d+:", l)]
    return {t: sum(r[i] for r in rows) for i, t in enumerate(types)}, len(rows)


def by_go(t, d):
    if not shutil.which("go") or output(["go", "tool", "pprof", "-help"], d).stderr.find(b"no such tool") >= 0:
        for name in PROFILES:
            t.skip(f"go_tool_pprof__reads_{name}", "no go tool pprof")
        return
    for name in PROFILES:
        totals, packed = folded_totals(name), program("--render", name, "pprof")
        path = os.path.join(d, name + ".pb.gz")
        with open(path, "wb") as f:
            f.write(packed)
        raw = output(["go", "tool", "pprof", "-raw", path], d).stdout.decode()
        sums, n = raw_samples(raw)
        t.equal(f"go_tool_pprof_-raw__has_the_totals_of_{name}", sums,
                {f"{k}/{unit}": totals[m] for m, (k, unit) in PPROF_TYPES.items()})
        t.equal(f"go_tool_pprof_-raw__has_a_sample_for_each_stack_of_{name}", n, len(Pprof(packed).raw["sample"]))
        for comment in Pprof(packed).comments:
            t.true(f"go_tool_pprof__shows_the_comment_{comment[:20]!r}_of_{name}", comment in raw, raw[:500])
        for metric, (kind, unit) in PPROF_TYPES.items():
            if not totals[metric] or name not in ("growing", "rich"):
                continue # without a sample pprof ends with an error
            r = output(["go", "tool", "pprof", "-top", "-nodecount=1000000", f"-sample_index={kind}",
                        *(["-unit=B"] if unit == "bytes" else []), path], d)
            shown = re.search(r"of (\d+)B? total", r.stdout.decode())
            t.equal(f"go_tool_pprof_-top__shows_the_{kind}_of_{name}", shown and int(shown.group(1)), totals[metric])


def lines_by_go(t, d):
    name = "go_tool_pprof__shows_lines_and_inlined_functions"
    if not shutil.which("go"):
        t.skip(name, "no Go")
        return
    path = os.path.join(d, "rich.pb.gz")
    with open(path, "wb") as f:
        f.write(program("--render", "rich", "pprof"))
    r = output(["go", "tool", "pprof", "-traces", "-lines", path], d)
    if b"no such tool" in r.stderr:
        t.skip(name, "no go tool pprof")
        return
    text = re.sub(r" +", " ", r.stdout.decode())
    t.true(name, " std::vector::push_back vector.h:1201 (inline)\n Batch::add batch.cc:17 (inline)\n "
                 "Batch::load batch.cc:40\n" in text, text)


# ---- protoc ----

def proto_file():
    """The fields of formats_file.py in the language of protoc."""
    out = ['syntax = "proto3";', "package perftools.profiles;"]
    for message, fields in PROFILE_PROTO.items():
        out.append(f"message {message} {{")
        out += [f"  {'repeated ' if kind.endswith('+') else ''}{kind.rstrip('+')} {name} = {number};"
                for number, (name, kind) in fields.items()]
        out.append("}")
    return "\n".join(out) + "\n"


def decoded_by_protoc(data, d):
    with open(os.path.join(d, "profile.proto"), "w") as f:
        f.write(proto_file())
    return output(["protoc", "-I", d, "--decode=perftools.profiles.Profile", os.path.join(d, "profile.proto")], d, input=data)


def by_protoc(t, d):
    for name in PROFILES:
        what = f"protoc__decodes_{name}"
        if not shutil.which("protoc"):
            t.skip(what, "no protoc")
            continue
        data = gzip.decompress(program("--render", name, "pprof"))
        r = decoded_by_protoc(data, d)
        text = r.stdout.decode()
        values = [re.findall(r"^  value: (\d+)", s, re.M) for s in re.findall(r"^sample \{\n(.*?)^\}", text, re.M | re.S)]
        totals = folded_totals(name)
        t.equal(what, [r.returncode, [sum(int(v[i]) for v in values) for i in range(4)]],
                [0, [totals[m] for m in ("alloc-blocks", "alloc-bytes", "live-blocks", "live-bytes")]])
        for table in ("location", "function", "mapping"):
            ids = [int(n) for n in re.findall(rf"^{table} \{{\n  id: (\d+)", text, re.M)]
            t.equal(f"{what}_the_ids_of_each_{table}_count_from_1", ids, list(range(1, len(ids) + 1)))
        t.true(f"{what}_and_knows_every_field", not re.search(r"^ *\d+: ", text, re.M), text[:300])
        t.true(f"{what}_but_not_without_its_last_bytes", decoded_by_protoc(data[:-7], d).returncode != 0)


# ---- speedscope ----

def find_speedscope():
    for place in (os.environ.get("SPEEDSCOPE"), *SPEEDSCOPE):
        page = place and os.path.join(place, "dist", "release", "index.html")
        if page and os.path.exists(page):
            return page
    return None


def size_of(n):
    """As speedscope writes bytes."""
    units, k = ("B", "KB", "MB", "GB"), 0
    while n >= 1024 and k < 3:
        n, k = n / 1024, k + 1
    return f"{n + 1e-6:.2f} {units[k]}" if k else f"{n} B"


def sandwich(b, page, d, name, data):
    """{function: total} of its table, as text."""
    path = os.path.join(d, name + ".js")
    with open(path, "w") as f:
        f.write(f'speedscope.loadFileFromBase64("{name}", "{base64.b64encode(data).decode()}")')
    b.call("Page.navigate", url="about:blank")
    b.call("Page.navigate", url=f"file://{page}#localProfilePath={path}")
    rows = {}
    for _ in range(100):
        time.sleep(0.1)
        b.key("3")
        cells = b.evaluate("JSON.stringify([...document.querySelectorAll('tr')].map(r => [...r.querySelectorAll('td')]"
                           ".map(c => c.innerText)))")
        rows = {c[2]: c[0].split(" (")[0] for c in json.loads(cells) if len(c) == 3}
        if rows:
            break
    return rows


def by_speedscope(t, d, path):
    page = find_speedscope()
    names = [f"speedscope__shows_{name}_as_{fmt}" for name in ("growing", "many", "rich", "hostile")
             for fmt in ("folded", "pprof", "heapprofile")]
    if not page or not path:
        for name in names:
            t.skip(name, "no speedscope (npm install -g speedscope@1.25.0)" if path else "no Chromium")
        return
    with browser.Browser(path, more_args=WEBGL) as b:
        for what in names:
            name, fmt = re.match(r".*shows_(\w+)_as_(\w+)", what).groups()
            rows = sandwich(b, page, d, f"{name}.{fmt}", program("--render", name, fmt))
            want = by_name(name)
            shown, truth = {}, {}
            for frame, total in want.items():
                plain = frame if fmt == "folded" else frame.removesuffix(INLINED)
                if plain in rows: # the table has the rows that are in the window; ';' is ':' in folded only
                    shown[plain] = rows[plain]
                    truth[plain] = f"{total:,}" if fmt == "folded" else size_of(total)
            t.equal(what, {f: v for f, v in shown.items() if v != truth[f]}, {f: v for f, v in truth.items() if v != shown[f]})
            t.true(what + "_all_that_it_has_room_for", len(shown) >= min(len(want), 8) - 2, f"{rows}, {dict(want)}")
        t.equal("speedscope__throws_nothing", b.errors, [])


# ---- DevTools ----

LOAD = """(async () => {
    const m = await import('devtools://devtools/bundled/panels/profiler/profiler.js');
    const panel = m.HeapProfilerPanel.HeapProfilerPanel.instance();
    const types = typeof panel.profileTypes === 'function' ? panel.profileTypes() : panel.profileTypes;
    const type = types.find(t => t.fileExtension() === '.heapprofile');
    await panel.loadFromFile(new File([%s], 'x.heapprofile'));
    panel.showProfile(type.getProfiles()[type.getProfiles().length - 1]);
    const rows = [];
    const walk = n => {
        if (n.tagName === 'TR') rows.push([...n.querySelectorAll('td')].map(c => c.innerText));
        for (const c of n.children) walk(c);
        if (n.shadowRoot) walk(n.shadowRoot);
    };
    for (let i = 0; i < 50 && !rows.some(r => r.length >= 3 && r[1].includes('%%')); i++) {
        await new Promise(r => setTimeout(r, 100));
        rows.length = 0;
        walk(document.body);
    }
    return JSON.stringify(rows);
})()"""


def memory_panel(path, data):
    """{function: [share itself, share with what it calls]}"""
    with browser.Browser(path) as b:
        b.call("Page.navigate", url="devtools://devtools/bundled/devtools_app.html?panel=heap-profiler")
        for _ in range(100):
            time.sleep(0.1)
            if "Allocation sampling" in (b.evaluate("document.body ? document.body.innerText : ''") or ""):
                break
        time.sleep(1)
        rows = json.loads(b.evaluate(LOAD % json.dumps(data.decode())))
    return {c[2].strip(): [float(re.search(r"([\d.]+)\s*%", c[i]).group(1)) for i in (0, 1)]
            for c in rows if len(c) >= 3 and "%" in c[1]}


def by_devtools(t, path):
    names = ("growing", "many", "rich")
    if not path:
        for name in names:
            t.skip(f"the_memory_panel_of_devtools__shows_{name}", "no Chromium")
        return
    for name in names:
        what, data = f"the_memory_panel_of_devtools__shows_{name}", program("--render", name, "heapprofile")
        shown, error = {}, ""
        for _ in range(3):
            try:
                shown = memory_panel(path, data)
                if shown:
                    break
            except browser.Error as e: # asked before the page had made its panel
                error = str(e)[-300:]
        tree = HeapProfile(data)
        total, sums, own = tree.total, collections.Counter(), collections.Counter()
        for p, v in tree.own.items():
            own[p[-1]] += v
            for frame in set(p):
                sums[frame] += v
        want = {f: [round(own[f] * 100 / total, 2), round(sums[f] * 100 / total, 2)] for f in sums if f in shown}
        t.equal(what, {f: shown[f] for f in want}, want)
        t.true(what + "_all_that_it_has_room_for", len(want) >= min(len(sums), 8) - 2, f"{shown}, {dict(sums)} {error}")


def main():
    t, path = Tests("-v" in sys.argv), browser.find()
    sys.setrecursionlimit(10000)
    with tempfile.TemporaryDirectory() as d:
        by_go(t, d)
        lines_by_go(t, d)
        by_protoc(t, d)
        by_speedscope(t, d, path)
        by_devtools(t, path)
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
