#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nvme.sh: another implementation of protection information, QEMU's. Its blocks of
# 4 KiB can lie at any multiple of 512 bytes, so that intervals straddle segments.
#
# timeout: 120
# drive: if=none,id=n,format=raw,file.driver=null-co,file.size=32M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=n,ms=8,pi=1,logical_block_size=4096,physical_block_size=4096
#
# shellcheck disable=SC2317,SC2154

. "$(dirname "$0")/lib.sh"

plan $((2 + 3 * 3 + 4))

# written OFFSET SHIFT LENGTH: one write of writes.py; the disk holds what the
# buffer held.
written() {
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
	ok "$policy: intervals straddle pages" written 65536 512 20480
	ok "$policy: at another place" written 131072 3584 12288
	both() {
		tuples_are 16 5 7001 && tuples_are 32 3 7001
	}
	ok "$policy: the tuples are right" both
	must unmap t
done

# A slow disk between, so that the data changes before it is checked.
must map slow "0 $sectors delay $disk 0 300"
must map t "0 $sectors stable-pi /dev/mapper/slow 0 1 policy:wait"
load hold --path /dev/mapper/t --offset 8192 --mutate-once --after-ms 100 --read-back
ok "wait: what changes in flight is rejected" is "$(field result) $(field in_flight)" "EILSEQ true"
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/slow 0 1 policy:optimistic"
load hold --path /dev/mapper/t --offset 8192 --mutate-once --after-ms 100 --read-back
counters t
ok "optimistic: and repaired" is "$(field result) $(field content) $repaired" "ok new 1"
must unmap t
must unmap slow

protect policy:optimistic recheck:on
load direct --path /dev/mapper/t --size 2M --seconds 1 --no-mutate --verify
ok "a load holds what was written" holds 'done_writes > 0 && failed == 0 && mismatched == 0 && unreadable == 0'
must unmap t
ok "what was written can be read" reads_back
finish
