#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Pure code cannot call libbpf or the kernel side: libpure.a is complete without them, and an object
# that calls them does not link with it.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "$*"; exit 1; }
libs="-ldw -lelf -lz -llzma -liberty -lm"
# built with or without sanitizers: the archive says so itself
nm "$BUILD/libpure.a" 2>/dev/null | grep -q ' U __asan_' && libs="$libs -fsanitize=address,undefined"

# link OUT OBJECT...: the whole pure archive and nothing of the edge
link() {
	# shellcheck disable=SC2086 # libs is a list
	gcc -o "$1" "${@:2}" -Wl,--whole-archive "$BUILD/libpure.a" -Wl,--no-whole-archive $libs \
		>"$dir/out" 2>&1
}
echo 'int main(void) { return 0; }' >"$dir/main.c"
gcc -c -o "$dir/main.o" "$dir/main.c"
link "$dir/pure" "$dir/main.o" || fail "libpure.a needs more than the pure libraries: $(cat "$dir/out")"

for call in bpf_map_create kern_open ring_buffer__poll; do
	echo "extern int $call(void); int bad(void); int bad(void) { return $call(); }" >"$dir/bad.c"
	gcc -c -o "$dir/bad.o" "$dir/bad.c"
	link "$dir/impure" "$dir/main.o" "$dir/bad.o" && fail "a call of $call links with pure code"
	grep -q "undefined reference to .$call" "$dir/out" || fail "$(cat "$dir/out")"
done
exit 0
