# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# KTAP output, for the scripts in check/ and vm/.

set -uo pipefail

ktap_count=0 ktap_failed=0
ktap_output=$(mktemp)

# plan N: so many cases follow.
plan() {
	printf 'KTAP version 1\n1..%d\n' "$1"
}

# note TEXT...: a diagnostic, of one line or several.
note() {
	local text=$*
	printf '# %s\n' "${text//$'\n'/$'\n# '}"
}

pass() {
	ktap_count=$((ktap_count + 1))
	printf 'ok %d %s\n' "$ktap_count" "$*"
}

fail() {
	ktap_count=$((ktap_count + 1))
	ktap_failed=$((ktap_failed + 1))
	printf 'not ok %d %s\n' "$ktap_count" "$*"
}

# skip NAME REASON
skip() {
	ktap_count=$((ktap_count + 1))
	printf 'ok %d %s # SKIP %s\n' "$ktap_count" "$1" "$2"
}

# bail REASON: nothing that follows would make sense.
bail() {
	printf 'Bail out! %s\n' "$*"
	exit 1
}

# ok NAME COMMAND...: passes if the command does; what it prints is only shown
# if it fails. It runs in this shell, so it can set variables.
ok() {
	local name=$1
	shift
	if "$@" >"$ktap_output" 2>&1; then
		pass "$name"
	else
		sed 's/^/# /' "$ktap_output"
		fail "$name"
	fi
}

# fails COMMAND...: for use with ok.
fails() {
	! "$@"
}

# is GOT WANTED
is() {
	[ "$1" = "$2" ] && return
	printf 'is       %s\nnot      %s\n' "$1" "$2"
	return 1
}

# holds EXPRESSION: of arithmetic, with the names of variables, whose values are
# shown if it is false.
holds() {
	local name
	(($1)) && return
	printf 'not true: %s\n' "$1"
	while read -r name; do
		printf '  %s = %s\n' "$name" "${!name-}"
	done < <(grep -oE '[a-z_][a-z_0-9]*' <<<"$1" | sort -u)
	return 1
}

# finish: the end of a script.
finish() {
	rm -f "$ktap_output"
	((ktap_failed == 0))
	exit
}
