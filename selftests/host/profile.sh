#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# profile.sh: tools/profile, the plugin of QEMU's, counts what `loads steady` makes the kernel do
# between its marks, and nothing else. By that, an I/O through stable-pi locks nothing, and writes
# nothing that another processor's I/O touches.
#
# requires: vm
# timeout: 300
# covers: tools/profile tools/profile-guest tools/benchmark tools/loads/src/steady.rs rust/pi rust/filter rust/block rust/bindings

cd "$(dirname "$0")/../.." || exit 1
. selftests/ktap.sh

mkdir -p build
work=$(mktemp -d "$PWD/build/profile.XXXXXX")
trap 'rm -rf "$work" "$ktap_output"' EXIT
plugin=build/cargo/release/libprofile.so

# machine ARGUMENTS COMMAND: with the plugin.
machine() {
	qemu/run --quiet --timeout 200 --plugin "$PWD/$plugin,$1" -- "${@:2}"
}

# refused ARGUMENTS MESSAGE: the plugin does not take them, and says why.
refused() {
	machine "$1" true 2>"$work/error" && return 1
	grep -F "profile: error: $2" "$work/error"
}

# entered SECTION: how often null_blk was given a request, as the plugin counted.
entered() {
	awk -v at="$(awk '$3 == "null_queue_rq" { print $1 }' "$work/functions")" -v want="$1" '
		$1 == "section" { section = $2 }
		$1 == "block" && section == want && $2 == at { runs += $5 }
		END { print runs + 0 }' "$work/counts"
}

sections() {
	grep -c '^section ' "$work/counts"
}

# shared: whether there is a line that both processors have written.
shared() {
	awk '$1 == "line" && $6 { cpus[$2, $4] = 1; if (cpus[$2, 0] && cpus[$2, 1]) found = 1 }
		END { exit !found }' "$work/counts"
}

ok "it is built" qemu/enter cargo build --quiet --release --locked -p profile
steady="build/cargo/release/loads steady --path /dev/nullb0 --operation"
ok "a machine runs with it" machine "out=$work/counts,lines=on" sh -c "set -e
	modprobe null_blk gb=1
	test -b /dev/nullb0
	$steady write --count 100
	dd if=/dev/nullb0 of=/dev/null bs=4k count=50 iflag=direct status=none
	$steady read --count 300 --threads 2
	grep -w null_blk /proc/kallsyms >'$work/functions'
	! $steady read --threads 3 2>'$work/refused'"
ok "what was between marks are two sections" is "$(sections)" 2
ok "each I/O is counted, and no other" is "$(entered 1)" 100
ok "so are those of two threads" is "$(entered 2)" 600
ok "some instructions lock the bus" grep -qE '^block [0-9a-f]+ [0-9]+ [1-9]' "$work/counts"
ok "two processors share lines" shared
ok "a processor that there is not" grep -q '^loads: .*processor 2' "$work/refused"
ok "without a file it is refused" refused lines=on "where to write is missing: out=PATH"
ok "so is an argument that it does not know" refused "out=$work/none,what=on" "unknown argument 'what=on'"

# rows: DEVICE<tab>OPERATION<tab>PROCESSORS, what stable-pi does for an I/O: instructions, how many lock
# the bus, writes of shared lines; and that dm locks, and that anybody writes such lines.
rows() {
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tools python3 - "$work" <<-'END'
		import sys
		from benchmark import profile
		found = profile.sections(sys.argv[1] + "/counts", sys.argv[1] + "/told")
		for section, row in zip(found, profile.processors(found)):
		    ours, anybody = row["ours"], sum(section.shared()[1].values())
		    print(row["device"], row["operation"], row["jobs"], "%.2f" % ours["instructions"], ours["locked"],
		          ours["shared_writes"], row["dm"]["locked"] > 0, anybody > 0, sep="\t")
	END
}

devices=(auto copy 'optimistic recheck:on')
ok "I/O is counted" machine "out=$work/counts,lines=on" tools/profile-guest "$work/told" "${devices[@]}"
ok "(control: each processor has had some)" grep -q '"jobs": 2' "$work/told"
declare -A alone=()
measured=0
while IFS=$'\t' read -r device operation jobs instructions locked writes dm anybody; do
	measured=$((measured + 1))
	if ((jobs == 1)); then
		alone[$device,$operation]=$instructions
		continue
	fi
	ok "$device, $operation: it locks nothing" is "$locked" 0.0
	ok "$device, $operation: it writes no shared line" is "$writes" 0.0
	ok "$device, $operation: as many instructions as on one processor" is "$instructions" "${alone[$device,$operation]}"
	ok "$device, $operation: (control: dm locks, and there are lines that are shared and written)" is "$dm $anybody" "True True"
done < <(rows)
ok "each device was looked at, for writes and reads, on one processor and on two" is "$measured" $((${#devices[@]} * 4))
finish
