#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# zoned.sh: over a zoned disk the zones are the disk's, every write is copied,
# since its sectors cannot be written twice, and zone append is emulated.
#
# null_blk is zoned without a profile, scsi_debug and QEMU's NVMe with one. Zone
# append comes from btrfs; zonefs writes in place, and XFS on zones needs a newer
# mkfs.xfs. The NVMe disk has no zones for what is written in place, which btrfs
# wants.
#
# timeout: 240
# covers: rust/block rust/filter
# drive: if=none,id=z,format=raw,file.driver=null-co,file.size=64M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=z,zoned=true,zoned.zone_size=4M,ms=8,pi=1,logical_block_size=512,physical_block_size=512
#
# shellcheck disable=SC2119,SC2120

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# same_zones [FIRST]: the target's are the disk's, from that one on.
same_zones() {
	local from=$((${1:-0} * zone)) count
	count=$(queue /dev/mapper/t nr_zones)
	is "$(blkzone report /dev/mapper/t | cut -d, -f2-)" \
		"$(blkzone report -o "$from" -c "$count" "$disk" | cut -d, -f2-)"
}

# zone_is NUMBER REGEX: and this is how that one is.
zone_is() {
	same_zones && blkzone report -o $(($1 * zone)) -c 1 /dev/mapper/t | tee "$work/zone" &&
		grep -qE "$2" "$work/zone"
}

# does NUMBER OPERATION REGEX: of a zone of the target, and how it is after that.
does() {
	blkzone "$2" -o $(($1 * zone)) -c 1 /dev/mapper/t && zone_is "$1" "$3"
}

# put DEVICE ZONE SECTOR: 64 KiB there; ok or the error's name in result.
put() {
	bio write "$1" $((($2 * zone + $3) * 512)) 65536
}

limits() {
	local name
	for name in zoned chunk_sectors nr_zones zone_write_granularity; do
		is "$(queue /dev/mapper/t "$name")" "$(queue "$disk" "$name")" || return
	done
}

refused_alike() {
	[ "$result" != ok ] && is "$result" "$unaligned"
}

operations() {
	protect
	ok "$1: limits" limits
	ok "$1: zone append is offered" holds "$(queue /dev/mapper/t zone_append_max_bytes) > 0"
	ok "$1: the zones are the disk's" same_zones
	put /dev/mapper/t 2 0
	ok "$1: a write" zone_is 2 'wptr 0x000080 .* zcond: 2\(oi\)'
	ok "$1: is there" is "$result $(sum $((2 * zone * 512)) 65536)" "ok $new"
	ok "$1: finish" does 2 finish 'zcond:14\(fu\)'
	ok "$1: reset" does 2 reset 'wptr 0x000000 .* zcond: 1\(em\)'
	ok "$1: open" does 3 open 'zcond: 3\(oe\)'
	ok "$1: close" does 3 close "$closed"

	put "$disk" 4 128
	unaligned=$result
	put /dev/mapper/t 5 128
	ok "$1: a write not at the write pointer is refused as on the disk alone" refused_alike
	ok "$1: and changes nothing" zone_is 5 'wptr 0x000000 .* zcond: 1\(em\)'
	put /dev/mapper/t 5 0
	ok "$1: one at the write pointer is not" is "$result" ok

	must dd if="$work/data" of=/dev/mapper/t bs=6M count=1 oflag=direct,seek_bytes seek=$((6 * zone * 512))
	ok "$1: a write over the end of a zone, in many bios" is \
		"$(sum $((6 * zone * 512)) 6291456)" "$(sha256sum <"$work/data" | cut -d' ' -f1)"
	ok "$1: fill that" zone_is 6 'zcond:14\(fu\)'
	ok "$1: and half of the next" zone_is 7 'wptr 0x001000 '
	counters t
	# The one that was refused may have come as far as the target.
	ok "$1: all are copied" holds "$copied == $writes && $in_place == 0 && $writes > 3"
	must blkzone reset /dev/mapper/t -o $((2 * zone))
	ok "$1: reset all" same_zones
	must unmap t
}

