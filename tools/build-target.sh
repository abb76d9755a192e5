#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Compiles one single-file target program.
#
#	CC=gcc CXX=g++ tools/build-target.sh SOURCE OUT FLAG...
#
# The source's first three lines may hold a comment with flags that are added after the source, so
# that libraries work too: `build: -pthread -ldl`. A first word cc=NAME takes another compiler
# (cc=musl-gcc, cc=clang); if that is not installed, nothing is built, and the test that needs the
# program says so.
set -eu
source=$1 out=$2
shift 2
own=$(sed -n '1,3s,.*/\* build: *\(.*[^ ]\) *\*/.*,\1,p' "$source")
case $source in *.cc) compiler=${CXX:-g++} ;; *) compiler=${CC:-gcc} ;; esac
case $own in
cc=*)
	compiler=${own%% *}
	compiler=${compiler#cc=}
	case $own in *\ *) own=${own#* } ;; *) own= ;; esac
	if ! command -v "$compiler" >/dev/null 2>&1; then
		echo "$source: not built: no $compiler" >&2
		exit 0
	fi
	;;
esac
mkdir -p "$(dirname "$out")"
# shellcheck disable=SC2086 # own is a list of flags
exec $compiler "$@" -I. -Isrc -MMD -MP -MT "$out" -MF "$out.d" -o "$out" "$source" $own
