#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs-races.sh: several at once on one file of stackfs: direct I/O and stores,
# parts taken out and put in, a freeze of the filesystem below; and what fails below.
#
# timeout: 300
# covers: samples/stackfs rust/fs rust/mm

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/below.sh
. "$vm/lib/below.sh"

types=(ext4 xfs)
below=$work/below above=$work/above
mkdir "$below" "$above"

# What is written back by itself is written at another moment, or while it may not be.
echo 0 >/proc/sys/vm/dirty_writeback_centisecs

mount_both() {
	fresh "$1" /dev/ram1 "$below"
	must mount_at "$above" -t stackfs -o "lowerdir=$below" none
}

races() {
	within 100 "$vm/stackfs-races.py" "$1" "$above" "$below" "${@:2}"
}

must modprobe brd rd_nr=2 rd_size=409600
defer gone_module brd
must map d "0 65536 linear /dev/ram0 0"
ok "the module loads" modprobe stackfs
for type in "${types[@]}"; do
	mount_both "$type"
	ok "$type: direct I/O agrees with the page cache" races direct "$(scaled 40)"
	ok "$type: no store is lost where parts are taken out and put in" races shift "$(scaled "$(scaled 20)")"
	ok "$type: what is punched is not written back" races hole "$(scaled 100)"
	umount_all
done

mount_both ext4
# xfs makes a file shorter that must not be changed.
ok "ext4: what fails below changes nothing" races refused
ok "ext4: a freeze below while somebody writes there from a mapping" races frozen /dev/mapper/d
umount_all
must unmap d
ok "the modules go" rmmod stackfs brd
finish
