#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The lists of docs/sandbox.md: a service lives under filters that kill for anything else, and
# dies under ones that lack what it cannot do without.

set -u
export LC_ALL=C

skip() {
	echo "$*: not checked"
	exit 77
}

# A sanitizer makes calls of its own.
[ -z "${SANITIZER_CFLAGS-}" ] || skip "under a sanitizer"
[ "$(uname -m)" = x86_64 ] || skip "the lists are x86-64's"

manual=${srcdir:-.}/docs/sandbox.md
bad=0

# The calls of the rows whose first column begins with one of these.
calls() {
	local row

	for row; do
		sed -n "s/^| ${row}[^|]*|\(.*\)|\$/\1/p" "$manual" | grep -o '[a-z0-9_]*' || {
			echo "FAIL: $manual has no row \"$row\"" >&2
			return 1
		}
	done | sort -u
}

live() { # all|host|before CALL...
	# In a shell of its own, which says nothing of the signal.
	(./tests/test-sandbox --live "$@" && exit 0; exit 1) >/dev/null 2>&1
}

lives() { # WHAT all|host|before CALL...
	local what=$1

	shift
	if live "$@"; then
		echo "lives: $what, $# calls"
	else
		echo "FAIL: is killed: $what: $*"
		bad=1
	fi
}

dies() { # CALL, in all
	# shellcheck disable=SC2046,SC2086
	if live all $(grep -vx "$1" <<<"$inside"); then
		echo "FAIL: lives without $1"
		bad=1
	else
		echo "dies without $1"
	fi
}

inside=$(calls 'every thread' 'monitor,' "host's threads: register" "host's threads: .vitals_th") || exit 1
host=$(calls "host's threads: register" "host's threads: .vitals_th") || exit 1
outside=$(calls 'every thread' 'monitor,' "host's threads" 'start,' 'evidence') || exit 1

# shellcheck disable=SC2086
{
	lives 'a filter in every thread' all $inside
	lives "a filter in the host's threads" host $host
	lives 'a filter from before the start' before $outside
}
for call in futex mmap munmap read prctl clone3; do
	dies $call
done

if systemd-analyze syscall-filter @system-service >/dev/null 2>&1; then
	expand() { # SET
		systemd-analyze syscall-filter "$1" | sed '1d; s/ //g; /^#/d' |
			while read -r name; do
				case $name in
				@*) expand "$name" ;;
				*) echo "$name" ;;
				esac
			done
	}
	missing=$(comm -23 <(echo "$outside") <(expand @system-service | sort -u))
	if [ -n "$missing" ]; then
		echo "FAIL: @system-service is not enough:" $missing
		bad=1
	else
		echo "@system-service is enough"
	fi
fi
exit $bad
