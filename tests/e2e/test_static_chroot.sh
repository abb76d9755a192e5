#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The static binary needs nothing but /proc and /sys: it profiles a process from a root directory
# that holds only itself.
set -eu
[ -x "$MEMPROBE_STATIC" ] || { echo "not built: $MEMPROBE_STATIC"; exit 1; }
fail() { echo "$*"; exit 1; }

size=$(stat -c %s "$MEMPROBE_STATIC")
[ "$size" -lt $((6 << 20)) ] || fail "$MEMPROBE_STATIC: $size bytes, 6 MB allowed"
readelf -lW "$MEMPROBE_STATIC" | grep -q INTERP && fail "$MEMPROBE_STATIC asks for a loader"
readelf -dW "$MEMPROBE_STATIC" 2>/dev/null | grep -q NEEDED && fail "$MEMPROBE_STATIC needs libraries"

unshare -m true 2>/dev/null || { echo "no mount namespaces here"; exit 77; }

# The mounts live in a namespace of their own and end with it.
root=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$root"' EXIT
mkdir -p "$root/tree/proc" "$root/tree/sys"
cp "$MEMPROBE_STATIC" "$root/tree/memprobe-static"
# shellcheck disable=SC2016 # $1 is the inner shell's
inside='mount --bind /proc "$1/proc" && mount --bind /sys "$1/sys" && exec chroot "$@"'

"$BUILD/tools/demo/leaky_server" 30 >/dev/null &
server=$!
sleep 1
status=0
unshare -m --propagation private sh -c "$inside" sh "$root/tree" \
	/memprobe-static -d 1 --folded -p "$server" >"$root/folded" 2>"$root/err" || status=$?
[ "$status" = 0 ] || fail "memprobe-static -d 1 -p: status $status: $(cat "$root/err")"
out=$(cat "$root/folded")
[[ $out == *session_open*\ [0-9]* ]] || fail "no session_open in: $out $(cat "$root/err")"
exit 0
