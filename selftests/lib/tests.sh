# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What tests there are, and what their headers say. For selftests/run.

# header TEST KEY: the values of a key in the first comment of a test.
header() {
	local line
	while IFS= read -r line && [[ $line == '#'* ]]; do
		[[ $line != "# $2: "* ]] || printf '%s\n' "${line#"# $2: "}"
	done <"$top/selftests/$1.sh"
}

boots_a_machine() {
	[[ $1 == vm/* ]] || grep -qx vm <<<"$(header "$1" requires)"
}

# What is quick and needs nothing comes first.
all_tests() {
	local file
	printf 'check/%s\n' format unsafe layers lint crates docs
	for file in "$top"/selftests/host/*.sh "$top"/selftests/vm/*.sh; do
		[[ $file == */lib.sh ]] || printf '%s\n' "${file#"$top/selftests/"}"
	done | sed 's/\.sh$//'
}

# timeout_of TEST: in seconds, on the stock kernel.
timeout_of() {
	local seconds
	seconds=$(header "$1" timeout)
	printf '%d\n' $((${seconds:-300} + 16 * ${SELFTEST_SOAK:-0}))
}

# options_of TEST: those of qemu/run, one a line.
options_of() {
	local line
	while IFS= read -r line && [[ $line == '#'* ]]; do
		[[ ! $line =~ ^'# '(cpus|mem|append|device|drive|allow)': '(.*)$ ]] ||
			printf '%s\n' "--${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
	done <"$top/selftests/$1.sh"
}

# The time that each test takes: lines of TEST STOCK DEBUG, in seconds that its processors
# run, which depend less on what else the machine does than the time that passes. 0 is
# not known. `selftests/report --times` renews them.
times_file=$top/selftests/times
declare -A times=()

read_times() {
	local test stock debug
	[ -e "$times_file" ] || return 0
	while read -r test stock debug; do
		[[ $test == */* ]] || continue
		times[$test]=$stock
		# Not known there, it is what most take: five times as long.
		[ "$kernel" = stock ] || times[$test]=$((debug ? debug : stock * 5))
	done <"$times_file"
}

# time_of TEST: sets seconds; of a test that is new, by what it may take.
time_of() {
	seconds=${times[$1]:-0}
	((seconds)) || {
		seconds=$(($(timeout_of "$1") / 5))
		[ "$kernel" = stock ] || seconds=$((seconds * 2))
	}
}
