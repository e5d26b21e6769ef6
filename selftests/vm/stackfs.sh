#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs.sh: samples/stackfs over tmpfs, ext4 and xfs: names, attributes, data,
# mappings, direct I/O; errors, too little memory, dirty pages at umount, and two
# mounts over one folder.
#
# timeout: 300
# covers: samples/stackfs rust/fs rust/mm
# mem: 768M
# allow: Buffer I/O error on dev
# allow: EXT4-fs (error|warning)

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/below.sh
. "$vm/lib/below.sh"
# shellcheck source=lib/filesystem.sh
. "$vm/lib/filesystem.sh"

cases=(names unnamed attributes data holes mapped direct limits)
types=(tmpfs ext4 xfs)
((SELFTEST_SCALE == 1)) || types=(tmpfs xfs)
below=$work/below above=$work/above other=$work/other
mkdir -p "$below" "$above" "$other"
# Somebody else looks at them, too.
chmod 755 "$work"

# stack DIR: on $below.
stack() {
	must mount_at "$1" -t stackfs -o "lowerdir=$below" none
}

unstack() {
	unmount "${mounts[0]}"
}

# filesystem TYPE: on $below, with stackfs above.
filesystem() {
	[ "$1" = tmpfs ] || disk_of 320M
	fresh "$1" "${loop:-}" "$below" -o size=160M
	rm -rf "$below/lost+found"
	stack "$above"
}

no_filesystem() {
	must take_down 0
}

py() {
	within 60 "$vm/stackfs.py" "$@"
}

run_case() {
	local rc=0
	py "$1" "$above" "$below" || rc=1
	rm -rf "${above:?}"/*
	return "$rc"
}

two_stacks() {
	local i
	stack "$other"
	for i in 0 1 2 3; do
		echo >"$above/file$i"
	done
	py two "$above" "$other" && unstack
}

pattern() {
	head -c 32M < <(yes "stackfs $1")
}

# Twice as much as there is memory for, four times.
confined=/sys/fs/cgroup/stackfs
write_confined() {
	local i pids=() rc=0
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p "$confined"
	echo 16M >"$confined/memory.max"
	for i in 1 2 3; do
		(
			echo 0 >"$confined/cgroup.procs"
			pattern "$i" >"$above/big$i"
		) &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || rc=1
	done
	note "$(tr '\n' ' ' <"$confined/memory.events")"
	(($(sed -n 's/^max //p' "$confined/memory.events") > 0)) || {
		echo "there was memory enough"
		rc=1
	}
	wait_for 5 rmdir "$confined" || rc=1
	return "$rc"
}

is_pattern() {
	local i
	for i in 1 2 3; do
		cmp "$below/big$i" <(pattern "$i") || return
	done
}

umount_dirty() {
	dd if=/dev/urandom "of=$work/random" bs=1M count=8 status=none
	cp "$work/random" "$above/random"
	must grep -E '^Dirty: +[1-9][0-9]{3,} kB' /proc/meminfo
	unstack && cmp "$work/random" "$below/random"
}

# Arguments ---------------------------------------------------------------------

# refused REGEX OPTION...: mount(8) says so.
refused() {
	local regex=$1
	shift
	fails mount -t stackfs "$@" none "$above" 2>"$work/refused" && grep -qE "$regex" "$work/refused"
}

ok "mount loads the module" must modprobe stackfs
ok "no folder is refused" refused 'folder of the filesystem below is missing'
ok "a folder that is not there is refused" refused 'no such folder' -o lowerdir=/nowhere
on_itself() {
	stack "$above"
	refused 'stacked' -o "lowerdir=$above" && unstack
}
ok "a stackfs on a stackfs is refused" on_itself
ok "the calls for a new mount make one, and so does mount(2)" py mounts "$above" "$below"

# What a user does --------------------------------------------------------------

for type in "${types[@]}"; do
	filesystem "$type"
	for name in "${cases[@]}"; do
		ok "$type: $name" run_case "$name"
	done
	ok "$type: fsx" exercised "$above"
	ok "$type: two stacks over one folder" two_stacks
	# What is written to tmpfs stays in memory, which is theirs: vm/stackfs-data.
	if [ "$type" != tmpfs ]; then
		ok "$type: more dirty pages than memory" write_confined
		sync
		ok "$type: all of them are below" is_pattern
		rm -f "$above"/big*
	fi
	ok "$type: unmounted with dirty pages" umount_dirty
	no_filesystem
done

# Errors ------------------------------------------------------------------------

# once ERRNO BYTES REPAIR...: while it is broken, and after the repair.
once() {
	local errno=$1 bytes=$2 pid
	shift 2
	rm -f /run/stackfs-failed
	py once "$above" "$below" "$errno" "$bytes" &
	pid=$!
	wait_for 60 test -e /run/stackfs-failed || kill "$pid"
	"$@" || return
	rm -f /run/stackfs-failed
	wait "$pid"
}

enospc=28 eio=5
must mount_at "$below" -t tmpfs -o size=2M none
stack "$above"
ok "ENOSPC: msync fails, and never says anything else" py msync "$above" "$below" "$enospc"
rm -f "$above/mapped"
touch "$above/full"
ok "ENOSPC: fsync says so once to each open file" \
	once "$enospc" $((8 << 20)) mount -o remount,size=32M "$below"
no_filesystem

breakable "$below"
stack "$above"
must dd if=/dev/zero "of=$above/full" bs=1M count=4 conv=fsync
must below breaks
ok "EIO: fsync says so once to each open file" once "$eio" $((4 << 20)) below works
write_again() {
	dd if=/dev/urandom "of=$above/full" bs=1M count=4 conv=fsync,notrunc && cmp "$above/full" "$below/full"
}
ok "EIO: what is written after the repair is there" write_again
no_filesystem

ok "the module goes" rmmod stackfs
ok "and leaves nothing" fails grep -q stackfs /proc/filesystems
finish
