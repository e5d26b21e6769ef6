#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# passthrough.sh: protection information from above, an application's through
# io_uring or XFS's own, is verified, sent on as it is, and never made anew.
#
# timeout: 240
# covers: rust/block rust/filter rust/pi
# drive: if=none,id=n,format=raw,file.driver=null-co,file.size=16M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=n,ms=8,pi=1,logical_block_size=4096,physical_block_size=4096

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# reached: writes that the disk was given since trace_on.
reached() {
	trace_off
	traced "block_rq_issue: $number W"
}

# blocks FIRST COUNT: the sum of what the disk holds.
blocks() {
	sum $(($1 * block)) $(($2 * block))
}

# tuples DEVICE BLOCK COUNT: their tags.
tuples() {
	"$vm/tuples.py" "$@" | cut -d' ' -f1-4
}

profile_of() {
	cat "$(sysfs_of t)/integrity/$1" 2>/dev/null || echo none
}

same_profile() {
	local file
	for file in format tag_size protection_interval_bytes device_is_integrity_capable; do
		is "$(profile_of "$file")" "$(integrity "$file")" || return
	done
}

# The profile of the mapped device, with the flag and without.
profiles() {
	protect
	ok "$1: without the flag there is no profile" is "$(profile_of format)" none
	payload write /dev/mapper/t 0 8 --like "$disk"
	ok "$1: and no payload is taken" is "$result" EINVAL
	must unmap t
	protect passthrough
	ok "$1: with the flag there is the disk's" same_profile
	ok "$1: the flag is in the table" is "$(dmsetup table t | cut -d' ' -f6-)" "2 policy:auto passthrough"
	must unmap t
	ok "$1: and the page cache waits, as above any profile" is "$(cached_as policy:copy passthrough)" waits
	ok "$1: without the flag it does not" is "$(cached_as policy:copy)" cache
}

# cached_as ARGUMENT...: the class of pages of the page cache with that table.
cached_as() {
	protect "$@"
	must dd if=/dev/zero of=/dev/mapper/t bs="$block" count=4 seek=8 conv=fsync
	counters t >&2
	((copied_waits == 0)) || echo waits
	((copied_cache == 0)) || echo cache
	must unmap t
}

# What is right goes through as it is, what is wrong does not.
payloads() {
	local before
	must map t "0 $((sectors - shift)) stable-pi $disk $shift 3 policy:$2 app_tag:0x0bad passthrough"
	payload write /dev/mapper/t 16 8 --app 0x5a5a --seed 1
	counters t
	ok "$1, $2: a payload goes through" is "$result $writes $forwarded $in_place $copied" "ok 1 1 0 0"
	ok "$1, $2: the disk has the application's tags" tuples_are $((at + 16)) 8 5a5a
	ok "$1, $2: and its data" is "$(blocks $((at + 16)) 8)" "$old"
	ok "$1, $2: a read gives them back, numbered from the start of the target" is \
		"$(tuples /dev/mapper/t 16 8)" "$(tuples "$disk" $((at + 16)) 8 |
			awk -v at="$at" '{ printf "%d %s %s %08x\n", $1 - at, $2, $3, $1 - at }')"

	before="$(tuples "$disk" $((at + 16)) 8) $old"
	must trace_on block:block_rq_issue
	payload write /dev/mapper/t 16 8 --spoil guard --in 5 --seed 2
	guard=$result
	payload write /dev/mapper/t 16 8 --spoil ref --in 0 --seed 2
	ok "$1, $2: a wrong guard or reference tag does not" is "$guard $result" "EILSEQ EILSEQ"
	ok "$1, $2: and nothing reaches the disk" is "$(reached)" 0
	ok "$1, $2: which holds what it held" is "$(tuples "$disk" $((at + 16)) 8) $(blocks $((at + 16)) 8)" "$before"
	must unmap t
}

# What changes between the check and the disk.
changes() {
	local expected=$3 kept
	must map low "0 $sectors linear $disk 0"
	must map t "0 $sectors stable-pi /dev/mapper/low 0 2 policy:$2 passthrough"
	payload write /dev/mapper/t 64 8 --suspend low --seed 1 --app 3
	ok "$1, $2: what nobody changes is written" is "$result $in_flight" "ok true"
	kept=$old
	payload write /dev/mapper/t 64 8 --slow low --seed 2 --change 3000
	[ "$result" != ok ] || kept=$old
	ok "$1, $2: data that changes in flight" is "$result $in_flight" "$expected true"
	ok "$1, $2: nothing is made anew" is "$(blocks 64 8)" "$kept"
	# 512 bytes of tuples, which io_uring leaves where they are; fewer it copies.
	payload write /dev/mapper/t 128 64 --slow low --seed 3 --change-tuple 1
	counters t
	ok "$1, $2: a tuple that changes in flight" is "$result $in_flight" "$expected true"
	ok "$1, $2: all are forwarded, and none is repaired" is \
		"$writes $forwarded $repaired $unstable" "3 3 0 $([ "$expected" = ok ] && echo 0 || echo 2)"
	must unmap t
	must unmap low
}

# Reads with a payload are verified, too.
corrupt_reads() {
	protect passthrough
	must dd if=/dev/urandom of=/dev/mapper/t bs="$block" seek=128 count=8 oflag=direct
	payload read /dev/mapper/t 128 8
	ok "$1: what was written without a payload is read with one" is "$result $new" "ok $(blocks 128 8)"
	corrupt_block "$1"
	payload read /dev/mapper/t 128 8
	ok "$1: what is corrupt is not" is "$result" EILSEQ
	payload read /dev/mapper/t 132 4
	counters t
	ok "$1: and counted" is "$result $corrupt $false_alarms" "ok 1 0"
	payload read /dev/mapper/t 128 8 --check -
	ok "$1: nobody finds it corrupt if the payload asks for no checks" is "$result" ok
	must dd if=/dev/zero of=/dev/mapper/t bs="$block" seek=130 count=1 oflag=direct conv=notrunc
	must unmap t
}

