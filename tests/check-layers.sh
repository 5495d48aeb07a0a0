#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Who may include whom. Higher includes lower, never sideways unless the arrow is drawn here.
#
#   check-layers.sh              the source tree, then the self-test
#   check-layers.sh TREE         that tree only
#   check-layers.sh --self-test  plants violations in a copy: each must be found

set -u
export LC_ALL=C

# A file's noun is its name without suffix. One that is not listed has no place yet: an error.
core_levels='
0 layout words clock futex wakefd histogram region task key helper text options datagram proc memory vigil backstop traced rawfd outlet listing
1 registry slots fork names group overruns view verdict frames inbox past worst lines leave sample locknames witness machine places targets sandbox spares child command stuck news journal episodes onlookers
2 heartbeat beat enter owner wheel quitter cause live deadline scope member hold unblock tell blind unblock-calls calls lock window
3 thread self over reap gone heir wait chain circles evidence namer chain-words
4 rows rows-groups rows-tree index snapshot print missing report gather sleeper
5 changes events suspects doubt findings stragglers look sums sweep monitor watch notifier signals ladder status systemd asked abort capture capture-run log sinks beacon asleep ours wakers
6 main stages listen finish exit process supervisor expect reporting
'
exporter_levels='
0 buffer escape fd
1 address body exposition json render request
2 table
3 series verdict
4 series-groups series-heartbeats series-quitters series-scopes doing rows prometheus
5 health
6 routes connections
7 http
8 loop
9 server
10 exporter
'

# The only arrows within a level: who, whom.
drawn='
outlet rawfd
abort capture
capture changes
capture-run capture
capture events
capture monitor
capture notifier
monitor abort
stuck registry
stuck verdict
stuck-evidence stuck
traced text
asked systemd
proc text
asleep ours
asleep wakers
ours changes
ours monitor
ours notifier
wakers signals
lock calls
witness view
stuck witness
abort log
chain-words chain
circles chain
evidence chain
namer chain
doubt log
doubt suspects
look doubt
monitor suspects
suspects findings
findings changes
stragglers suspects
stragglers ladder
beat heartbeat
blind unblock
cause quitter
deadline quitter
enter heartbeat
events changes
exit main
finish main
fork registry
fork sandbox
fork spares
frames verdict
frames view
futex clock
group registry
rows-groups rows
histogram layout
heir thread
hold member
hold unblock
listen main
live quitter
member quitter
look changes
monitor changes
monitor look
monitor sweep
monitor beacon
monitor log
monitor systemd
ladder log
ladder systemd
log events
sweep look
sweep sums
inbox registry
wheel heartbeat
names registry
notifier events
notifier monitor
notifier beacon
notifier log
notifier systemd
over thread
past verdict
worst verdict
overruns registry
owner heartbeat
print snapshot
proc text
quitter cause
reap thread
gone thread
region layout
region wakefd
registry fork
registry sandbox
registry slots
registry spares
registry view
report missing
reporting supervisor
journal news
report snapshot
scope quitter
self thread
sandbox registry
slots registry
slots spares
spares sandbox
spares slots
rows-tree rows
rows doing
snapshot index
snapshot rows
stages main
sinks log
systemd status
helper futex
task text
tell cause
tell member
tell unblock
text layout
unblock member
verdict view
wait thread
watch changes
watch asleep
watch findings
monitor asleep
monitor abort
monitor beacon
monitor log
watch monitor
unblock-calls unblock
'

# Headers from elsewhere, and the only file that may see each.
foreign='
cjson/cJSON.h exporter/json.c
cJSON.h exporter/json.c
microhttpd.h exporter/http.c
'

declare -A core_level exporter_level arrow owner

read_tables() {
	local level nouns noun from to

	while read -r level nouns; do
		for noun in $nouns; do core_level[$noun]=$level; done
	done <<<"$core_levels"
	while read -r level nouns; do
		for noun in $nouns; do exporter_level[$noun]=$level; done
	done <<<"$exporter_levels"
	while read -r from to; do
		[ -z "$from" ] || arrow[$from:$to]=1
	done <<<"$drawn"
	while read -r from to; do
		[ -z "$from" ] || owner[$from]=$to
	done <<<"$foreign"
}

# May the file of one noun include the private header of another, on these levels?
arrow_allowed() { # NOUN LEVEL NOUN LEVEL
	[ "$1" = "$3" ] && return 0
	[ -n "$2" ] && [ -n "$4" ] || return 1
	[ "$2" -gt "$4" ] && return 0
	[ "$2" -eq "$4" ] && [ -n "${arrow[$1:$3]-}" ]
}

