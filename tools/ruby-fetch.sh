#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Fetches Debian's own ruby of a release with the libraries that it needs, without touching this machine's packages.
#
#	tools/ruby-fetch.sh [-d DIR] SUITE		e.g. trixie
#
# Makes DIR/root-SUITE/, a root to chroot into (with /proc mounted), and prints its path. There is no shell in it.
# DIR: $RUBY_DIR, ~/.cache/memprobe-ruby. What is there is not fetched again.
set -eu
dir=${RUBY_DIR:-${HOME:-/tmp}/.cache/memprobe-ruby}
[ "${1-}" != -d ] || { dir=$2; shift 2; }
[ $# -eq 1 ] || { sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/apt-root.sh"

# The interpreter and its own library: none of the gems that its package asks for.
fetch() { # ROOT APT SUITE
	local version package packages=()
	version=$(apt-cache depends ruby 2>>"$2/log" | sed -n 's/^ *Depends: \(ruby[0-9.]*\)$/\1/p' | head -n 1)
	[ -n "$version" ] || return 1
	for package in "$version" "lib$version" libc6 libgcc-s1 libcrypt1 libgmp10 zlib1g; do
		packages+=("$package/$3")
	done
	apt_unpack "$2" "$1" "${packages[@]}" || return 1
	ln -sf "$version" "$1/usr/bin/ruby"
	mkdir -p "$1/proc" "$1/dev"
	: >"$1/dev/null"
}

apt_fetched ruby "$dir" "$1"
