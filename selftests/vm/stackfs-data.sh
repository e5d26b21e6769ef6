#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs-data.sh: what becomes of data where the file system below alone has an
# answer: sizes, want of room, blocks, open files, vectors, promises, what is dirty when
# the mount goes, errors, and whose memory it is. Each is done there, too, and the
# answers are the same.
#
# timeout: 600
# mem: 1G
# allow: Buffer I/O error on dev
# allow: EXT4-fs (error|warning)
# allow: out of memory|oom-kill|Out of memory
# allow: WARNING: fs/super.c:[0-9]+ at thaw_super_locked
# covers: rust/fs samples/stackfs

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/below.sh
. "$vm/lib/below.sh"

types=(ext4 xfs btrfs tmpfs)
((SELFTEST_SCALE == 1)) || types=(ext4 tmpfs)
cases=(sizes blocks writer promises vectors)
below=$work/below above=$work/above
alone=$below/alone lower=$below/lower
mkdir -p "$below" "$above"
chmod 755 "$work"

py() {
	timeout $((60 * SELFTEST_SCALE)) "$vm/stackfs-data.py" "$@"
}

stack() {
	must mount_at "$above" -t stackfs -o "lowerdir=$lower" none
}

unstack() {
	unmount "$above"
}

# filesystem TYPE SIZE: on $below, a folder for each of the two, and stackfs on one.
filesystem() {
	[ "$1" = tmpfs ] || disk_of "$2" --sector-size 4096
	fresh "$1" "${loop:-}" "$below" -o "size=$2"
	mkdir "$alone" "$lower"
	stack
}

no_filesystem() {
	must take_down 0
}

# same CASE: the same answers in both, and there are some.
same() {
	local one two
	one=$(py "$1" "$alone" "$alone" 2>&1) || {
		echo "alone: $one"
		return 1
	}
	two=$(py "$1" "$above" "$lower" 2>&1) || {
		echo "above: $two"
		return 1
	}
	[ -n "$one" ] && is "$two" "$one"
}

# What a new mount finds.
same_sizes_after() {
	unstack || return
	stack
	same sizes_after
}

# archived: what was just written is in an archive of sparse files.
archived() {
	local dir
	for dir in "$alone" "$above"; do
		dd if=/dev/urandom "of=$dir/archived" bs=100000 count=3 status=none
		rm -rf "$work/extracted" && mkdir "$work/extracted"
		tar -C "$dir" -Scf "$work/archive" archived && tar -C "$work/extracted" -xf "$work/archive" &&
			cmp "$dir/archived" "$work/extracted/archived" || return
	done
}

# Nothing is open below that nobody has open above.
readonly_below() {
	echo data >"$above/last"
	sync
	mount -o remount,ro "$below" && mount -o remount,rw "$below"
}

# by_hand COMMAND...: while nothing is written back by itself.
by_hand() {
	local interval status=0
	interval=$(</proc/sys/vm/dirty_writeback_centisecs)
	echo 0 >/proc/sys/vm/dirty_writeback_centisecs
	"$@" || status=$?
	echo "$interval" >/proc/sys/vm/dirty_writeback_centisecs
	return "$status"
}

# outlives: what is dirty when the mount becomes read-only, and goes, is below.
outlives() {
	head -c 1M /dev/urandom >"$work/random"
	head -c 1M /dev/zero >"$lower/old"
	cp "$work/random" "$above/new"
	dd "if=$work/random" "of=$above/old" conv=notrunc status=none
	# Nothing has been written back yet.
	[ "$(stat -c %s "$lower/new")" = 0 ] || {
		echo "it is below already"
		return 1
	}
	mount -o remount,ro "$above" || return
	cmp "$work/random" "$lower/new" && cmp "$work/random" "$lower/old" || return
	fails touch "$above/more" || return
	unstack || return
	cmp "$work/random" "$lower/new" && cmp "$work/random" "$lower/old" || return
	stack
}

# refused_readonly: it does not become read-only while there is no room for what is dirty.
refused_readonly() {
	py unwritten "$above" "$lower" "$work/wanted" || return
	fails mount -o remount,ro "$above" || return
	rm "$lower/filler"
	mount -o remount,ro "$above" && cmp "$work/wanted" "$lower/unwritten" || return
	mount -o remount,rw "$above"
}

# written_last: what a device writes to a page while the mount is read-only is below after umount.
written_last() {
	local pid rc=0
	rm -f /run/stackfs-pinned
	must dmsetup suspend --nolockfs --noflush slow
	py pinned "$above" "$lower" /dev/mapper/slow &
	pid=$!
	wait_for 60 test -e /run/stackfs-pinned && mount -o remount,ro "$above" || rc=1
	must dmsetup resume slow
	wait "$pid" || rc=1
	unstack && cmp -n 4096 /dev/mapper/slow "$lower/pinned" || rc=1
	stack
	return "$rc"
}

# Where the folder below is another one, nobody says that it is that one now.
refused_folder() {
	fails mount -o "remount,lowerdir=$alone" "$above" && mount -o "remount,lowerdir=$lower" "$above"
}

