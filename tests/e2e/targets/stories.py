# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
Requests of one kind, the garbage of each more than what is kept of it. Arguments: kind, requests a second (0: only those
that are asked for). Words on stdin, a line of JSON for each: serve N, count.

    logins    a table keeps a dictionary with a list of each
    uploads   a list keeps 20 480 bytes of each
    native    C code keeps 5 003 bytes of each
"""
import ctypes
import json
import select
import sys
import time

table, uploads, served = {}, [], 0
malloc = ctypes.CDLL(None).malloc
malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p


class Request:
    def __init__(self, number):
        self.number = number

    def login(self):
        table["token %d" % self.number] = {"user": self.number, "roles": [self.number, 1]}

    def upload(self):
        uploads.append(bytearray(20480))  # line of the upload

    def native(self):
        malloc(5003)  # line of the call into C


def noise():
    json.dumps([{"k": "x" * 3000, "v": list(range(30))} for _ in range(10)])
    return [bytearray(1500) for _ in range(100)]  # line of the churn


def one(kind):
    global served
    served += 1
    request = Request(served)
    noise()
    {"logins": request.login, "uploads": request.upload, "native": request.native}[kind]()


def main(kind, rate):
    start, n = time.monotonic(), 0
    print("ready", flush=True)
    while True:
        wait = start + n / rate - time.monotonic() if rate else 60
        if select.select([sys.stdin], [], [], max(wait, 0))[0]:
            words = sys.stdin.readline().split()
            if not words:
                return
            for _ in range(int(words[1]) if words[0] == "serve" else 0):
                one(kind)
            print(json.dumps({"served": served}), flush=True)
        elif rate:
            one(kind)
            n += 1


main(sys.argv[1], float(sys.argv[2]))
