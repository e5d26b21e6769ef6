#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# harmless.sh: never worse than nothing. Each stack is built with stable-pi and its default
# arguments on top, and without: no write fails, nothing below is degraded or has become
# invalid, mirrors and parity match, and the filesystem is sound.
#
# timeout: 600
# covers: rust/filter rust/block rust/bindings/below.c

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/stack.sh
. "$vm/lib/stack.sh"
# shellcheck source=lib/admin.sh
. "$vm/lib/admin.sh"

# used: direct writes whose buffers change, and a filesystem with shared mappings. Sets direct
# and mapped, the numbers of writes that failed, and done_direct, done_mapped, those that did
# not.
used() {
	load direct --path "$top_device" --size 2M --depth 4 --seconds 60 --op-limit "$(scaled 60)"
	direct=$failed done_direct=$done_writes
	# The disk leaves tuples behind where blocks become zeroes.
	dd if=/dev/zero "of=$top_device" bs=1M oflag=direct status=none 2>/dev/null
	mapped=all done_mapped=0
	# An array that has taken harm may not take a filesystem any more.
	must modprobe ext4
	mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$top_device" 2>/dev/null || return 0
	must mount_at "$mnt" -t ext4 "$top_device"
	load mmap --dir "$mnt" --threads 2 --seconds 1
	mapped=$failed done_mapped=$done_writes
	unmount "$mnt" || must wait_for 10 unmount "$mnt"
}
declare direct mapped done_direct done_mapped

# healthy: what is below has taken no harm.
healthy() {
	local md=/sys/block/md0/md leg
	if [ -e "$md" ]; then
		is "$(<"$md/degraded")" 0 || return
		for leg in "$md"/dev-*; do
			is "$(<"$leg/state")" in_sync && is "$(<"$leg/bad_blocks")" "" || return
		done
		echo check >"$md/sync_action"
		wait_for 60 eval "[ \"\$(<$md/sync_action)\" = idle ]" || return
		is "$(<"$md/mismatch_cnt")" 0 || return
	fi
	if [ -e /sys/block/bcache0 ]; then
		# A cache with too many errors is given up, and a backing device stopped.
		[ -e /sys/block/bcache0/bcache/cache ] && is "$(</sys/block/bcache0/bcache/io_errors)" 0 || return
	fi
	fails eval "dmsetup status | grep -E 'Invalid|Fail|read_only'"
}

# beside NAME LAYER...: without, and with.
beside() {
	control "${@:2}" stable-pi
	used
	note "$1, without: $direct of $((direct + done_direct)) direct writes failed, $mapped to mappings, $done_mapped did not; $(healthy >/dev/null && echo healthy || echo harmed)"
	unstack
	protected "$@"
}

# alike NAME LAYER...: with, since another stack is like it without; not on the debug kernel.
alike() {
	((SELFTEST_SCALE > 1)) || protected "$@"
}

# protected NAME LAYER...: with.
protected() {
	local name=$1
	shift
	stack "$@" stable-pi
	used
	note "$(dmsetup status --target stable-pi)"
	ok "$name: no direct write fails whose buffer changes" holds "$done_direct > 0 && $direct == 0"
	ok "$name: no write to a mapping fails" is "$mapped $((done_mapped > 0))" "0 1"
	ok "$name: the filesystem is sound" e2fsck -fn "$top_device"
	ok "$name: nothing below is harmed" healthy
	unstack
}

