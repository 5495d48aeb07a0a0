#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each public header alone, as C11 and as C++17, in its inline form and without, with a
# service's warnings as errors and without any extension.

set -u
: "${srcdir:=.}" "${CC:=cc}" "${CXX=c++}"
strict='-pedantic -Wall -Wextra -Wshadow -Wundef -Wconversion -Wcast-qual -Wpointer-arith -Werror'
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

expectation='int two(int i);
int two(int i)
{
	VITALS_EXPECT_NO_STALL(100) {
		VITALS_EXPECT_NO_STALL(i + 1)
			(void)vitals_expected();
		if (i)
			return i;
	}
	return one;
}'

try() { # HEADER COMPILER FLAGS...
	local header=$1

	shift
	# A compiler comes with options, and so does $strict: left to be split.
	# shellcheck disable=SC2048,SC2086
	if ! $* -fsyntax-only -I"$srcdir/lib" -I"$srcdir/exporter"; then
		echo "$header: $*"
		bad=1
	fi
}

for path in "$srcdir"/lib/vitals*.h "$srcdir"/exporter/vitals*.h; do
	header=${path##*/}
	# Twice: the include guard is tried too.
	printf '#include <%s>\n#include <%s>\nextern int one;\n' "$header" "$header" |
		tee "$tmp/one.c" >"$tmp/one.cc"
	# Not a macro that nobody expands.
	[ $header != vitals-expect.h ] || echo "$expectation" | tee -a "$tmp/one.c" >>"$tmp/one.cc"
	for form in '' -DVITALS_NO_INLINE; do
		try "$header" "$CC" -std=c11 $strict -Wstrict-prototypes $form "$tmp/one.c"
		[ -n "$CXX" ] && try "$header" "$CXX" -std=c++17 $strict $form "$tmp/one.cc"
	done
	echo "$header"
done
[ -n "$CXX" ] || echo "no C++ compiler: only as C11"
exit $bad
