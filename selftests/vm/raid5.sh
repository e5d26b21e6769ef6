#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# raid5.sh: md RAID5 and RAID6 read the data of a write twice: for the parity, and when
# it is written. A buffer that changes between the two leaves a stripe whose parity does
# not match, and whose data is lost when a disk is. With stable-pi on top of the
# array, without a profile, none is left.
#
# timeout: 240
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"

# Level, disks and policies.
arrays=("5 3 auto copy" "6 4 auto")
((SELFTEST_SCALE == 1)) || arrays=("6 4 auto")
md=/sys/block/md0/md

# array: of plain disks that are all zeroes. It takes pages of writes as they are
# (skip_copy), and computes the parity as it does by itself.
array() {
	local i legs=()
	for ((i = 0; i < disks; i++)); do
		must map leg$i "0 $leg_sectors linear $disk $((i * leg_sectors))"
		legs+=("/dev/mapper/leg$i")
	done
	wipe
	must mdadm --create /dev/md0 --run --metadata=1.0 --bitmap=none --assume-clean \
		--consistency-policy=resync --level="$level" --chunk=64 --raid-devices="$disks" "${legs[@]}"
	must wait_for 10 test -b /dev/md0
	defer gone_array /dev/md0
	echo 1 >"$md/skip_copy"
}

drop_array() {
	local i
	must gone_array /dev/md0
	for ((i = disks - 1; i >= 0; i--)); do
		must unmap leg$i
	done
}

idle() {
	[ "$(<"$md/sync_action")" = idle ]
}

# mismatches: the sectors of stripes whose parity does not match. Sets
# mismatched_sectors. Only the loads need a slow disk.
mismatches() {
	wait_for 10 set_delay 0 && echo check >"$md/sync_action" && wait_for 60 idle &&
		wait_for 10 set_delay 2000000 || return
	mismatched_sectors=$(<"$md/mismatch_cnt")
	note "mismatch_cnt: $mismatched_sectors"
}

set_delay() {
	{ echo "$1" >/sys/bus/pseudo/drivers/scsi_debug/ndelay; } 2>/dev/null
}

# mutate PATH SEED: direct writes whose buffers change.
mutate() {
	load direct --path "$1" --size 2M --seconds 60 --op-limit "$(scaled 200)" --seed "$2"
}

content() {
	dd if=/dev/md0 bs=1M count=2 iflag=direct status=none | sha256sum
}

# lose_a_disk: what it held comes from the parity from now on.
lose_a_disk() {
	must mdadm --quiet /dev/md0 --fail /dev/mapper/leg0
	echo 3 >/proc/sys/vm/drop_caches
}

if ! modprobe -q raid456; then
	bail "this kernel has no raid456"
fi
must modprobe sd_mod
must modprobe scsi_debug dev_size_mb=8 "${window[@]}"
wait_for 10 find_disk || bail "scsi_debug made no disk"
ok "the module loads" load_module

# The hazard, on an array of that level.
without_the_filter() {
	local i before
	array
	must mismatches
	ok "RAID$level: the parity of a new array matches" is "$mismatched_sectors" 0
	for i in 1 2 3 4 5; do
		mutate /dev/md0 $i
		must mismatches
		((mismatched_sectors == 0)) || break
	done
	ok "RAID$level: without the filter no write fails" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
	ok "RAID$level: but there is parity that does not match" holds "$mismatched_sectors > 0"
	before=$(content)
	lose_a_disk
	ok "RAID$level: and when a disk is lost, so is data" fails is "$(content)" "$before"
	drop_array
}

# with_the_filter POLICY...
with_the_filter() {
	local policy before
	array
	# A repair comes too late for parity that went on from what was torn.
	ok "RAID$level: optimistic is refused" fails map t "0 $(blockdev --getsz /dev/md0) stable-pi /dev/md0 0 1 policy:optimistic"
	for policy; do
		must map t "0 $(blockdev --getsz /dev/md0) stable-pi /dev/md0 0 1 policy:$policy"
		mutate /dev/mapper/t 6
		counters t
		ok "RAID$level, $policy: no write fails" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
		ok "RAID$level, $policy: all is copied" holds "$copied == $writes && $repaired == 0"
		ok "RAID$level, $policy: the array is not trusted" is "$(status_of t trust)" off
		ok "RAID$level: to optimistic it is not changed" fails dmsetup message t 0 policy optimistic
		must unmap t
		must mismatches
		ok "RAID$level, $policy: all parity matches" is "$mismatched_sectors" 0
	done
	before=$(content)
	lose_a_disk
	ok "RAID$level: when a disk is lost, no data is" is "$(content)" "$before"
	drop_array
}

# raid LEVEL DISKS POLICY...
raid() {
	level=$1 disks=$2
	leg_sectors=$((sectors / disks / 2048 * 2048))
	without_the_filter
	with_the_filter "${@:3}"
}

for array in "${arrays[@]}"; do
	# shellcheck disable=SC2086
	raid $array
done
finish