# The zones from the fifth on.
part() {
	must map t "0 $((8 * zone)) stable-pi $disk $((4 * zone))"
	put /dev/mapper/t 1 0
	ok "$1: a part of the disk has its zones" same_zones 4
	ok "$1: and writes to them" is "$result $(sum $((5 * zone * 512)) 65536)" "ok $new"
	must blkzone reset /dev/mapper/t -o "$zone" -c 1
	must unmap t
	ok "$1: what is no whole zone is refused" fails map t "0 $((8 * zone)) stable-pi $disk $((4 * zone + 8))"
}

# A write that changes between the target and the disk.
changes() {
	local policy words at=$((8 * zone * 512))
	must map low "0 $sectors linear $disk 0"
	for policy in auto optimistic wait detect; do
		# What is not known to reject is trusted only where the table says so.
		words=("policy:$policy")
		[ "$policy" != optimistic ] || words+=(trust:on)
		must map t "0 $sectors stable-pi /dev/mapper/low 0 ${#words[@]} ${words[*]}"
		bio write /dev/mapper/t "$at" 65536 --suspend low --change 5000
		counters t
		ok "$1, $policy: what changes in flight was copied" is \
			"$result $in_flight $copied $repaired $(sum "$at" 65536)" "ok true 1 0 $old"
		must unmap t
		at=$((at + 65536))
	done
	must unmap low
	must blkzone reset "$disk" -o $((8 * zone)) -c 1
}

# on_filesystem TYPE: on the target, and after that on the disk alone.
on_filesystem() {
	must trace_on block:block_bio_queue
	must mount_at "$mnt" -t "$1" /dev/mapper/t
	"fill_$1"
	sums=$(sums)
	target=$(number_of /dev/mapper/t)
	must umount_all
	trace_off
	must unmap t
	must mount_at "$mnt" -t "$1" "$disk"
	same=$(sums)
	must umount_all
}

sums() {
	(cd "$mnt" && find . -type f -size +0 -exec sha256sum {} + | sort)
}

fill_btrfs() {
	local i
	for i in 1 2 3; do
		must dd if=/dev/urandom "of=$mnt/file$i" bs=64k count=$((i * 8)) conv=fsync
	done
}

fill_zonefs() {
	local i
	for i in 1 2 3; do
		must dd if=/dev/urandom "of=$mnt/seq/7" bs=64k count=2 oflag=direct,append conv=notrunc
	done
	must dd if=/dev/urandom "of=$mnt/seq/8" bs=64k count=1 oflag=direct,append conv=notrunc
	must truncate -s 0 "$mnt/seq/8"
	must truncate -s $((zone * 512)) "$mnt/seq/9"
}

btrfs() {
	protect
	must mkfs.btrfs -q -f -O zoned -d single -m single /dev/mapper/t
	on_filesystem btrfs
	ok "$1, btrfs: it appends to zones" holds "$(traced "block_bio_queue: $target ZA") > 0"
	ok "$1, btrfs: the disk gets writes for that" is "$(traced "block_bio_queue: $number ZA")" 0
	ok "$1, btrfs: the files are the same on the disk alone" is "$same" "$sums"
	must blkzone reset "$disk" -o $((2 * zone))
	must dd if=/dev/zero "of=$disk" bs=1M count=8 oflag=direct
}

zonefs() {
	protect
	must "$vm/zonefs.py" make /dev/mapper/t
	on_filesystem zonefs
	ok "$1, zonefs: the files are the same on the disk alone" is "$same" "$sums"
	ok "$1, zonefs: written, empty and full ones" is "$(wc -l <<<"$sums")" 3
	must blkzone reset "$disk" -o $((2 * zone))
}

# mount_zonefs DEVICE: a new one.
mount_zonefs() {
	must "$vm/zonefs.py" make "$1"
	must mount_at "$mnt" -t zonefs "$1"
}

