#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Fetches Debian's own node of a release with the libraries that it needs, without touching this machine's packages.
#
#	tools/node-fetch.sh [-d DIR] SUITE		e.g. bookworm
#
# Makes DIR/root-SUITE/, a root to chroot into (with /proc mounted), and prints its path. There is no shell in it.
# DIR: $NODE_DIR, ~/.cache/memprobe-node. What is there is not fetched again.
set -eu
dir=${NODE_DIR:-${HOME:-/tmp}/.cache/memprobe-node}
[ "${1-}" != -d ] || { dir=$2; shift 2; }
[ $# -eq 1 ] || { sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
suite=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
apt=$dir/apt
root=$dir/root-$suite
. "$(dirname "$0")/apt-root.sh"

# What apt would install, but for what is only recommended.
packages() {
	apt-get -q -s --no-install-recommends install nodejs 2>>"$apt/log" | sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}

fetch() {
	local new=$root.new list
	rm -rf "$new"
	mkdir -p "$new/proc"
	list=$(packages)
	[ -n "$list" ] || return 1
	# shellcheck disable=SC2086 # a list
	apt_unpack "$apt" "$new" $list || return 1
	mv "$new" "$root"
}

exec 9>"$dir/lock"
flock 9
if [ ! -d "$root" ]; then
	apt_root "$apt" "$(dpkg --print-architecture)" "debian $suite" || :
	fetch || {
		echo "node-fetch: no node of $suite to be had ($(tail -n 1 "$apt/log"))" >&2
		exit 1
	}
fi
echo "$root"
