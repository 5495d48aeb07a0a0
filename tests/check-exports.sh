#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the headers export, what the maps list and what the built libraries show are the same;
# and the static ones, where nothing is hidden, have only names that begin as ours do.

set -u
export LC_ALL=C
: "${srcdir:=.}" "${NM:=nm}"
bad=0

declared() { # HEADER...
	awk '/^VITALS_EXPORT( |$)/ { on = 1; buf = "" }
	on { buf = buf " " $0 }
	on && /;/ {
		if (match(buf, /vitals_[a-z0-9_]+\(/))
			print substr(buf, RSTART, RLENGTH - 1)
		else
			print "cannot-read:" buf
		on = 0
	}' "$@" | sort
}

mapped() { # MAP
	awk '/global:/ { on = 1; next } /local:/ { on = 0 } on && /;/ { sub(/;.*/, ""); print $1 }' "$1" | sort
}

shown() { # LIBRARY: without the version node itself
	$NM -D --defined-only "$1" | awk '$(NF - 1) != "A" { sub(/@.*/, "", $NF); print $NF }' | sort
}

# What the compiler and its sanitizers add begins with two underscores.
archived() { # ARCHIVE
	$NM -g --defined-only "$1" | awk 'NF == 3 && $3 !~ /^__/ { print $3 }' | sort
}

same() { # WHAT EXPECTED GOT
	if [ "$2" != "$3" ]; then
		echo "$1:"
		diff <(echo "$2" | grep .) <(echo "$3" | grep .) |
			sed -n 's/^</  missing:/p; s/^>/  too many:/p'
		bad=1
	fi
}

library() { # NAME MAP ALLOWED-PREFIX HEADER...
	local name=$1 map=$2 prefix=$3 names

	shift 3
	names=$(declared "$@")
	echo "$name: $(wc -l <<<"$names") functions"
	same "$map against the headers" "$names" "$(mapped "$map")"
	[ -e ".libs/$name.so" ] &&
		same "$name.so against the headers" "$names" "$(shown ".libs/$name.so")"
	if [ -e ".libs/$name.a" ]; then
		same "$name.a against the headers" "$names" \
			"$(archived ".libs/$name.a" | grep '^vitals_')"
		same "$name.a, names that are not $prefix*" "" \
			"$(archived ".libs/$name.a" | grep -v -e '^vitals_' -e "^$prefix")"
	fi
	[ -e ".libs/$name.so" ] || [ -e ".libs/$name.a" ] || { echo "$name: not built"; bad=1; }
}

library libvitals "$srcdir/lib/vitals.map" vt_ "$srcdir"/lib/vitals*.h
if [ "${WITH_EXPORTER-yes}" = yes ]; then
	library libvitals-exporter "$srcdir/exporter/vitals-exporter.map" vx_ \
		"$srcdir"/exporter/vitals-exporter.h
fi
exit $bad
