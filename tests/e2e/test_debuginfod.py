#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Debug files from a server: only when asked for, a clear error without one, no run that waits for ever."""
import http.server
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

from harness import Target, build, main, run, test


class Server:
    """A debuginfod server on this machine that has the one file, or waits before it answers."""

    def __init__(self, files, delay_s=0):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self): # noqa: N802
                asked.append(self.path)
                time.sleep(delay_s)
                data = files.get(self.path)
                self.send_response(200 if data else 404)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.http.shutdown()
        self.http.server_close()


def strip_into(d):
    """(program without debug information, {path at the server: debug file})"""
    program, debug = os.path.join(d, "inlined"), os.path.join(d, "debug")
    subprocess.run(["objcopy", "--only-keep-debug", build("inlined"), debug], check=True)
    subprocess.run(["strip", "--strip-debug", "-o", program, build("inlined")], check=True)
    notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True).stdout
    build_id = re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)
    with open(debug, "rb") as f:
        return program, {f"/buildid/{build_id}/debuginfo": f.read()}


def measure(program, *options, env):
    """(folded, stderr, status)"""
    with Target(program) as target:
        threading.Timer(1.5, lambda: target.ask("go")).start()
        ended = run("--folded", "-d", 3, "-p", target.pid, *options, env=env, timeout_s=90)
        target.exit()
    return ended


@test
def servers(t):
    if not shutil.which("debuginfod-find"):
        t.skip("lines__come_from_a_debuginfod_server", "no debuginfod-find")
        return
    with tempfile.TemporaryDirectory() as d:
        program, files = strip_into(d)
        env = {"DEBUGINFOD_CACHE_PATH": os.path.join(d, "cache"), "DEBUGINFOD_TIMEOUT": "5"}
        with Server(files) as server:
            env["DEBUGINFOD_URLS"] = server.url
            without = measure(program, env=env)
            t.true("without_the_option__no_server_is_asked", not server.asked, server.asked)
            t.true("and_nothing_inlined_is_known", without.status == 0 and "s_inlined;malloc" in without.stdout, without.stdout)
            with_it = measure(program, "--debuginfod", env=env)
            t.true("lines__come_from_a_debuginfod_server", set(files) <= set(server.asked) and
                   "s_inlined;shop::shelf::outer(unsigned long)_[i];middle_[i];innermost_[i];malloc " in with_it.stdout,
                   f"{server.asked} {with_it.stdout} {with_it.stderr}")
        wrong = dict.fromkeys(files, b"no ELF file")
        env["DEBUGINFOD_CACHE_PATH"] = os.path.join(d, "cache2")
        with Server(wrong) as server:
            env["DEBUGINFOD_URLS"] = server.url
            ended = measure(program, "--debuginfod", env=env)
            t.true("what_is_not_the_object's_debug_file__is_not_used",
                   ended.status == 0 and set(files) <= set(server.asked) and "s_inlined;malloc" in ended.stdout,
                   f"{server.asked} {ended}")


@test
def no_server(t):
    with Target("server") as target:
        for urls in ("", " "):
            ended = run("--debuginfod", "-d", 1, "-p", target.pid, env={"DEBUGINFOD_URLS": urls})
            t.equal(f"DEBUGINFOD_URLS_{urls!r}__is_an_error_that_names_it",
                    (ended.status, ended.stdout, "DEBUGINFOD_URLS names no server" in ended.stderr), (1, "", True))
        ended = run("--debuginfod", "-d", 1, "-p", target.pid, env={"DEBUGINFOD_URLS": "http://127.0.0.1:1", "PATH": "/nonexistent"})
        t.equal("no_client__is_an_error_that_names_the_package",
                (ended.status, "apt install debuginfod" in ended.stderr), (1, True))


if __name__ == "__main__":
    main()
