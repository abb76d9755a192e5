#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# `make install DESTDIR=` puts the program, its documents and the licence below it, and nothing else.
set -eu
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
make --no-print-directory O="$BUILD" install DESTDIR="$dest" PREFIX=/usr >"$dest.out" 2>&1 || {
	cat "$dest.out"
	rm -f "$dest.out"
	exit 1
}
rm -f "$dest.out"
found=$(cd "$dest" && find . -type f | sort | tr '\n' ' ')
expected="./usr/bin/memprobe ./usr/share/doc/memprobe/LICENSE ./usr/share/doc/memprobe/json-lines.md ./usr/share/doc/memprobe/recording.md ./usr/share/man/man8/memprobe.8 "
[ "$found" = "$expected" ] || { echo "installed: $found"; exit 1; }
"$dest/usr/bin/memprobe" --version
