#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Fetches Debian's own node of a release with the libraries that it needs, or node's own build of a version, as npm has it,
# without touching this machine's packages.
#
#	tools/node-fetch.sh [-d DIR] SUITE|VERSION	e.g. bookworm, 24.9.0
#
# Of a release, makes DIR/root-SUITE/, a root to chroot into (with /proc mounted), and prints its path; there is no shell
# in it. Of a version, makes DIR/node-VERSION/bin/node, and prints DIR/node-VERSION.
# DIR: $NODE_DIR, ~/.cache/memprobe-node. What is there is not fetched again.
set -eu
dir=${NODE_DIR:-${HOME:-/tmp}/.cache/memprobe-node}
[ "${1-}" != -d ] || { dir=$2; shift 2; }
[ $# -eq 1 ] || { sed -n '3,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/apt-root.sh"

# What apt would install, but for what is only recommended.
fetch() { # ROOT APT
	local list
	list=$(apt-get -q -s --no-install-recommends install nodejs 2>>"$2/log" | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
	[ -n "$list" ] || return 1
	mkdir -p "$1/proc"
	# shellcheck disable=SC2086 # a list
	apt_unpack "$2" "$1" $list
}

npm_fetch() { # VERSION
	local machine tar
	machine=$(uname -m)
	machine=${machine/x86_64/x64} machine=${machine/aarch64/arm64}
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
	exec 9>"$dir/lock"
	flock 9
	if [ ! -x "$dir/node-$1/bin/node" ]; then
		rm -rf "$dir/node-$1.new"
		mkdir "$dir/node-$1.new"
		if ! tar=$(cd "$dir/node-$1.new" && npm pack --loglevel=error --ignore-scripts "node-linux-$machine@$1" 2>"$dir/log") ||
			! tar -xzf "$dir/node-$1.new/$tar" -C "$dir/node-$1.new" --strip-components=1 package/bin/node; then
			echo "no node $1 of npm's to be had ($(grep -m 1 . "$dir/log"))" >&2
			return 1
		fi
		rm "$dir/node-$1.new/$tar"
		mv "$dir/node-$1.new" "$dir/node-$1"
	fi
	echo "$dir/node-$1"
}

case $1 in
[0-9]*) npm_fetch "$1" ;;
*) apt_fetched node "$dir" "$1" ;;
esac
