#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The models of how quitters are told, waited for, held and freed: what each claims is true of every
# interleaving, and is not of a variant in which one thing is wrong. A variant is what the model's
# own "#ifdef BROKEN_... /* CLAIM [WAY]: what is wrong */" says. See common.pml.

set -u
source=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
failed=0

claim_text() { # CLAIM
	sed -n "s|^#define CLAIM_$1 [0-9]* /\* \(.*\) \*/\$|\1|p" "$source/common.pml"
}

# Into log, the verifier's own words. What is wrong is found sooner than gcc optimizes.
verify() { # MODEL "OPTION..." "GCC-OPTION..." "PAN-OPTION..."
	# shellcheck disable=SC2086
	(cd "$work" && rm -f pan pan.? ./*.trail &&
		spin -a $2 "$source/$1.pml" &&
		${CC:-gcc} -w -DMEMLIM=2048 -DCOLLAPSE $3 -o pan pan.c &&
		./pan -m1000000 -n $4) >"$work/log" 2>&1 </dev/null
}

complain() { # WHAT
	echo "$1"
	sed 's/^/    /' "$work/log"
	failed=$((failed + 1))
}

# All of it was looked at, and nothing found.
holds() {
	grep -q 'errors: 0$' "$work/log" &&
		! grep -Eq 'not completed|too small|out of memory' "$work/log"
}

states() { sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$work/log"; }

check() { # MODEL "CLAIM..." [OPTION]
	local claim

	verify "$1" "${3-}" '-O1 -DSAFETY' ''
	for claim in $2; do
		if holds; then
			echo "$1${3+ $3}: $(claim_text "$claim"): holds, $(states) states"
		else
			complain "$1${3+ $3}: $(claim_text "$claim"): DOES NOT HOLD"
		fi
	done
}

# Whoever waits comes back, also where others could go on for ever without it.
check_cycles() { # MODEL OPTION
	verify "$1" "$2 -DCYCLES" '-O1 -DNFAIR=3' '-a -f'
	if holds; then
		echo "$1 $2: no cycle without it: holds, $(states) states"
	else
		complain "$1 $2: no cycle without it: DOES NOT HOLD"
	fi
}

# What goes wrong must be what its line says: of C that somebody sleeps for ever, of the rest an
# assertion.
broken() {
	if [ "$1" = C ]; then
		grep -Eq '^pan:.*invalid end state' "$work/log"
	else
		grep -q 'assertion violated' "$work/log"
	fi
}

variants_of() { # MODEL
	sed -n -e 's|^#ifn*def \(BROKEN_[A-Z_]*\) /\* \([A-L]\): \(.*\) \*/$|\1 \2 - \3|p' \
		-e 's|^#ifn*def \(BROKEN_[A-Z_]*\) /\* \([A-L]\) \([0-9]\): \(.*\) \*/$|\1 \2 -DWAY=\3 \4|p' \
		"$source/$1.pml"
}

check_variants() { # MODEL
	local name claim way what pan

	if [ "$(variants_of "$1" | wc -l)" -ne \
		"$(grep -o 'BROKEN_[A-Z_]*' "$source/$1.pml" | sort -u | wc -l)" ]; then
		echo "$1: a variant does not say once what is wrong"
		failed=$((failed + 1))
	fi

	while read -r name claim way what; do
		pan=-E
		[ "$claim" = C ] && pan=''
		[ "$way" = - ] && way=''
		verify "$1" "-D$name -DONLY=CLAIM_$claim $way" -DSAFETY "$pan"
		if broken "$claim"; then
			echo "$1: $name, $what: broken as it should be"
		else
			complain "$1: $name, $what: NOT FOUND"
		fi
	done < <(variants_of "$1")
}

if ! command -v spin >/dev/null; then
	echo 'models: there is no spin (Debian: spin): not checked'
	exit 77
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

check lock 'C G'
check_variants lock
check words 'A B C D'
check words 'A B C D' -DSIGNAL
check_variants words
for way in 1 2 3 4 5; do
	check sleeps C "-DWAY=$way"
	check_cycles sleeps "-DWAY=$way"
done
for way in 3 4; do
	check sleeps E "-DWAY=$way"
done
check_variants sleeps
check nodes E
check_variants nodes
check causes F
check_variants causes
check holds 'A B C H' -DWAY=1
check holds 'B C H' -DWAY=2
check holds 'C H I' -DWAY=3
check holds 'C H I' -DWAY=4
check_variants holds
check calls 'C E J K L'
check_variants calls
[ $failed -eq 0 ] && echo 'models: all as they should be'
exit $((failed != 0))