# corrupt_block NAME: block 130 gets other data than its tuple is for. NVMe makes
# tuples where it gets none, and scsi_debug checks those that it gets.
corrupt_block() {
	if [ "$1" = nvme ]; then
		must "$vm/tuples.py" write "$disk" 130,data
		return
	fi
	must without_tuples "$disk" dd if=/dev/urandom of="$disk" bs="$block" seek=130 count=1 oflag=direct conv=notrunc
}

# The disk's own answer to a tuple that is an escape is the target's as well.
escapes() {
	local alone
	payload write "$disk" 192 4 --app 0xffff --spoil guard
	alone=$result
	protect passthrough
	payload write /dev/mapper/t 192 4 --app 0xffff --spoil guard
	ok "$1: an escape is left to the disk" is "$result" "$alone"
	payload write /dev/mapper/t 192 4 --app 1 --check - --seed 9
	ok "$1: nothing to check" is "$result $(blocks 192 4)" "ok $old"
	payload write /dev/mapper/t 200 4 --first 1000
	counters t
	ok "$1: reference tags from another number on become the disk's" is "$result $forwarded" "ok 3"
	ok "$1: and are right there" tuples_are 200 4 0000
	must unmap t
	wipe
}

# on_disk NAME POLICY: all of this, with a policy that writes in place.
on_disk() {
	block=$(blockdev --getss "$disk") sectors=$(blockdev --getsz "$disk")
	number=$(number_of "$disk")
	# So that the mapped device's blocks have other numbers than the disk's.
	shift=2048 at=$((2048 * 512 / block))
	profiles "$1"
	for policy in "$2" copy; do
		payloads "$1" "$policy"
	done
	changes "$1" "$2" EILSEQ
	changes "$1" copy ok
	corrupt_reads "$1"
	escapes "$1"
}

ok "the module loads" load_module
disk=/dev/nvme0n1
must wait_for 10 test -b "$disk"
on_disk nvme optimistic
disk=
make_disk dev_size_mb=16 dif=1 dix=1 guard=1
on_disk scsi auto
drop_disk

# Where nothing checks, auto copies what user space can change, and sends the copy
# with the tuples that came. (scsi_debug checks all the same.)
make_disk dev_size_mb=8 dif=0 dix=1 guard=0
block=512
changes "a disk that does not check" auto ok
drop_disk
make_disk dev_size_mb=32 dif=1 dix=1 guard=0
sectors=$(blockdev --getsz "$disk")

# XFS attaches its own to file data, where it finds a profile.
xfs_on() {
	must mount_at "$mnt" -t xfs "$1"
}

files() {
	dd if=/dev/urandom of="$mnt/buffered" bs=1M count=2 conv=fsync status=none &&
		dd if=/dev/urandom of="$mnt/direct" bs=64k count=20 oflag=direct status=none &&
		cp -r selftests/vm/lib "$mnt/small" && sync -f "$mnt" &&
		(cd "$mnt" && find . -type f -exec sha256sum {} + | sort) >"$work/sums"
}

unchanged() {
	is "$( (cd "$mnt" && find . -type f -exec sha256sum {} + | sort))" "$(<"$work/sums")"
}

must modprobe xfs
protect passthrough
must mkfs.xfs -q -f --unsupported /dev/mapper/t
must dmsetup message t 0 reset
xfs_on /dev/mapper/t
must trace_on -- 'p:generate fs_bio_integrity_generate'
ok "XFS: files are written" files
trace_off
counters t
ok "XFS: it makes the tuples" holds "$(traced ' generate: ') > 0"
ok "XFS: they are forwarded, the log and the rest is not" holds \
	"$forwarded > 0 && $in_place > 0 && $copied == 0 && $writes == $forwarded + $in_place"
mkdir "$mnt/load"
load mmap --dir "$mnt/load" --threads 8 --seconds 60 --op-limit "$(scaled 100)" --file-size 256K --stores 512
ok "XFS: mapped pages wait" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
load direct --path "$mnt/load/file" --size 1M --seconds 60 --op-limit "$(scaled 120)"
counters t
ok "XFS: buffers of direct writes are copied by it" holds "$done_writes > 0 && $failed == 0 && $mutations > 0 && $unstable == 0"
rm -r "$mnt/load"
must umount_all
ok "XFS: it is sound" xfs_repair -n /dev/mapper/t
xfs_on /dev/mapper/t
echo 3 >/proc/sys/vm/drop_caches
ok "XFS: the files are as they were, after a remount" unchanged
counters t
ok "XFS: reads were verified" holds "$reads_verified > 0 && $false_alarms == 0 && $corrupt == 0"
must umount_all
must unmap t
xfs_on "$disk"
ok "XFS: the same on the disk alone" unchanged
must umount_all

# The same without the flag: XFS finds no profile.
protect
xfs_on /dev/mapper/t
must trace_on -- 'p:generate fs_bio_integrity_generate'
ok "XFS without the flag: the files are as they were" unchanged
must dd if=/dev/urandom of="$mnt/more" bs=1M count=1 conv=fsync
trace_off
counters t
ok "XFS without the flag: all tuples are the target's" is "$(traced ' generate: ') $forwarded" "0 0"
must umount_all
must unmap t
ok "all of the disk can be read" reads_back
finish
