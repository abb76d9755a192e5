#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Fetches Erlang and Elixir of another Debian release with the libraries that they need, without
# touching this machine's packages.
#
#	tools/erlang-fetch.sh [-d DIR] SUITE		e.g. trixie
#
# Makes DIR/root-SUITE/, a root to chroot into, and prints its path. There is no shell in it: bin/erlexec of
# its erts is what starts a node. DIR: $ERLANG_DIR, ~/.cache/memprobe-erlang. What is there is not
# fetched again.
set -eu
dir=${ERLANG_DIR:-${HOME:-/tmp}/.cache/memprobe-erlang}
[ "${1-}" != -d ] || { dir=$2; shift 2; }
[ $# -eq 1 ] || { sed -n '3,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
suite=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
apt=$dir/apt
root=$dir/root-$suite
. "$(dirname "$0")/apt-root.sh"

# A node opens /dev/null again and again until it can: here it is an empty file.
fetch() {
	local new=$root.new package packages=()
	rm -rf "$new"
	mkdir -p "$new/dev"
	for package in erlang-base elixir libc6 libgcc-s1 libstdc++6 libtinfo6 zlib1g; do
		packages+=("$package/$suite")
	done
	apt_unpack "$apt" "$new" "${packages[@]}" || return 1
	: >"$new/dev/null"
	mv "$new" "$root"
}

exec 9>"$dir/lock"
flock 9
if [ ! -d "$root" ]; then
	apt_root "$apt" "$(dpkg --print-architecture)" "debian $suite" || :
	fetch || {
		echo "erlang-fetch: no Erlang of $suite to be had ($(tail -n 1 "$apt/log"))" >&2
		exit 1
	}
fi
echo "$root"
