#!/bin/bash
# SPDX-License-Identifier: MIT
#
# docs/pitfalls.md has a row for each of P1, P2, … in their order; every test, function and file that
# it names is there; and the library calls nothing of what some rows say it never does.

set -u
export LC_ALL=C
cd "${srcdir:-.}" || exit 1

table=docs/pitfalls.md
bad=0

complain() {
	echo "FAIL: $*"
	bad=1
}

rows=$(sed -n 's/^| \(P[0-9]*\) | .*/\1/p' $table)
wanted=$(seq -f 'P%g' "$(wc -l <<<"$rows")")
[ -n "$rows" ] && [ "$rows" = "$wanted" ] || complain "the rows of $table are not P1, P2, … in order"
grep -En '^\| P[0-9]+ .*\|[^|[:alnum:]`]*\|$' $table && complain 'a row says nothing'

tests=$(sed -n 's/^START_TEST(\([A-Za-z0-9_]*\)).*/\1/p' tests/*.c)
has_test() { grep -qx "$1" <<<"$tests"; }

# A definition: at the start of a line, by its name.
has_function() { grep -Eq "^([a-z].*[ *])?$1\(" lib/*.[ch]; }

while read -r name; do
	case $name in
	*/*) [ -e "$name" ] || complain "$table names $name, which is not there" ;;
	*'()') has_function "${name%'()'}" || complain "$table names $name, which lib/ has not" ;;
	*) has_test "$name" || complain "$table names $name, which is no test" ;;
	esac
done < <(grep -o '`[^`]*`' $table | tr -d '`' | sort -u)

# A test that is named after a pitfall is in the table.
for name in $(grep -E '^P[0-9]+_' <<<"$tests"); do
	grep "^| ${name%%_*} |" $table | grep -q "\`$name\`" || complain "$table does not name $name"
done

# Whom, and why not: the pitfall's number.
never() { # PITFALL FUNCTION...
	local pitfall=$1 function

	shift
	for function; do
		grep -nE "(^|[^A-Za-z0-9_])$function\(" lib/*.[ch] &&
			complain "$function() is called; see $pitfall in $table"
	done
}

never P1 signalfd sigwait sigwaitinfo
never P10 pthread_cancel pthread_kill pthread_setcanceltype
never P13 pthread_detach
never P20 eventfd
never P21 pthread_cond_timedwait pthread_mutex_timedlock sem_timedwait
never P22 pthread_mutex_lock
never P29 backtrace
exit $bad
