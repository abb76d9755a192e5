#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
A client: one request after the other until SIGTERM, every answer compared with what it must be, and timed.

    client.py redis|node|nginx PORT FILE

FILE: pairs of doubles, CLOCK_MONOTONIC at the answer and seconds since the request. Prints one line when the first answer
has come; what is wrong goes to stderr, and then the exit status is 1.
"""
import array
import signal
import socket
import sys
import time
import zlib


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(20)

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError("the server closed the connection")
        return data

    def get(self, path, header=b""):
        """The body of an answer with a length, or in chunks."""
        self.socket.sendall(b"GET /%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, header))
        data = self.more()
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, body = data.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(head[:200])
        head = head.lower()
        if b"chunked" in head:
            return self.chunks(body)
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self.more()
        return body

    def chunks(self, data):
        body = b""
        while True:
            while b"\r\n" not in data:
                data += self.more()
            size, data = data.split(b"\r\n", 1)
            size = int(size, 16)
            while len(data) < size + 2:
                data += self.more()
            body, data = body + data[:size], data[size + 2:]
            if not size:
                return body


class Redis(Client):
    """Strings of changing lengths under a hundred keys: each SET is followed by a GET."""

    def request(self, i):
        key, value = b"key:%d" % (i // 2 % 100), b"v%d" % (i // 2) * (1 + i // 2 % 60)
        if i % 2:
            self.socket.sendall(b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key))
            want = b"$%d\r\n%s\r\n" % (len(value), value)
        else:
            self.socket.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value))
            want = b"+OK\r\n"
        data = self.more()
        while len(data) < len(want):
            data += self.more()
        return data, want


class Node(Client):
    def request(self, i):
        length = 2000 + i % 500
        word = b"memprobe%d" % (i % 7)
        return self.get(b"%d" % i), (word * (length // len(word) + 1))[:length] + b"\n"


class Nginx(Client):
    page = b"".join(b"line %d of a page\n" % i for i in range(2000))

    def request(self, i):
        if i % 2:
            return self.get(b"page.txt"), self.page
        body = self.get(b"page.txt", b"Accept-Encoding: gzip\r\n")
        return zlib.decompress(body, 31), self.page


def main():
    kind, port, path = sys.argv[1:]
    client = {"redis": Redis, "node": Node, "nginx": Nginx}[kind](int(port))
    times = array.array("d")
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    i = 0
    while not ended:
        begin = time.monotonic()
        got, want = client.request(i)
        end = time.monotonic()
        times.extend((end, end - begin))
        if got != want:
            print(f"answer {i}: {got[:80]!r}, not {want[:80]!r}", file=sys.stderr)
            sys.exit(1)
        if not i:
            print("begun", flush=True)
        i += 1
    with open(path, "wb") as f:
        times.tofile(f)


main()
