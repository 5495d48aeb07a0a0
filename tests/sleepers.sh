#!/bin/bash
# SPDX-License-Identifier: MIT
#
# examples/deadlock, to which nothing but the library was linked, says each time that all threads are
# asleep. VITALS_SLEEPERS: how often.

set -u
: "${VITALS_SLEEPERS:=100}"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

run() { # NUMBER
	timeout 60 tests/deadlock-told >"$tmp/$1.out" 2>"$tmp/$1.err"
	echo $? >"$tmp/$1.status"
}

told() { # NUMBER
	[ "$(cat "$tmp/$1.status")" -eq 2 ] &&
		[ "$(grep -c '^all 2 threads are asleep: main (tid ' "$tmp/$1.err")" -eq 1 ] &&
		[ "$(wc -l <"$tmp/$1.err")" -eq 1 ] && seq 0 10 | cmp -s - "$tmp/$1.out"
}

# Each takes seconds in which it does nothing.
good=0
for ((i = 0; i < VITALS_SLEEPERS; i++)); do
	run $i &
	[ $((i % 10)) -eq 9 ] && wait
done
wait
for ((i = 0; i < VITALS_SLEEPERS; i++)); do
	if told $i; then
		good=$((good + 1))
	else
		echo "status $(cat "$tmp/$i.status")"
		cat "$tmp/$i.err"
	fi
done
echo "examples/deadlock: all asleep, told by $good of $VITALS_SLEEPERS"
[ $good -eq "$VITALS_SLEEPERS" ]
