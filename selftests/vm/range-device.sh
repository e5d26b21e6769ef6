#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# range-device.sh: a stable range of a block device does not change; of one that is
# mounted, whose metadata changes without the locks of its folios, it is refused.
#
# timeout: 120
# covers: rust/mm samples/range

. "$(dirname "$0")/lib.sh"

ok "the module and the sample load" modprobe stable_range
must modprobe brd rd_nr=1 rd_size=65536
defer gone_module brd
must modprobe ext4
for type in ext2 ext4; do
	must "mkfs.$type" -q -F /dev/ram0
	must mount_at "$mnt" "/dev/ram0"
	ok "$type: metadata changes, and a range is refused" "$vm/range-device.py" /dev/ram0 "$mnt"
	umount_all
done
ok "a device that nobody has for himself does not change" "$vm/range-device.py" /dev/ram0
must rmmod stable_range
finish
