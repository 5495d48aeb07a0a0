#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The demo service, as its users see it: by curl, by promtool and by signals. Healthy, broken
# in each of four ways, healed, and stopped.

set -u
export LC_ALL=C
: "${EXAMPLES:=./examples}"

skip() {
	echo "$*: not checked"
	exit 77
}

for tool in curl jq; do
	command -v $tool >/dev/null || skip "no $tool"
done

# The heartbeat's timeout, the quit timeout and what a busy machine may add.
silence_ms=1000
quit_ms=1000
slack_ms=1000
[ -z "${SANITIZER_CFLAGS-}" ] || slack_ms=4000

tmp=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null; rm -rf "$tmp"' EXIT
checks=0

fail() {
	echo "FAIL: $what: $*"
	echo '--- the service printed'
	cat "$tmp/out" "$tmp/err"
	echo '--- its last answer'
	head -c 4096 "$tmp/body"
	exit 1
}

pass() {
	echo "ok: $what: $*"
	checks=$((checks + 1))
}

now_ms() {
	local us=${EPOCHREALTIME/./}

	echo $((us / 1000))
}

# A tree to index, with what may go wrong in one.
plant() {
	local i

	mkdir -p "$tmp/tree/a/b"
	for i in {1..60}; do
		head -c $((i * 1000)) /dev/zero >"$tmp/tree/a/b/file-$i"
	done
	ln -s .. "$tmp/tree/a/loop"
	ln -s nowhere "$tmp/tree/dangling"
	mkfifo "$tmp/tree/fifo"
	truncate -s 400M "$tmp/tree/huge"
	printf secret >"$tmp/tree/unreadable"
	chmod 000 "$tmp/tree/unreadable"
}

start() { # OPTION...
	: >"$tmp/out"
	: >"$tmp/body"
	"$EXAMPLES/service" --listen 127.0.0.1:0 --timeout "$((silence_ms / 1000))" "$@" \
		"$tmp/tree" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	await '^listening on '
	url=$(sed -n 's/^listening on //p' "$tmp/out")
}

# Until it has printed a line; 10 s at most.
await() { # PATTERN
	local i

	for ((i = 0; i < 1000; i++)); do
		grep -q -- "$1" "$tmp/out" && return
		kill -0 $pid 2>/dev/null || break
		sleep 0.01
	done
	fail "has not printed '$1' after 10 s"
}

stop() { # SIGNAL WANTED-STATUS; took_ms is how long
	local status from_ms

	from_ms=$(now_ms)
	kill -"$1" $pid
	wait $pid
	status=$?
	took_ms=$(($(now_ms) - from_ms))
	pid=
	[ $status -eq "$2" ] || fail "status $status after SIG$1, not $2"
}

# The answer's status is in $code, its body in $tmp/body, its head in $tmp/head.
ask() { # PATH [OPTION...]
	local path=$1
	shift

	code=$(curl -s --max-time 10 -D "$tmp/head" -o "$tmp/body" -w '%{http_code}' "$@" "$url$path")
}

wants() { # CODE PATH [OPTION...]
	local wanted=$1
	shift

	ask "$@"
	[ "$code" = "$wanted" ] || fail "$* answers $code, not $wanted"
}

# Until a path answers so, at most so long after from_ms.
await_code() { # CODE PATH FROM-MS LIMIT-MS
	local late_ms=$(($3 + $4))

	for (( ; ; )); do
		ask "$2"
		[ "$code" = "$1" ] && break
		[ "$(now_ms)" -le "$late_ms" ] || fail "$2 answers $code, not $1, after $4 ms"
		sleep 0.02
	done
	pass "$2 is $1 after $(($(now_ms) - $3)) ms, allowed $4"
}

# In an expression beats are the rows of heartbeats, of all or of the worst.
body_is() { # JQ-EXPRESSION
	jq -e "def beats: .. | objects | select(has(\"age_seconds\") and has(\"timeout_seconds\"));
		def beat(\$name): [beats | select(.name == \$name)] | first; $1" \
		"$tmp/body" >/dev/null || fail "not so: $1"
}

