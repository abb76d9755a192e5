# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# shellcheck shell=bash
# A private apt root, so that packages of other Debian releases can be fetched without touching this
# machine's. Sourced by the fetchers.
#
#	apt_root DIR ARCH "debian bookworm" "debian-security bookworm-security" ...
#
# Each entry is an archive and a suite. The mirror is the one that this machine's apt sources name for that
# archive, or $DEBIAN_MIRROR/ARCHIVE. Sets APT_CONFIG; output goes to DIR/log. Fails when no mirror is known.
# One suite that cannot be had leaves the others.

# The machine's mirror of an archive; third parties' have other paths.
apt_mirror() { # debian, debian-security
	local uri
	if [ -n "${DEBIAN_MIRROR-}" ]; then
		echo "$DEBIAN_MIRROR/$1"
		return
	fi
	uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
		grep -v '^[[:space:]]*#' | grep -oE "(https?|file):/[^] ]*/$1/?([[:space:]]|\$)" |
		head -n 1) || :
	uri=${uri%%[[:space:]]*}
	[ -n "$uri" ] && echo "$uri"
}

apt_root() { # DIR ARCH ENTRY...
	local apt=$1 arch=$2 part entry uri signed=
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	shift 2
	mkdir -p "$apt"/{state/lists/partial,cache/archives/partial,download,etc/preferences.d}
	: >"$apt/status"
	: >"$apt/log"
	for part in trusted.gpg.d apt.conf.d auth.conf auth.conf.d; do
		[ ! -e "/etc/apt/$part" ] || cp -r "/etc/apt/$part" "$apt/etc/"
	done
	[ ! -e $keyring ] || signed="[signed-by=$keyring] "
	: >"$apt/etc/sources.list"
	for entry; do
		uri=$(apt_mirror "${entry% *}") || {
			echo "no mirror of ${entry% *} in this machine's apt sources; set DEBIAN_MIRROR" >>"$apt/log"
			continue
		}
		echo "deb $signed$uri ${entry#* } main" >>"$apt/etc/sources.list"
	done
	[ -s "$apt/etc/sources.list" ] || return 1
	cat >"$apt/apt.conf" <<-C
	Dir::State "$apt/state";
	Dir::State::status "$apt/status";
	Dir::Cache "$apt/cache";
	Dir::Etc "$apt/etc";
	APT::Architecture "$arch";
	APT::Architectures { "$arch"; };
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::http::Timeout "20";
	Acquire::Retries "1";
	C
	export APT_CONFIG=$apt/apt.conf
	apt-get -q update >>"$apt/log" 2>&1 || :
}

# Makes a root of packages, with the log of apt_root: apt_unpack APT ROOT PACKAGE...
apt_unpack() {
	local apt=$1 root=$2 file
	shift 2
	mkdir -p "$root"/{deb,tmp,usr/lib64}
	(cd "$root/deb" && apt-get -q download "$@" >>"$apt/log" 2>&1) || return 1
	for file in "$root"/deb/*.deb; do
		dpkg -x "$file" "$root" || return 1
	done
	rm -rf "$root/deb"
	[ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
	[ -e "$root/lib64" ] || ln -s usr/lib64 "$root/lib64"
}

# What a fetcher of a program of another suite does: prints DIR/root-SUITE, made by fetch ROOT APT SUITE of the
# caller, which returns 1 when it cannot be had. What is there is not fetched again, and never by two at once.
apt_fetched() { # WHAT DIR SUITE
	local what=$1 dir suite=$3 root apt
	mkdir -p "$2"
	dir=$(cd "$2" && pwd)
	root=$dir/root-$suite apt=$dir/apt
	exec 9>"$dir/lock"
	flock 9
	if [ ! -d "$root" ]; then
		apt_root "$apt" "$(dpkg --print-architecture)" "debian $suite" || :
		rm -rf "$root.new"
		mkdir -p "$root.new"
		fetch "$root.new" "$apt" "$suite" || {
			echo "no $what of $suite to be had ($(tail -n 1 "$apt/log"))" >&2
			return 1
		}
		mv "$root.new" "$root"
	fi
	echo "$root"
}
