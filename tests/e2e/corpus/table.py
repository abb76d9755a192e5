# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The programs that the verdict is measured on: 24 that leak, 23 that do not.

`is_held_out`: no rule or threshold of the verdict was made on such a shape, or changed because of it; said before the
first of them was run. The others are shapes that the rules were made on (steady growth, full and filling caches, teeth,
runtimes), or that were named as hard before. rate: what a leak loses, bytes per second (a seed moves it by a fifth);
`has_rate`: steadily, and just that many, so that the rate that memprobe tells can be held against it.
"""
import collections
import os

HERE = os.path.dirname(os.path.abspath(__file__))

MASK = 2**64 - 1

Program = collections.namedtuple("Program", "name is_leak is_held_out rate what command has_rate")


def _c(binary, shape):
    return [binary, shape]


def _script(interpreter, file, shape):
    return [interpreter, os.path.join(HERE, file), shape]


def _leak(name, is_held_out, rate, what, command=None, has_rate=None):
    return Program("leak/" + name, True, is_held_out, rate, what, command or _c("corpus_leaks", name),
                   not command if has_rate is None else has_rate)


def _steady(name, is_held_out, what, command=None):
    return Program("steady/" + name, False, is_held_out, 0, what, command or _c("corpus_steady", name), False)


def true_rate(program, seed):
    """Bytes per second with this seed: the factor that begin() of targets/corpus.h draws."""
    chance = (seed + 1) * 0x9e3779b97f4a7c15 & MASK
    for _ in range(9):
        chance ^= chance >> 12
        chance ^= chance << 25 & MASK
        chance ^= chance >> 27
    drawn = (chance * 2685821657736338717 & MASK) >> 32
    return program.rate * (0.8 + 0.4 * drawn / 2**32)


PROGRAMS = [
    _leak("steady", False, 400e3, "1 KiB blocks, one after the other"),
    _leak("slow", False, 26e3, "512-byte blocks"),
    _leak("crawling", False, 3e3, "256-byte blocks, 3 kB/s: below what is told from nothing in a minute"),
    _leak("in-garbage", False, 30e3, "the site that leaks makes 1000 times as much garbage"),
    _leak("bursts", False, 60e3, "all of seven seconds at once"),
    _leak("swapped", False, 200e3, "what is lost is swapped out at once"),
    _leak("one-thread", False, 50e3, "one of nine threads", has_rate=False),
    _leak("lists-in-lists", False, 80e3, "nodes of 40 bytes"),
    _leak("python", False, 100e3, "python3: a list of dicts",
          _script("/usr/bin/python3", "requests_py.py", "leaks")),
    _leak("ruby", False, 100e3, "ruby: an array of hashes", _script("/usr/bin/ruby", "requests_rb.rb", "leaks")),
    _leak("one-text", True, 60e3, "one block that grows by realloc"),
    _leak("strings", True, 30e3, "strdup"),
    # not held out: mappings became sites, and several sites one, because of these two
    _leak("mappings", False, 160e3, "mmap of 64 KiB"),
    _leak("sessions", True, 60e3, "a hash table that is never expired, its index doubles"),
    _leak("many-sites", False, 120e3, "eight call sites, none makes half"),
    # not held out: that a site's growth in each part of the window may stand for a straight one was made with it in mind
    _leak("accelerating", False, 60e3, "faster with time: twice after a minute", has_rate=False),
    # held out until it was called SAW-TOOTH: sites that rise straight by themselves were looked at because of that
    _leak("under-teeth", False, 60e3, "below 10 MB that come and go every 3 s"),
    _leak("lost-connections", True, 82.5e3, "one of 40 connections is not closed", has_rate=False),
    _leak("backlog", True, 80e3, "a queue, first in, first out, that is emptied too slowly"),
    _leak("throws", True, 45e3, "C++: an exception passes over a delete", _c("corpus_throws", "throws"), True),
    _leak("listeners", True, 50e3, "listeners that nobody takes off: an array, and a name each"),
    _leak("circles", True, 60e3, "counted references: one of ten pairs is a circle"),
    _leak("big-buffers", True, 75e3, "300 kB each four seconds"),
    _leak("unjoined", True, 120e3, "threads that nobody joins: their stacks", has_rate=False),
    _steady("requests", False, "requests only"),
    _steady("full-cache", False, "a full cache, 400 entries a second replaced"),
    _steady("long-lived-cache", False, "a full cache whose entries live ten minutes"),
    _steady("filling", False, "a cache that fills as 1 - e^(-t / 8 s)"),
    _steady("teeth", False, "20 MiB come and go every 2 s"),
    _steady("cache-below-teeth", False, "a full cache whose entries live three minutes, below teeth of 10 MB"),
    _steady("pool", False, "a pool that doubles every 40 s, to 32 MiB"),
    _steady("start-up", False, "attached while it loads for 25 s"),
    _steady("python", False, "python3: requests only",
            _script("/usr/bin/python3", "requests_py.py", "steady")),
    _steady("ruby", False, "ruby: requests only", _script("/usr/bin/ruby", "requests_rb.rb", "steady")),
    _steady("lru", True, "a cache that fills straight for 15 to 40 s"),
    _steady("ttl", True, "entries that live 15 to 25 s, from empty"),
    # held out until its first run: called LEAK, with the last half at 0.61 of the first; BUT_SLOWS was made of that
    _steady("interning", False, "ever less is new: grows as the root of time"),
    _steady("batch", True, "a job of 6 s every 12 s"),
    _steady("arena", True, "chunks that are reset every 9 s"),
    _steady("log-segments", True, "the last hundred segments of a log"),
    _steady("wave", True, "sessions up and down in 40 s"),
    _steady("queue", True, "a queue whose length wanders"),
    _steady("vector", True, "a vector that doubles to 8 MiB, and is used again"),
    _steady("thread-pool", True, "twelve threads, one every 2 to 4 s"),
    _steady("fragments", True, "blocks of all sizes, some stay a while"),
    _steady("mapped-pool", True, "mmap of 256 KiB, at most 40 to 100 of them"),
    _steady("rebuilt", True, "an index that is made anew each 8 to 16 s while the old one is used"),
]
