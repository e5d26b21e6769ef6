# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the administrator does below a stack while it is in use.

# The disks of the mapped device "volume", the first of which it is on; its sectors; and a device of
# dm-multipath.
declare -a disks
declare size multipath

# layer_volume: linear, on the first of the legs. See stack.sh.
layer_volume() {
	disks=("${legs[@]}")
	size=$(sectors_of "${disks[0]}")
	must map volume "0 $size linear ${disks[0]} 0"
	legs=(/dev/mapper/volume)
}

# meanwhile COMMAND...: again and again, until enough.
meanwhile() {
	rm -f "$work/enough" "$work/failed"
	(
		until [ -e "$work/enough" ]; do
			"$@"
		done
	) &
	worker=$!
}
declare worker

enough() {
	touch "$work/enough"
	wait "$worker"
}

# table NAME TABLE: another one for that device.
table() {
	{ dmsetup suspend "$1" && dmsetup reload "$1" --table "$2" && dmsetup resume "$1"; } || touch "$work/failed"
}

# mirrored: the mirror is in sync, or has lost a disk.
mirrored() {
	local regions=$(((size + 1023) / 1024))
	[[ $(dmsetup status volume) =~ (" $regions/$regions "| [A-Z]*[B-Z][A-Z]* ) ]]
}

# moved: as pvmove does it, there and back: a mirror, until it is in sync, and then the other.
moved() {
	local from=${disks[0]} to=${disks[1]}
	table volume "0 $size mirror core 2 1024 sync 2 $from 0 $to 0 1 handle_errors"
	{ wait_for 30 mirrored && [[ $(dmsetup status volume) == *" AA "* ]]; } || touch "$work/failed"
	table volume "0 $size linear $to 0"
	disks=("$to" "$from")
}

# snapped: as lvcreate --snapshot and lvremove do it.
snapped() {
	local origin="0 $size linear ${disks[0]} 0"
	table volume "0 $size snapshot-origin ${disks[0]}"
	table volume "$origin"
}

# failing: a path fails, and is there again.
failing() {
	dmsetup message "$multipath" 0 "fail_path ${disks[1]}" || touch "$work/failed"
	sleep 0.1
	dmsetup message "$multipath" 0 "reinstate_path ${disks[1]}" || touch "$work/failed"
}
