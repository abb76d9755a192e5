#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The flame graph in a browser: real mouse and key events in Chromium, what is then on the page against
sums made here. Skipped without a browser.
"""
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import browser # noqa: E402
from flame_file import FlameFile, count, program, render # noqa: E402
from harness import Tests # noqa: E402
from test_flamegraph import random_stacks # noqa: E402

# A tree that can be read: main 1000 = parse 700 (get 500, itself 200) + load 290 + tiny, 10 in 10 stacks
SMALL = [(["srv-7", "main", "parse(int)", "get<a::b>(char const*)"], 500, 5),
         (["srv-7", "main", "parse(int)"], 200, 2),
         (["srv-7", "main", "load", "get<a::b>(char const*)"], 190, 1), (["srv-7", "main", "load", "open"], 100, 1),
         *[(["srv-7", "main", f"tiny{i}"], 1, 1) for i in range(10)]]

FRAMES = """[...document.querySelectorAll('#mp-frames > g')].map(g => {
    const r = g.querySelector('rect'), t = g.querySelector('text');
    return { text: t ? t.textContent : '', x: +r.getAttribute('x'), y: +r.getAttribute('y'),
        w: +r.getAttribute('width'), label: g.getAttribute('aria-label'), match: g.classList.contains('m'),
        dim: g.classList.contains('p'), level: +g.getAttribute('aria-level') } })"""
SAID = "document.getElementById('mp-said').textContent"
FOCUS = "document.activeElement.getAttribute('aria-label')"


class Page:
    def __init__(self, b, directory):
        self.b, self.directory, self.n = b, directory, 0

    def load(self, data):
        self.n += 1
        path = os.path.join(self.directory, f"{self.n}.svg")
        with open(path, "wb") as f:
            f.write(data)
        self.b.open(path)

    def frames(self):
        return self.b.evaluate(FRAMES)

    def frame(self, text):
        return next((f for f in self.frames() if f["text"] == text), None)

    def click(self, text):
        f = self.frame(text)
        self.b.click(f["x"] + min(f["w"] / 2, 20), f["y"] + 8)

    def button(self, text):
        box = self.b.evaluate(f"(() => {{ const r = [...document.querySelectorAll('.bar button')].find(e => "
                              f"e.textContent === '{text}').getBoundingClientRect(); return [r.x, r.y]; }})()")
        self.b.click(box[0] + 5, box[1] + 5)

    def search(self, pattern):
        """What the page says of it."""
        self.b.key("f", ctrl=True)
        self.b.evaluate("document.activeElement.select()")
        self.b.type(pattern)
        return self.b.evaluate(SAID)


def loading(t, page):
    page.load(render(SMALL))
    t.equal("the_file__is_the_only_request", len(page.b.requests), 1)
    t.equal("loading__throws_nothing", page.b.errors, [])
    t.equal("each_frame__is_drawn_once",
            [f["text"] for f in page.frames() if f["text"]],
            ["all", "srv-7", "main", "parse(int)", "get<a::b>(char const*)", "load", "get<a::b>(char const*)",
             "open"])
    main, parse = page.frame("main"), page.frame("parse(int)")
    t.between("a_width__is_the_share_of_the_total", parse["w"] / main["w"], 0.6999, 0.7001)
    t.equal("the_root__is_as_wide_as_the_window", main["w"], 1180)
    t.equal("a_frame__tells_its_figures_to_a_screen_reader", parse["label"],
            "parse(int), 700 B, 7 blocks, 70.0 %")
    roles = page.b.evaluate("[document.documentElement, document.getElementById('mp-frames'), "
                            "document.querySelector('#mp-frames > g')].map(e => e.getAttribute('role'))")
    t.equal("a_screen_reader__finds_a_tree", roles, ["group", "tree", "treeitem"])


def zooming(t, page):
    page.load(render(SMALL))
    page.click("load")
    load, main = page.frame("load"), page.frame("main")
    t.equal("a_clicked_frame__is_as_wide_as_the_window", load["w"], 1180)
    t.equal("its_callers__stay_in_sight_dimmed", (main["w"], main["dim"], load["dim"]), (1180, True, False))
    t.equal("its_siblings__are_gone", page.frame("parse(int)"), None)
    t.between("what_it_calls__is_drawn_to_its_scale", page.frame("open")["w"] / 1180, 0.344, 0.346)
    page.b.evaluate("history.back()")
    page.b.settle()
    t.true("back__shows_the_view_before", page.frame("parse(int)"))
    page.click("load")
    page.button("Reset zoom")
    t.between("reset__shows_the_whole_picture", page.frame("parse(int)")["w"], 825, 827)
    page.click("load")
    page.b.key("Escape")
    t.true("escape__shows_the_whole_picture", page.frame("parse(int)"))
    page.click("load")
    page.click("main")
    t.true("a_click_on_a_caller__goes_back_to_it", page.frame("parse(int)"))
    narrow = [f["w"] for f in page.frames() if f["w"] < 2]
    t.true("frames_of_a_thousandth__are_drawn_one_by_one", len(narrow) == 10 and max(narrow) < 1.19, narrow)
    t.equal("zooming__throws_nothing", page.b.errors, [])


TIP = "[...document.querySelector('.tip').children].map(e => e.textContent)"


def smaller_stacks(t, page):
    """50 of 300 in 1 000 000, too narrow to draw, and one of 985 000."""
    page.load(render([(["srv-7", "main", "large"], 985000, 1),
                      *[(["srv-7", "main", f"small{i}"], 300, 1) for i in range(50)]]))
    rest = max(page.frames(), key=lambda f: f["x"])
    t.equal("frames_below_a_thousandth__are_one", len(page.frames()), 5)
    t.between("which_is_as_wide_as_they_are", rest["w"], 17.69, 17.71)
    page.b.mouse("mouseMoved", rest["x"] + 5, rest["y"] + 8)
    page.b.settle()
    t.equal("and_tells_how_many_stacks_it_is", page.b.evaluate(TIP)[:3],
            ["50 smaller stacks", "14.6 KiB (15 000 B), 50 blocks, average 300 B", "1.5 % of all"])
    page.b.click(rest["x"] + 5, rest["y"] + 8)
    frames = page.frames()
    t.equal("a_click_on_it__shows_them_one_by_one",
            (len([f for f in frames if 23 < f["w"] < 24]), frames[-1]["level"]), (50, 5))
    page.b.evaluate("history.back()")
    page.b.settle()
    t.equal("back__makes_them_one_again", len(page.frames()), 5)
    t.equal("smaller_stacks__throw_nothing", page.b.errors, [])


def matched(said):
    """(low, high) in the page's own words, as shares."""
    shares = [float(s) for s in re.findall(r"([\d.]+) %", said)]
    return shares[0], shares[-1], "exact" in said


