# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The module, and the disk of scsi_debug.

load_module() {
	modprobe dm_mod && insmod "$module" && defer gone_module stable_pages
}

unload_module() {
	rmmod stable_pages
}

# gone_module NAME: if it is there, it goes; for defer.
gone_module() {
	[ ! -e "/sys/module/$1" ] || wait_for 10 quiet rmmod "$1"
}

# gone_disks: those of scsi_debug, and the module; for defer.
gone_disks() {
	[ ! -e /sys/module/scsi_debug ] || { wait_for 10 hosts_gone && gone_module scsi_debug; }
}

# hosts_gone: those of scsi_debug, if nothing uses the disks. The module does not wait for what removes
# its targets when it goes (sdebug_tartget_cleanup_async() in 7.3), which finds then neither its folder in
# debugfs nor its code: so they go before.
hosts_gone() {
	local hosts=/sys/bus/pseudo/drivers/scsi_debug/add_host
	[ "$(</sys/module/scsi_debug/refcnt)" = 0 ] || return
	[ "$(<"$hosts")" = 0 ] || echo "-$(<"$hosts")" >"$hosts" || return
	# Targets without a disk stay in any case.
	! compgen -G '/sys/kernel/debug/scsi_debug/target*:0:0' >/dev/null
}

# quiet COMMAND...: without what it prints, for what is tried often.
quiet() {
	"$@" >/dev/null 2>&1
}

disk='' sectors=0

# Keep a write waiting between the checksum, which is made when it is submitted,
# and the check: the disk takes one at a time and needs 2 ms for it.
# shellcheck disable=SC2034 # for scripts
window=(max_queue=1 ndelay=2000000)

# find_scsi model|vendor PREFIX: the disk of which that begins so, once it can be opened, which is
# after its node is there. Sets scsi_found, and scsi_sectors.
find_scsi() {
	local dir value
	for dir in /sys/block/sd*; do
		value=''
		read -r value <"$dir/device/$1"
		scsi_found=/dev/${dir##*/}
		[[ $value == "$2"* ]] && scsi_sectors=$(blockdev --getsz "$scsi_found") && ((scsi_sectors > 0)) && return
	done 2>/dev/null
	return 1
}
declare scsi_found scsi_sectors

find_disk() {
	find_scsi model scsi_debug && disk=$scsi_found sectors=$scsi_sectors
}

# make_disk PARAMETER...: of scsi_debug. Sets disk and sectors.
make_disk() {
	must modprobe sd_mod
	must modprobe scsi_debug "$@"
	defer gone_disks
	wait_for 10 find_disk || bail "scsi_debug made no disk"
	[[ " $* " != *" dix=1 "* ]] || wait_for 5 test -e "/sys/block/${disk##*/}/integrity/format" ||
		bail "$disk has no sysfs folder"
}

drop_disk() {
	local gone=$disk
	[ -n "$gone" ] || return 0
	must gone_disks
	must wait_for 10 test ! -e "$gone"
	disk=
}

# integrity FILE: of the disk.
integrity() {
	cat "/sys/block/${disk##*/}/integrity/$1"
}

# without_tuples DEVICE COMMAND...: while the kernel makes none for it: other data gets there below
# the same tuples.
without_tuples() {
	local switch=/sys/block/${1##*/}/integrity/write_generate status=0
	echo 0 >"$switch"
	"${@:2}" || status=$?
	echo 1 >"$switch"
	return "$status"
}

# wipe: nothing of an earlier load is left; all of the disk can be read.
wipe() {
	must dd if=/dev/zero "of=$disk" bs=1M oflag=direct iflag=count_bytes "count=$((sectors * 512))"
}

# partition: one sfdisk line each from standard input.
partition() {
	must sfdisk --quiet --no-tell-kernel "$disk"
	must blockdev --rereadpt "$disk"
	must wait_for 5 test -b "${disk}1"
}
