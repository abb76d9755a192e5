# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""As keeps.py, for any Python 3: 20 011 bytes of each request (argument: requests a second), one thread; stdin: `count`."""
import select
import sys
import time

kept = []


def put(n):
    kept.append(bytearray(20011))  # line of the leak


def serve(rate):
    start, n = time.time(), 0
    print("ready")
    sys.stdout.flush()
    while True:
        wait = start + n / rate - time.time()
        if select.select([sys.stdin], [], [], max(wait, 0))[0]:
            if not sys.stdin.readline():
                return
            print('{"kept": %d}' % len(kept))
            sys.stdout.flush()
        else:
            list(map(put, [n]))  # through C code and back
            n += 1


serve(float(sys.argv[1]))
