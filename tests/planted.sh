#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Puts each defect of tests/planted/ into a copy of the library: its test, in test-defects or
# test-pitfalls, must fail. PLANTED='D5 D12' plants just these.

set -u
export LC_ALL=C
: "${srcdir:=.}" "${CC:=cc}" "${PLANTED:=}"
unset CK_RUN_CASE CK_RUN_SUITE CK_FORK

srcdir=$(cd "$srcdir" && pwd) || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# What only hangs is caught, too, so the time is short; a test that passes takes none of it.
seconds=8
programs='tests/test-defects tests/test-pitfalls'
bad=0

tree_copy() {
	local entry

	mkdir "$tmp/tree" "$tmp/build" "$tmp/kept"
	for entry in "$srcdir"/*; do
		# Builds, ours and others'.
		[ -e "$entry/config.status" ] || [ "${entry##*/}" = autom4te.cache ] ||
			cp -Rp "$entry" "$tmp/tree/" || return
	done
	rm -f "$tmp"/tree/*.log
	chmod -R u+w "$tmp/tree"
}

configure_copy() {
	cd "$tmp/build" &&
		"$tmp/tree/configure" --enable-assertions --disable-exporter --disable-shared \
			CC="$CC" CFLAGS='-O1 -w' >"$tmp/log" 2>&1
}

build() { # PROGRAM...
	make -C "$tmp/build" -j2 "$@" >"$tmp/log" 2>&1
}

# Each test is a case of its own there.
test_run() { # PROGRAM [CASE]
	(
		cd "$tmp/build" || exit
		[ -z "${2-}" ] || export CK_RUN_CASE=$2
		CK_DEFAULT_TIMEOUT=$seconds srcdir=$tmp/tree timeout 300 "$1"
	) >"$tmp/log" 2>&1
}

tests_run() {
	local program

	for program in $programs; do
		test_run "$program" || return
	done
}

log_show() {
	tail -n 15 "$tmp/log" | sed 's/^/    /'
}

test_program() { # PLANT
	case $1 in D*) echo tests/test-defects ;; *) echo tests/test-pitfalls ;; esac
}

# The first test of a number: of D5, and of D18-call that of D18.
test_name() { # PLANT
	sed -n "s/^START_TEST(\(${1%%-*}_[a-z0-9_A-Z]*\)).*/\1/p" "$srcdir/$(test_program "$1").c" |
		head -n 1
}

# Files of a plant, as they were.
keep() { # PLANT
	local path

	while read -r path; do
		mkdir -p "$tmp/kept/${path%/*}"
		cp "$tmp/tree/$path" "$tmp/kept/$path" || return
	done < <(sed -n 's/^@@ \([^ ]*\).*/\1/p' "$srcdir/tests/planted/$1" | sort -u)
}

restore() {
	(cd "$tmp/kept" && find . -type f -exec cp {} "$tmp/tree/{}" \; -exec rm {} \;)
}

plant() { # PLANT
	local program test

	program=$(test_program "$1")
	test=$(test_name "$1")
	if [ -z "$test" ]; then
		echo "$1: there is no test ${1%%-*}_... in $program.c"
		return 1
	fi
	if ! awk -v tree="$tmp/tree" -f "$srcdir/tests/planted/plant.awk" \
		"$srcdir/tests/planted/$1" >"$tmp/log" 2>&1; then
		echo "$1: cannot be planted; see 'Out of date' in tests/planted/README.md:"
		log_show
		return 1
	fi
	if ! build "$program"; then
		echo "$1: does not compile; see 'Out of date' in tests/planted/README.md:"
		grep -m 5 'error' "$tmp/log" || log_show
		return 1
	fi
	if test_run "$program" "$test"; then
		echo "$1 planted: NOT CAUGHT by $test"
		return 1
	fi
	if grep -q 'Test timeout expired' "$tmp/log"; then
		echo "$1 planted: caught (it hangs)"
	elif grep -q ':E:' "$tmp/log"; then
		echo "$1 planted: caught (it crashes)"
	else
		echo "$1 planted: caught"
	fi
}

# shellcheck disable=SC2086
if ! tree_copy || ! configure_copy || ! build $programs || ! tests_run; then
	echo 'without any defect the copy does not build or does not pass:'
	log_show
	exit 1
fi
echo 'nothing planted: passes'

[ -n "$PLANTED" ] || PLANTED=$(cd "$srcdir/tests/planted" && printf '%s\n' [DP][0-9]* | sort -V)
for one in $PLANTED; do
	keep "$one" || exit 1
	plant "$one" || bad=$((bad + 1))
	restore || exit 1
done
[ $bad -eq 0 ] || echo "$bad defects are not caught"
[ $bad -eq 0 ]
