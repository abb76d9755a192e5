#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# tools/check-layers.sh accepts a good tree and names each offence of a bad one.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
fail() { echo "$*"; exit 1; }

mkdir -p "$tree"/src/{base,model,render,proc,kern,app} "$tree"/{bpf,tests,tools}
put() { printf '%s\n' "${@:2}" >"$tree/$1"; }
put src/base/buf.h '#include <stddef.h>'
put src/model/profile.h '#include "base/buf.h"' '#include "bpf/memprobe.h"'
put src/render/folded.c '#include "model/profile.h"' '#include "folded.h"'
put src/kern/load.c '#include <bpf/libbpf.h>' '#include "memprobe.skel.h"' '#include "proc/maps.h"'
put src/proc/maps.c '#include <linux/bpf.h>' '#include "base/buf.h"'
"$root/tools/check-layers.sh" "$tree" >"$tree/out" 2>&1 || fail "a good tree is refused: $(cat "$tree/out")"

# FILE LINE WORDS: the tree with that line must fail with those words
refuses() {
	cp "$tree/$1" "$tree/saved"
	printf '%s\n' "$2" >>"$tree/$1"
	if "$root/tools/check-layers.sh" "$tree" >"$tree/out" 2>&1; then
		fail "$1 with $2 is accepted"
	fi
	grep -q "^$1:.*$3" "$tree/out" || fail "$1 with $2: $(cat "$tree/out")"
	[ "$(wc -l <"$tree/out")" = 1 ] || fail "$1 with $2: more than one line: $(cat "$tree/out")"
	cp "$tree/saved" "$tree/$1"
}
refuses src/render/folded.c '#include "proc/maps.h"' 'render may not see proc'
refuses src/render/folded.c '#include <bpf/libbpf.h>' 'only kern includes libbpf'
refuses src/render/folded.c '# include  "memprobe.skel.h"' 'only kern includes a skeleton'
refuses src/base/buf.h '#include "model/profile.h"' 'base may not see model'
refuses src/proc/maps.c '#include <bpf/bpf.h>' 'only kern includes libbpf'
refuses src/proc/maps.c '#include "../base/buf.h"' 'write the path from src/'
refuses src/kern/load.c '#include "render/renderer.h"' 'kern may not see render'
refuses src/model/profile.h '#include "bpf/maps.bpf.h"' 'not part of the ABI'
refuses src/model/profile.h '#include "mode/x.h"' 'may not see mode'
refuses src/render/folded.c '#include "model/codec_internal.h"' 'for model alone'

put src/app/maps.c 'int x;'
"$root/tools/check-layers.sh" "$tree" >"$tree/out" 2>&1 && fail "two files maps.c are accepted"
grep -q 'one name, several files' "$tree/out" || fail "$(cat "$tree/out")"
rm "$tree/src/app/maps.c"

mkdir "$tree/src/utils"
put src/utils/utils.c 'int y;'
"$root/tools/check-layers.sh" "$tree" >"$tree/out" 2>&1 && fail "an unknown layer is accepted"
grep -q 'src/utils is no layer' "$tree/out" || fail "$(cat "$tree/out")"

"$root/tools/check-layers.sh" "$tree/bpf" >/dev/null 2>&1 && fail "an empty tree is accepted"
exit 0
