#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Fetches the glibc of other Debian releases, without touching this machine's packages.
#
#	tools/glibc-fetch.sh [-d DIR] SUITE...		e.g. bullseye trixie
#
# Makes DIR/SUITE/ (libc6, libc6-dev and what they need, unpacked) and prints one such path per
# line. DIR: $GLIBC_DIR, ~/.cache/memprobe-glibc. What is there is not fetched again.
set -eu
dir=${GLIBC_DIR:-${HOME:-/tmp}/.cache/memprobe-glibc}
[ "${1-}" != -d ] || { dir=$2; shift 2; }
[ $# -gt 0 ] || { sed -n '3,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
apt=$dir/apt
. "$(dirname "$0")/apt-root.sh"

fetch() { # SUITE
	local new=$dir/$1.new file
	rm -rf "$new"
	mkdir -p "$new/deb"
	(cd "$new/deb" && apt-get -q download "libc6/$1" "libc6-dev/$1" "linux-libc-dev/$1" \
		"libcrypt1/$1" >>"$apt/log" 2>&1) || return 1
	for file in "$new"/deb/*.deb; do
		dpkg -x "$file" "$new" || return 1
	done
	rm -rf "$new/deb"
	mv "$new" "$dir/$1"
}

exec 9>"$dir/lock"
flock 9
missing=0
for suite; do
	[ -d "$dir/$suite" ] || missing=1
done
if [ $missing = 1 ]; then
	apt_root "$apt" amd64 "${@/#/debian }" || :
	for suite; do
		[ -d "$dir/$suite" ] || fetch "$suite" || {
			echo "glibc-fetch: no glibc of $suite to be had ($(tail -n 1 "$apt/log"))" >&2
			exit 1
		}
	done
fi
for suite; do
	echo "$dir/$suite"
done
