# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Mapped devices, and filesystems.

# map NAME LINE...: a mapped device with that table.
map() {
	local name=$1 lines
	shift
	printf -v lines '%s\n' "$@"
	dmsetup create "$name" <<<"$lines" || return
	test -b "/dev/mapper/$name" || {
		echo "/dev/mapper/$name is no block device"
		return 1
	}
	defer gone_device "$name"
}

unmap() {
	dmsetup remove "$1" || return
	undefer gone_device "$1"
}

# gone_device NAME: for defer. What has used it may not be through yet.
gone_device() {
	wait_for 10 quiet dmsetup remove "$1" || dmsetup remove "$1"
}

# gone_array DEVICE: of md, for defer.
gone_array() {
	[ ! -e "/sys/block/${1##*/}/md" ] || wait_for 10 quiet mdadm --stop "$1"
}

# sysfs_of NAME: the folder of a mapped device.
sysfs_of() {
	printf '/sys/block/%s\n' "$(dmsetup info -c --noheadings -o blkdevname "$1")"
}

# refused_line TARGET ARGUMENT...: a table with this line alone, over 2048 sectors, and the kernel log
# says why: reason.
declare reason
refused_line() {
	log_mark
	fails map refused "0 2048 $*" || return
	reason=$(new_log | sed -nE "s/.*$1: (.*)/\1/p" | tail -n 1)
	note "$reason"
}

# protect [ARGUMENT...]: stable-pi over all of the disk, as /dev/mapper/t.
protect() {
	must map t "0 $sectors stable-pi $disk 0 $# $*"
}

# status_of NAME KEY: a field of the status line.
status_of() {
	local word
	for word in $(dmsetup status "$1"); do
		[[ $word != "$2":* ]] || {
			printf '%s\n' "${word#*:}"
			return
		}
	done
	return 1
}

# What a status line counts.
counter_names=(
	writes intervals in_place copied copied_kernel copied_waits copied_cache copied_anon
	copied_pinned copied_foreign copied_learned forwarded rechecked retried unstable blameless repaired
	unrepaired reads_verified false_alarms corrupt reads_waited reads_unsettled
)
# shellcheck disable=SC2034 # what counters sets
declare writes intervals in_place copied copied_kernel copied_waits copied_cache copied_anon \
	copied_pinned copied_foreign copied_learned forwarded rechecked retried unstable blameless repaired \
	unrepaired reads_verified false_alarms corrupt reads_waited reads_unsettled

# counters NAME: sets the shell variables of these names; of several targets to the
# sums.
counters() {
	local status word name
	for name in "${counter_names[@]}"; do
		printf -v "$name" 0
	done
	status=$(dmsetup status "$1")
	for word in $status; do
		name=${word%%:*}
		[[ " ${counter_names[*]} " != *" $name "* ]] ||
			printf -v "$name" %d $((${!name} + ${word#*:}))
	done
	note "$status"
}

# Filesystems -----------------------------------------------------------------

mounts=()

# mount_at DIR ARGUMENT...: of mount(8); the folder is made.
mount_at() {
	mkdir -p "$1"
	mount "${@:2}" "$1" || return
	mounts=("$1" "${mounts[@]}")
	defer unmount "$1"
}

# unmount DIR
unmount() {
	local dir still=()
	umount "$1" || return
	for dir in "${mounts[@]}"; do
		[ "$dir" = "$1" ] || still+=("$dir")
	done
	mounts=("${still[@]}")
	undefer unmount "$1"
}

# umount_all: what mount_at has mounted, last first.
umount_all() {
	local dir
	for dir in "${mounts[@]}"; do
		unmount "$dir" || return
	done
}

# ext4_on DEVICE: made and mounted on $mnt.
mnt=$work/mnt
ext4_on() {
	must modprobe ext4
	must mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$1"
	must mount_at "$mnt" -t ext4 "$1"
}
