#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guests.sh: the disk of a virtual machine, as QEMU has it with cache=none: a device, or a
# raw image in a file. The memory of the guest changes while QEMU writes it. On the disk
# alone the guest gets errors; with stable-pi below none.
#
# timeout: 180
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/stack.sh
. "$vm/lib/stack.sh"

# guest IMAGE [OPTION]...: of guests.py. Sets done_writes, failed, mutations and mismatched.
guest() {
	outcome=$(within 60 "$vm/guests.py" "$@" 2>"$work/guest") || note "guests.py $*: $(<"$work/guest")"
	note "$* $outcome"
	set_fields done_writes=writes failed mutations mismatched
	[ -n "$outcome" ]
}

# seen EXPRESSION IMAGE [OPTION]...: writes of a guest, until that is so, five times at most.
seen() {
	local i what=$1
	shift
	for i in 1 2 3 4 5; do
		guest "$@" --seed "$i" --requests "$(scaled 60)" || return
		[ ${#filters[@]} = 0 ] || counters "${filters[0]}"
		((what)) && return
	done
	return 1
}

# image SIZE: a file on ext4 on the stack. All of it is written once, so that a guest's writes
# wait for nothing but the disk.
image() {
	ext4_on "$top_device"
	must dd if=/dev/zero "of=$mnt/image" bs=1M "count=$1" oflag=direct
}

# sound: the filesystem is, and all of the disk can be read.
sound() {
	e2fsck -fn "$top_device" && reads_back "$disk"
}

disks="pi ${window[*]}"
# This disk copies the data after it has checked it, hence the recheck.
target='stable-pi recheck:on'
ok "the module loads" load_module

control "$disks" "$target"
ok "a device without stable-pi: writes fail whose memory changes" seen "failed > 0" "$top_device"
unstack

control "$disks" "$target"
image 2
ok "an image without stable-pi: writes fail whose memory changes" seen "failed > 0" "$mnt/image"
unstack

for aio in threads native io_uring; do
	stack "$disks" "$target"
	wipe
	ok "a device, $aio: the guest writes, until something was found changed" seen "failed + unstable > 0" "$top_device" --aio $aio
	ok "a device, $aio: no write fails, some are repaired" holds "$done_writes > 0 && $failed == 0 && $repaired > 0"
	ok "a device, $aio: what did not change is read as it was written" is "$mismatched" 0
	ok "a device, $aio: all of the disk can be read" reads_back
	unstack
done

stack "$disks" "$target"
wipe
image 2
ok "an image: the guest writes, until something was found changed" seen "failed + unstable > 0" "$mnt/image" --aio native
ok "an image: no write fails, some are repaired" holds "$done_writes > 0 && $failed == 0 && $repaired > 0"
ok "an image: what did not change is read as it was written" is "$mismatched" 0
must unmount "$mnt"
ok "an image: the filesystem is sound, and all of the disk can be read" sound
unstack

# The disk does not check: what the memory of a guest can change is copied.
stack "plain ${window[*]}" stable-pi
ok "without a profile: the guest writes" guest "$top_device"
counters "${filters[0]}"
ok "without a profile: no write fails, all are copied" holds \
	"$done_writes > 0 && $failed == 0 && $mutations > 0 && $copied == $writes"
ok "without a profile: what did not change is read as it was written" is "$mismatched" 0
unstack
finish
