#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# atomic.sh: atomic writes (RWF_ATOMIC) are offered as far as the disk does them,
# go down as one, and are written again as one if they changed in flight.
#
# scsi_debug has large ones, but neither checks nor stores the tuples that come
# with them; QEMU's NVMe does both, and has those of one block.
#
# timeout: 240
# covers: rust/block rust/filter
# drive: if=none,id=n,format=raw,file.driver=null-co,file.size=32M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=n,ms=8,pi=1,logical_block_size=4096,physical_block_size=4096

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# The most that the target offers, bytes: what has its metadata in a page.
most=262144

# limit DEVICE NAME: of atomic writes, bytes.
limit() {
	queue "$1" "atomic_write_$2_bytes"
}

# units DEVICE: what statx() says.
units() {
	xfs_io -c 'statx -r -m 0x10000' "$1" | sed -nE 's/^stat.atomic_write_unit_(min|max) = //p' | xargs
}

# requests FLAGS BYTES: that the disk was given.
requests() {
	traced "block_rq_issue: $number $1 $2 "
}

smaller() {
	printf '%d\n' $(($1 < $2 ? $1 : $2))
}

# written_once SIZE: an atomic write of that size, where nothing was written before, is
# one write for the target and one request for the disk.
at=0
written_once() {
	at=$(((at + $1 - 1) / $1 * $1))
	must dmsetup message t 0 reset
	must trace_on block:block_rq_issue
	bio write /dev/mapper/t "$at" "$1" --atomic
	trace_off
	counters t
	is "$result $(requests 'W[A-Z]*U[A-Z]*' "$1") $(requests 'W[A-Z]*' '[0-9]+')" "ok 1 1" &&
		holds "$writes == 1 && $writes == $in_place + $copied && $unstable == 0" &&
		is "$(sum "$at" "$1")" "$new" || return
	at=$((at + $1))
}

# all_policies NAME SIZE...
all_policies() {
	local policy size
	for policy in auto optimistic copy wait detect; do
		protect "policy:$policy"
		for size in "${@:2}"; do
			ok "$1, $policy: $size bytes are one request" written_once "$size"
		done
		must unmap t
	done
}

# refused OFFSET SIZE
refused() {
	bio write /dev/mapper/t "$1" "$2" --atomic
	is "$result" EINVAL
}

# limits NAME: what the target offers, and that it offers no more.
limits() {
	local min max
	min=$(limit "$disk" unit_min) max=$(smaller "$(limit "$disk" unit_max)" "$most")
	protect
	ok "$1: the limits are the disk's, up to what a page has metadata for" is \
		"$(limit /dev/mapper/t unit_min) $(limit /dev/mapper/t unit_max) $(units /dev/mapper/t)" "$min $max $min $max"
	ok "$1: one that is too long is refused" refused 0 $((2 * max))
	ok "$1: one that is not a power of two is refused" refused 0 $((3 * min))
	ok "$1: one that is not aligned is refused" refused $((min / 2)) "$min"
	must unmap t
}

# changes NAME SIZE RESULT CONTENT REPAIRED ARGUMENT...: an atomic write changes in
# flight, between the target and the disk: in a suspended device, since the target that
# would keep it takes no atomic writes. A write with metadata does not wait there, but is
# looked at and made anew; what changes between the two has not changed, and comes again.
changes() {
	local i
	for i in 1 2 3 4 5; do
		change "$@"
		[ "$result $content $repaired" = "ok new 0" ] || break
	done
	ok "$1, ${*:6}: what changes in flight" is "$in_flight $result $content $repaired" "true $3 $4 $5"
	# NVMe tries again by itself what was rejected; and what did not get past the suspended
	# device is not sent again before it is copied.
	ok "$1, ${*:6}: is one request each time" holds "$whole > 0 && $whole >= $5 && $whole == $all"
}

# change NAME SIZE RESULT CONTENT REPAIRED ARGUMENT...: one of them. Sets content, and how
# many requests were for all of it, and how many there were.
change() {
	local size=$2
	shift 5
	content=other
	at=$(((at + size - 1) / size * size))
	must map low "0 $sectors linear $disk 0"
	must map t "0 $sectors stable-pi /dev/mapper/low 0 $# $*"
	must trace_on block:block_rq_issue
	bio write /dev/mapper/t "$at" "$size" --atomic --suspend low --change $((size / 2))
	trace_off
	counters t
	case $(sum "$at" "$size") in
	"$old") content=old ;;
	"$new") content=new ;;
	esac
	whole=$(requests 'W[A-Z]*U[A-Z]*' "$size") all=$(requests 'W[A-Z]*' '[0-9]+')
	must unmap t
	must unmap low
	at=$((at + size))
}

# use DISK
use() {
	disk=$1 at=0
	sectors=$(blockdev --getsz "$disk") number=$(number_of "$disk")
}

ok "the module loads" load_module
must wait_for 10 test -b /dev/nvme0n1
use /dev/nvme0n1
wipe
limits NVMe
all_policies NVMe 4096
changes NVMe 4096 EILSEQ other 0 policy:wait
changes NVMe 4096 ok new 1 policy:optimistic
changes NVMe 4096 ok old 0 policy:copy
ok "NVMe: all of the disk can be read" reads_back
disk=

# Limits of 1 KiB to 1 MiB. What was written before
# would keep its old tuples, so no block is written twice otherwise than atomically.
large=(dev_size_mb=32 atomic_wr=1 atomic_wr_max_length=2048)
make_disk "${large[@]}" dif=1 dix=1
use "$disk"
limits scsi_debug
all_policies scsi_debug 1024 16384 262144
changes scsi_debug 131072 ok new 1 policy:optimistic recheck:on
changes scsi_debug 131072 ok old 0 policy:copy
ok "scsi_debug: all of the disk can be read" reads_back
drop_disk

# A target that is not aligned as atomic writes have to be offers none.
make_disk "${large[@]}" dif=1 dix=1
must map t "0 $((sectors - 1)) stable-pi $disk 1"
ok "without the alignment none are offered" is "$(limit /dev/mapper/t unit_max)" 0
must unmap t
finish
