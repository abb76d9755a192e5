#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Profiles the leaky server for ten seconds: make demo.
#
#	tools/demo/run.sh MEMPROBE LEAKY_SERVER
#
# Prints the report; writes demo.txt, demo.folded and the flame graph demo.svg into the current
# directory. The server ends with this script, and by itself after 60 s.
set -eu
memprobe=$1 server=$2
case $memprobe in */*) ;; *) memprobe=./$memprobe ;; esac
[ "$(id -u)" = 0 ] || { echo "make demo: loading BPF programs needs root: sudo make demo" >&2; exit 3; }

"$server" 60 &
pid=$!
trap 'kill "$pid" 2>/dev/null || :' EXIT
sleep 3 # its cache is full then

outputs=(-o demo.txt -o demo.folded -o demo.svg)
echo "+ $memprobe -p $pid -d 10 ${outputs[*]}"
"$memprobe" -p "$pid" -d 10 "${outputs[@]}"
echo
cat demo.txt
echo
for file in "${outputs[@]}"; do
	[ "$file" = -o ] && continue
	[ -s "$file" ] || { echo "demo: $file is empty" >&2; exit 1; }
	echo "$file: $(wc -c <"$file") bytes"
done
echo "Open $PWD/demo.svg in a web browser: click to zoom, / to search."
