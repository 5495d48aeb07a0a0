#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The README's first program, verbatim: it compiles, runs, and a SIGTERM ends it with status 0.

set -u
: "${srcdir:=.}" "${CC:=cc}" "${LIBTOOL:=./libtool}" "${SANITIZER_CFLAGS=}"

tmp=$(mktemp -d)
pid=
trap '[ -n "$pid" ] && { kill -KILL $pid; wait $pid; } 2>/dev/null; rm -rf "$tmp"' EXIT

awk '/^```c$/ { on = 1; next } on && /^```/ { exit } on' "$srcdir/README.md" >"$tmp/readme.c"
[ -s "$tmp/readme.c" ] || { echo "README.md has no program"; exit 1; }

$CC -std=gnu11 -Wall -Wextra -Werror -g $SANITIZER_CFLAGS -I"$srcdir/lib" -I"$srcdir/exporter" \
	-c "$tmp/readme.c" -o "$tmp/readme.o" || exit 1
$LIBTOOL --silent --tag=CC --mode=link $CC $SANITIZER_CFLAGS -no-install -pthread \
	"$tmp/readme.o" -o "$tmp/readme" libvitals-exporter.la libvitals.la || exit 1

# A port of its own, whatever the program says: the usual one may be taken.
VITALS_LISTEN=127.0.0.1:0 "$tmp/readme" </dev/null &
pid=$!

# It is up once it catches SIGTERM, signal 15.
catches_sigterm() {
	local mask

	mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' /proc/$pid/status 2>/dev/null)
	[ -n "$mask" ] && [ $((0x$mask >> 14 & 1)) -eq 1 ]
}

for _ in {1..200}; do
	catches_sigterm && break
	if ! kill -0 $pid 2>/dev/null; then
		wait $pid
		echo "it ended by itself, with status $?"
		exit 1
	fi
	sleep 0.05
done
catches_sigterm || { echo "it does not catch SIGTERM, after 10 s"; exit 1; }

sleep 0.5
kill -TERM $pid || { echo "it ended by itself"; exit 1; }
wait $pid
status=$?
pid=
echo "ended with status $status"
exit $status
