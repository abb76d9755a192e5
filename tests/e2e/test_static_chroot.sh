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

root=$(mktemp -d)
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	umount "$root/proc" "$root/sys" 2>/dev/null || :
	rm -f "$root/memprobe-static"
	rmdir "$root"/* "$root" 2>/dev/null || :
}
trap cleanup EXIT
mkdir "$root/proc" "$root/sys"
mount --rbind --make-private /proc "$root/proc" 2>/dev/null || mount --bind /proc "$root/proc" ||
	{ echo "no mounts here"; exit 77; }
mount --bind /sys "$root/sys"
cp "$MEMPROBE_STATIC" "$root/memprobe-static"

"$BUILD/tools/demo/leaky_server" 30 >/dev/null &
server=$!
sleep 1
chroot "$root" /memprobe-static -d 1 --folded -p "$server" >"$root.folded" 2>"$root.err" || {
	status=$?
	cat "$root.err"
	rm -f "$root.folded" "$root.err"
	fail "memprobe-static -d 1 -p: status $status"
}
out=$(cat "$root.folded")
err=$(cat "$root.err")
rm -f "$root.folded" "$root.err"
[[ $out == *session_open*\ [0-9]* ]] || fail "no session_open in: $out $err"
exit 0