small=(dev_size_mb=12 max_queue=1 ndelay=500000)
must modprobe dm_flakey
ok "the module loads" load_module
beside "RAID1 over PI disks" "pi 2 ${small[*]}" 'md 1'
alike "RAID1 over plain disks" "plain 2 ${small[*]}" 'md 1'
alike "RAID10 over PI disks" "pi 4 ${small[*]}" 'md 10'
alike "RAID10 over plain disks" "plain 4 ${small[*]}" 'md 10'
beside "RAID5 over PI disks" "pi 3 ${small[*]}" 'md 5'
alike "RAID5 over plain disks" "plain 3 ${small[*]}" 'md 5'
beside "linear" "pi ${small[*]}" 'concat 2'
alike "striped" "pi 2 ${small[*]}" 'striped 2'
beside "thin" "pi ${small[*]} dev_size_mb=24" thin
beside "a snapshot" "pi ${small[*]} dev_size_mb=24" snapshot
beside "the origin of a snapshot" "pi ${small[*]} dev_size_mb=24" 'snapshot origin'
beside "dm-crypt" "pi ${small[*]}" crypt
beside "dm-integrity" "plain ${small[*]}" 'integrity J'
alike "bcache" "pi 2 ${small[*]}" bcache
alike "a loop device" "pi ${small[*]}" loop

# What the administrator does below while it is in use -----------------------------

# in_use COMMAND...: until the loads have ended.
in_use() {
	meanwhile "$@"
	load direct --path "$mnt/direct" --size 1M --depth 4 --seconds 60 --op-limit "$(scaled 150)"
	direct=$failed done_direct=$done_writes
	load mmap --dir "$mnt" --threads 2 --seconds 2
	mapped=$failed done_mapped=$done_writes
	enough
}

# volume TARGET COMMAND: a volume on two disks, with that on top, in use while the command runs.
volume() {
	stack "pi 2 ${small[*]} dev_size_mb=16"
	disks=("${legs[@]}")
	size=$((16 << 11))
	must map volume "0 $size linear ${disks[0]} 0"
	must map top "0 $size $1 /dev/mapper/volume 0"
	must dd if=/dev/zero of=/dev/mapper/top bs=1M count=16 oflag=direct
	ext4_on /dev/mapper/top
	log_mark
	in_use "$2"
	must umount_all
}

# torn: scsi_debug copies the data of a write after it has checked it, and has stored some that
# changed between the two. Nothing above a disk that says that it checks can know that, and what
# reads it, as a mirror does that gets in sync, calls it corrupt.
torn() {
	new_log | grep -q 'guard tag error at sector'
}

# changing NAME COMMAND: without, and with; four times at most, until the disk has torn nothing.
changing() {
	local i
	volume linear "$2"
	note "$1, without: $direct of $((direct + done_direct)) direct writes failed, $mapped of $((mapped + done_mapped)) to mappings"
	unstack
	for i in 1 2 3 4; do
		volume stable-pi "$2"
		if ((i == 4)) || ! torn; then
			break
		fi
		note "$1: the disk has torn a write; again"
		unstack
	done
	changed_well "$1" /dev/mapper/top
	unstack
}

changed_well() {
	note "$(dmsetup status --target stable-pi)"
	ok "$1: all that was done below was done" fails test -e "$work/failed"
	ok "$1: no direct write fails whose buffer changes" holds "$done_direct > 0 && $direct == 0"
	ok "$1: no write to a mapping fails" holds "$done_mapped > 0 && $mapped == 0"
	ok "$1: the filesystem is sound" e2fsck -fn "$2"
}

must modprobe dm_mirror
must modprobe dm_snapshot
changing "pvmove under load" moved
changing "a snapshot under load" snapped

# Two paths to one disk.
stack "pi 2 ${small[*]} dev_size_mb=16 per_host_store=0" multipath
disks=()
for disk in /sys/block/sd*; do
	disks+=("$(<"$disk/dev")")
done
multipath=${top_device##*/}
must map top "0 $top_sectors stable-pi $top_device 0"
ok "multipath is trusted" is "$(status_of top trust)" on
must dd if=/dev/zero of=/dev/mapper/top bs=1M count=16 oflag=direct
ext4_on /dev/mapper/top
in_use failing
must umount_all
changed_well "multipath with a failing path" /dev/mapper/top
unstack
finish
