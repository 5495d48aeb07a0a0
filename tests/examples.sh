#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each example prints what its text promises, and ends with that status.

set -u
export LC_ALL=C
: "${EXAMPLES:=./examples}" "${CC:=cc}" "${WITH_CURL:=no}" "${WITH_UV:=no}" "${WITH_CXX:=no}"

tmp=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null; rm -rf "$tmp"' EXIT
bad=0

# What was printed, and the status, against what is wanted (on stdin).
expect() { # WHAT STATUS WANTED-STATUS
	local what=$1 status=$2 wanted=$3

	cat >"$tmp/wanted"
	if [ "$status" -ne "$wanted" ]; then
		echo "FAIL: $what: status $status, not $wanted"
		cat "$tmp/err"
	elif ! diff -u --label wanted --label printed "$tmp/wanted" "$tmp/out"; then
		echo "FAIL: $what: prints something else"
		cat "$tmp/err"
	else
		echo "ok: $what"
		return
	fi
	bad=1
}

run() { # COMMAND...
	"$@" >"$tmp/out" 2>"$tmp/err"
}

# A shell's background jobs ignore SIGINT, and the library leaves an ignored signal ignored.
start() { # COMMAND...
	: >"$tmp/out" # what the one before has printed is not awaited
	env --default-signal=INT "$@" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
}

stop() { # SIGNAL; the status is the program's
	local status i

	kill -"$1" $pid
	# What does not leave is a failure, not a wait without end.
	for ((i = 0; i < 3000; i++)); do
		kill -0 $pid 2>/dev/null || break
		sleep 0.01
	done
	kill -KILL $pid 2>/dev/null
	wait $pid
	status=$?
	pid=
	return $status
}

# Until a line has been printed so often; 10 s at most.
await() { # LINE [TIMES]
	local i

	for ((i = 0; i < 1000; i++)); do
		[ "$(grep -cF -- "$1" "$tmp/out")" -ge "${2-1}" ] && return
		kill -0 $pid 2>/dev/null || break
		sleep 0.01
	done
	echo "FAIL: no '$1' after 10 s"
	cat "$tmp/out" "$tmp/err"
	exit 1
}

# The hang itself. timeout(1) ends it, with 124.
run timeout 2 "$EXAMPLES/deadlock"
expect deadlock $? 124 < <(seq 0 10)

run timeout 60 "$EXAMPLES/deadlock-with-heartbeat"
expect deadlock-with-heartbeat $? 1 < <(
	seq 0 10
	echo 'health status false'
	echo 'monitor is unhealthy'
)

run timeout 60 "$EXAMPLES/deadlock-recovery"
expect deadlock-recovery $? 0 < <(seq 0 99)
# From 10 on each integer costs one, and each waits for a condition, not for a lock.
[ "$(grep -c '^heartbeat worker is silent .* waits for a condition' "$tmp/err")" -eq 90 ] &&
	[ "$(wc -l <"$tmp/err")" -eq 90 ] ||
	{ echo "FAIL: deadlock-recovery complains:"; cat "$tmp/err"; bad=1; }

# A second of 100 ms. Who is first when all three wake at once is nobody's promise: so the
# beats are counted apart from the rest.
beats() { # NAME
	grep -c "^Heartbeat from '$1'\$" "$tmp/all"
}

child_quitter() { # WHAT WANTED-STATUS BEATS-OF-B [OPTION]
	local what=$1 wanted=$2 beats_b=$3 status n
	shift 3

	start "$EXAMPLES/child-quitter" --second-ms 100 "$@"
	await "Heartbeat from 'main_heartbeat'" 7
	stop INT
	status=$?
	cp "$tmp/out" "$tmp/all"
	sed -i '/^Heartbeat from /d' "$tmp/out"
	expect "$what" $status "$wanted"

	# Told at the fifth second, before or after their own fifth beat.
	for n in a "$beats_b"; do
		case $(beats child_heartbeat_$n) in
		4 | 5) ;;
		*) echo "FAIL: $what: child_heartbeat_$n beats $(beats child_heartbeat_$n) times"; bad=1 ;;
		esac
	done
}

child_quitter child-quitter 0 b <<'END'
Received quit from channel 'OS interrupt signal'
Successfully quit application, all forked threads returned
END

child_quitter 'child-quitter --stubborn' 1 b --stubborn <<'END'
Quitter timeout waiting done
Received quit from channel 'OS interrupt signal'
Failed to quit application, not all forked threads returned
Timeout waiting done on quitter 'main/childQuitter' due to the following threads:
	-  child_heartbeat_b
END

