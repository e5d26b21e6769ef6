#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# owners.sh: whose page changed under a write: what the trace event says, compared
# with what is known, and one line in the log for each owner.
#
# timeout: 240
# covers: rust/mm rust/filter rust/block/integrity/trace.rs rust/block/submitter.rs

. "$(dirname "$0")/lib.sh"

# Sectors of the mapped device are others below: it has two targets.
begin=16384 offset=20480
below_of() {
	echo $(($1 < begin ? $1 + 1024 : $1 - begin + offset))
}

# change KIND ARGUMENT...: see owner.py. Sets how the write ended, who submitted it,
# and device and inode of the memory; what was traced is in $work/trace.
change() {
	must trace_on stable_pi:unstable_write stable_pi:copy
	read -r result writer file inode < <("$vm/owner.py" t below "$@" 2>"$work/owner") || result=none
	trace_off
	note "$1 $2: $result by $writer, inode $inode on $file $(<"$work/owner")"
	note "$(head -n 4 "$work/trace")"
}

# event SECTOR SECTORS FIRST LAST CHANGED CLASS INDEX: is what was traced, once.
event() {
	local text
	text=$(sed -n 's/.* unstable_write: //p' "$work/trace")
	is "$text" "$top sector $1 + $2 lower $below sector $(below_of "$1") intervals $3-$4 changed $5 class $6 inode ${file/:/,}:$inode index $7 by owner-write-$writer"
}

# said PATTERN: the lines of the log since the mark that match.
said() {
	new_log | grep -cE "stable-pi ${top/,/:}: sector [0-9]+: data changed under a write: $1\$" || :
}

make_disk dev_size_mb=32 dif=1 dix=1 guard=0
ok "the module loads" load_module
ok "a device below" map below "0 $sectors linear $disk 0"
ok "the target" map t "0 $begin stable-pi /dev/mapper/below 1024 1 policy:optimistic" \
	"$begin 24576 stable-pi /dev/mapper/below $offset 1 policy:optimistic"
top=$(tr : , <"$(sysfs_of t)/dev") below=$(tr : , <"$(sysfs_of below)/dev")

# A direct write pins its pages itself.
at=$((begin + 64))
log_mark
change direct /dev/mapper/t $((at * 512)) 8192 $((5 * 512 + 7))
ok "own memory: the write succeeds" is "$result" ok
ok "own memory: the event" event "$at" 16 5 5 1 pinned 0
ok "own memory: the line" is "$(said "pinned page, submitted by owner-write \\($writer\\)")" 1
change direct /dev/mapper/t $((at * 512)) 8192 $((2 * 512)) $((13 * 512 + 511)) 1025
ok "own memory, two intervals: the event" event "$at" 16 2 13 2 pinned 0
ok "own memory, another writer: another line" is \
	"$(said "pinned page, submitted by owner-write \\($writer\\)") $(said '.*')" "1 2"

at=256
change shared /dev/mapper/t $((at * 512)) 8192 4096
ok "shared memory: the write succeeds" is "$result" ok
ok "shared memory: the event names file and page" event "$at" 16 8 8 1 pinned 1
ok "shared memory: the line" is \
	"$(said "pinned page, inode $inode on $file index 1, submitted by owner-write \\($writer\\)")" 1

change kernel /dev/mapper/t $((at * 512)) 3000
ok "memory of the kernel that is mapped: the write succeeds" is "$result" ok
ok "memory of the kernel that is mapped: the event" event "$at" 8 5 5 1 pinned 0

# The page cache. Nothing waits here, and there is no journal that would.
must modprobe ext4
must mkfs.ext4 -q -F -b 4096 -O ^has_journal -E nodiscard,lazy_itable_init=0 /dev/mapper/t
must mount_at "$mnt" -t ext4 /dev/mapper/t
for name in a b c; do
	must dd if=/dev/urandom "of=$mnt/$name" bs=4k count=200 conv=fsync
done
at=$(debugfs -R "bmap /a 5" /dev/mapper/t 2>"$work/debugfs") || note "$(<"$work/debugfs")"
at=$((at * 8))
log_mark
change file "$mnt/a" $((5 * 4096 + 3 * 512 + 1))
ok "page cache: fsync succeeds" is "$result" ok
ok "page cache: the inode is that of stat" is "$file $inode" "$(stat -c '%Hd:%Ld %i' "$mnt/a")"
ok "page cache: the event names file and page" event "$at" 8 3 3 1 cache 5

