#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stackfs-rights.sh: whose rights are used below, and what becomes of attributes, times
# and limits: the same steps on stackfs and on the filesystem below alone, with the same
# answers.
#
# timeout: 400
# mem: 1G
#
. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/below.sh
. "$vm/lib/below.sh"

below=$work/below above=$work/above
mkdir -p "$below" "$above"
chmod 755 "$work"

everywhere=(reader capabilities namespace confined profiled set_user_id lists attributes access times)
# Where filesystems could differ.
differing=(capabilities access times)
types=(ext4 xfs btrfs tmpfs)
((SELFTEST_SCALE == 1)) || types=(ext4 btrfs)

# filesystem TYPE: in memory, with a folder below a stack, and one alone.
filesystem() {
	fresh "$1" /dev/ram0 "$below"
	again
}

again() {
	mkdir -p "$below/stacked" "$below/alone"
	must mount_at "$above" -t stackfs "${options[@]}" -o "lowerdir=$below/stacked" none
}
options=()

no_stack() {
	must unmount "$above"
	rm -rf "$below"/stacked "$below"/alone
}

# what CASE DIR: is printed, and kept; some of it has to be there.
what() {
	timeout $((100 * SELFTEST_SCALE)) "$vm/stackfs-rights.py" "$1" "$2" "${@:3}" 2>&1
}

# same CASE [LINE]...: as below alone, where each LINE has to be seen.
same() {
	local case=$1 line
	shift
	what "$case" "$below/alone" "$below/alone" >"$work/alone"
	what "$case" "$above" "$below/stacked" >"$work/stacked"
	for line; do
		grep -qx -- "$line" "$work/alone" || {
			echo "the filesystem below does not say '$line':"
			cat "$work/alone"
			return 1
		}
	done
	diff "$work/alone" "$work/stacked"
}

must modprobe brd rd_nr=1 rd_size=409600
defer gone_module brd
# Where the profiles of AppArmor are loaded. The debug kernel has no such filesystem.
! grep -qw securityfs /proc/filesystems || mountpoint -q /sys/kernel/security ||
	must mount_at /sys/kernel/security -t securityfs none
ok "the module loads" modprobe stackfs

declare -A seen=(
	[reader]="fsync 0 -rwsr-xr-x"
	[capabilities]="root writes ENODATA"
	[namespace]="outside 0100000300200000000000000000000000000000e8030000"
	[confined]="outside EACCES"
	[profiled]="outside EACCES"
	[set_user_id]="user 0o6777 write 4 -rwxrwxrwx"
	[lists]="removed ENODATA -rw-rwxr-- EACCES"
	[attributes]="user.a None b'value'"
	[access]="O_NOATIME file:False dir:False link:False"
	[times]="written back True True"
)
# has CASE: the kernel has what it is about, in the filesystem below. The debug kernel does not
# have all.
has() {
	case $1 in
	namespace) [ -e /proc/self/ns/user ] ;;
	# The version of Landlock.
	confined) python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)' ;;
	profiled) [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] ;;
	reader | capabilities) takes security.capability 0100000200200000000000000000000000000000 ;;
	lists) takes system.posix_acl_access 02000000 ;;
	esac
}

# takes NAME VALUE: of an attribute. A wrong value is refused before it is known who would take it.
takes() {
	python3 -c 'import errno, os, sys
try:
    os.setxattr(sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3]))
except OSError as error:
    sys.exit(error.errno == errno.EOPNOTSUPP)' "$below/alone" "$@"
}

for type in "${types[@]}"; do
	filesystem "$type"
	case $type in
	ext4) cases=("${everywhere[@]}") ;;
	*) cases=("${differing[@]}") ;;
	esac
	for case in "${cases[@]}"; do
		has "$case" || {
			skip "$type: $case" "this kernel has none of that"
			continue
		}
		ok "$type: $case" same "$case" "${seen[$case]}"
		no_stack
		again
	done
	umount_all
done

# Limits ------------------------------------------------------------------------

make=(-m 20 -b 4096)
must truncate -s 40M "$work/image"
# limited alone|stacked CASE OPTIONS
limited() {
	local where=$1
	must mkfs.ext4 -q -F "${make[@]}" "$work/image"
	must mount_at "$below" -o "loop,$3" "$work/image"
	again
	case $where in
	stacked) what "$2" "$above" ;;
	alone) what "$2" "$below/alone" ;;
	esac >"$work/$where"
	umount_all
}
# reserved CASE OPTIONS LINE
reserved() {
	limited alone "$1" "$2"
	limited stacked "$1" "$2"
	cat "$work/alone"
	grep -qx "$3" "$work/alone" && diff "$work/alone" "$work/stacked"
}
ok "ext4: what is reserved is for root" reserved reserve resuid=0 "left True True"
ok "ext4: what is reserved for a group is for who is in it" \
	reserved reserve_group resgid=1001 "left False"