metric() { # NAME-AND-LABELS, as a pattern; the sum of what matches
	awk -v pattern="^$1 " '$0 ~ pattern { sum += $NF } END { print sum + 0 }' "$tmp/body"
}

no_lint() {
	command -v promtool >/dev/null || { echo "no promtool: $what: metrics not linted"; return; }
	promtool check metrics <"$tmp/body" >"$tmp/lint" 2>&1 && [ ! -s "$tmp/lint" ] ||
		fail "promtool: $(cat "$tmp/lint")"
	pass 'promtool is silent'
}

healthy() {
	what='healthy'
	start
	wants 200 /health
	body_is '.status == "pass"'
	wants 200 '/health?verbose'
	body_is '.status == "pass"'
	for name in walker reporter worker-1 worker-2 worker-3 worker-4; do
		body_is "beat(\"$name\").state | IN(\"healthy\", \"idle\")"
	done
	for path in main main/pool; do
		body_is "[.. | strings] | index(\"$path\")"
	done
	pass '/health is pass, and names every heartbeat and every quitter'

	await_code 200 /readyz "$(now_ms)" 10000
	for path in /livez /startupz '/livez?verbose' '/readyz?verbose' '/readyz/index'; do
		wants 200 $path
	done
	pass 'live, ready and started'

	wants 200 /metrics
	no_lint
	grep -qi '^content-type: text/plain; version=0.0.4; charset=utf-8' "$tmp/head" ||
		fail "content type: $(grep -i ^content-type "$tmp/head")"
	[ "$(metric 'vitals_healthy')" -eq 1 ] || fail 'vitals_healthy is not 1'

	for path in /health /metrics /livez; do
		wants 200 $path --head
		[ "$(curl -s --head "$url$path" | sed '1,/^\r$/d' | wc -c)" -eq 0 ] ||
			fail "HEAD $path has a body"
		wants 405 $path -X POST -d x
		grep -qi '^allow: *GET, *HEAD' "$tmp/head" || fail "405 without Allow"
	done
	wants 404 /nothing
	pass 'HEAD, 405 and 404'

	grep -q ', 1 unreadable' "$tmp/out" || [ "$(id -u)" -eq 0 ] ||
		fail 'the unreadable file is not counted'
	stop TERM 0
	grep -q 'all threads returned' "$tmp/out" || fail 'does not say that all returned'
	pass "ends with 0 after $took_ms ms"
}

# What worker-1 is, by /health?verbose.
state_is() { # STATE...
	ask '/health?verbose'
	body_is "beat(\"worker-1\").state | IN($(printf '"%s",' "$@" | sed 's/,$//'))"
}

# The pulses of all workers but the first.
others_pulses() {
	wants 200 /metrics
	metric 'vitals_heartbeat_pulses_total[{].*heartbeat="worker-[2-4]"[}]'
}

others_go_on() {
	local before after i

	before=$(others_pulses)
	for ((i = 0; i < 100; i++)); do
		after=$(others_pulses)
		[ "$after" -gt "$before" ] && break
		sleep 0.1
	done
	[ "$after" -gt "$before" ] || fail "the other workers stand still at $before pulses"
	ask '/health?verbose'
	body_is '[beats | select(.name | test("^worker-[2-4]$")) | .state] |
		length == 3 and all(IN("healthy", "idle"))'
	pass "the others go on: $before, then $after pulses"
}

