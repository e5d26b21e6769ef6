#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# crates.sh: the tests of the crates, on the host. Each is a case here. They are compiled as
# check/lint does it, so that the second of the two has little left to do.
#
# timeout: 1200

cd "$(dirname "$0")/../.." || exit 1
. selftests/ktap.sh

printf 'KTAP version 1\n'
log=$(mktemp)
trap 'rm -f "$log" "$ktap_output"' EXIT

status=0
qemu/enter env "RUSTC_WORKSPACE_WRAPPER=$PWD/selftests/lib/rustc" \
	cargo test --workspace --locked --no-fail-fast >"$log" || status=$?

# report RESULT NAME
report() {
	case $1 in
	ok) pass "$2" ;;
	ignored*) skip "$2" "${1#ignored}" ;;
	*) fail "$2" ;;
	esac
}

while IFS= read -r line; do
	if [[ $line =~ ^test\ (.*)\ \.\.\.\ (.*)$ ]]; then
		report "${BASH_REMATCH[2]}" "${BASH_REMATCH[1]/ - should panic/}"
	elif [[ $line =~ ^test\ result:\ [A-Za-z]+\.\ ([0-9]+)\ passed\;\ ([0-9]+)\ failed\;\ ([0-9]+)\ ignored ]]; then
		summed=$((${summed:-0} + BASH_REMATCH[1] + BASH_REMATCH[2] + BASH_REMATCH[3]))
	fi
done <"$log"

cases=$ktap_count
((status == 0)) || sed 's/^/# /' "$log"
ok "cargo test ends well" is "$status" 0
ok "the cases above are all that cargo counted" is "$cases" "${summed:-none}"
finish
