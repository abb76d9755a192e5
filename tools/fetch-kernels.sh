#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Fetches Debian kernels into a directory, without touching this machine's packages.
#
#	tools/fetch-kernels.sh DIR ARCH VERSION...	e.g. build/kernels amd64 6.1 6.12
#
# Makes DIR/VERSION-ARCH/ (the unpacked package: boot/, lib/modules/), newest build of each
# version's cloud image, and prints the path of each kernel image. A private apt root with the
# host's sources is used; old builds vanish from the archive, so none is named here. Debian only.
set -eu
[ $# -ge 3 ] || { sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd) arch=$2
shift 2
apt=$dir/apt-$arch
mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,etc,download}
: >"$apt/status"
for part in sources.list sources.list.d trusted.gpg.d apt.conf.d; do
	[ ! -e "/etc/apt/$part" ] || cp -r "/etc/apt/$part" "$apt/etc/"
done
mkdir -p "$apt/etc/preferences.d"
cat >"$apt/apt.conf" <<C
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc "$apt/etc";
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
C
export APT_CONFIG=$apt/apt.conf
apt-get -q update >"$apt/log" 2>&1 || { tail -n 5 "$apt/log" >&2; exit 1; }

for version; do
	name=$(apt-cache pkgnames "linux-image-$version." | grep -E -- "-cloud-$arch-unsigned$" |
		sort -V | tail -n 1)
	[ -n "$name" ] || { echo "fetch-kernels: no linux-image-$version.*-cloud-$arch-unsigned" >&2; exit 1; }
	out=$dir/$version-$arch
	if [ ! -e "$out/$name" ]; then
		rm -rf "$out"
		mkdir -p "$out"
		(cd "$apt/download" && apt-get -q download "$name" >>"$apt/log" 2>&1)
		dpkg -x "$apt/download/$name"_*.deb "$out"
		rm -f "$apt/download/$name"_*.deb
		touch "$out/$name"
	fi
	ls "$out"/boot/vmlinuz-*
done
