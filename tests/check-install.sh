#!/bin/bash
# SPDX-License-Identifier: MIT
#
# An outside program against what is installed, found by pkg-config: C and C++, with the
# shared libraries and with the static ones.
#
#   check-install.sh DESTDIR PKGCONFIGDIR LIBDIR

set -u
: "${CC:=cc}" "${CXX=c++}" "${PKG_CONFIG:=pkg-config}" "${SANITIZER_CFLAGS=}"
destdir=$1 libdir=$1$3
# Beside the usual path: the static libraries' own needs are the system's.
export PKG_CONFIG_PATH=$1$2${PKG_CONFIG_PATH+:$PKG_CONFIG_PATH}
# Below DESTDIR even /usr is no system's directory.
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
strict='-Wall -Wextra -pedantic -Werror'

cat >"$tmp/core.c" <<-'EOF'
	#include <stdio.h>
	#include <vitals.h>

	int main(void)
	{
		return printf("libvitals %s\n", vitals_version()) < 0;
	}
EOF
cat >"$tmp/exporter.c" <<-'EOF'
	#include <stdio.h>
	#include <vitals-exporter.h>

	int main(void)
	{
		return printf("libvitals-exporter %s\n", vitals_version()) < 0 ||
		       vitals_exporter_address(NULL) != NULL;
	}
EOF

# The .pc files speak of the prefix; below DESTDIR they stand elsewhere.
flags() { # OPTION... PACKAGE
	$PKG_CONFIG "$@" | sed "s|-\([IL]\)\($prefix\)|-\1$destdir\2|g"
}

fail() {
	echo "check-install: $*" >&2
	exit 1
}

try() { # PACKAGE PROGRAM
	local package=$1 program=$2 cflags libs archives compiler

	prefix=$($PKG_CONFIG --variable=prefix "$package") || fail "pkg-config does not find $package"
	cflags=$(flags --cflags "$package")
	libs=$(flags --libs "$package")
	cp "$tmp/$program.c" "$tmp/$program.cc"

	for compiler in "$CC -std=c11" ${CXX:+"$CXX -std=c++17"}; do
		case $compiler in *++*) source=$program.cc ;; *) source=$program.c ;; esac

		if [ -e "$libdir/lib$package.so" ]; then
			$compiler $strict $SANITIZER_CFLAGS $cflags "$tmp/$source" -o "$tmp/shared" $libs ||
				fail "$source, shared, does not build: $cflags $libs"
			LD_LIBRARY_PATH=$libdir "$tmp/shared" || fail "$source, shared, does not run"
		fi

		if [ -e "$libdir/lib$package.a" ]; then
			# A directory with nothing but archives: the linker has no choice.
			mkdir -p "$tmp/archives"
			cp "$libdir"/libvitals*.a "$tmp/archives"
			archives="-L$tmp/archives $(flags --static --libs "$package")"
			$compiler $strict $SANITIZER_CFLAGS $cflags "$tmp/$source" -o "$tmp/static" $archives ||
				fail "$source, static, does not build: $cflags $archives"
			"$tmp/static" || fail "$source, static, does not run"
			ldd "$tmp/static" | grep libvitals && fail "$source, static, is not"
		fi
	done
}

try vitals core
# A service that wants heartbeats only loads no HTTP server.
if [ -e "$libdir/libvitals.so" ]; then
	LD_LIBRARY_PATH=$libdir ldd "$libdir/libvitals.so" | grep -e microhttpd -e cjson &&
		fail "libvitals loads what only the exporter needs"
fi
[ "${WITH_EXPORTER-yes}" != yes ] || try vitals-exporter exporter
echo "check-install: passed"
