#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mmap.sh: 64 threads that store into shared mappings and call msync, on ext4,
# first over a device that loses stable pages.
#
# timeout: 240
# covers: rust/block rust/filter rust/mm

. "$(dirname "$0")/lib.sh"

# write_maps POLICY: until the race has been seen, five times at most: then msync
# fails, or writes were repaired. Only without stable pages can that be.
write_maps() {
	local i
	for i in 1 2 3 4 5; do
		load mmap --dir "$mnt" --threads 32 --seconds 60 --op-limit "$(scaled 100)" --file-size 256K --stores 512 || return
		[ ! -b /dev/mapper/t ] || counters t
		case $1 in
		policy:copy | policy:wait) return 0 ;;
		esac
		((failed == 0 && ${repaired:-0} == 0)) || return 0
	done
}

# on_ext4 [ARGUMENT...]
on_ext4() {
	wipe
	protect "$@"
	stable=$(<"$(sysfs_of t)/queue/stable_writes")
	ext4_on /dev/mapper/t
	write_maps "$1"
	must umount_all
	counters t
	must unmap t
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module

# It does not show the profile, so ext4 does not keep pages stable; the block
# layer generates below, from the same pages.
must map loses "0 $sectors flakey $disk 0 3600 0"
ok "flakey does not show the profile" is "$(<"$(sysfs_of loses)/integrity/format")" none
ext4_on /dev/mapper/loses
write_maps none
ok "flakey: msync fails" holds "$failed > 0 && $mutations > 0"
umount_all
must unmap loses

on_ext4 policy:optimistic recheck:on
ok "optimistic: nobody is told to wait" is "$stable" 0
ok "optimistic: no msync fails" holds "$done_writes > 0 && $failed == 0"
ok "optimistic: changed pages were repaired" holds "$repaired > 0 && $unrepaired == 0 && $mutations > 0"
ok "optimistic: all can be read" reads_back

on_ext4 policy:copy
ok "copy: nobody is told to wait" is "$stable" 0
ok "copy: no msync fails" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
ok "copy: none was in place" holds "$copied == $writes && $in_place == 0 && $repaired == 0"
ok "copy: all can be read" reads_back

on_ext4 policy:wait
ok "wait: ext4 is told to wait, and no msync fails" holds "$stable == 1 && $done_writes > 0 && $failed == 0 && $mutations > 0"
ok "wait: nothing had to be copied or repaired" holds "$copied == 0 && $repaired == 0 && $in_place == $writes"
ok "wait: all can be read" reads_back
finish
