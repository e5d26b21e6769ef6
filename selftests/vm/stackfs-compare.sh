#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs-compare.sh: the same random system calls on stackfs and on the file system
# below alone give the same answers, and leave the same tree: above, below, and after a
# new mount. As root, and as somebody without rights.
#
# With SELFTEST_SOAK=SECONDS it is a million calls for each file system, and other ones
# each time, and a million operations of fsx; otherwise the same. What differs is said with the
# seed.
#
# timeout: 300
# mem: 1G
# covers: rust/fs samples/stackfs tools/loads/src/compare.rs tools/loads/src/compare

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/below.sh
. "$vm/lib/below.sh"
# shellcheck source=lib/filesystem.sh
. "$vm/lib/filesystem.sh"

types=(ext4 xfs btrfs tmpfs)
((SELFTEST_SCALE == 1)) || types=(ext4 tmpfs)

below=$work/below above=$work/above
alone=$below/alone lower=$below/lower
chmod 755 "$work"

filesystem() {
	[ "$1" = tmpfs ] || disk_of 400M
	fresh "$1" "${loop:-}" "$below" -o size=400M
	mkdir "$alone" "$lower"
	chmod 777 "$alone" "$lower"
	must mount_at "$above" -t stackfs -o "lowerdir=$lower" none
}

# compared CALLS [OPTION...]: in both, beginning with nothing.
compared() {
	local seed=()
	((${SELFTEST_SOAK:-0})) || seed=(--seed "$1")
	[[ $type != @(ext4|tmpfs) ]] || seed+=(--not-behind)
	find "$alone" "$above" -mindepth 1 -delete
	"$loads" compare --path "$above" --control "$alone" --lower "$lower" --calls "$@" "${seed[@]}"
}

# same_after: what a new mount finds.
same_after() {
	unmount "$above"
	must mount_at "$above" -t stackfs -o "lowerdir=$lower" none
	"$loads" compare --path "$above" --control "$alone" --calls 0
}

must modprobe stackfs
must mount_at "$work/other" -t tmpfs none
filesystem ext4
ok "what answers otherwise is found out" fails "$loads" compare --path "$work/other" \
	--control "$alone" --calls 10000 --seed 1
must take_down 0
for type in "${types[@]}"; do
	filesystem "$type"
	ok "$type: the same answers" compared "$(soaked 6000 900000)"
	ok "$type: the same tree after a new mount" same_after
	ok "$type: the same answers for a user" compared "$(soaked 2000 100000)" --user 1000
	# vm/stackfs has it on the others.
	if [ "$type" = btrfs ] || ((${SELFTEST_SOAK:-0})); then
		ok "$type: fsx" exercised "$above"
	fi
	must take_down 0
done
finish
