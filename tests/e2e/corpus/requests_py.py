# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Of the verdict's corpus, in python: what a request leaves in a list that nobody empties. Arguments: the shape (`leaks`,
`steady`), a seed, the load in percent of one CPU. Rates as in targets/corpus.h: by the clock.
"""
import os
import random
import sys
import time

STEP_S = 0.01
shape, seed, load = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
chance = random.Random(seed)
factor = chance.uniform(0.8, 1.2)
kept, recent, left = [], [None] * 64, 0.0


def request():
    words = [bytes(chance.randrange(50, 900)) for _ in range(20)]
    recent[chance.randrange(64)] = {"words": words, "time": time.time()}
    return sum(map(len, words))


def remember():
    """About a kilobyte."""
    kept.append({"body": bytes(900), "headers": [str(len(kept))]})


print("ready", os.getpid(), flush=True)
due = time.monotonic()
while True:
    begin, cpu = time.monotonic(), time.thread_time()
    left += 100e3 * factor * STEP_S if shape == "leaks" else 0
    while left >= 1200:
        remember()
        left -= 1200
    request()
    while time.thread_time() - cpu < STEP_S * load / 100 and time.monotonic() - begin < STEP_S:
        request()
    due = max(due, time.monotonic() - 0.1) + STEP_S
    time.sleep(max(0, due - time.monotonic()))
