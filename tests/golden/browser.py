# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A Chromium without a window, driven over a pipe by the DevTools protocol: opens files, clicks, types,
evaluates, takes pictures. Only the standard library; it knows nothing of flame graphs.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
KEYS = {"Enter": ("\r", 13), "Escape": ("", 27), "Tab": ("", 9), "ArrowUp": ("", 38), "ArrowDown": ("", 40),
        "ArrowLeft": ("", 37), "ArrowRight": ("", 39), "Home": ("", 36)}


def find():
    """A browser that starts; None. Ubuntu's is a stub for a snap, which does not."""
    for name in NAMES:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False).returncode == 0:
            return path
    return None


class Error(Exception):
    pass


class Browser:
    def __init__(self, path, timeout_s=30, more_args=("--disable-gpu",)):
        self.timeout_s, self.rest, self.next_id = timeout_s, b"", 0
        self.requests, self.errors = [], []
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_child, self.write_fd = os.pipe()
        self.read_fd, from_child = os.pipe()
        args = [path, "--headless", "--no-sandbox", *more_args, "--disable-dev-shm-usage", "--hide-scrollbars",
                "--no-first-run", "--disable-extensions", "--disable-background-networking",
                f"--user-data-dir={self.profile.name}", "--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_child} 4>&{from_child}', "bash", *args],
            pass_fds=(to_child, from_child), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=dict(os.environ, HOME=self.profile.name))
        os.close(to_child)
        os.close(from_child)
        self.session = None
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.resize(1200, 900)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.write_fd)
        os.close(self.read_fd)
        self.profile.cleanup()

    def _message(self, deadline):
        while b"\0" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_fd], [], [], left)[0]:
                raise Error("the browser does not answer")
            data = os.read(self.read_fd, 1 << 20)
            if not data:
                raise Error("the browser has ended")
            self.rest += data
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def _event(self, m):
        if m.get("method") == "Network.requestWillBeSent":
            self.requests.append(m["params"]["request"]["url"])
        elif m.get("method") == "Runtime.exceptionThrown":
            d = m["params"]["exceptionDetails"]
            self.errors.append(d.get("exception", {}).get("description") or d["text"])

    def call(self, method, **params):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.write_fd, data):]
        deadline = time.monotonic() + self.timeout_s
        while True:
            m = self._message(deadline)
            if m.get("id") == self.next_id:
                if "error" in m:
                    raise Error(f"{method}: {m['error']['message']}")
                return m["result"]
            self._event(m)

    def evaluate(self, expression):
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in r:
            raise Error(f"{expression}: {r['exceptionDetails'].get('exception', {}).get('description')}")
        return r["result"].get("value")

    def settle(self):
        """Until what was asked for is painted."""
        self.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(1))))")

    def open(self, path):
        """The time until it is painted, in seconds."""
        self.requests, self.errors = [], []
        begin = time.monotonic()
        self.call("Page.navigate", url="file://" + path)
        while self.evaluate("document.readyState + location.href") != "completefile://" + path:
            time.sleep(0.005)
        self.settle()
        return time.monotonic() - begin

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def mouse(self, kind, x, y):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left" if kind != "mouseMoved" else "none",
                  clickCount=1)

    def click(self, x, y):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)
        self.settle()

    def key(self, name, ctrl=False):
        text, code = KEYS.get(name, (name, ord(name.upper()[0]) if name.isalnum() else 0))
        params = {"key": name, "windowsVirtualKeyCode": code, "modifiers": 2 if ctrl else 0}
        if text and not ctrl:
            params["text"] = text
        self.call("Input.dispatchKeyEvent", type="keyDown" if "text" in params else "rawKeyDown", **params)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, windowsVirtualKeyCode=code)
        self.settle()

    def type(self, text):
        for c in text:
            self.key(c)

    def picture(self, path, full=False):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)["data"]
        with open(path, "wb") as f:
            f.write(base64.b64decode(data))