def searching(t, page):
    page.load(render(SMALL))
    t.equal("one_name__has_its_exact_total", page.search("parse"), "Matched: 700 B, 70.0 % (exact; 1 name)")
    t.equal("matched_frames__are_marked", [f["text"] for f in page.frames() if f["match"]], ["parse(int)"])
    t.equal("a_name_in_two_places__is_summed", page.search("get<a::b>(char"), "Matched: 690 B, 69.0 % (exact; 1 name)")
    t.equal("a_match_below_a_match__counts_once", page.search("/parse|get/"), "Matched: 890 B, 89.0 % (exact; 2 names)")
    t.equal("case__does_not_matter_in_plain_text", page.search("LOAD"), "Matched: 290 B, 29.0 % (exact; 1 name)")
    t.equal("case__matters_in_a_regular_expression", page.search("/LOAD/"), "No name matches")
    t.equal("a_broken_regular_expression__is_said_so", page.search("/(/"), "not a regular expression")
    t.equal("letters_with_a_meaning_in_regular_expressions__are_plain", page.search("parse(int)"),
            "Matched: 700 B, 70.0 % (exact; 1 name)")
    page.b.key("Enter")
    t.equal("enter__goes_to_the_match", page.b.evaluate(FOCUS), "parse(int), 700 B, 7 blocks, 70.0 %")
    page.b.key("f", ctrl=True)
    page.b.key("Escape")
    t.equal("escape_in_the_search_field__clears_it",
            (page.b.evaluate("document.querySelector('.bar input').value"), any(f["match"] for f in page.frames())),
            ("", False))
    page.b.key("/")
    t.equal("a_slash__leads_to_the_search_field", page.b.evaluate("document.activeElement.localName"), "input")
    t.equal("searching__throws_nothing", page.b.errors, [])