# bytes NAME COUNT: of so many pages, each the neighbour of none.
bytes() {
	seq -s ' ' 512 8192 $((512 + ($1 - 1) * 8192))
}
log_mark
# shellcheck disable=SC2046
change file "$mnt/b" $(bytes 100)
owner_b="cache page, inode $inode on $file index [0-9]+, submitted by owner-write \\($writer\\)"
span=$(awk -F'[ :]+' '{ for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+\.[0-9]+$/) { if (!first) first = $i; last = $i; break } }
	END { printf "%d", (last - first) / 5 }' "$work/trace")
ok "the same owner, a hundred times: as many events" is \
	"$result $(traced " unstable_write: .* class cache inode ${file/:/,}:$inode index [0-9]*[02468] by owner-write-$writer\$")" "ok 100"
ok "the same owner, a hundred times: one line in 5 s" holds "$(said "$owner_b") >= 1 && $(said "$owner_b") <= 1 + $span"
change file "$mnt/c" 1024
owner_c="cache page, inode $inode on $file index 0, submitted by owner-write \\($writer\\)"
ok "another owner: another line" is "$(said "$owner_c") $(($(said '.*') - $(said "$owner_b")))" "1 1"
must umount_all

# Anonymous memory on its way to swap space can be had back before it is there.
[ ! -e /sys/module/zswap ] || echo N >/sys/module/zswap/parameters/enabled
must mkswap /dev/mapper/t
must swapon /dev/mapper/t
# The page may have been copied for the process instead, which changes nothing.
for i in 1 2 3 4 5; do
	change swap /dev/mapper/t 4096 $((6 * 512))
	(($(traced ' unstable_write: ') == 0)) || break
done
must swapoff /dev/mapper/t
ok "anonymous memory: the event" is \
	"$(traced " unstable_write: $top sector [0-9]+ \+ 8 lower $below .* intervals 6-6 changed 1 class anon inode 0,0:0 index 0 by owner-write-$writer\$")" 1

must unmap t
must unmap below

# Memory that the kernel has for itself: the bitmap of an array is one page, in
# which a bit is set for each region that is to be written, also while the page is
# on its way to the disk for the bit of another. A delay below makes that take long.
must map below "0 $sectors linear $disk 0"
must map t "0 32768 stable-pi /dev/mapper/below 0 1 policy:optimistic"
must map leg "0 32768 stable-pi $disk 32768"
top=$(tr : , <"$(sysfs_of t)/dev") below=$(tr : , <"$(sysfs_of below)/dev")

# below_is TARGET...: another target below, when what is in flight has ended.
below_is() {
	dmsetup load below --table "0 $sectors $*" && dmsetup suspend --nolockfs below &&
		dmsetup resume below
}

# The thread of the array clears bits when it wakes up, and may sleep on while nobody
# writes.
no_bit_is_set() {
	echo idle >/sys/block/md0/md/sync_action
	mdadm -X /dev/mapper/t | grep -q ', 0 dirty'
}
# The flush before it takes a while as well, and no tuples exist until it has ended.
is_writing() {
	grep -qE "block_bio_queue: $below W[A-Z]* [0-9]+ \+ [1-9]" "$tracing/trace"
}
write_region() {
	dd if=/dev/zero of=/dev/md0 bs=64k count=1 "seek=$1" oflag=direct status=none
}
change_bitmap() {
	local i
	for i in 1 2 3 4 5; do
		must trace_on stable_pi:unstable_write block:block_bio_queue
		write_region $((2 * i)) &
		wait_for 60 is_writing
		write_region $((2 * i + 1))
		wait
		trace_off
		(($(traced ' unstable_write: ') == 0)) || return 0
	done
	echo "no bit was set at the right time"
	return 1
}
change_an_array() {
	must mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --metadata=1.2 --assume-clean \
		--bitmap=internal --bitmap-chunk=64K --delay=1 /dev/mapper/t /dev/mapper/leg
	defer gone_array /dev/md0
	# When nothing has been written for a while, a write of the superblock comes first.
	echo 0 >/sys/block/md0/md/safe_mode_delay
	must write_region 0
	must wait_for 60 no_bit_is_set
	must below_is delay "$disk" 0 0 "$disk" 0 $((1000 + 1000 * SELFTEST_SCALE)) "$disk" 0 0
	ok "memory of the kernel: a bit is set in flight" change_bitmap
	note "$(grep ' unstable_write: ' "$work/trace")"
	ok "memory of the kernel: the event" is \
		"$(traced " unstable_write: $top sector [0-9]+ \+ [0-9]+ lower $below .* intervals 0-0 changed 1 class kernel inode 0,0:0 index 0 by ")" \
		"$(traced ' unstable_write: ')"
	must below_is linear "$disk" 0
	must gone_array /dev/md0
}
must modprobe raid1
if grep -qw bitmap_start_write /proc/kallsyms; then
	change_an_array
else
	skip "memory of the kernel: a bit is set in flight" "no CONFIG_MD_BITMAP"
	skip "memory of the kernel: the event" "no CONFIG_MD_BITMAP"
fi

counters t
ok "all of it was repaired" holds "$repaired == $unstable && $unrepaired == 0"
ok "all of the disk can be read" reads_back
finish