include_allowed() { # FILE FORM HEADER, with FORM < or "
	local file=$1 header=$3 from to

	from=${1##*/}
	from=${from%.[ch]}
	to=${3%.h}

	if [ -n "${owner[$header]-}" ]; then
		[ "${owner[$header]}" = "$file" ]
		return
	fi
	case $file:$2:$header in
	lib/vitals*.h:\":vitals-exporter.h) return 1 ;;
	lib/vitals*.h:\":vitals-*.h) ;;
	lib/vitals*.h:\":*) return 1 ;;
	lib/*:\":vitals.h | lib/*:\":vitals-*.h) [ "$header" != vitals-exporter.h ] ;;
	lib/*:\":*.h) arrow_allowed "$from" "${core_level[$from]-}" "$to" "${core_level[$to]-}" ;;
	exporter/vitals-exporter.h:\<:vitals.h) ;;
	exporter/vitals-exporter.h:\":*) return 1 ;;
	exporter/*:\<:vitals.h | exporter/*:\":vitals-exporter.h) ;;
	exporter/*:\":*.h)
		arrow_allowed "$from" "${exporter_level[$from]-}" "$to" "${exporter_level[$to]-}" ;;
	examples/*:\<:vitals.h | examples/*:\<:vitals-exporter.h) ;;
	# A quoted header of an example lies beside it, not in a library.
	examples/*:\":*) [[ $header != ..* && -e $tree/${file%/*}/$header ]] ;;
	# The system's, but none of ours in disguise.
	*:\<:vitals*) return 1 ;;
	*:\<:*) [ -z "${core_level[$to]-}${exporter_level[$to]-}" ] ;;
	*) return 1 ;;
	esac
}

placed() { # FILE
	local noun=${1##*/}

	noun=${noun%.[ch]}
	case $1 in
	lib/vitals*.h | exporter/vitals-exporter.h | examples/*) ;;
	lib/*) [ -n "${core_level[$noun]-}" ] ;;
	exporter/*) [ -n "${exporter_level[$noun]-}" ] ;;
	esac
}

check_file() { # TREE FILE
	local tree=$1 file=$2 number line bad=0

	if ! placed "$file"; then
		echo "$file: has no place in the table of tests/check-layers.sh"
		bad=1
	fi
	while IFS=: read -r number line; do
		if [[ ! $line =~ ^[[:space:]]*#[[:space:]]*include[[:space:]]*([\<\"])([^\>\"]*) ]]; then
			echo "$file:$number: cannot tell what this includes: $line"
			bad=1
		elif ! include_allowed "$file" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"; then
			echo "$file:$number: may not include ${BASH_REMATCH[2]}"
			bad=1
		fi
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$tree/$file")
	return $bad
}

check_tree() { # TREE
	local file bad=0

	while read -r file; do
		check_file "$1" "$file" || bad=1
	done < <(cd "$1" && find lib exporter examples -name '*.[ch]' | sort)
	return $bad
}

self_test() {
	local file include bad=0

	copy=$(mktemp -d) # not local: the trap comes after
	trap 'rm -rf "$copy"' EXIT
	while read -r file include; do
		mkdir -p "$copy/${file%/*}"
		{ cat "$top/$file" 2>/dev/null; echo "#include $include"; } >"$copy/$file"
		if ! check_file "$copy" "$file" >/dev/null; then
			echo "found: $file includes $include"
		else
			echo "NOT FOUND: $file includes $include"
			bad=1
		fi
	done <<-'EOF'
		lib/clock.c "registry.h"
		lib/region.h "region-inline.h"
		lib/registry.c "heartbeat.h"
		lib/heartbeat.c "quitter.h"
		lib/quitter.h "heartbeat.h"
		lib/heartbeat.c "../lib/quitter.h"
		lib/thread.c "monitor.h"
		lib/snapshot.c "monitor.h"
		lib/monitor.c "notifier.h"
		lib/monitor.c "main.h"
		lib/verdict.c <cjson/cJSON.h>
		lib/registry.c <microhttpd.h>
		lib/main.c <main.h>
		lib/main.c MACRO
		lib/nowhere.c <stdio.h>
		lib/process.c "vitals-exporter.h"
		lib/vitals.h "layout.h"
		lib/vitals-thread.h "thread.h"
		exporter/buffer.c "render.h"
		exporter/json.c "render.h"
		exporter/prometheus.c "routes.h"
		exporter/prometheus.c <cjson/cJSON.h>
		exporter/routes.c <microhttpd.h>
		exporter/routes.c "http.h"
		exporter/exporter.c "registry.h"
		exporter/exporter.c <registry.h>
		exporter/http.c "../lib/registry.h"
		exporter/vitals-exporter.h "buffer.h"
		examples/service.c "registry.h"
		examples/service.c "../lib/registry.h"
		examples/service.c <layout.h>
	EOF
	# And that it is the planted line that was found: what is drawn passes.
	while read -r file include; do
		echo "#include $include" >"$copy/$file"
		if ! check_file "$copy" "$file"; then
			echo "REFUSED: $file includes $include"
			bad=1
		fi
	done <<-'EOF'
		lib/futex.c "clock.h"
		lib/monitor.c "registry.h"
		lib/main.h "vitals-quitter.h"
		lib/vitals.h "vitals-thread.h"
		exporter/json.c <cjson/cJSON.h>
		exporter/http.c <microhttpd.h>
		exporter/http.c "routes.h"
		exporter/render.h <vitals.h>
		examples/service.c <vitals-exporter.h>
		lib/clock.c <time.h>
	EOF
	return $bad
}

top=${srcdir:-$(dirname "$0")/..}
read_tables
case ${1-} in
--self-test) self_test ;;
'') check_tree "$top" && self_test ;;
*) check_tree "$1" ;;
esac
