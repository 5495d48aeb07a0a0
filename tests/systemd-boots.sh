#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Under systemd itself: the watchdog ends a unit in which a critical heartbeat is stuck, and what it
# reported is known before; a unit that is idle lives; the demo service starts and stops.
#
# The systemd is the machine's. Where none runs, one is started in namespaces of its own, as the
# first process there, with units of ours only and a journal in memory; it sees its own control
# groups and cannot write to /proc/sys. It goes with the script.

set -u
export LC_ALL=C
: "${EXAMPLES:=./examples}"

watchdog_ms=2000
# What a busy machine, and looking every now and then, may add.
slack_ms=1000
[ -z "${SANITIZER_CFLAGS-}" ] || slack_ms=4000

systemd=
for path in /lib/systemd/systemd /usr/lib/systemd/systemd; do
	[ ! -x $path ] || systemd=$path
done

skip() {
	echo "no systemd here, $*: not checked"
	exit 0
}

# In a mount namespace: control groups of its own, and namespaces to boot in.
case ${1-} in
enclose)
	tmp=$2
	mkdir "$tmp/cgroup"
	mount -t cgroup2 none "$tmp/cgroup" 2>"$tmp/why" || exit 77
	group=$tmp/cgroup/vitals-check-$$
	mkdir "$group" 2>"$tmp/why" || exit 77
	(
		echo $BASHPID >"$group/cgroup.procs" &&
			exec unshare -fpmCniu --propagation private --mount-proc --kill-child \
				"$BASH" "$0" boot "$tmp"
	) >"$tmp/log" 2>&1 &
	echo $! >"$tmp/unshare"
	wait $! 2>/dev/null
	for ((i = 0; i < 100; i++)); do
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
		[ -d "$group" ] || exit 0
		sleep 0.02
	done
	exit 1
	;;
boot)
	set -e
	mount -t cgroup2 none /sys/fs/cgroup
	mount -t tmpfs none /run
	mount -t tmpfs none /etc/systemd
	# It would raise limits of the whole machine, and write to the kernel's log.
	mount --bind /proc/sys /proc/sys
	mount -o remount,bind,ro /proc/sys
	mount --bind /dev/null /dev/kmsg
	mkdir /etc/systemd/system
	printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n' \
		>/etc/systemd/journald.conf
	cd /etc/systemd/system
	for unit in sysinit basic shutdown sockets; do
		printf '[Unit]\nDefaultDependencies=no\n' >$unit.target
	done
	printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n' >vitals.target
	cat >systemd-journald.socket <<-END
		[Unit]
		DefaultDependencies=no
		[Socket]
		ListenDatagram=/run/systemd/journal/socket
		ListenStream=/run/systemd/journal/stdout
		PassCredentials=yes
	END
	cat >systemd-journald.service <<-END
		[Unit]
		DefaultDependencies=no
		Requires=systemd-journald.socket
		After=systemd-journald.socket
		[Service]
		Type=notify
		ExecStart=${systemd}-journald
		StandardOutput=null
	END
	exec env -i PATH="$PATH" container=vitals SYSTEMD_UNIT_PATH=$PWD $systemd --system \
		--unit=vitals.target --log-target=journal --show-status=no </dev/null
	;;
esac

tmp=$(mktemp -d)
enclosure=
init=
cleanup() {
	for unit in $units; do
		sd systemctl kill -s KILL "$unit"
		sd systemctl reset-failed "$unit"
	done >/dev/null 2>&1
	if [ -n "$enclosure" ]; then
		kill -KILL "${init:-$(cat "$tmp/unshare")}"
		wait "$enclosure"
	fi 2>/dev/null
	rm -rf "$tmp"
}
units=
trap cleanup EXIT

sd() { # COMMAND...: where that systemd is
	if [ -n "$init" ]; then
		nsenter -t "$init" -m -p -C -n -i -u --wd="$PWD" "$@"
	else
		"$@"
	fi
}

boots() {
	local i

	[ -s /etc/machine-id ] || skip 'there is no /etc/machine-id'
	unshare -fpmCniu true 2>"$tmp/why" || skip "$(cat "$tmp/why")"
	unshare -m --propagation private "$BASH" "$0" enclose "$tmp" &
	enclosure=$!
	for ((i = 0; i < 500; i++)); do
		kill -0 $enclosure 2>/dev/null || skip "$(cat "$tmp/why" "$tmp/log" 2>/dev/null)"
		[ ! -s "$tmp/unshare" ] || init=$(pgrep -P "$(cat "$tmp/unshare")")
		[ -z "$init" ] ||
			[ "$(sd systemctl is-active systemd-journald 2>/dev/null)" != active ] ||
			return
		sleep 0.02
	done
	cat "$tmp/log"
	skip 'it does not boot in a namespace in 10 s'
}