# From the break on: 200 until the timeout has passed, 503 two ticks later.
breaks() { # KIND STATE [OPTION...]
	local kind=$1 state=$2 from_ms

	what="--break $kind"
	shift 2
	start --break "$kind" --after 1 "$@"
	wants 200 /health
	body_is '.status == "pass"'
	await '^breaking: '
	from_ms=$(now_ms)
	# A tick is an eighth of the timeout.
	await_code 503 /health "$from_ms" $((silence_ms * 5 / 4 + slack_ms))
	body_is '.status == "fail"'
	# Named, it alone, and not before its time.
	body_is '[beats.name] == ["worker-1"]'
	[ "$state" = dead ] || body_is 'beat("worker-1") | .age_seconds > .timeout_seconds'
	state_is "$state"
	pass "it is worker-1, and $state"
	wants 503 /readyz
	wants 200 /metrics
	no_lint
	[ "$(metric 'vitals_healthy')" -eq 0 ] || fail 'vitals_healthy is not 0'
	[ "$(metric "vitals_heartbeats[{]group=\"workers\",state=\"$state\"[}]")" -eq 1 ] ||
		fail "/metrics does not show one worker that is $state"
}

# Names in the report of a shutdown, each once.
late_are() { # NAME
	local names

	names=$(grep -oE 'worker-[0-9]+|walker|reporter|healer' "$tmp/err" | sort -u | xargs)
	[ "$names" = "$1" ] || fail "the report names '$names', not '$1'"
	grep -q main/pool "$tmp/err" || fail 'the report does not name the quitter'
	pass "status 1, and the report names $1 of main/pool"
}

# Stuck only after four timeouts; until then nobody is to restart it.
deadlocks() {
	local from_ms

	breaks deadlock silent
	from_ms=$(now_ms)
	await 'deadlock of 2 threads: worker-1 .*mutex catalogue .*mutex journal'
	[ "$(grep -c 'deadlock of' "$tmp/out")" -eq 1 ] || fail 'told more than once'
	pass "$(grep 'deadlock of' "$tmp/out")"
	wants 200 /livez
	pass '/livez is still 200'
	others_go_on
	await_code 503 /livez "$from_ms" $((silence_ms * 13 / 4 + slack_ms))
	state_is stuck
	stop TERM 1
	late_are worker-1
}

# What its thread is doing: the same sentence in the event, /health and the report.
finds() { # KIND CLASS PATTERN
	breaks "$1" silent
	await "worker-1 is silent.*$3"
	wants 503 /health
	body_is "beat(\"worker-1\") | .class == \"$2\" and (.doing | test(\"$3\"))"
	pass "it $(sed -n "s/.*worker-1 is silent.*\($3\)/\1/p" "$tmp/out" | head -n 1)"
	stop TERM 1
	grep -q "worker-1.*$3" "$tmp/err" || fail "the report does not say that it $3"
}

heals() { # KIND CLASS
	breaks "$1" silent --heal 3
	wants 503 /health
	body_is "beat(\"worker-1\").class | IN($2)"
	wants 200 /livez
	others_go_on
	await_code 200 /health "$(now_ms)" $((3000 + slack_ms))
	state_is healthy idle
	await '^healed'
	stop TERM 0
}

dies() {
	breaks die dead
	wants 503 /livez
	others_go_on
	stop TERM 0
}

lingers() {
	what='--linger'
	start --linger
	wants 200 /health
	body_is '.status == "pass"'
	stop TERM 1
	[ "$took_ms" -ge "$quit_ms" ] || fail "gave it $took_ms ms only"
	[ "$took_ms" -le $((quit_ms + 50 + slack_ms)) ] || fail "took $took_ms ms"
	late_are worker-4
}

refuses() {
	what='the command line'
	for arguments in "$tmp/nowhere" '--break everything' '--listen nonsense' '--heal 1' '--no'; do
		timeout 10 "$EXAMPLES/service" $arguments >"$tmp/out" 2>"$tmp/err"
		[ $? -eq 2 ] && [ "$(wc -l <"$tmp/err")" -ge 1 ] || fail "takes $arguments"
	done
	timeout 10 "$EXAMPLES/service" --help | grep -q '^usage: ' || fail 'no --help'
	pass 'says what is wrong with it, and ends with 2'
}

plant
refuses
healthy
deadlocks
finds cycle3 lock 'waits for mutex catalogue'
finds condvar blocked 'waits for a condition'
finds io io 'descriptor [0-9]*, a socket'
# On a machine that others use, too, a spinner may get less than half a processor, or next to none.
heals spin '"spinning", "running", "starved"'
heals starve '"starved"'
heals sleep '"io"'
dies
lingers
echo "$checks passed"
