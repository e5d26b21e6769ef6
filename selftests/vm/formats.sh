#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# formats.sh: each format that scsi_debug can have. What the target writes, the
# kernel's own verification of the bare disk accepts, what the kernel writes, the
# target's does, and what is corrupt, both see.
#
# timeout: 600
# covers: rust/block rust/filter rust/pi
#
# shellcheck disable=SC2119

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/formats.sh
. "$vm/lib/formats.sh"

# Type, guard and interval. Type 0 is DIX alone: only the way to the disk is
# protected, though scsi_debug stores the tuples.
formats=({1,3}-{0,1}-{512,4096} 2-0-512 0-0-512 0-1-4096)
((SELFTEST_SCALE == 1)) || formats=(1-0-512 3-1-4096 2-0-512 0-1-4096)
# behind BLOCK: other data, behind the back of its tuple: scsi_debug does not
# insert tuples where it gets none, as a disk would.
behind() {
	without_tuples "$disk" put "$work/b" "$disk" $(($1 * interval)) "$interval"
}

# spoil: sets $corrupt. The disk has fewer sectors than it says, so that one that
# is written far behind lands here, with a reference tag that does not belong here.
spoil() {
	local first=$((spoilt / interval)) alias=$((spoilt + area * 512)) line=()
	put "$work/a" "$disk" "$spoilt" $((9 * interval)) &&
		put "$work/b" "$disk" $((spoilt + 8 * interval)) "$interval" &&
		ask_tuples write "$disk" $((first + 4)),app=ffff $((first + 7)),app=1234 || return
	[ "$type" != 3 ] || ask_tuples write "$disk" $((first + 5)),app=ffff,ref=ffffffff || return
	mapfile -t tuple < <(tuples "$spoilt" $((9 * interval)))
	behind $((first + 1))
	behind $((first + 4))
	[ "$type" != 3 ] || behind $((first + 5))
	put "$work/a" "$disk" $((alias + 3 * interval)) "$interval"

	: >"$work/reports"
	read -ra line <<<"${tuple[8]}"
	local wanted=${line[1]}
	read -ra line <<<"${tuple[1]}"
	report $((first + 1)) "${line[1]}" "$wanted" 0 "${line[3]}" "${line[3]}"
	if [ "$type" = 3 ]; then
		read -ra line <<<"${tuple[4]}"
		report $((first + 4)) "${line[1]}" "$wanted" ffff "${line[3]}" "${line[3]}"
		corrupt=(1 4)
	else
		read -ra line <<<"${tuple[0]}"
		report $((first + 3)) "${line[1]}" "${line[1]}" 0 \
			"$(printf %x $(((alias / interval) + 3)))" "$(printf %x $((first + 3)))"
		corrupt=(1 3)
	fi
}

# zeroed: with UNMAP it is as if discarded. Without, scsi_debug leaves the tuples
# as they are, so that neither the kernel nor the target reads it.
zeroed() {
	through -- put_and_zero 3211264 fallocate -p && blank 3211264 8192 || return
	through -- put_and_zero 3276800 fallocate -z -n || return
	lost "$disk" && through -- lost /dev/mapper/t
}

put_and_zero() {
	put "$work/a" /dev/mapper/t "$1" 8192 && "${@:2}" -o "$1" -l 8192 /dev/mapper/t
}

# lost PATH: none of what was zeroed can be read there.
lost() {
	load readback --path "$1" --start 3276800 --size 8192 && is "$bad" $((8192 / interval))
}

load_module
serve_tuples
for format in "${formats[@]}"; do
	IFS=- read -r type guard interval <<<"$format"
	make_disk dev_size_mb=4 virtual_gb=1 dif="$type" dix=1 guard="$guard" sector_size="$interval" lbpu=1 lbpws=1
	profile=$(integrity format)
	part=${disk}1
	checksum=crc16 ref=ref
	((guard == 0)) || checksum=ip
	((type != 3)) || ref=noref
	name="DIF $type, $profile, $interval bytes"
	ok "$name" is "$(ask_tuples format "$disk") $(integrity device_is_integrity_capable)" \
		"$checksum $ref $interval 8 8 0 $((type > 0))"
	ok "$name: sectors that were never written" blank "$spoilt" 8192
	ok "$name: the target's tuples are the kernel's" same_tuples
	both_ways
	drop_disk
done
finish