def searching_what_is_not_in_the_tree(t, page):
    large = random_stacks(30000, 3000, 2, 24)
    data = render(large)
    f = FlameFile(data)
    _, totals = count(large)
    total = f.nodes[0].bytes
    kept = {n.path[-1][0] for n in f.nodes if not n.is_rest and len(n.path) > 1}
    hidden = sorted((v, n) for n, v in totals.items() if n not in kept and n.startswith("f2"))
    page.load(data)
    t.true("the_picture__is_cut", len(hidden) > 3)
    for value, name in (hidden[0], hidden[-1]):
        said = page.search(f"/^{name}$/")
        t.equal(f"{name}__in_no_frame_of_the_file__has_its_exact_total",
                (re.search(r"Matched: ([^,]*),", said).group(1), "exact; 1 name" in said), (size(value), True))
    for pattern in ("f2", "/f.*7/", "/^f[0-9]$/", "/f[0-9]{4}/", "f1", "proc"):
        test = re.compile(pattern[1:-1]).search if pattern[0] == "/" else lambda n, p=pattern: p in n
        truth = sum(b for frames, b, _ in large if any(test(x.split("|")[0]) for x in frames)) * 100 / total
        low, high, exact = matched(page.search(pattern))
        t.true(f"the_range_of_{pattern}__holds_the_truth", low - 0.051 <= truth <= high + 0.051 and
               (not exact or abs(low - truth) < 0.051), f"{low}..{high} exact {exact}, truth {truth}")
    t.equal("searching_a_large_picture__throws_nothing", page.b.errors, [])


def size(n):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < (1024 if unit == "B" else 1023.95):
            break
        n /= 1024
    return f"{n} B" if unit == "B" else f"{n:.2f} {unit}" if unit == "GiB" else f"{n:.1f} {unit}"


def keys(t, page):
    page.load(render(SMALL))
    for _ in range(20):
        page.b.key("Tab")
        if (page.b.evaluate(FOCUS) or "").startswith("all,"):
            break
    t.equal("tab__reaches_the_frames", page.b.evaluate(FOCUS), "all, 1000 B, 19 blocks, 100.0 %")
    said = []
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.b.key(key)
        said.append(page.b.evaluate(FOCUS).split(",")[0])
    t.equal("arrows__move_among_callers_callees_and_neighbours", said,
            ["srv-7", "main", "parse(int)", "load", "get<a::b>(char const*)", "get<a::b>(char const*)", "parse(int)"])
    page.b.key("Enter")
    t.equal("enter__zooms", page.frame("parse(int)")["w"], 1180)
    t.equal("after_a_zoom__the_focus_stays", page.b.evaluate(FOCUS).split(",")[0], "parse(int)")
    page.b.key("Home")
    t.between("home__shows_the_whole_picture", page.frame("parse(int)")["w"], 825, 827)
    page.b.key("i")
    frames = page.frames()
    t.equal("i__puts_the_root_at_the_bottom", max(f["y"] for f in frames), page.frame("all")["y"])
    page.b.key("ArrowUp")
    t.equal("then_up__leads_to_what_is_called", page.b.evaluate(FOCUS).split(",")[0], "srv-7")
    page.b.key("?")
    t.true("a_question_mark__lists_the_keys", "Ctrl-F" in page.b.evaluate(SAID))
    t.equal("keys__throw_nothing", page.b.errors, [])


def details(t, page):
    page.load(render(SMALL))
    f = page.frame("parse(int)")
    page.b.mouse("mouseMoved", f["x"] + 50, f["y"] + 8)
    page.b.settle()
    t.equal("pointing_at_a_frame__tells_bytes_blocks_average_share_itself_and_object",
            page.b.evaluate(TIP), ["parse(int)", "700 B, 7 blocks, average 100 B", "70.0 % of all", "itself: 200 B", "app"])
    inside = page.b.evaluate("(() => { const r = document.querySelector('.tip').getBoundingClientRect(); "
                             "return r.x >= 0 && r.right <= innerWidth && r.bottom <= innerHeight; })()")
    t.true("details__are_within_the_window", inside)
    page.load(program("--render", "rich", "flamegraph"))
    f = page.frame("Batch::add")
    page.b.mouse("mouseMoved", f["x"] + 5, f["y"] + 8)
    page.b.settle()
    t.equal("the_source_line_of_an_inlined_function__is_told", page.b.evaluate(TIP)[-1], "gatewayd, batch.cc:17, inlined")