# suspended FOLDER: while the file system below is frozen, and two wait for it there, all
# processes can be frozen, as for a suspend. One that begins with a sync(2) waits for what
# is dirty above, as over a loop device whose file is there. (The kernel warns as it thaws what
# it has not frozen, without a stack, too.)
suspended() {
	local pids=() rc=0
	echo 3000 >/sys/power/pm_freeze_timeout
	echo 0 >/sys/module/suspend/parameters/pm_test_delay
	echo freezer >/sys/power/pm_test
	echo 0 >/sys/power/sync_on_suspend
	echo one >"$1/frozen"
	must fsfreeze --freeze "$below"
	sync "$1/frozen" &
	pids+=($!)
	echo two >>"$1/other" &
	pids+=($!)
	wait_for 10 grep -qE 'rwsem|percpu|completion' "/proc/${pids[1]}/wchan" "/proc/${pids[0]}/wchan" || :
	echo freeze >/sys/power/state || rc=1
	must fsfreeze --unfreeze "$below"
	echo none >/sys/power/pm_test
	echo 1 >/sys/power/sync_on_suspend
	wait "${pids[@]}" || rc=1
	return "$rc"
}

ok "mount loads the module" must modprobe stackfs
for type in "${types[@]}"; do
	filesystem "$type" 340M
	for name in "${cases[@]}"; do
		ok "$type: $name" same "$name"
	done
	ok "$type: what was stored behind the end is no data" py behind "$above" "$lower"
	# Nor is ext4 alone right: kernel-faults.rst.
	[ "$type" != tmpfs ] || ok "(tmpfs alone has it in the file)" fails py behind "$alone" "$alone"
	ok "$type: sizes, mounted anew" same_sizes_after
	ok "$type: tar finds what was just written" archived
	ok "$type: the file system below can become read-only" readonly_below
	ok "$type: what is dirty outlives remount and umount" by_hand outlives
	no_filesystem
done

for type in ext4 tmpfs; do
	filesystem "$type" 20M
	ok "$type: fsync succeeds when all is written" same room
	ok "$type: no remount while there is no room" refused_readonly
	ok "$type: the folder below stays" refused_folder
	no_filesystem
done

filesystem ext4 20M
disk_of 1M
must map slow "0 2048 linear $loop 0"
must dd if=/dev/urandom of=/dev/mapper/slow bs=4096 count=1 oflag=direct
ok "what gets dirty on a read-only mount outlives umount" by_hand written_last
no_filesystem

filesystem ext4 20M
if [ -e /sys/power/pm_test ]; then
	ok "alone: processes are frozen while the file system is" suspended "$alone"
	ok "above: so they are" suspended "$above"
else
	skip "processes are frozen while the file system is" "this kernel has no suspend"
fi
no_filesystem

# Errors ------------------------------------------------------------------------

# broken FOLDER LOWER: what syncfs(2) says when the disk fails, and after its repair.
broken() {
	local pid rc=0
	rm -f /run/stackfs-break
	py syncfs "$@" >"$work/said" 2>&1 &
	pid=$!
	wait_for 60 test -e /run/stackfs-break && below breaks && rm /run/stackfs-break &&
		wait_for 60 test -e /run/stackfs-break && below works && rm /run/stackfs-break || rc=1
	wait "$pid" || rc=1
	cat "$work/said"
	return "$rc"
}

same_errors() {
	local one two
	one=$(broken "$alone" "$alone") || return
	# What was said there is not said here.
	unstack || return
	stack
	two=$(broken "$above" "$lower") || return
	[[ $one == *EIO* ]] && is "$two" "$one"
}

breakable "$below"
mkdir "$alone" "$lower"
stack
ok "syncfs says what fails below" same_errors
no_filesystem

# Memory ------------------------------------------------------------------------

group=/sys/fs/cgroup/stackfs-data

# in_group COMMAND...: which may have 24 MiB.
in_group() {
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p "$group"
	echo 24M >"$group/memory.max"
	echo 0 >"$group/memory.swap.max" 2>/dev/null
	(
		echo 0 >"$group/cgroup.procs"
		exec "$@"
	)
}

# charged FOLDER: writes more than its group may have; it does not get it.
charged() {
	local rc killed
	in_group dd if=/dev/zero "of=$1/big" bs=1M count=96 conv=fsync status=none
	rc=$?
	killed=$(sed -n 's/^oom_kill //p' "$group/memory.events")
	note "$(du -m "$below" | tail -n 1), status $rc, $(tr '\n' ' ' <"$group/memory.events")"
	rm -f "$1/big"
	echo 1 >/proc/sys/vm/drop_caches
	wait_for 20 rmdir "$group" || return
	holds "$rc != 0 && $killed > 0"
}

# charged_later FOLDER: what was written while the group had memory for it is there when it has more:
# on a stack it needs twice as much, and nobody is there to be killed.
charged_later() {
	head -c 16M /dev/urandom >"$work/random"
	in_group dd "if=$work/random" "of=$1/late" bs=1M status=none || return
	sync "$1/late" 2>"$work/said"
	cat "$work/said"
	echo max >"$group/memory.max"
	sync "$1/late" && cmp "$work/random" "$1/late" || return
	[ "$1" = "$alone" ] || {
		grep -q "No space left" "$work/said" && cmp "$work/random" "$lower/late" || return
	}
	rm "$1/late"
	echo 1 >/proc/sys/vm/drop_caches
	wait_for 20 rmdir "$group"
}

filesystem tmpfs 300M
ok "tmpfs alone: who writes too much is killed" charged "$alone"
ok "tmpfs below: so is who writes above" charged "$above"
ok "tmpfs alone: what a group has memory for is there" by_hand charged_later "$alone"
ok "tmpfs below: so is what it has only later" by_hand charged_later "$above"
no_filesystem
finish
