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
