#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs-commit.sh: a commit of a file on stackfs writes it as it is at one moment,
# with stores through mappings and write(2) against it, which fsync(2) does not.
#
# timeout: 300
# covers: samples/stackfs rust/fs rust/mm

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/below.sh
. "$vm/lib/below.sh"

types=(tmpfs ext4 xfs)
below=$work/below above=$work/above
mkdir "$below" "$above"
# Two moments are seen in the first few rounds where there are two.
rounds=$(scaled 40)

# What is written back by itself is another moment.
echo 0 >/proc/sys/vm/dirty_writeback_centisecs

# mount_both TYPE [OPTION]...
mount_both() {
	fresh "$1" "$disk" "$below" "${@:2}"
	must mount_at "$above" -t stackfs -o "lowerdir=$below" none
}

commit() {
	local case=$1
	shift
	within 100 "$vm/commit.py" "$case" "$above/file" "$below/file" "$@"
}

# A read into a page of the file is held open.
pinned() {
	local pid rc=0
	must dmsetup suspend --nolockfs --noflush d
	commit pinned /dev/mapper/d >"$work/pinned" &
	pid=$!
	wait_for 60 grep -q frozen "$work/pinned" || rc=1
	must dmsetup resume d
	wait "$pid" && return "$rc"
}

make_disk dev_size_mb=400
must modprobe brd rd_nr=1 rd_size=1024
defer gone_module brd
must map d "0 2048 linear /dev/ram0 0"
must dd if=<(yes read | tr -d '\n') of=/dev/mapper/d bs=4096 count=1 iflag=fullblock oflag=direct
ok "the module loads" modprobe stackfs
for type in "${types[@]}"; do
	mount_both "$type"
	ok "$type: a fault, a store, pwrite, and a commit" commit steps
	ok "$type: fsync writes stores of two moments" commit mapped fsync 1000
	ok "$type: a commit does not" commit mapped commit "$rounds"
	ok "$type: fsync writes data of write(2) of two moments" commit write fsync 1000
	ok "$type: a commit does not" commit write commit "$rounds"
	ok "$type: fsync writes several files of two moments" commit set fsync 1000
	ok "$type: a commit of the set does not" commit set commit "$((rounds / 2 + 1))"
	ok "$type: what is pinned is written as a copy, and stays dirty" pinned
	umount_all
done

mount_both tmpfs -o size=128K
ok "what cannot be written is said, by fsync as well" commit full
rm "$above/file"
umount_all
mount_both tmpfs
ok "what makes no sense is refused" commit refused
ok "the same for several files" commit refused_set
umount_all
must unmap d
ok "the modules go" rmmod stackfs brd
finish
