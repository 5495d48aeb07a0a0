#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Ten minutes of tests/test-stress under ThreadSanitizer, which must have nothing to say.
# VITALS_STRESS_SECONDS and VITALS_STRESS_THREADS make it shorter, or narrower.

set -u
: "${SANITIZER_CFLAGS=}" "${VITALS_STRESS_SECONDS:=600}" "${VITALS_STRESS_THREADS:=64}"
export VITALS_STRESS_SECONDS VITALS_STRESS_THREADS

case $SANITIZER_CFLAGS in
*-fsanitize=*thread*) ;;
*)
	echo 'races: not built with --with-sanitizer=thread: not checked'
	exit 77
	;;
esac

# gcc 12's dies at start where the kernel spreads addresses wide.
fixed=()
command -v setarch >/dev/null && setarch "$(uname -m)" -R true 2>/dev/null &&
	fixed=(setarch "$(uname -m)" -R)

echo "races: $VITALS_STRESS_THREADS threads, $VITALS_STRESS_SECONDS s"
TSAN_OPTIONS="second_deadlock_stack=1:${TSAN_OPTIONS-}" CK_RUN_CASE=stress \
	"${fixed[@]}" tests/test-stress
