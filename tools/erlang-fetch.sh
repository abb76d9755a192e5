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
. "$(dirname "$0")/apt-root.sh"

# A node opens /dev/null again and again until it can: here it is an empty file.
fetch() { # ROOT APT SUITE
	local package packages=()
	for package in erlang-base elixir libc6 libgcc-s1 libstdc++6 libtinfo6 zlib1g; do
		packages+=("$package/$3")
	done
	apt_unpack "$2" "$1" "${packages[@]}" || return 1
	mkdir -p "$1/dev"
	: >"$1/dev/null"
}

apt_fetched Erlang "$dir" "$1"
