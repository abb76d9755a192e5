#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The running kernel has every type and member that the BPF programs use; a list that asks for
# something else is refused.
set -eu
btf=/sys/kernel/btf/vmlinux
[ -r "$btf" ] || { echo "this kernel has no $btf"; exit 77; }
command -v python3 >/dev/null || { echo "needs python3"; exit 77; }
list=$(mktemp)
trap 'rm -f "$list"' EXIT
fail() { echo "$*"; exit 1; }
tools/check-btf.sh "$btf" || exit 1

refuses() {
	printf '%s\n' "$1" >"$list"
	out=$(tools/check-btf.sh -l "$list" "$btf") && fail "$1: accepted"
	[[ $out == *"$2: missing"* ]] || fail "$1: $out"
}
refuses 'struct task_struct: pid no_such_member' 'struct task_struct: no_such_member'
refuses 'struct no_such_struct: x' 'struct no_such_struct'
refuses 'values: BPF_NO_SUCH_FLAG' 'BPF_NO_SUCH_FLAG'
echo 'struct task_struct: pid no_such_member?' >"$list"
tools/check-btf.sh -l "$list" "$btf" | grep -q 'no_such_member: missing (optional)' ||
	fail "an optional member is not reported"
exit 0
