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

# bindfs serves a folder of a tmpfs. To it each name is a file of its own, which disappears while a folder
# above it is being renamed, also without a stack: so not eight at once.
fuse() {
	must modprobe fuse
	must mount_at "$work/o" -t tmpfs none
	must mount_at "$below" -t fuse.bindfs "$work/o"
	[[ $(findmnt -n -o FSTYPE "$below") == fuse* ]] || return
	on "$below"
	names remote "$above" "$below" &&
		head -c 1M /dev/urandom >"$work/random" && cp "$work/random" "$above/data" &&
		mkdir -p "$above/x/y" && touch "$above/x/y/z" && rm -r "$above/"[!d]* && unmount "$above" && cmp "$work/random" "$work/o/data"
}
ok "FUSE below" fuse
umount_all

# The project is there from the host.
ninep() {
	rm -rf "$top/build/below-9p"
	mkdir "$top/build/below-9p"
	is "$(findmnt -n -o FSTYPE -T "$top/build/below-9p")" 9p || return
	on "$top/build/below-9p"
	names busy "$above" 2 && names remote "$above" "$top/build/below-9p" &&
		head -c 1M /dev/urandom >"$work/random" && cp "$work/random" "$above/data" &&
		umount_all && cmp "$work/random" "$top/build/below-9p/data"
}
ok "9p below" ninep
must umount_all
rm -rf "$top/build/below-9p"

# serve DIR: by NFS, on this machine.
serve() {
	must ip link set lo up
	must modprobe nfsd
	mountpoint -q /proc/fs/nfsd || must mount_at /proc/fs/nfsd -t nfsd nfsd
	must mount_at /var/lib/nfs -t tmpfs none
	mkdir /var/lib/nfs/{sm,v4recovery}
	touch /var/lib/nfs/{etab,rmtab}
	must exportfs -o rw,insecure,fsid=0,no_subtree_check,no_root_squash "127.0.0.1:$1"
	defer exportfs -ua
	must rpc.nfsd -N 3 1
	defer rpc.nfsd 0
	rpc.mountd -N 3 -F >"$work/mountd" 2>&1 &
	mountd=$!
	defer kill "$mountd"
}
declare mountd

# nfs: it says in a word why not.
nfs() {
	mkdir "$work/served"
	serve "$work/served"
	must mount_at "$below" -t nfs4 127.0.0.1:/ || return
	fails mount -t stackfs -o "lowerdir=$below" none "$above" 2>"$work/said" || return
	cat "$work/said"
	grep -q NFS "$work/said"
}
if modprobe -nq nfsd && modprobe -nq nfsv4; then
	ok "NFS below is refused" nfs
else
	skip "NFS below is refused" "this kernel has none"
fi

ok "the module goes" rmmod stackfs
finish
