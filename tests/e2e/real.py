# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Real programs: the net growth of live blocks between two quiet moments of one run, as
memprobe tells it, against what the program itself or its allocator tells.

The program counts usable sizes, memprobe requested ones. Folded stacks have sums only, so two
memprobes watch the same process, one for bytes and one for blocks, and a stack's blocks are rounded
as if all had the mean size. That is exact for stacks whose blocks are of one size; the share
of bytes in other stacks is part of the message. Workloads here use few sizes.
"""
import signal
import time

from harness import Failure, Memprobe


def jemalloc_usable(size):
    """Size classes of jemalloc 5 (quantum 16): 8, 16 to 128 by 16, then four per doubling."""
    if size <= 8:
        return 8
    if size <= 128:
        return (size + 15) // 16 * 16
    step = 1 << ((size - 1).bit_length() - 3)
    return (size + step - 1) // step * step


def glibc_chunk(size):
    """What mallinfo2 counts of a block: the chunk with its size word; mapped blocks whole pages."""
    if size >= 128 << 10:
        return (size + 16 + 4095) // 4096 * 4096
    return max(32, (size + 8 + 15) // 16 * 16)


def rounded(stacks, usable):
    """(bytes as the allocator counts them, bytes in stacks of mixed sizes)"""
    total = mixed = 0
    for size, blocks in stacks.values():
        total += blocks * usable(size // blocks)
        mixed += size if size % blocks else 0
    return total, mixed


class Pair:
    """Two memprobes on one process: live bytes and live blocks per stack at the same quiet moment."""

    def __init__(self, pid):
        self.runs = [Memprobe("-d", 0, "-p", pid, "-m", m) for m in ("live-bytes", "live-blocks")]
        for m in self.runs:
            m.armed()
        self.taken = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for m in self.runs:
            m.__exit__(*exc)

    def _wait(self, m, size):
        """Until a snapshot has been written and nothing more comes."""
        end = time.monotonic() + 30
        last = size
        while time.monotonic() < end:
            time.sleep(0.2)
            now = len(m.stdout)
            if now > size and now == last:
                return
            last = now
        raise Failure(f"no snapshot after SIGUSR1:\n{m.stderr}")

    def _merge(self, taken):
        size, blocks = taken
        merged = {";".join(frames): [value, 0] for frames, value in size}
        for frames, value in blocks:
            merged.setdefault(";".join(frames), [0, 0])[1] = value
        return {k: v for k, v in merged.items() if v[1]}

    def snapshot(self):
        """{stack: (bytes, blocks)}"""
        sizes = [len(m.stdout) for m in self.runs]
        for m in self.runs:
            m.process.send_signal(signal.SIGUSR1)
        for m, size in zip(self.runs, sizes):
            self._wait(m, size)
        self.taken += 1
        return self._merge([m.snapshots()[self.taken - 1] for m in self.runs])

    def stop(self):
        for m in self.runs:
            m.stop()


def growth(before, after, usable):
    a, _ = rounded(before, usable)
    b, mixed = rounded(after, usable)
    return b - a, mixed


def compare(t, name, before, after, usable, truth):
    """At most 1 % of the truth apart."""
    got, mixed = growth(before, after, usable)
    t.true(name, truth > 0 and abs(got - truth) <= truth / 100,
           f"memprobe {got}, truth {truth}, {100.0 * (got - truth) / max(truth, 1):+.2f} %; "
           f"{mixed} bytes in stacks of mixed sizes; largest stacks:\n" + largest(after))


def largest(stacks, n=8):
    top = sorted(stacks.items(), key=lambda item: -item[1][0])[:n]
    return "\n".join(f"  {v[0]:>12} {v[1]:>8} {k[-200:]}" for k, v in top)


def wait_until(condition, what, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"{what}: not in {timeout_s} s")
        time.sleep(0.02)