make=()

quotas() {
	local where
	for where in alone stacked; do
		must mkfs.ext4 -q -F -O quota -E quotatype=usrquota "$work/image"
		must mount_at "$below" -o loop,usrquota "$work/image"
		must setquota -u 1000 0 4096 0 0 "$below"
		again
		case $where in
		stacked) what quota "$above" "$below/stacked" "$below" ;;
		alone) what quota "$below/alone" "$below/alone" "$below" ;;
		esac >"$work/$where"
		umount_all
	done
	cat "$work/alone"
	grep -qx "user EDQUOT" "$work/alone" && diff "$work/alone" "$work/stacked"
}
must modprobe quota_v2
ok "ext4: quotas count" quotas

# Mounts ------------------------------------------------------------------------

filesystem ext4
noatime_above() {
	no_stack
	options=(-o noatime)
	again
	what access "$above" >"$work/stacked"
	cat "$work/stacked"
	fails grep -q True "$work/stacked"
}
ok "noatime above" noatime_above
options=()

noatime_below() {
	no_stack
	again
	must mount -o remount,bind,noatime "$below"
	same access "O_NOATIME file:False dir:False link:False" && fails grep -q True "$work/alone"
	local rc=$?
	must mount -o remount,bind,relatime "$below"
	return "$rc"
}
ok "noatime below" noatime_below

# restricts OPTION REGEX: a mount of the filesystem below that has it, and no stack does.
restricts() {
	no_stack
	must mount -o "remount,bind,$1" "$below"
	mkdir -p "$below/stacked" "$below/alone"
	must mount_at "$above" -t stackfs -o "lowerdir=$below/stacked" none
	what restricted "$below/alone" >"$work/alone"
	what restricted "$above" >"$work/stacked"
	must mount -o remount,bind,suid,dev,exec "$below"
	paste "$work/alone" "$work/stacked"
	grep -qxE "$2" "$work/alone" && diff "$work/alone" <(sed "$3" "$work/stacked")
}
ok "nothing is restricted" restricts suid "set-user-ID 0" ""
ok "noexec below" restricts noexec "program EACCES" ""
ok "nodev below" restricts nodev "device EACCES" ""
# What below is run without the rights is not run.
ok "nosuid below" restricts nosuid "set-user-ID 1000" "s/set-user-ID EPERM/set-user-ID 1000/"

nosuid_both() {
	no_stack
	options=(-o nosuid)
	again
	what restricted "$above" >"$work/stacked"
	cat "$work/stacked"
	grep -qx "set-user-ID 1000" "$work/stacked"
}
ok "nosuid above" nosuid_both
options=()
no_stack
again
ok "delegations below are waited for" same delegated "unlink held b'.'" "unlink None"
umount_all

# Devices -----------------------------------------------------------------------

# linked DIR: two subvolumes, with files that have the same inode number.
linked() {
	(
		cd "$1" || exit
		stat -c '%n %i' one/file two/file
		[ "$(stat -c %d:%i one/file)" != "$(stat -c %d:%i two/file)" ] && echo "two files"
		[ "$(stat -c %d one)" != "$(stat -c %d .)" ] && echo "two devices"
		[ "$(stat -c %d one)" = "$(stat -c %d one/file)" ] && echo "one device"
		ln -f one/file one/link
		ln -f two/file two/link
		rm -rf "$work/restored"
		mkdir "$work/restored"
		tar -c one two | tar -x -C "$work/restored"
		head "$work"/restored/*/file
		find . -xdev | sort
	)
}
subvolumes() {
	local dir i
	for dir in "$below/stacked" "$below/alone"; do
		for i in one two; do
			must btrfs -q subvolume create "$dir/$i"
			echo "$i" >"$dir/$i/file"
		done
	done
	linked "$below/alone" >"$work/alone"
	linked "$above" >"$work/stacked"
	sed -i "s#.*[0-9]\$##" "$work/alone" "$work/stacked"
	cat "$work/alone"
	grep -qx "two files" "$work/alone" && diff "$work/alone" "$work/stacked"
}
filesystem btrfs
ok "btrfs: each subvolume is a device" subvolumes
umount_all
ok "the module goes" rmmod stackfs
finish
