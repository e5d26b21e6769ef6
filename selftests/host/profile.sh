#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# profile.sh: tools/profile, the plugin of QEMU's, counts what `loads steady` makes the kernel do
# between its marks, and nothing else.
#
# requires: vm
# timeout: 300
# covers: tools/profile tools/loads/src/steady.rs

cd "$(dirname "$0")/../.." || exit 1
. selftests/ktap.sh

mkdir -p build
work=$(mktemp -d "$PWD/build/profile.XXXXXX")
trap 'rm -rf "$work" "$ktap_output"' EXIT
plugin=build/cargo/release/libprofile.so

# machine ARGUMENTS COMMAND: with the plugin.
machine() {
	qemu/run --quiet --timeout 200 --append nokaslr --plugin "$PWD/$plugin,$1" -- sh -c "$2"
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
ok "a machine runs with it" machine "out=$work/counts,lines=on" "set -e
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
ok "without a file it is refused" fails machine lines=on true
ok "so is an argument that it does not know" fails machine "out=$work/none,what=on" true
ok "(control: no machine without it)" fails machine out="$work/none" false
finish
