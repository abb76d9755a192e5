#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Who may include whom.
#
#	tools/check-layers.sh [ROOT]
#
# The table below is the rule; a layer always sees itself. bpf/memprobe.h, runtime_abi.h, unwind.h and losses.h
# (the kernel/user ABI: plain data) are allowed everywhere; libbpf's headers and skeletons only in
# kern. What ends in _internal.h is for its own layer alone.
# File names are unique in the tree, so that a name in a message or a review means one file.
# One line per offence; exit status 1 if there is one, 2 if there was nothing to look at.
set -u
root=${1:-$(dirname "$0")/..}
cd "$root" || exit 2

# shellcheck disable=SC2016
awk_rules='
BEGIN {
	sees["base"] = ""
	sees["model"] = "base"
	sees["render"] = "base model"
	sees["alloc"] = "base"
	sees["proc"] = "base"
	sees["symbol"] = "base proc"
	sees["runtime"] = "base model proc symbol"
	sees["unwind"] = "base"
	sees["kern"] = "base model alloc proc unwind"
	sees["cli"] = "base model render alloc proc symbol runtime unwind"
	sees["collect"] = "base model alloc proc symbol runtime kern cli"
	sees["app"] = "base model render alloc proc symbol runtime unwind kern cli collect"
	abi = " bpf/memprobe.h bpf/runtime_abi.h bpf/unwind.h bpf/losses.h "
}
function complain(text) {
	printf "%s:%d: %s\n", FILENAME, FNR, text
	bad = 1
}
FNR == 1 {
	split(FILENAME, part, "/")
	layer = part[2]
	if (!(layer in sees))
		complain("src/" layer " is no layer: see tools/check-layers.sh")
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	if ($0 ~ /<(bpf|linux)\/(libbpf|bpf|btf|bpf_[a-z_]*|libbpf_[a-z_]*)\.h>/ && \
	    $0 !~ /<linux\// && layer != "kern")
		complain("only kern includes libbpf: " $0)
	next
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	name = $0
	sub(/^[^"]*"/, "", name)
	sub(/".*$/, "", name)
	if (index(abi, " " name " "))
		next
	if (name ~ /\.skel\.h$/) {
		if (layer != "kern")
			complain("only kern includes a skeleton: " name)
		next
	}
	if (name ~ /(^|\/)\.\.?\//) {
		complain("write the path from src/: " name)
		next
	}
	if (name !~ /\//)
		next # a file of the same directory
	split(name, inc, "/")
	if (inc[1] == "bpf")
		complain("not part of the ABI: " name)
	else if (inc[1] != layer && !((" " sees[layer] " ") ~ (" " inc[1] " ")))
		complain(layer " may not see " inc[1] ": " name)
	else if (inc[1] != layer && name ~ /_internal\.h$/)
		complain("for " inc[1] " alone: " name)
}
END { exit bad }
'

status=0
mapfile -t sources < <(find src -name '*.[ch]' 2>/dev/null | sort)
if [ ${#sources[@]} = 0 ]; then
	echo "check-layers: no sources in $root/src" >&2
	exit 2
fi
awk "$awk_rules" "${sources[@]}" || status=1

mapfile -t twice < <(find src bpf tests tools -name '*.[ch]' -o -name '*.cc' -o -name '*.sh' \
	-o -name '*.py' 2>/dev/null | sed 's,.*/,,' | sort | uniq -d)
for name in "${twice[@]}"; do
	find src bpf tests tools -name "$name" | sort | tr '\n' ' '
	echo ": one name, several files"
	status=1
done
exit $status
