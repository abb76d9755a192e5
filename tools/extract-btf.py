#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Writes the BTF of a kernel image to a file, without booting it.

    tools/extract-btf.py VMLINUZ OUT.btf

Understands a raw arm64 Image, an ELF vmlinux, and a compressed payload (gzip,
xz, zstd, lz4, each found by its magic). The BTF blob is found by its header:
magic 0xeb9f, version 1, header length 24, types at 0, strings right after the
types; the largest one wins. It does not parse the types.
"""
import lzma
import struct
import subprocess
import sys
import zlib

HEADER = struct.Struct("<HBBIIIII")  # magic version flags hdr_len type_off type_len str_off str_len
MAGIC = b"\x9f\xeb\x01\x00" + struct.pack("<II", 24, 0)


def largest_btf(data):
    best = b""
    at = data.find(MAGIC)
    while at >= 0:
        head = data[at:at + HEADER.size]
        if len(head) == HEADER.size:
            *_, type_len, str_off, str_len = HEADER.unpack(head)
            end = at + 24 + str_off + str_len
            if str_off == type_len and end <= len(data) and end - at > len(best):
                best = data[at:end]
        at = data.find(MAGIC, at + 4)
    return best


def by_command(argv):
    """The payload is followed by other bytes: the command's complaint about them is expected."""
    def run(data):
        return subprocess.run(argv, input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False).stdout
    return run


def by_lzma(data):
    out = lzma.LZMADecompressor()
    return out.decompress(data)


PACKERS = (
    (b"\x1f\x8b\x08", lambda d: zlib.decompressobj(31).decompress(d)),
    (b"\xfd7zXZ\x00", by_lzma),
    (b"\x28\xb5\x2f\xfd", by_command(["zstd", "-dcq"])),
    (b"\x02\x21\x4c\x18", by_command(["lz4", "-dcq"])),
)


def unpacked(data):
    for magic, unpack in PACKERS:
        at = data.find(magic)
        tries = 0
        while at >= 0 and tries < 64:
            try:
                plain = unpack(data[at:])
            except (OSError, zlib.error, lzma.LZMAError):
                plain = b""
            if len(plain) > 1 << 20:
                yield plain
            at = data.find(magic, at + 1)
            tries += 1


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as f:
        image = f.read()
    btf = largest_btf(image)
    if not btf:
        btf = max((largest_btf(plain) for plain in unpacked(image)), key=len, default=b"")
    if not btf:
        sys.exit(f"{sys.argv[1]}: no BTF found (no CONFIG_DEBUG_INFO_BTF, or an unknown packing)")
    with open(sys.argv[2], "wb") as f:
        f.write(btf)


if __name__ == "__main__":
    main()
