#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# shapes.sh: I/O that is split below and above the target, whose pieces of memory
# cross intervals, the largest that a queue takes, and what is not offered: polled
# completion and secure erase. requests.sh has the other kinds, bios without data
# among them.
#
# timeout: 240
# covers: rust/block rust/pi
# drive: if=none,id=n,format=raw,file.driver=null-co,file.size=32M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=n,ms=8,pi=1,logical_block_size=4096,physical_block_size=4096

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# reads_like OFFSET SIZE OPTION...: through the target, what the disk holds.
reads_like() {
	bio read /dev/mapper/t "$@"
	is "$result $new" "ok $(sum "$1" "$2")"
}

# tuples_and_counts BLOCK COUNT APP_TAG: of the only write that there was.
tuples_and_counts() {
	tuples_are "$1" "$2" "$3" && counters t && holds "$writes == 1 && $intervals == $2 && $unstable == 0"
}

# refused_erase DEVICE: no simulator of a disk with protection information erases.
refused_erase() {
	fails blkdiscard -f -s -o 0 -l 4096 "$1" >"$work/erase" 2>&1 && grep -qi 'not supported' "$work/erase"
}

# The disk takes less at once than one write has.
split_below() {
	local limit=/sys/block/${disk##*/}/queue/max_sectors_kb before
	before=$(<"$limit")
	must tee "$limit" <<<4
	protect policy:optimistic app_tag:0x00dd
	must trace_on block:block_rq_issue
	bio write /dev/mapper/t 4194304 65536 --sync
	trace_off
	ok "split below: a write" is "$result $(requests 4096) $(requests '[0-9]+') $(sum 4194304 65536)" "ok 16 16 $new"
	ok "split below: with the target's tuples" tuples_and_counts 8192 128 00dd
	ok "split below: a read" reads_like 4194304 65536
	must unmap t
	must map low "0 $sectors linear $disk 0"
	must map t "0 $sectors stable-pi /dev/mapper/low 0 2 policy:optimistic app_tag:0x00de"
	bio write /dev/mapper/t 4194304 65536 --slow low --change 20000
	counters t
	ok "split below: a part of it changes in flight" is \
		"$in_flight $result $repaired $(sum 4194304 65536)" "true ok 1 $new"
	ok "split below: and the repair has the target's tuples" tuples_are 8192 128 00de
	must unmap t
	must unmap low
	must tee "$limit" <<<"$before"
}

# A write over the border of two targets.
split_above() {
	local written
	must map t "0 8192 stable-pi $disk 0 2 policy:optimistic app_tag:0x00e1" \
		"8192 8192 stable-pi $disk 16384 2 policy:copy app_tag:0x00e2"
	bio write /dev/mapper/t $((8192 * 512 - 16384)) 65536
	written=$new
	ok "split above: a write" is "$result" ok
	counters t
	ok "split above: each target gets its part" is "$writes $in_place $copied $intervals" "2 1 1 128"
	right() {
		tuples_are $((8192 - 32)) 32 00e1 && tuples_are 16384 96 00e2
	}
	ok "split above: with its tuples" right
	bio read /dev/mapper/t $((8192 * 512 - 16384)) 65536
	ok "split above: a read" is "$result $new" "ok $written"
	must unmap t
}

# crossing POLICY: pieces of memory of which none ends where an interval does, but
# for the last.
crossing() {
	local pieces=(--shift 512 --pieces "512,4096,3584,1536,6144,4608") content
	bio write /dev/mapper/t 8192 20480 "${pieces[@]}"
	ok "$1: pieces that cross intervals" is "$result $(sum 8192 20480)" "ok $new"
	ok "$1: with the target's tuples" tuples_and_counts 2 5 00f1
	ok "$1: a read into such" reads_like 8192 20480 "${pieces[@]}"
	bio write /dev/mapper/t 32768 20480 "${pieces[@]}" --slow low --change 4100 --change 20479
	content=$new
	[ "$1" != copy ] || content=$old
	ok "$1: pieces that change in flight" is "$in_flight $result $(sum 32768 20480)" "true ok $content"
	ok "$1: with the target's tuples, too" tuples_are 8 5 00f1
}

# largest POLICY: one bio of huge pages, which the disk takes in parts.
largest() {
	must dmsetup message t 0 reset
	must trace_on block:block_bio_queue
	bio write /dev/mapper/t 8388608 8388608 --huge --sync
	trace_off
	ok "$1: the largest write is one bio" is \
		"$result $(traced "block_bio_queue: $(number_of /dev/mapper/t) WS 16384 \+ 16384 ")" "ok 1"
	right() {
		is "$(sum 8388608 8388608)" "$new" && tuples_are 2048 4 00f1 && tuples_are 4092 4 00f1 &&
			counters t && holds "$intervals == 2048 && $unstable == 0"
	}
	ok "$1: is there, with the target's tuples" right
	ok "$1: and is read in one" reads_like 8388608 8388608 --huge
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0
number=$(number_of "$disk")
ok "the module loads" load_module
protect
erase() {
	refused_erase "$disk" && refused_erase /dev/mapper/t
}
ok "secure erase is refused by the target as by the disk" erase
must unmap t
split_below
split_above
ok "all of the disk can be read" reads_back
drop_disk

# A disk whose completions can be polled for.
make_disk dev_size_mb=16 dif=1 dix=1 guard=0 submit_queues=2 poll_queues=1
bio write "$disk" 0 4096 --poll
ok "polled: by the disk alone" is "$result $(queue "$disk" io_poll)" "ok 1"
protect
bio write /dev/mapper/t 0 4096 --poll
ok "polled: the target does not offer it, and refuses it" is "$result $(queue /dev/mapper/t io_poll)" "ENOTSUP 0"
ok "polled: which is counted as no write" is "$(status_of t writes)" 0
ok "polled: others are none the worse" reads_like 0 4096
must unmap t
drop_disk

# Blocks of 4 KiB on a disk that takes buffers in steps of 512 bytes and less, and
# 512 KiB at once.
disk=/dev/nvme0n1
must wait_for 10 test -b "$disk"
sectors=$(blockdev --getsz "$disk") number=$(number_of "$disk")
must tee /proc/sys/vm/nr_hugepages <<<8
wipe
must map low "0 $sectors linear $disk 0"
for policy in optimistic copy; do
	must map t "0 $sectors stable-pi /dev/mapper/low 0 2 policy:$policy app_tag:0x00f1"
	crossing "$policy"
	largest "$policy"
	must unmap t
done
must unmap low
ok "all of the second disk can be read" reads_back
finish
