dnl SPDX-License-Identifier: MIT

dnl Flags are tried one by one and with -Werror: clang merely warns about those it
dnl does not know. They go into variables of ours; CFLAGS and LDFLAGS are the user's.

# VITALS_CFLAGS(VARIABLE, FLAGS)
# ------------------------------
# Appends to VARIABLE those FLAGS that the compiler takes.
AC_DEFUN([VITALS_CFLAGS],
[for vitals_flag in $2; do
	AS_VAR_PUSHDEF([vitals_taken], [vitals_cv_cflag_$vitals_flag])
	AC_CACHE_CHECK([whether $CC takes $vitals_flag], [vitals_taken],
	[vitals_saved=$CFLAGS
	CFLAGS="$CFLAGS -Werror $vitals_flag"
	AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int vitals_probe;]])],
		[AS_VAR_SET([vitals_taken], [yes])], [AS_VAR_SET([vitals_taken], [no])])
	CFLAGS=$vitals_saved])
	AS_VAR_IF([vitals_taken], [yes], [AS_VAR_APPEND([$1], [" $vitals_flag"])])
	AS_VAR_POPDEF([vitals_taken])
done])

# VITALS_LDFLAGS(VARIABLE, FLAGS)
# -------------------------------
# Appends to VARIABLE those FLAGS that the linker takes.
AC_DEFUN([VITALS_LDFLAGS],
[for vitals_flag in $2; do
	AS_VAR_PUSHDEF([vitals_taken], [vitals_cv_ldflag_$vitals_flag])
	AC_CACHE_CHECK([whether the linker takes $vitals_flag], [vitals_taken],
	[vitals_saved=$LDFLAGS
	LDFLAGS="$LDFLAGS -Werror $vitals_flag"
	AC_LINK_IFELSE([AC_LANG_PROGRAM()],
		[AS_VAR_SET([vitals_taken], [yes])], [AS_VAR_SET([vitals_taken], [no])])
	LDFLAGS=$vitals_saved])
	AS_VAR_IF([vitals_taken], [yes], [AS_VAR_APPEND([$1], [" $vitals_flag"])])
	AS_VAR_POPDEF([vitals_taken])
done])

# VITALS_VERSION_SCRIPT(ACTION-IF-TAKEN)
# --------------------------------------
AC_DEFUN([VITALS_VERSION_SCRIPT],
[AC_CACHE_CHECK([whether the linker takes version scripts], [vitals_cv_version_script],
[vitals_saved=$LDFLAGS
cat >conftest.map <<_MAP
PROBE_0 { global: vitals_probe; local: *; };
_MAP
LDFLAGS="$LDFLAGS -shared -fPIC -Wl,--version-script=conftest.map"
AC_LINK_IFELSE([AC_LANG_SOURCE([[int vitals_probe(void); int vitals_probe(void) { return 0; }]])],
	[vitals_cv_version_script=yes], [vitals_cv_version_script=no])
LDFLAGS=$vitals_saved
rm -f conftest.map])
AS_IF([test "x$vitals_cv_version_script" = xyes], [$1])])
