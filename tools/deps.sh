#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# What memprobe is built and tested with, and how it comes onto this machine.
#
#	tools/deps.sh list      what is missing
#	tools/deps.sh ready     install what is missing if we are root and apt-get is there;
#	                        fail only when something for the build is missing then
#	tools/deps.sh install   install what is missing; fail when something is missing then
#	tools/deps.sh vm        as ready, what the vm tier needs besides; fail when something is missing
#
# Presence is judged by the command, header or library itself, not by a package manager, so that
# it works on any distribution; installing works on Debian and Ubuntu. Packages that start a
# service when installed (redis-server) are kept from doing so.
set -u
PATH=$PATH:/usr/sbin:/sbin:/usr/lib/qemu:/usr/libexec # virtiofsd

# KIND: `build`, `test`, `vm`: for virtual machines, or `extra`: for tests, installed where there is a
# package, else not missed (Ubuntu has Chromium as a snap only); NEED: cmd:, hdr:, lib:, py: (a module of
# python3) or npm: (installed for all users by npm, where that works) and its name; PACKAGE|OTHER-NAME...,
# or - where it is not a package's
table='
build cmd:gcc                  gcc
build cmd:make                 make
build cmd:pkg-config           pkgconf|pkg-config
build cmd:clang                clang
build cmd:llvm-strip           llvm
build bpftool:                 bpftool|linux-tools-generic
build hdr:bpf/libbpf.h         libbpf-dev
build hdr:libelf.h             libelf-dev
build hdr:elfutils/libdwfl.h   libdw-dev
build hdr:zlib.h               zlib1g-dev
build hdr:lzma.h               liblzma-dev
build hdr:bzlib.h              libbz2-dev
build hdr:zstd.h               libzstd-dev
build hdr:libiberty/demangle.h libiberty-dev
build hdr:curses.h             libncurses-dev
test  hdr:cmocka.h             libcmocka-dev
test  cmd:g++                  g++
test  cmd:python3              python3
test  cmd:ruby                 ruby
test  cmd:sqlite3              sqlite3
test  cmd:redis-server         redis-server
test  cmd:redis-cli            redis-tools
test  cmd:musl-gcc             musl-tools
test  lib:libjemalloc.so.2     libjemalloc2
test  lib:libtcmalloc_minimal.so.4 libtcmalloc-minimal4t64|libtcmalloc-minimal4
test  lib:libtcmalloc.so.4     libgoogle-perftools4t64|libgoogle-perftools4
test  lib:libmimalloc.so.2     libmimalloc2.0|libmimalloc2
test  hdr:jemalloc/jemalloc.h  libjemalloc-dev
test  hdr:gperftools/tcmalloc.h libgoogle-perftools-dev
test  hdr:mimalloc.h           libmimalloc-dev
test  cmd:rustc                rustc
test  cmd:xmllint              libxml2-utils
test  cmd:rsvg-convert         librsvg2-bin
test  cmd:tmux                 tmux
extra lib:libpython3.11.so.1.0 libpython3.11
extra py:google.protobuf       python3-protobuf
extra cmd:jq                   jq
extra cmd:go                   golang-go
extra cmd:protoc               protobuf-compiler
extra cmd:eu-addr2line         elfutils
extra cmd:debuginfod-find      debuginfod
extra cmd:chromium             chromium
extra cmd:node                 nodejs
extra cmd:erl                  erlang-base
extra cmd:elixir               elixir
extra cmd:javac                openjdk-17-jdk-headless|default-jdk-headless
extra cmd:npm                  npm
extra npm:speedscope           -
extra cmd:pgbench              postgresql
extra cmd:nginx                nginx-light
extra cmd:bpftrace             bpftrace
vm    cmd:qemu-system-x86_64   qemu-system-x86
vm    cmd:virtiofsd            virtiofsd|qemu-system-common
vm    cmd:busybox              busybox-static
vm    cmd:cpio                 cpio
'

bpftool_works() {
	local b
	for b in /usr/sbin/bpftool /usr/local/sbin/bpftool /usr/bin/bpftool \
		/usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool; do
		"$b" version >/dev/null 2>&1 && return 0
	done
	return 1
}

