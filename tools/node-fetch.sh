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

apt_fetched node "$dir" "$1"
