# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# KTAP output, for all tests. A script sources this, has its cases, and ends with
# finish, which prints the plan: a script that ends before that has failed.

set -uo pipefail

ktap_count=0 ktap_failed=0
ktap_output=$(mktemp)

echo "KTAP version 1"

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

# holds EXPRESSION: of arithmetic, in double quotes: "$failed == 0 && $repaired > 0".
# So shellcheck sees the names, and a value that is missing makes it false.
holds() {
	(($1)) && return
	printf 'not true: %s\n' "$1"
	return 1
}

# What is to be taken down ----------------------------------------------------

deferred=()

# defer COMMAND...: take_down runs it.
defer() {
	deferred+=("$(printf '%q ' "$@")")
}

# undefer COMMAND...: it has been done.
undefer() {
	local i command
	command=$(printf '%q ' "$@")
	for ((i = ${#deferred[@]} - 1; i >= 0; i--)); do
		if [ "${deferred[i]}" = "$command" ]; then
			deferred=("${deferred[@]:0:i}" "${deferred[@]:i+1}")
			return
		fi
	done
}

# take_down DEPTH: what was deferred, last first, down to the first DEPTH of them, as
# ${#deferred[@]} was then. False if any of it fails.
take_down() {
	local command status=0
	while ((${#deferred[@]} > $1)); do
		command=${deferred[-1]}
		unset 'deferred[-1]'
		eval "$command" || {
			note "failed: $command"
			status=1
		}
	done
	return "$status"
}

# finish: the end of a script.
finish() {
	take_down 0 || fail "what it made goes away"
	printf '1..%d\n' "$ktap_count"
	rm -f "$ktap_output"
	((ktap_failed == 0))
	exit
}
