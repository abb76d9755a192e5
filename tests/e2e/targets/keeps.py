# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A program that keeps 20 011 bytes of each request (argument: requests a second), with garbage from each, and a second
thread that keeps others. Words on stdin: count, stack, objects, collect, collections, pause, go; one line of JSON each.
"""
import gc
import json
import select
import sys
import threading
import time

kept, others, said = [], [], {}


class Record:
    pass


class Store:
    def put(self, n):
        kept.append(bytearray(20011 + size("main")))  # line of the leak
        kept[-1:] = [kept[-1], Record()]


def size(who):
    if who not in said:
        frame, said[who] = sys._getframe(1), []
        while frame:
            said[who].append((frame.f_code.co_qualname, frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back
    return 0


def noise():
    json.dumps([{"k": "x" * 700, "v": list(range(30))} for _ in range(10)])


def numbers(n):
    yield n


def handle(store, n):
    noise()
    list(map(store.put, numbers(n)))  # through C code and back


def other_put():
    others.append(bytearray(30011 + size("other")))  # line of the other leak


def other():
    while True:
        time.sleep(0.02)
        running.wait()
        other_put()


def counts():
    gc.collect()
    names = {"[frozen]": gc.get_freeze_count()}  # which get_objects leaves out
    for o in gc.get_objects():
        names[type(o).__name__] = names.get(type(o).__name__, 0) + 1
    return names


def collect():
    for _ in range(5):
        gc.collect()


def answer(word):
    if word == "pause":
        running.clear()
    elif word == "go":
        running.set()
    return {"count": lambda: {"kept": len(kept) // 2}, "stack": lambda: said, "objects": counts,
            "collect": collect, "collections": lambda: {"full": gc.get_stats()[2]["collections"]}}.get(word, dict)()


def serve(rate):
    store, start, n = Store(), time.monotonic(), 0
    print("ready", flush=True)
    while True:
        wait = start + n / rate - time.monotonic() if running.is_set() else 1
        if select.select([sys.stdin], [], [], max(wait, 0))[0]:
            line = sys.stdin.readline()
            if not line:
                return
            print(json.dumps(answer(line.strip())), flush=True)
        elif running.is_set():
            handle(store, n)
            n += 1


running = threading.Event()
running.set()
threading.Thread(target=other, daemon=True).start()
serve(float(sys.argv[1]))
