#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Fetches Pythons of a Debian release that memprobe does not read, with the libraries that they need, without touching this machine's
# packages: those of the release that are in the list below.
#
#	tools/python-fetch.sh [-d DIR] SUITE		e.g. trixie
#
# Makes DIR/root-SUITE/, a root to chroot into (with /proc mounted), and prints its path. There is no shell in it.
# DIR: $PYTHON_DIR, ~/.cache/memprobe-python. What is there is not fetched again.
set -eu
dir=${PYTHON_DIR:-${HOME:-/tmp}/.cache/memprobe-python}
[ "${1-}" != -d ] || { dir=$2; shift 2; }
[ $# -eq 1 ] || { sed -n '3,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/apt-root.sh"

# What apt would install, but for what is only recommended.
fetch() { # ROOT APT
	local package list= wanted=
	for package in pypy3 python3.13-dbg python3.14; do
		! apt-cache show "$package" >/dev/null 2>>"$2/log" || wanted="$wanted $package"
	done
	# shellcheck disable=SC2086 # a list
	list=$(apt-get -q -s --no-install-recommends install $wanted 2>>"$2/log" | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
	[ -n "$list" ] || return 1
	mkdir -p "$1/proc"
	# shellcheck disable=SC2086
	apt_unpack "$2" "$1" $list
}

apt_fetched Pythons "$dir" "$1"
