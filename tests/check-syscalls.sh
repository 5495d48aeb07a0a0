#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What strace sees of the hot loops: nothing. They run between two calls that are easy to find.

set -u
export LC_ALL=C

skip() {
	echo "$*: not checked"
	exit 77
}

command -v strace >/dev/null || skip "no strace"
# A sanitizer makes calls of its own.
[ -z "${SANITIZER_CFLAGS-}" ] || skip "under a sanitizer"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
strace -o "$tmp/probe" true 2>/dev/null || skip "no ptrace here"

strace -o "$tmp/trace" ./tests/test-harmless --loops || exit 1
grep -q 'loops begin' "$tmp/trace" && grep -q 'loops end' "$tmp/trace" || {
	echo "FAIL: the loops are not in the trace"
	exit 1
}
# Where the clock is a system call, a pulse is one.
strace -c -o "$tmp/count" ./tests/test-harmless --loops || exit 1
grep -q ' clock_gettime$' "$tmp/count" && skip "the clock is a system call"

sed '1,/loops begin/d; /loops end/,$d' "$tmp/trace" >"$tmp/calls"
echo "$(wc -l <"$tmp/calls") system calls in the loops"
sort "$tmp/calls" | uniq -c | head -n 20
[ ! -s "$tmp/calls" ]
