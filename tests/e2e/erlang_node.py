# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A node of Erlang that runs targets/feed.erl, for the tests of BEAM. Compiled by erlc where it is; skipped where there is none.
"""
import os
import shutil
import subprocess

from harness import HERE, TARGETS, Skip, Target

WORKERS, REQUESTS = 40, 400


class Node(Target):
    """An Erlang node that runs feed.erl."""

    def __init__(self, mode, workers=WORKERS, requests=REQUESTS, pause_ms=0):
        erl, erlc = shutil.which("erl"), shutil.which("erlc")
        if not erl or not erlc:
            raise Skip("no Erlang")
        os.makedirs(TARGETS, exist_ok=True)
        subprocess.run([erlc, "-o", TARGETS, os.path.join(HERE, "targets", "feed.erl")], check=True)
        self.erl = [erl, "-noshell", "-pa", TARGETS, "-run", "feed", "main", mode, str(workers), str(requests),
                    str(pause_ms)]
        super().__init__("/bin/sh", "-c", 'exec "$@"', "sh", *self.erl, env={"HOME": "/tmp", "ERL_CRASH_DUMP_BYTES": "0"})
