#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nvme.sh: another implementation of protection information, QEMU's. Its blocks of
# 4 KiB can lie at any multiple of 512 bytes, so that intervals straddle segments.
#
# timeout: 120
# covers: rust/block rust/filter rust/pi
# drive: if=none,id=n,format=raw,file.driver=null-co,file.size=32M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=n,ms=8,pi=1,logical_block_size=4096,physical_block_size=4096

. "$(dirname "$0")/lib.sh"

# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# page_written OFFSET SHIFT LENGTH: one write of writes.py; the disk holds what the
# buffer held.
page_written() {
	local out hash size
	out=$("$vm/writes.py" vector /dev/mapper/t "$1" "$2" "$3")
	read -r hash size <<<"$out"
	[ "$size" = "$3" ] || {
		printf '%s\n' "$out"
		return 1
	}
	is "$(dd if="$disk" bs=4096 iflag=direct skip=$(($1 / 4096)) count=$((size / 4096)) status=none |
		sha256sum | cut -d' ' -f1)" "$hash"
}

disk=/dev/nvme0n1
must wait_for 10 test -b "$disk"
sectors=$(blockdev --getsz "$disk")
ok "the disk has a profile" is "$(integrity format) $(integrity device_is_integrity_capable)" "T10-DIF-TYPE1-CRC 1"
note "alignment of buffers: $(<"/sys/block/${disk##*/}/queue/dma_alignment")"
ok "the module loads" load_module
wipe

for policy in optimistic copy wait; do
	protect "policy:$policy" app_tag:0x7001
	ok "$policy: intervals straddle pages" page_written 65536 512 20480
	ok "$policy: at another place" page_written 131072 3584 12288
	both() {
		tuples_are 16 5 7001 && tuples_are 32 3 7001
	}
	ok "$policy: the tuples are right" both
	must unmap t
done

# The write waits between, so that the data changes before it is checked.
must map low "0 $sectors linear $disk 0"
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 policy:wait"
held low --change 0
ok "wait: what changes in flight is rejected" is "$result $in_flight" "EILSEQ true"
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 policy:optimistic"
held low --change 0
counters t
ok "optimistic: and repaired" is "$result $content $repaired" "ok new 1"
must unmap t
must unmap low

protect policy:optimistic recheck:on
load direct --path /dev/mapper/t --size 2M --seconds 60 --op-limit "$(scaled 120)" --no-mutate --verify
ok "a load holds what was written" holds "$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
must unmap t
ok "what was written can be read" reads_back
finish
