#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/quits, which under ThreadSanitizer takes its time: a hundredth of the joins by hold, a
# tenth of those by fork. VITALS_QUITS and VITALS_QUITS_THREADS say how many.

set -u
: "${SANITIZER_CFLAGS=}"

fixed=()
case $SANITIZER_CFLAGS in
*-fsanitize=*thread*)
	: "${VITALS_QUITS:=1000000}" "${VITALS_QUITS_THREADS:=10000}"
	export VITALS_QUITS VITALS_QUITS_THREADS
	# gcc 12's dies at start where the kernel spreads addresses wide.
	command -v setarch >/dev/null && setarch "$(uname -m)" -R true 2>/dev/null &&
		fixed=(setarch "$(uname -m)" -R)
	;;
esac

TSAN_OPTIONS="second_deadlock_stack=1:${TSAN_OPTIONS-}" "${fixed[@]}" tests/quits