[ "$(id -u)" -eq 0 ] || skip 'not as root'
[ -n "$systemd" ] || skip 'it is not installed'
if [ -d /run/systemd/system ] && systemctl is-active --quiet systemd-journald; then
	version='of this machine'
else
	boots
	version='in a namespace'
fi
version="$(systemctl --version | sed -n '1s/ (.*//p'), $version"

checks=0
fail() {
	echo "FAIL: systemd: $*"
	for unit in $units; do
		sd systemctl --no-pager status "$unit"
		sd journalctl --no-pager -o short-precise -u "$unit"
	done
	exit 1
}

pass() {
	echo "ok: systemd: $*"
	checks=$((checks + 1))
}

now_ms() {
	local us=${EPOCHREALTIME/./}

	echo $((us / 1000))
}

value() { # UNIT PROPERTY
	sd systemctl show --value -p "$2" "$1"
}

# A unit that is active when this returns.
start() { # UNIT COMMAND...
	local unit=$1

	shift
	units="$units $unit"
	sd systemd-run --quiet --unit="$unit" --service-type=notify -p WatchdogSec=${watchdog_ms}ms \
		-p TimeoutStartSec=20 -p TimeoutStopSec=20 -p LimitCORE=0 \
		-p WorkingDirectory="$PWD" "$@" >"$tmp/run" 2>&1 ||
		fail "$unit does not start: $(cat "$tmp/run")"
	[ "$(value "$unit" ActiveState)" = active ] || fail "$unit is not active"
}

idle=vitals-check-idle-$$.service
stuck=vitals-check-stuck-$$.service
start $idle "$PWD/tests/supervised" idle
start $stuck "$PWD/tests/supervised" deadlock

begun_ms=$(now_ms)
named_ms=
until [ "$(value $stuck ActiveState)" = failed ]; do
	[ -n "$named_ms" ] || case $(value $stuck StatusText) in
	*'is stuck'*) named_ms=$(now_ms) ;;
	esac
	[ $(($(now_ms) - begun_ms)) -le 30000 ] || fail 'the watchdog does not bite'
	sleep 0.02
done
took_ms=$(($(now_ms) - ${named_ms:-0}))
[ -n "$named_ms" ] || fail 'it was not said who is stuck before the watchdog bit'
[ "$(value $stuck Result)" = watchdog ] || fail "result $(value $stuck Result), not watchdog"
[ $took_ms -le $((watchdog_ms * 3 / 2 + slack_ms)) ] || fail "it bit $took_ms ms after the report"
pass "a deadlock: result watchdog, $took_ms ms after $(value $stuck StatusText)"

sd journalctl --sync
sd journalctl -o cat -u $stuck >"$tmp/journal"
report=$(grep -n 'turned stuck' "$tmp/journal" | head -n 1)
bite=$(grep -n 'Watchdog timeout' "$tmp/journal" | head -n 1)
[ -n "$report" ] || fail 'no report in the journal'
[ -n "$bite" ] || fail 'the journal does not know the watchdog'
[ "${report%%:*}" -lt "${bite%%:*}" ] || fail 'the report came after the watchdog'
pass "the journal has '${report#*:}' before '${bite#*: }'"

# In all three times as long as it may be silent.
sleep $((watchdog_ms * 2 / 1000))
[ "$(value $idle ActiveState)" = active ] || fail 'the idle one does not live'
[ "$(value $idle NRestarts)" = 0 ] || fail 'the idle one was restarted'
sd systemctl stop $idle
[ "$(value $idle Result)" = success ] || fail "the idle one ended with $(value $idle Result)"
pass 'an idle one lives, and stops with success'

if [ "${WITH_EXPORTER-yes}" != no ]; then
	demo=vitals-check-demo-$$.service
	mkdir "$tmp/tree"
	start $demo "$(realpath "$EXAMPLES/service")" --listen 127.0.0.1:0 --timeout 2 "$tmp/tree"
	status=$(value $demo StatusText)
	[ "$status" = ready ] || fail "the demo service is '$status', not ready"
	sd systemctl stop $demo
	[ "$(value $demo Result)" = success ] || fail "it ended with $(value $demo Result)"
	pass 'the demo service is ready, and stops with success'
fi

echo "$checks checks under $version"