# Who asks before the shutdown is greeted, who asks during it is told.
get() { # URL: a GET by the shell alone
	local port=${1##*:}

	exec 3<>"/dev/tcp/127.0.0.1/$port" || return
	printf 'GET / HTTP/1.1\r\n\r\n' >&3
	sed '1,/^\r$/d' <&3
	exec 3>&-
}

http_server() { # SIGNAL INDEX TEXT
	local url status

	start "$EXAMPLES/http-server" --port 0 --second-ms 200
	await 'Listening on '
	url=$(sed -n 's/^Listening on //p' "$tmp/out")
	[ "$(get "$url")" = 'Hello World!' ] || { echo "FAIL: http-server does not greet"; bad=1; }
	get "$url" >"$tmp/told" &
	sleep 0.3
	stop "$1"
	status=$?
	wait $!
	[ "$(cat "$tmp/told")" = 'Server shutting down!' ] ||
		{ echo "FAIL: http-server does not tell: $(cat "$tmp/told")"; bad=1; }
	sed -i '/^Listening on /d' "$tmp/out"
	expect "http-server, $1" $status 0 <<-END
		Starting service
		Stopping service
		Stopped service successfully
		Received quit from channel '$3' (event $2)
		Successfully quit application, all forked threads returned
	END
}

http_server INT 0 'OS interrupt signal'
http_server TERM 1 'OS termination signal'

# The port is taken, by a first one: an error of its own.
start "$EXAMPLES/http-server" --port 0
await 'Listening on '
port=$(sed -n 's/^Listening on .*://p' "$tmp/out")
timeout 60 "$EXAMPLES/http-server" --port "$port" >"$tmp/second" 2>"$tmp/err"
status=$?
stop TERM
mv "$tmp/second" "$tmp/out"
expect 'http-server, its own error' $status 1 <<'END'
Starting service
Server error: Address already in use
Stopping service
Stopped service successfully
Received quit from channel 'Http server error' (event 2)
Successfully quit application, all forked threads returned
END

# Loops of others, and the library's descriptors in them. A pulse is due twice a second.
loop() { # WHAT; on stdin what it prints besides
	start "$EXAMPLES/$1"
	await 'at work'
	await pulse 3
	stop INT
	set -- "$1" $?
	sed -i '/^pulse$/d' "$tmp/out"
	expect "$1" "$2" 0
}

loop epoll-loop <<'END'
at work
loop left
END

if [ "$WITH_UV" = yes ]; then
	loop libuv-loop <<-'END'
		at work
		SIGINT: 0 late
		all handles closed
	END
else
	echo 'no libuv: without libuv-loop'
fi

# Who is first of four is nobody's promise.
if [ "$WITH_CXX" = yes ]; then
	run timeout 60 "$EXAMPLES/thread-pool"
	set -- $?
	sort -o "$tmp/out" "$tmp/out"
	expect thread-pool "$1" 0 < <(
		{
			seq -f 'job %g' 1 100
			echo 'done: 0 late'
		} | sort
	)
else
	echo 'no C++17: without thread-pool'
fi

# 50 ms from the quit to the end of a blocking call, on the wall's clock: a machine that is
# busy elsewhere may take longer, so one run of five has to make it.
cancelled() { # WHAT COMMAND...
	local what=$1 ms _

	shift
	for _ in 1 2 3 4 5; do
		run "$@" || break
		ms=$(sed -n 's/^cancelled after \([0-9]*\)\.[0-9] ms: .*/\1/p' "$tmp/out")
		if [ -n "$ms" ] && [ "$ms" -lt 50 ]; then
			echo "ok: $what: $(cat "$tmp/out")"
			return
		fi
	done
	echo "FAIL: $what, the last of five: $(cat "$tmp/out" "$tmp/err")"
	bad=1
}

# A name that takes three seconds to be found unknown.
slow_name() { # COMMAND...
	LD_PRELOAD=$tmp/slow-name.so ASAN_OPTIONS=verify_asan_link_order=0 "$@"
}

if [ "$WITH_CURL" = yes ]; then
	cat >"$tmp/slow-name.c" <<-'END'
		#include <netdb.h>
		#include <unistd.h>

		int getaddrinfo(const char *name, const char *service,
				const struct addrinfo *hints, struct addrinfo **ret)
		{
			(void)name, (void)service, (void)hints, (void)ret;
			sleep(3);
			return EAI_AGAIN;
		}
	END
	$CC -shared -fPIC -o "$tmp/slow-name.so" "$tmp/slow-name.c" || exit 1

	for how in curl-cancel curl-multi; do
		cancelled "$how" timeout 60 "$EXAMPLES/$how"
		cancelled "$how, connecting" timeout 60 "$EXAMPLES/$how" connect
	done
	cancelled 'curl-multi, resolving' \
		slow_name timeout 60 "$EXAMPLES/curl-multi" http://name.invalid/
else
	echo 'no libcurl: without curl-cancel and curl-multi'
fi

exit $bad
