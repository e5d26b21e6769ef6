#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# direct.sh: asynchronous direct writes whose buffers change in flight, on the
# block device and on ext4, first on the disk alone.
#
# timeout: 240
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"

# mutate PATH POLICY: until the race has been seen, five times at most: then there
# are failed writes, or repaired ones. Copies show nothing.
mutate() {
	local i
	for i in 1 2 3 4 5; do
		load direct --path "$1" --size 2M --seconds 60 --op-limit "$(scaled 200)" --seed "$i" || return
		[ ! -b /dev/mapper/t ] || counters t
		((failed == 0 && ${repaired:-0} == 0)) && [ "$2" != policy:copy ] || return 0
	done
}

# on_block [ARGUMENT...], on_ext4 [ARGUMENT...]: the load on stable-pi with these
# arguments, or on the disk alone.
on_block() {
	wipe
	(($# == 0)) || protect "$@"
	mutate "$([ $# = 0 ] && echo "$disk" || echo /dev/mapper/t)" "${1:-none}"
	(($# == 0)) || must unmap t
}

on_ext4() {
	wipe
	(($# == 0)) || protect "$@"
	ext4_on "$([ $# = 0 ] && echo "$disk" || echo /dev/mapper/t)"
	mutate "$mnt/file" "${1:-none}"
	must umount_all
	(($# == 0)) || must unmap t
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module

for where in block ext4; do
	repaired=0
	on_$where
	ok "$where: the disk alone rejects writes" holds "$failed > 0 && $mutations > 0"

	# scsi_debug compares the guard with the data and only then copies the data,
	# so what changes between the two needs the recheck.
	on_$where policy:optimistic recheck:on
	ok "$where: optimistic: no write fails" holds "$done_writes > 0 && $failed == 0"
	ok "$where: optimistic: changed ones were repaired" holds "$repaired > 0 && $unrepaired == 0 && $copied == 0 && $mutations > 0"
	ok "$where: optimistic: all can be read" reads_back

	on_$where policy:copy
	ok "$where: copy: no write fails" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
	ok "$where: copy: none was in place" holds "$copied == $writes && $in_place == 0 && $repaired == 0"
	ok "$where: copy: all can be read" reads_back

	on_$where policy:optimistic
	ok "$where: optimistic without recheck: no write fails" holds "$done_writes > 0 && $failed == 0"
	ok "$where: optimistic without recheck: only rejected ones were repaired" holds "$repaired > 0 && $rechecked == 0"

	# Waiting is for those who ask; a direct writer does not.
	on_$where policy:wait
	ok "$where: wait: direct writers get the error" holds "$failed > 0 && $mutations > 0"
	ok "$where: wait: nothing is copied or repaired" holds "$copied == 0 && $repaired == 0 && $in_place == $writes"
done
finish
