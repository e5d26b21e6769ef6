# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A new file system, for what is to be below stackfs.

# disk_of SIZE [OPTION]...: sets loop to a loop device, in memory; with options of losetup.
declare loop
disk_of() {
	rm -f "$work/image"
	truncate -s "$1" "$work/image"
	loop=$(losetup --find --show "${@:2}" "$work/image") || bail "there is no loop device"
	defer losetup --detach "$loop"
}

# fresh TYPE DEVICE DIR [OPTION]...: is made and mounted there. tmpfs has the options of mount, and
# needs no device.
fresh() {
	if [ "$1" = tmpfs ]; then
		must mount_at "$3" -t tmpfs "${@:4}" none
		return
	fi
	must modprobe "$1"
	must wipefs -qa "$2"
	must "mkfs.$1" -q "$2"
	must mount_at "$3" "$2"
}

# breakable DIR: ext4 without a journal, where a failed write of data is all that fails, mounted
# there; from "below breaks" to "below works" each write to its disk fails.
breakable() {
	local sectors
	disk_of 64M
	sectors=$(blockdev --getsz "$loop")
	tables_below=([works]="0 $sectors linear $loop 0" [breaks]="0 $sectors flakey $loop 0 0 3600 1 error_writes")
	must map low "${tables_below[works]}"
	must mkfs.ext4 -q -O ^has_journal /dev/mapper/low
	must mount_at "$1" /dev/mapper/low
}
declare -A tables_below

# below works|breaks
below() {
	dmsetup suspend --noflush --nolockfs low && dmsetup load low --table "${tables_below[$1]}" && dmsetup resume low
}
