#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# formats.sh: each profile that scsi_debug can have. What is written through the
# target has the target's tuples, and the kernel's own verification of the bare
# disk accepts them.
#
# timeout: 180
#
# shellcheck disable=SC2317,SC2154,SC2034,SC2119

. "$(dirname "$0")/lib.sh"

plan $((8 * 3 + 6))

# written POLICY SECTOR: 64 KiB through the target, in several sizes.
written() {
	local at=$2 bytes
	map t "0 $sectors stable-pi $disk 0 2 policy:$1 app_tag:0x00fe" || return
	for bytes in 4096 8192 20480 32768; do
		dd if=/dev/urandom of=/dev/mapper/t bs="$bytes" count=1 oflag=direct,seek_bytes \
			seek=$((at * 512)) conv=notrunc status=none || return
		at=$((at + bytes / 512))
	done
	counters t
	unmap t
	holds 'writes == 4 && in_place + copied == 4 && intervals == 65536 / interval'
}

load_module
for guard in 0 1; do
	for dif in 1 3; do
		for interval in 512 4096; do
			make_disk dev_size_mb=16 dif=$dif dix=1 guard=$guard sector_size=$interval
			profile=$(integrity format)
			name="$profile, $interval bytes"
			ok "$name: in place" written optimistic 0
			ok "$name: copied" written copy 2048
			# Where the profile has no reference tag, it is the same all the same.
			right() {
				tuples_are 0 $((65536 / interval)) 00fe &&
					tuples_are $((1048576 / interval)) $((65536 / interval)) 00fe &&
					reads_back
			}
			ok "$name: the tuples are right" right
			drop_disk
		done
	done
done

# A disk that does not say that it checks, though scsi_debug does it all the same.
make_disk dev_size_mb=16 dif=0 dix=1 guard=0 "${window[@]}"
ok "DIX alone: a profile without a check by the device" is "$(integrity device_is_integrity_capable)" 0
protect policy:optimistic
load direct --path /dev/mapper/t --size 1M --seconds 2
# Each of those may have been rejected; these are not.
must dd if=/dev/urandom of=/dev/mapper/t bs=4k count=4 oflag=direct
counters t
ok "DIX alone: what succeeds is rechecked, and what changed is repaired" holds 'done_writes > 0 && failed == 0 && rechecked > 0 && repaired > 0'
ok "DIX alone: and can be read" reads_back
must unmap t
protect policy:optimistic recheck:off
load direct --path /dev/mapper/t --size 1M --seconds 2
counters t
ok "DIX alone: without a recheck none is compared" holds 'rechecked == 0'
must unmap t
protect policy:copy
load direct --path /dev/mapper/t --size 1M --seconds 2
counters t
ok "DIX alone: copies" holds 'done_writes > 0 && failed == 0 && copied > 0 && repaired == 0'
ok "DIX alone: and they can be read" reads_back
finish
