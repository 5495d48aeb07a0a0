# SPDX-License-Identifier: MIT
#
# Puts one defect into a copy of the source tree: awk -v tree=DIRECTORY -f plant.awk PLANT.
# README.md says what a plant looks like. Layout does not count: what is looked for is compared
# without its white space.

function bare(text) {
	gsub(/[ \t\n]+/, "", text)
	return text
}

function file_load(path,    line, text, n) {
	n = 0
	text = ""
	while ((getline line < path) > 0) {
		text = text line "\n"
		n++
	}
	close(path)
	return n ? text : ""
}

# Where the body of a function begins and ends in a text: from, to.
function function_find(text, name,    lines, n, i, at, pending, found) {
	n = split(text, lines, "\n")
	at = 1
	found = pending = 0
	for (i = 1; i <= n; i++) {
		if (lines[i] ~ ("^[a-z].*[ *]" name "\\(") || index(lines[i], name "(") == 1) {
			pending = 1
			from = at
		}
		if (pending && lines[i] ~ /;$/ && !found)
			pending = 0
		if (pending && lines[i] ~ /^{/)
			found = 1
		at += length(lines[i]) + 1
		if (found && lines[i] ~ /^}/) {
			to = at - 1
			return 1
		}
	}
	return 0
}

function gone(why) {
	printf "%s%s: %s:\n%s", file, name ? ", " name "()" : "", why, old
	failed = 1
	exit 3
}

# The one place of text[from..to] that is @old, but for white space: first, last.
function text_find(text,    i, n, c, all, places, wanted, at) {
	wanted = bare(old)
	all = ""
	n = 0
	for (i = from; i <= to; i++) {
		c = substr(text, i, 1)
		if (c == " " || c == "\t" || c == "\n")
			continue
		places[++n] = i
		all = all c
	}
	at = index(all, wanted)
	if (!at)
		gone("this text is gone")
	if (index(substr(all, at + 1), wanted))
		gone("this text is there more than once")
	first = places[at]
	last = places[at + length(wanted) - 1]
}

function hunk_apply(    path, text) {
	if (!file)
		return
	path = tree "/" file
	text = file_load(path)
	if (text == "")
		gone("this file is gone, with")
	from = 1
	to = length(text)
	if (name && !function_find(text, name))
		gone("this function is gone, with")
	text_find(text)
	printf "%s%s%s", substr(text, 1, first - 1), new, substr(text, last + 1) >path
	close(path)
	file = ""
	n_hunks++
}

BEGIN { n_hunks = failed = 0; file = name = old = new = "" }

/^@@ / {
	hunk_apply()
	file = $2
	name = $3
	old = new = ""
	next
}
/^-/ { old = old substr($0, 2) "\n"; next }
/^\+/ { new = new substr($0, 2) "\n"; next }

END {
	if (failed)
		exit 3
	hunk_apply()
	if (!n_hunks)
		exit 3
}