# Writes of applications at the ends of four zones at once, one of which waits in
# front of the disk while another is written.
zonefs_changes() {
	local out i
	must tee /sys/bus/pseudo/drivers/scsi_debug/ndelay <<<2000000
	mount_zonefs "$disk"
	for i in 1 2 3 4 5; do
		out=$("$vm/zonefs.py" append 2 "$mnt"/seq/{3,4,5,6})
		note "$out"
		[[ $out != *EILSEQ* ]] || break
	done
	ok "$1, zonefs: the disk alone rejects what changes" grep -q EILSEQ <<<"$out"
	must umount_all
	must blkzone reset "$disk" -o $((2 * zone))

	protect
	mount_zonefs /dev/mapper/t
	must dmsetup message t 0 reset
	out=$("$vm/zonefs.py" append 2 "$mnt"/seq/{3,4,5,6})
	note "$out"
	counters t
	ok "$1, zonefs: over the target it does not" holds "$out > 0"
	ok "$1, zonefs: all are copied" holds "$copied == $writes && $copied == $out"
	must umount_all
	must unmap t
	must mount_at "$mnt" -t zonefs "$disk"
	ok "$1, zonefs: the disk alone can be read" md5sum "$mnt"/seq/{3,4,5,6}
	must umount_all
	must blkzone reset "$disk" -o $((2 * zone))
	must tee /sys/bus/pseudo/drivers/scsi_debug/ndelay <<<20000
}

# filesystems NAME: those that the kernel has.
filesystems() {
	if modprobe -q btrfs; then
		btrfs "$1"
	else
		without btrfs 3
	fi
	if modprobe -q zonefs; then
		zonefs "$1"
		[ "$1" = "no profile" ] || zonefs_changes "$1"
	else
		without zonefs 2
		[ "$1" = "no profile" ] || without zonefs 4
	fi
}

on_zoned() {
	sectors=$(blockdev --getsz "$disk") number=$(number_of "$disk")
	zone=$(queue "$disk" chunk_sectors)
	operations "$1"
	part "$1"
	changes "$1"
}

# An empty zone that was open; NVMe keeps it closed.
closed='zcond: 1\(em\)'

# nvme: which checks, and stores what it has checked.
nvme() {
	disk=/dev/nvme0n1
	must wait_for 10 test -b "$disk"
	ok "NVMe: the zoned disk has a profile" is \
		"$(integrity format) $(queue "$disk" zoned)" "T10-DIF-TYPE1-CRC host-managed"
	local closed='zcond: 4\(cl\)'
	on_zoned NVMe
	protect app_tag:0x5a1
	put /dev/mapper/t 9 0
	ok "NVMe: it has the target's tuples" ask_tuples check "$disk" 5a1 $((9 * zone))+128
	must unmap t
	disk=
}

# without NAME CASES: what the kernel lacks.
without() {
	local i
	for ((i = 0; i < $2; i++)); do
		skip "$1" "this kernel has no $1"
	done
}

ok "the module loads" load_module
head -c 6M /dev/urandom >"$work/data"
must modprobe null_blk nr_devices=1 gb=1 zoned=1 zone_size=4 zone_nr_conv=2 zone_max_open=8 memory_backed=1
defer gone_module null_blk
disk=/dev/nullb0
must wait_for 10 test -b "$disk"
on_zoned "no profile"
filesystems "no profile"
disk=
must rmmod null_blk

make_disk dev_size_mb=192 dif=1 dix=1 zbc=managed zone_size_mb=4 zone_nr_conv=2 max_queue=1 ndelay=20000
ok "the zoned disk has a profile" is "$(integrity format) $(queue "$disk" zoned)" "T10-DIF-TYPE1-CRC host-managed"
zone=$(queue "$disk" chunk_sectors)
# held: until the change came before the check.
for i in 1 2 3 4 5; do
	bio write "$disk" $((2 * zone * 512)) 4096 --busy "$disk" --change 100
	[ "$in_flight" != true ] || break
	must blkzone reset "$disk" -o $((2 * zone)) -c 1
done
ok "the disk alone rejects what changes in flight" is "$in_flight $result" "true EILSEQ"
on_zoned "with a profile"
filesystems "with a profile"
drop_disk
nvme
finish
