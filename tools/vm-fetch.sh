#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Fetches Debian cloud kernels into a directory, without touching this machine's packages.
#
#	tools/vm-fetch.sh [-d DIR] [-a ARCH] VERSION...	e.g. 6.1 6.12 newest
#
# VERSION is 6.1 (bookworm), 6.12 (its backports), any other that is in them, or `newest` (of
# trixie-backports). Makes DIR/VERSION-ARCH/ (the unpacked packages: vmlinuz, lib/modules/) and
# prints one such path per line, in the order asked for. DIR: $VM_DIR, ~/.cache/memprobe-vm.
# Old builds vanish from the archive, so none is named here: the newest of a version is taken. What
# is there and younger than a week is not looked for again, and without a network any age will do.
#
# A private apt root is used (apt-root.sh).
set -eu
arch=amd64 dir=${VM_DIR:-${HOME:-/tmp}/.cache/memprobe-vm}
while getopts d:a: o; do
	case $o in
	d) dir=$OPTARG ;;
	a) arch=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { sed -n '3,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
apt=$dir/apt-$arch
. "$(dirname "$0")/apt-root.sh"

give_up() {
	echo "vm-fetch: $*" >&2
	exit 1
}

# The newest package of a kernel version. It may be split into linux-binary and linux-modules.
newest_package() {
	local version=${1//./\\.}
	[ "$1" != newest ] || version='[0-9]+\.[0-9]+'
	apt-cache pkgnames linux- |
		grep -E "^linux-(image|binary)-$version\.[^-]*(-[0-9]+)?-cloud-$arch(-unsigned)?$" |
		sed -E 's/^linux-[a-z]+-([^-]*(-[0-9]+)?)-.*/\1 &/' |
		sort -k 1,1Vr -k 2,2r | while read -r build name; do
			# from 6.19 linux-image only pulls the others in
			apt-cache depends "$name" | grep -q 'Depends: linux-binary' && continue
			echo "$build $name"
			break
		done
}

fetch() { # VERSION OUT
	local build name names file
	read -r build name < <(newest_package "$1") || return 1
	names=("$name")
	if apt-cache show "linux-modules-$build-cloud-$arch" >/dev/null 2>&1; then
		names+=("linux-modules-$build-cloud-$arch")
	fi
	if [ -e "$2/$name" ]; then
		touch "$2/$name"
		return 0
	fi
	rm -rf "$apt/download" "$2.new"
	mkdir -p "$apt/download" "$2.new"
	(cd "$apt/download" && apt-get -q download "${names[@]}" >>"$apt/log" 2>&1) || return 1
	for file in "$apt"/download/*.deb; do
		dpkg -x "$file" "$2.new" || return 1
		rm -f "$file"
	done
	touch "$2.new/$name"
	rm -rf "$2"
	mv "$2.new" "$2"
}

is_there() { # OUT [AGE-TEST]
	[ -d "$1" ] && [ -n "$(find "$1" -maxdepth 1 -name 'linux-*' "${@:2}")" ]
}

exec 9>"$dir/lock"
flock 9 # two that fetch at the same time
old=0
for version; do
	is_there "$dir/$version-$arch" -mtime -7 || old=1
done
if [ $old = 1 ]; then
	for need in apt-get dpkg; do
		command -v $need >/dev/null 2>&1 || give_up "no $need on this machine"
	done
	apt_root "$apt" "$arch" "debian bookworm" "debian bookworm-backports" "debian trixie-backports" \
		"debian-security bookworm-security" || give_up "$(tail -n 1 "$apt/log")"
	for version; do
		fetch "$version" "$dir/$version-$arch" || [ -d "$dir/$version-$arch" ] ||
			give_up "no Debian cloud kernel $version for $arch to be had from $(apt_mirror debian)" \
				"($(grep -E '^(E|W):' "$apt/log" | tail -n 1))"
	done
fi
for version; do
	echo "$dir/$version-$arch"
done