has() {
	case $1 in
	cmd:*) command -v "${1#cmd:}" >/dev/null 2>&1 ;;
	hdr:*) echo "#include <${1#hdr:}>" | "${CC:-gcc}" -include stdio.h -E -x c - >/dev/null 2>&1 ;;
	py:*) /usr/bin/python3 -c "import ${1#py:}" 2>/dev/null ;;
	npm:*) [ -d "/usr/lib/node_modules/${1#npm:}" ] || [ -d "/usr/local/lib/node_modules/${1#npm:}" ] ;;
	lib:*) ldconfig -p 2>/dev/null | grep -q "[[:space:]]${1#lib:} " ;;
	bpftool:*) bpftool_works ;;
	esac
}

# missing KIND... -> lines "KIND NEED PACKAGES"
missing() {
	local kind need packages
	while read -r kind need packages; do
		[ -n "$kind" ] || continue
		case " $* " in *" $kind "*) ;; *) continue ;; esac
		has "$need" && continue
		[ "$kind" != extra ] || [ "$packages" = - ] || [ -n "$(candidate "$packages")" ] || continue
		echo "$kind $need $packages"
	done <<<"$table"
}

# The first of A|B|C that apt knows
candidate() {
	local name
	for name in ${1//|/ }; do
		if apt-cache policy "$name" 2>/dev/null | grep -q 'Candidate: [^(]'; then
			echo "$name"
			return
		fi
	done
}

# Nothing that is installed here may start a service.
policy=/usr/sbin/policy-rc.d
keep_services_down() {
	[ -e "$policy" ] && return
	printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT
}

install_missing() { # KIND...
	local kind need packages name names=() extras=()
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update >/dev/null || echo "deps: apt-get update failed: going on with old lists" >&2
	while read -r kind need packages; do
		[ "$packages" != - ] || continue
		name=$(candidate "$packages")
		if [ -n "$name" ] && [ "$kind" = extra ]; then
			extras+=("$name")
		elif [ -n "$name" ]; then
			names+=("$name")
		else
			echo "deps: $need: no package $packages here" >&2
		fi
	done < <(missing "$@")
	if [ ${#names[@]} -gt 0 ] || [ ${#extras[@]} -gt 0 ]; then
		echo "deps: installing" "${names[@]}" "${extras[@]}"
		keep_services_down
		apt_install "${names[@]}" "${extras[@]}" || one_by_one
	fi
	install_npm
}

# Debian's packages conflict with some from elsewhere (npm with NodeSource's nodejs): that may cost its own test only.
one_by_one() {
	local name
	[ ${#names[@]} -eq 0 ] || apt_install "${names[@]}" || for name in "${names[@]}"; do apt_install "$name"; done
	for name in "${extras[@]}"; do
		apt_install "$name"
	done
}

apt_install() { # PACKAGE...
	local log
	log=$(mktemp)
	apt-get -q -y -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		rm -f "$log"
		return 1
	}
	rm -f "$log"
}

# Tests are skipped without; a registry that cannot be reached is no error.
install_npm() {
	has npm:speedscope || ! command -v npm >/dev/null 2>&1 ||
		timeout 120 npm install -g --no-audit --no-fund --ignore-scripts speedscope@1.25.0 >/dev/null 2>&1 ||
		echo "deps: npm cannot install speedscope" >&2
}

report() {
	local kind need packages
	while read -r kind need packages; do
		[ "$packages" = - ] && packages="npm install" || packages="Debian: ${packages//|/ or }"
		echo "deps: missing for the $kind: ${need/bpftool:/cmd:bpftool} ($packages)"
	done
}

can_install() {
	command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]
}

mode=${1-}
case $mode in
list) missing build test extra | report ;;
ready|install)
	[ -n "$(missing build test extra)" ] || exit 0
	if can_install; then
		install_missing build test extra
	elif [ "$mode" = install ] && command -v apt-get >/dev/null 2>&1; then
		echo "deps: installing needs root: sudo make deps" >&2
	fi
	[ "$mode" = install ] && needed="build test" || needed=build
	# shellcheck disable=SC2086 # two words
	still=$(missing $needed)
	[ -n "$still" ] || exit 0
	report <<<"$still" >&2
	exit 1
	;;
vm)
	[ -z "$(missing vm)" ] || ! can_install || install_missing vm
	still=$(missing vm)
	[ -n "$still" ] || exit 0
	report <<<"$still" >&2
	exit 1
	;;
*)
	sed -n '3,13s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
