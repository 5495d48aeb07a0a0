#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The demo service, as a service manager sees it: what it says, how it ends, and that it can be
# the first process of a pid namespace. tests/systemd-boots.sh has systemd itself.

set -u
export LC_ALL=C
: "${EXAMPLES:=./examples}"

[ "${WITH_EXPORTER-yes}" != no ] || {
	echo "no exporter, so no demo service: not checked"
	exit 77
}

slack=1
[ -z "${SANITIZER_CFLAGS-}" ] || slack=4

tmp=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null; rm -rf "$tmp"' EXIT
mkdir "$tmp/tree"
head -c 1000 /dev/zero >"$tmp/tree/file"
checks=0

fail() {
	echo "FAIL: $what: $*"
	echo '--- the service printed'
	cat "$tmp/out" "$tmp/err"
	echo '--- and told'
	cat "$tmp/told"
	exit 1
}

pass() {
	echo "ok: $what: $*"
	checks=$((checks + 1))
}

# Until a file has such a line; 10 s at most.
await() { # FILE PATTERN
	local i

	for ((i = 0; i < 1000 * slack; i++)); do
		grep -q -- "$2" "$1" && return
		sleep 0.01
	done
	fail "no '$2' after 10 s"
}

# How often such a line was told so far.
told() { # PATTERN
	grep -c -- "$1" "$tmp/told"
}

listen() {
	rm -f "$tmp/notify"
	./tests/supervised listen "$tmp/notify" >"$tmp/told" &
	listener=$!
	pids+=("$listener")
	await "$tmp/told" '^listening'
}

# Without a listener's noise about who ended it.
unlisten() {
	kill -KILL "$listener"
	wait "$listener" 2>/dev/null
	pids=()
}

: >"$tmp/told"
service() { # OPTION...: in the background; pid is its
	: >"$tmp/out"
	: >"$tmp/err"
	"${under[@]}" "$EXAMPLES/service" --listen 127.0.0.1:0 "$@" "$tmp/tree" \
		>"$tmp/out" 2>"$tmp/err" &
	pid=$!
	pids+=("$pid")
}
under=(env)

ends() { # PID WANTED-STATUS
	local status

	wait "$1"
	status=$?
	[ $status -eq "$2" ] || fail "status $status, not $2"
}

what='a graceful stop'
listen
under=(env NOTIFY_SOCKET="$tmp/notify" WATCHDOG_USEC=400000)
service --timeout 2
await "$tmp/told" '^READY=1'
await "$tmp/told" '^WATCHDOG=1'
[ "$(told '^STOPPING=1')" -eq 0 ] || fail 'stops too early'
[ "$(told '^READY=1')" -eq 1 ] || fail 'is ready more than once'
kill -TERM $pid
ends $pid 0
await "$tmp/told" '^STOPPING=1'
[ "$(told '^STOPPING=1')" -eq 1 ] || fail 'stops more than once'
sed -n '/^STOPPING=1/,$p' "$tmp/told" | grep -q '^READY=1' && fail 'ready after the stop'
pass "status 0, STOPPING=1 behind READY=1"
unlisten

what='somebody is late'
listen
service --timeout 1 --heartbeat-timeout 5 --linger
await "$tmp/told" '^READY=1'
kill -TERM $pid
ends $pid 1
await "$tmp/told" '^STATUS=late: main/pool/worker-4, 1\(\.[0-9]\)\?s, allowed 1s$'
grep -A 1 '^STOPPING=1' "$tmp/told" | grep -q '^EXTEND_TIMEOUT_USEC=[12][0-9]\{6\}$\|^EXTEND_TIMEOUT_USEC=[0-9]\{6\}$' ||
	fail 'asks for no time, or too much'
pass "status 1, $(grep '^STATUS=late' "$tmp/told" | tail -n 1)"
unlisten

what='a deadlock'
listen
service --timeout 1 --heartbeat-timeout 0.5 --break deadlock --after 0
await "$tmp/told" '^STATUS=not well: worker-1 is stuck'
pings=$(told '^WATCHDOG=1')
sleep 1
[ "$(told '^WATCHDOG=1')" -le "$pings" ] || fail 'pings though a thread is stuck'
[ "$pings" -ge 2 ] || fail "$pings pings before"
kill -TERM $pid
ends $pid 1
pass 'no pings from a process with a stuck thread'
unlisten

what='nobody to tell'
listen
under=(env -u NOTIFY_SOCKET)
service --timeout 2
await "$tmp/out" '^listening on'
kill -TERM $pid
ends $pid 0
[ "$(wc -l <"$tmp/told")" -eq 1 ] || fail 'says something'
pass 'nothing is said'

# A program in a pid namespace of its own, whose first process it is.
first() { # its number out here, once it has begun
	local i child

	for ((i = 0; i < 500; i++)); do
		child=$(pgrep -P "$1") && break
		sleep 0.01
	done
	echo "$child"
}

if unshare -fp true 2>/dev/null; then
	what='the first process'
	unlisten
	listen
	under=(env NOTIFY_SOCKET="$tmp/notify" unshare -fp --kill-child)
	service --timeout 2
	await "$tmp/told" '^READY=1'
	kill -TERM "$(first $pid)"
	ends $pid 0
	pass 'SIGTERM ends it with status 0'

	unshare -fp --kill-child ./tests/supervised stuck >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	pids+=("$pid")
	await "$tmp/out" '^stuck'
	child=$(first $pid)
	# Twice within half a second is one request.
	for ((i = 0; i < 3; i++)); do
		kill -TERM "$child"
		sleep 0.6
	done
	ends $pid 143
	pass 'the third SIGTERM leaves'
else
	echo 'no pid namespaces here: not checked'
fi
unlisten

echo "$checks checks"
