#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# auto.sh: the policy `auto` copies what user space can change where the disk does
# not check, and nothing else; and what the target counts adds up.
#
# Nothing here has pages of the class foreign: the target does not offer
# peer-to-peer memory, and there is no other memory of a device to write from.
#
# timeout: 180
# covers: rust/block rust/filter rust/mm
#
# shellcheck disable=SC2119

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# adds_up: what belongs together in the status line. Sets the counters.
adds_up() {
	counters t
	holds "$writes > 0" && holds "$writes == $in_place + $copied + $forwarded" &&
		holds "$copied == $copied_kernel + $copied_waits + $copied_cache + $copied_anon + $copied_pinned + $copied_foreign" &&
		holds "$unstable + $blameless == $repaired + $unrepaired" &&
		holds "$false_alarms + $corrupt <= $reads_verified"
}

# in_place_of CLASSES: writes in place of pages of these (a regex), since trace_on.
in_place_of() {
	traced " in_place: .* class $1"
}

# changes ARGUMENT...: a direct write that changes between the target and the disk.
changes() {
	must map low "0 $sectors linear $disk 0"
	must map t "0 $sectors stable-pi /dev/mapper/low 0 $# $*"
	bio write /dev/mapper/t 65536 8192 --slow low --change 5000
	adds_up >"$work/sums" 2>&1 || result+=" $(<"$work/sums")"
	content=$(sum 65536 8192)
	must unmap t
	must unmap low
}

files() {
	dd if=/dev/urandom of="$mnt/file" bs=64k count=16 conv=fsync status=none && sync -f "$mnt"
}

# Pages of a process, written to swap space on the target.
swapped() {
	must mkswap /dev/mapper/t
	must swapon /dev/mapper/t
	python3 - <<'END'
import mmap, os
area = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[:] = os.urandom(len(area))
area.madvise(21)  # MADV_PAGEOUT
END
	must swapoff /dev/mapper/t
}

# does_not_check NAME REJECTS: on $disk, which rejects what changes even so, or not.
does_not_check() {
	local rechecks=1
	[ "$2" = no ] || rechecks=0
	changes
	ok "$1: a buffer of an application is copied" is "$result $in_flight $copied $copied_pinned $in_place" "ok true 1 1 0"
	ok "$1: so that the disk holds it as it was" is "$content" "$old"
	must trace_on stable_pi:in_place
	changes policy:optimistic trust:on
	trace_off
	ok "$1: policy optimistic does not copy" is "$result $in_flight $copied $in_place $rechecked $repaired" "ok true 0 1 $rechecks 1"
	ok "$1: but writes that buffer in place" holds "$(in_place_of pinned) > 0"
	ok "$1: so that the disk holds it as it became" is "$content" "$new"

	must trace_on stable_pi:in_place
	# The page cache that does not wait, and the journal, which is in that of the
	# block device.
	protect
	ext4_on /dev/mapper/t
	ok "$1: files of ext4" files
	must umount_all
	ok "$1: it adds up" adds_up
	ok "$1: page cache that does not wait is copied" holds "$copied_cache > 0 && $copied_waits == 0 && $copied_anon == 0"
	must dmsetup message t 0 reset
	swapped
	ok "$1: it adds up with swap space" adds_up
	ok "$1: anonymous pages are copied" holds "$copied_anon > 0"
	must unmap t

	protect waits:on
	ext4_on /dev/mapper/t
	must dmsetup message t 0 reset
	ok "$1: files of ext4 that waits" files
	must umount_all
	ok "$1: it adds up" adds_up
	# The journal and the superblock are written by submit_bh(), without writeback.
	ok "$1: page cache that waits is not copied, but rechecked" holds \
		"$copied_waits == 0 && $copied == $copied_cache && $in_place > 0 && $rechecked == $in_place && $unstable == 0"
	load_direct() {
		load direct --path /dev/mapper/t --size 1M --seconds 60 --op-limit "$(scaled 120)" && holds "$failed == 0 && $mutations > 0"
	}
	ok "$1: applications do not wait" load_direct
	ok "$1: and are copied" pinned_as_well
	must unmap t

	zeroes "$1"
	encrypted "$1"
	trace_off
	ok "$1: no page that user space can change was written in place" is \
		"$(in_place_of 'cache|anon|pinned|foreign')" 0
}

pinned_as_well() {
	adds_up && holds "$copied_pinned > 0 && $copied == $copied_pinned + $copied_cache && $copied_waits == 0 && $unstable == 0"
}

# The zero page is the kernel's.
zeroes() {
	protect
	must blkdiscard -z -o 0 -l 262144 /dev/mapper/t
	ok "$1: zeroes: it adds up" adds_up
	ok "$1: pages of the kernel are not copied" holds "$copied == 0 && $in_place == $writes"
	ok "$1: the disk holds zeroes" is "$(sum 0 262144)" "$(head -c 262144 /dev/zero | sha256sum | cut -d' ' -f1)"
	must unmap t
}

# dm-crypt writes from pages of its own.
encrypted() {
	protect
	must map crypt "0 $sectors crypt aes-xts-plain64 $(printf '%064x' 1) 0 /dev/mapper/t 0"
	bio write /dev/mapper/crypt 65536 65536
	ok "$1: dm-crypt writes" is "$result" ok
	ok "$1: it adds up below dm-crypt" adds_up
	ok "$1: what dm-crypt writes is not copied" holds "$copied == 0 && $in_place == $writes"
	must unmap crypt
	must unmap t
}

# by_writing: zeroes are written, from the kernel's zero page, and not asked for with
# WRITE SAME, after which scsi_debug has the tuples of what was there before.
by_writing() {
	must tee /sys/class/scsi_disk/*/max_write_same_blocks <<<0
}

ok "the module loads" load_module
make_disk dev_size_mb=32 dif=1 dix=1 guard=0
changes
ok "a disk that checks: nothing is copied" is "$result $in_flight $copied $in_place $rechecked $repaired" "ok true 0 1 0 1"
ok "a disk that checks: it is written as it became" is "$content" "$new"
protect
ext4_on /dev/mapper/t
ok "a disk that checks: files of ext4" files
must umount_all
ok "a disk that checks: it adds up" adds_up
ok "a disk that checks: they were in place" holds "$copied == 0 && $in_place == $writes && $rechecked == 0"
must unmap t
drop_disk

make_disk dev_size_mb=32 dif=0 dix=1 guard=0
by_writing
does_not_check "a disk that does not check" rejects
drop_disk

make_disk dev_size_mb=32
by_writing
does_not_check "no profile" no
finish
