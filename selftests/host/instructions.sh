#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# instructions.sh: an I/O takes no more instructions than when tools/bench.baseline was made: as a
# ratio to the disk alone, in the same run, at most 1 % more.
#
# A change that costs more on purpose makes the baseline anew:
#	tools/bench --gate && selftests/host/instructions.sh --baseline >tools/bench.baseline
#
# requires: vm
# timeout: 600
# covers: rust/pi rust/filter rust/block rust/bindings tools/bench-guest tools/benchmark

cd "$(dirname "$0")/../.." || exit 1

# ratios: DEVICE<tab>I/O<tab>RATIO, a line each, of build/results/bench.json.
ratios() {
	python3 - build/results/bench.json <<-'END'
		import json, sys
		with open(sys.argv[1]) as file:
		    direct = json.load(file)["direct"]
		for device, row in direct.items():
		    for at, taken in row.items():
		        if device != "disk":
		            print("%s\t%s\t%.4f" % (device, at, taken / direct["disk"][at]))
	END
}

if [ "${1:-}" = --baseline ]; then
	ratios
	exit
fi
. selftests/ktap.sh

# within BASELINE RATIO PERCENT
within() {
	awk -v before="$1" -v now="$2" -v percent="$3" \
		'BEGIN { printf "%s, before %s\n", now, before; exit now > before * (1 + percent / 100) }'
}

printf 'KTAP version 1\n'
ok "the benchmark runs" tools/bench --gate
declare -A now=()
while IFS=$'\t' read -r device at ratio; do
	now[$device,$at]=$ratio
done < <(ratios)
measured=0
while IFS=$'\t' read -r device at ratio; do
	measured=$((measured + 1))
	ok "$device, $at KiB" within "$ratio" "${now[$device,$at]:-9}" 1
done <tools/bench.baseline
ok "each has a baseline" is "$measured" "${#now[@]}"
# What costs 2 % more would be seen.
ok "(control: a baseline that is 2 % less)" fails within 0.98 1.0 1
finish
