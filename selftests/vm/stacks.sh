#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stacks.sh: stable-pi above and below other targets, and itself. What is written at
# the top is what is read there, all that arrives on the disk has right tuples, and
# nothing is left behind.
#
# timeout: 300
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"

key=$(printf '%064d' 7)$(printf '%064d' 9)
md=/sys/block/md0/md

# Stacks: each has its top in /dev/mapper/top, or in what $top_device says. They take
# the arguments of stable-pi, or none of them for the stack without it.

# pi NAME SECTORS DEVICE OFFSET [ARGUMENT...]: stable-pi, or linear without arguments.
pi() {
	local name=$1 size=$2 below=$3 at=$4
	shift 4
	if (($#)); then
		must map "$name" "0 $size stable-pi $below $at $# $*"
	else
		must map "$name" "0 $size linear $below $at"
	fi
}

# linear between, above and below, and not at the start of the disk.
linear() {
	must map low "0 $((sectors - 4096)) linear $disk 4096"
	pi mid $((sectors - 8192)) /dev/mapper/low 4096 "$@"
	must map top "0 $((sectors - 12288)) linear /dev/mapper/mid 4096"
}

# stripe_above: over two of stable-pi.
stripe_above() {
	local half=$((sectors / 2))
	pi a "$half" "$disk" 0 "$@"
	pi b "$half" "$disk" "$half" "$@"
	must map top "0 $sectors striped 2 128 /dev/mapper/a 0 /dev/mapper/b 0"
}

# stripe_below: the ends of stripes are the ends of bios.
stripe_below() {
	must map low "0 $sectors striped 2 8 $disk 0 $disk $((sectors / 2))"
	pi top "$sectors" /dev/mapper/low 0 "$@"
}

# thin_above: a pool whose data and metadata are on stable-pi.
thin_above() {
	pi meta 4096 "$disk" 0 "$@"
	pi data $((sectors - 4096)) "$disk" 4096 "$@"
	thin_of $((sectors - 4096))
}

thin_of() {
	must dd if=/dev/zero of=/dev/mapper/meta bs=4k count=1 oflag=direct
	must map pool "0 $1 thin-pool /dev/mapper/meta /dev/mapper/data 128 0"
	must dmsetup message pool 0 'create_thin 0'
	must map "${2:-top}" "0 $((sectors / 2)) thin /dev/mapper/pool 0"
}

# thin_below: the filter over a thin device.
thin_below() {
	must map meta "0 4096 linear $disk 0"
	must map data "0 $((sectors - 4096)) linear $disk 4096"
	thin_of $((sectors - 4096)) thin
	pi top $((sectors / 2)) /dev/mapper/thin 0 "$@"
}

crypt_above() {
	pi low "$sectors" "$disk" 0 "$@"
	must map top "0 $sectors crypt aes-xts-plain64 $key 0 /dev/mapper/low 0"
}

crypt_below() {
	must map low "0 $sectors crypt aes-xts-plain64 $key 0 $disk 0"
	pi top "$sectors" /dev/mapper/low 0 "$@"
}

# twice: the lower one shows its profile or does not; the upper one generates.
twice() {
	pi low "$sectors" "$disk" 0 "$@"
	pi top "$sectors" /dev/mapper/low 0 "$@"
}

twice_passthrough() {
	pi low "$sectors" "$disk" 0 "$@" passthrough
	pi top "$sectors" /dev/mapper/low 0 "$@"
}

# drop_stack: all of it, and nothing else.
drop_stack() {
	must take_down "$stack_depth"
}

# verified: what is written is read.
verified() {
	load direct --path /dev/mapper/top --size 2M --block-size 20K --depth 8 --seconds 60 \
		--op-limit "$(scaled 60)" --read-percent 20 --no-mutate --verify || return
	echo "$outcome"
	holds "$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
}

# changed: writes that all targets together have repaired.
changed() {
	dmsetup status --target stable-pi |
		sed -nE 's/.* repaired:([0-9]+) .*/\1/p' | awk '{ sum += $1 } END { print sum + 0 }'
}

# changing: writes whose buffers change, until one has failed or has been repaired,
# five times at most. Sets failed and repaired.
changing() {
	local i
	for i in 1 2 3 4 5; do
		load direct --path /dev/mapper/top --size 2M --seconds 60 --op-limit "$(scaled 120)" --seed "$i" || return
		repaired=$(changed)
		((failed == 0 && repaired == 0)) || return 0
	done
}

# tree: files on a filesystem, while others change under direct writes; what is
# read after a mount is what was written.
tree() {
	local hash found failed_writes
	ext4_on /dev/mapper/top
	load direct --path "$mnt/changing" --size 1M --seconds 60 --op-limit "$(scaled 120)"
	failed_writes=$failed
	must dd if=/dev/urandom "of=$mnt/file" bs=1M count=1 conv=fsync
	hash=$(sha256sum <"$mnt/file")
	must umount_all
	must mount_at "$mnt" -t ext4 /dev/mapper/top
	found=$(sha256sum <"$mnt/file")
	must umount_all
	tree_result="$failed_writes $([ "$found" = "$hash" ] && echo same)"
}

make_disk dev_size_mb=8 dif=1 dix=1 guard=0 "${window[@]}"
wipe
for target in crypt thin_pool; do
	modprobe -q dm_$target || bail "this kernel has no $target"
done
ok "the module loads" load_module
stack_depth=${#deferred[@]}

for stack in linear stripe_below thin_above; do
	$stack
	changing
	drop_stack
	wipe
	ok "$stack, without stable-pi: writes fail whose buffers change" holds "$failed > 0"
done

# The disk of this test copies the data after it has checked it, hence the recheck.
for stack in linear stripe_above stripe_below thin_above thin_below crypt_above crypt_below \
	twice twice_passthrough; do
	$stack policy:optimistic recheck:on trust:on
	ok "$stack: what is written is read" verified
	if [ $stack = crypt_above ]; then
		# What the lower one gets are pages of dm-crypt, which nobody changes.
		load direct --path /dev/mapper/top --size 2M --seconds 60 --op-limit "$(scaled 120)"
		ok "$stack: no write fails whose buffer changes" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
	else
		changing
		ok "$stack: no write fails whose buffer changes, some are repaired" holds \
			"$done_writes > 0 && $failed == 0 && $repaired > 0"
	fi
	drop_stack
	ok "$stack: all of the disk can be read" reads_back
done

for stack in thin_above twice_passthrough; do
	# The disk leaves tuples behind when a block becomes zeroes.
	wipe
	$stack policy:auto recheck:on
	tree
	ok "$stack: a filesystem holds what was written" is "$tree_result" "0 same"
	ok "$stack: and is sound" e2fsck -fn /dev/mapper/top
	drop_stack
done

# md between two filters: the upper one gives both legs the same data, the lower ones
# verify what is read. A disk that rejects a write below md would be a failed one.
idle() {
	[ "$(<"$md/sync_action")" = idle ]
}

# legs_differ: sets mismatches.
legs_differ() {
	echo check >"$md/sync_action" && wait_for 60 idle && mismatches=$(<"$md/mismatch_cnt")
}

# mirror: of two halves of stable-pi, and stable-pi with these arguments on top.
mirror() {
	local half=$((sectors / 2))
	pi leg0 "$half" "$disk" 0 policy:optimistic recheck:on
	pi leg1 "$half" "$disk" "$half" policy:optimistic recheck:on
	must mdadm --create /dev/md0 --run --metadata=1.0 --bitmap=none --assume-clean \
		--level=1 --raid-devices=2 /dev/mapper/leg0 /dev/mapper/leg1
	defer gone_array /dev/md0
	must wait_for 10 test -b /dev/md0
	pi top "$(blockdev --getsz /dev/md0)" /dev/md0 0 "$@"
}


# Each leg copies what has changed for itself.
must modprobe raid1
wipe
mirror
for i in 1 2 3 4 5; do
	changing
	must legs_differ
	((mismatches == 0)) || break
done
ok "RAID1 alone: the legs differ where buffers changed" holds "$failed == 0 && $mismatches > 0"
drop_stack
wipe
mirror policy:copy trust:on
ok "RAID1: what is written is read" verified
for policy in copy optimistic; do
	must dmsetup message top 0 policy $policy
	changing
	ok "RAID1, $policy: no write fails whose buffer changes" holds "$done_writes > 0 && $failed == 0 && $mutations > 0"
	must legs_differ
	ok "RAID1, $policy: the legs are the same" is "$mismatches" 0
done
drop_stack
ok "all of the disk can be read" reads_back
ok "no target is left" is "$(dmsetup ls)" "No devices found"
finish
