#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs-names.sh: names that change on stackfs while others look at them, and that are
# changed below; and filesystems below that have names, or servers, of their own.
#
# timeout: 400
# mem: 1G
# machine: own

. "$(dirname "$0")/lib.sh"

below=$work/below above=$work/above
mkdir -p "$below" "$above"
chmod 755 "$work"

names() {
	timeout $((200 * SELFTEST_SCALE)) "$vm/stackfs-names.py" "$@"
}

# on DIR: a stack on that folder.
on() {
	must mount_at "$above" -t stackfs -o "lowerdir=$1" none
}

# inside DIR: something is mounted there.
inside() {
	mkdir -p "$1" && must mount -t tmpfs none "$1" && touch "$1/inside"
}

must modprobe brd rd_nr=1 rd_size=409600
defer gone_module brd
ok "the module loads" modprobe stackfs
must modprobe ext4
must mkfs.ext4 -q /dev/ram0
must mount_at "$below" /dev/ram0
mkdir "$below/alone" "$below/stacked"
on "$below/stacked"

renamed() {
	mkdir -p "$1/dir/inner"
	chmod 777 "$1/dir"
	inside "$1/dir/inner/mount"
	names renamed "$1" "$(scaled 3000)" || return
	umount "$1/dir/inner/mount" && rm -r "$1/dir"
}
for dir in "$below/alone" "$above"; do
	ok "${dir##*/}: a file that is being made is there" names created "$dir" "$(scaled 3000)"
	ok "${dir##*/}: a rename takes along what is mounted" renamed "$dir"
	ok "${dir##*/}: eight at once" names busy "$dir" "${SELFTEST_SOAK:-10}"
done
changed_below() {
	inside "$above/dir/mount"
	names below "$above" "$below/stacked" || return
	umount "$above/dir/mount"
}
ok "what is changed below is seen" changed_below
umount_all

# Others below --------------------------------------------------------------------

vfat() {
	must modprobe vfat
	must mkfs.vfat /dev/ram0
	must mount_at "$below" -o iocharset=iso8859-1 /dev/ram0
	mkdir "$below/alone" "$below/stacked"
	on "$below/stacked"
	names folded "$below/alone" >"$work/alone" || return
	names folded "$above" >"$work/stacked" || return
	cat "$work/alone"
	diff "$work/alone" "$work/stacked"
}
ok "vfat below: names are equal without being the same" vfat
umount_all

overlay() {
	must modprobe overlay
	must mount_at "$work/o" -t tmpfs none
	mkdir "$work"/o/{lower,upper,work}
	must mount_at "$below" -t overlay \
		-o "lowerdir=$work/o/lower,upperdir=$work/o/upper,workdir=$work/o/work" none
	on "$below"
	names busy "$above" 2 && names remote "$above" "$below"
}
ok "overlayfs below" overlay
umount_all

ok "the module goes" rmmod stackfs
finish