def window(t, page):
    page.load(render(SMALL))
    for width in (320, 700, 2400):
        page.b.resize(width, 600)
        page.b.settle()
        t.equal(f"in_a_window_of_{width}__the_root_is_as_wide", page.frame("all")["w"], width - 20)
        over = page.b.evaluate("[...document.querySelectorAll('#mp-head text, #mp-foot text, #mp-legend > g')].filter("
                               f"e => e.getBoundingClientRect().right > {width} + 1).map(e => e.textContent)")
        t.equal(f"in_a_window_of_{width}__no_word_is_cut", over, [])
    page.b.resize(1200, 900)


CONTRAST = """(() => {
    const lum = c => { const f = c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
    const rgb = s => s.match(/[0-9.]+/g).slice(0, 3).map(Number);
    const ground = rgb(getComputedStyle(document.querySelector('.bg')).fill), all = [];
    const add = (e, back) => { const a = lum(rgb(getComputedStyle(e).fill)), b = lum(back);
        all.push([Math.round(100 * (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)) / 100, e.textContent]); };
    document.querySelectorAll('#mp-head text, #mp-foot text, #mp-legend text').forEach(e => add(e, ground));
    document.querySelectorAll('#mp-frames > g').forEach(g => { const t = g.querySelector('text');
        const s = getComputedStyle(g.querySelector('rect')), o = +s.fillOpacity;
        if (t && s.fill[0] === 'r') add(t, rgb(s.fill).map((v, i) => v * o + ground[i] * (1 - o))); });
    return [ground, Math.min(...all.map(a => a[0])), all.length]; })()"""


def colours(t, page):
    for scheme, dark in (("light", False), ("dark", True)):
        page.b.scheme(scheme)
        page.load(program("--render", "kinds"))
        ground, contrast, n = page.b.evaluate(CONTRAST)
        t.equal(f"in_{scheme}__the_ground_is_{scheme}", max(ground) < 60, dark)
        t.between(f"in_{scheme}__every_text_has_a_contrast_of_4.5", contrast, 4.5, 21)
        t.true(f"in_{scheme}__texts_were_looked_at", n > 15)
        page.search("a")
        t.between(f"in_{scheme}_while_searching__every_text_has_a_contrast_of_4.5", page.b.evaluate(CONTRAST)[1], 4.5, 21)
    page.b.scheme("light")


def hostile(t, page):
    for name in ("hostile", "growing", "huge", "deep", "many"):
        page.load(program("--render", name))
        t.equal(f"{name}__loads_without_an_error", (page.b.errors, len(page.b.requests)), ([], 1))
        t.equal(f"{name}__runs_no_foreign_script", page.b.evaluate("String(window.broken)"), "undefined")
    page.load(program("--render", "hostile"))
    for pattern in ("script", "</title>", "]]>", "${", "\"quoted\"", "/./"):
        page.search(pattern)
        page.b.key("Enter")
        page.b.mouse("mouseMoved", 300, 200)
    t.equal("hostile_names__searched_and_pointed_at__run_nothing",
            (page.b.evaluate("String(window.broken)"), page.b.errors), ("undefined", []))
    t.equal("hostile_names__make_no_element", page.b.evaluate(
        "document.querySelectorAll('script').length + document.querySelectorAll('svg').length"), 2)
    page.load(program("--render", "empty"))
    t.equal("an_empty_picture__has_no_script_and_no_error",
            (page.b.errors, page.b.evaluate("document.querySelectorAll('script').length")), ([], 0))
    page.b.call("Page.navigate", url=page.b.requests[-1] + "#z=<x>&s=%E0%A4%A&d=1")
    page.load(render(SMALL))
    page.b.evaluate("location.hash = '#z=999999&s=%E0%A4%A&d=[]'")
    page.b.settle()
    t.equal("a_broken_address__shows_the_whole_picture", (page.frame("parse(int)") is not None, page.b.errors), (True, []))


def main():
    t = Tests("-v" in sys.argv)
    path = browser.find()
    if not path:
        print("no chromium")
        return 77
    with browser.Browser(path) as b, tempfile.TemporaryDirectory() as d:
        page = Page(b, d)
        for part in (loading, zooming, smaller_stacks, searching, searching_what_is_not_in_the_tree, keys, details, window, colours,
                     hostile):
            part(t, page)
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
