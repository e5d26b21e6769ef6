#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nvme-formats.sh: the formats of QEMU's NVMe namespaces: 16-bit and 64-bit guard,
# with and without a reference tag, blocks of 512 and 4096 bytes, the tuple alone,
# first, and last in larger metadata. It all is as with formats.sh.
#
# QEMU does not emulate per block that nothing was written: where a piece of its
# image (64 KiB) has been written in part, the rest of it has metadata of zeroes,
# which do not match. So each test keeps to what it has written, or to pieces of
# which there is nothing.
#
# timeout: 400
# covers: rust/block rust/filter rust/pi
# device: nvme,id=c,serial=1
# drive: if=none,id=d1,format=raw,file.driver=null-co,file.size=8M,file.read-zeroes=on,snapshot=on,discard=unmap
# device: nvme-ns,drive=d1,nsid=1,shared=off,logical_block_size=512,physical_block_size=512,pi=1,pif=0,ms=8,pil=0
# drive: if=none,id=d2,format=raw,file.driver=null-co,file.size=8M,file.read-zeroes=on,snapshot=on,discard=unmap
# device: nvme-ns,drive=d2,nsid=2,shared=off,logical_block_size=512,physical_block_size=512,pi=3,pif=0,ms=64,pil=1
# drive: if=none,id=d3,format=raw,file.driver=null-co,file.size=8M,file.read-zeroes=on,snapshot=on,discard=unmap
# device: nvme-ns,drive=d3,nsid=3,shared=off,logical_block_size=512,physical_block_size=512,pi=2,pif=0,ms=16,pil=0
# drive: if=none,id=d4,format=raw,file.driver=null-co,file.size=8M,file.read-zeroes=on,snapshot=on,discard=unmap
# device: nvme-ns,drive=d4,nsid=4,shared=off,logical_block_size=4096,physical_block_size=4096,pi=1,pif=0,ms=64,pil=0
# drive: if=none,id=d5,format=raw,file.driver=null-co,file.size=8M,file.read-zeroes=on,snapshot=on,discard=unmap
# device: nvme-ns,drive=d5,nsid=5,shared=off,logical_block_size=512,physical_block_size=512,pi=1,pif=2,ms=64,pil=1
# drive: if=none,id=d6,format=raw,file.driver=null-co,file.size=8M,file.read-zeroes=on,snapshot=on,discard=unmap
# device: nvme-ns,drive=d6,nsid=6,shared=off,logical_block_size=4096,physical_block_size=4096,pi=3,pif=2,ms=16,pil=0
# drive: if=none,id=d7,format=raw,file.driver=null-co,file.size=8M,file.read-zeroes=on,snapshot=on,discard=unmap
# device: nvme-ns,drive=d7,nsid=7,shared=off,logical_block_size=512,physical_block_size=512,pi=1,pif=2,ms=16,pil=0

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/formats.sh
. "$vm/lib/formats.sh"

namespaces=({1..7})
((SELFTEST_SCALE == 1)) || namespaces=(2 4 5 7)

# parameter NAME: of the namespace, as it was asked for above.
parameter() {
	sed -nE "s/^# device: nvme-ns,.*nsid=$nsid,.*[,:]$1=([0-9]+).*/\1/p" "$0"
}

# namespace NSID: sets what belongs to it.
namespace() {
	local file
	nsid=$1
	for file in /sys/block/nvme*/nsid; do
		[ "$(<"$file")" != "$nsid" ] || disk=/dev/$(basename "$(dirname "$file")")
	done
	part=${disk}p1
	sectors=$(blockdev --getsz "$disk")
	interval=$(parameter logical_block_size) type=$(parameter pi) ms=$(parameter ms)
	tuple=8 checksum=crc16
	[ "$(parameter pif)" != 2 ] || tuple=16 checksum=crc64
	offset=$((ms - tuple))
	[ "$(parameter pil)" != 1 ] || offset=0
	profile=$(integrity format)
	name="$profile, $interval + $ms bytes, tuple at $offset"
	# QEMU knows of a block that it holds nothing if that was discarded, as it is
	# for a disk that is new. Its image does not say so of itself.
	must blkdiscard -f "$disk"
	# The metadata is behind the data, and begins in the last piece of that.
	local last=$(((sectors * 512 - 1) / 65536 * 65536))
	must put /dev/zero "$disk" "$last" $((sectors * 512 - last))
}

# straddled: intervals of which a part is in one page and a part in another.
straddled() {
	local out
	out=$("$vm/writes.py" vector /dev/mapper/t 196608 512 4096 8192 12288) || return
	is "${out#* }" 24576 && is "$("$vm/writes.py" read "$disk" 196608 512 4096 8192 12288)" "$out" &&
		verified straddled_read "$out"
}

straddled_read() {
	is "$("$vm/writes.py" read /dev/mapper/t 196608 1024 8192 16384)" "$1"
}

# large: as many tuples as go with several bios.
large() {
	head -c 1048576 /dev/urandom >"$work/large"
	put "$work/large" /dev/mapper/t 0 1048576 && got "$work/large" "$disk" 0 1048576 &&
		verified got "$work/large" /dev/mapper/t 0 1048576 && right 0777 1032192 16384
}

# spoil: sets $corrupt. QEMU checks what it is told to check, and it is told
# nothing.
spoil() {
	local first=$((spoilt / interval)) rest='' i line guard should app ref wanted crc16 crc64
	((ms == tuple)) || rest=,rest
	ask_tuples write "$disk" "$first" $((first + 1)),data $((first + 2)),guard \
		$((first + 3)),ref=5 $((first + 4)),app=ffff,data \
		$((first + 5)),app=ffff,ref=ffffffffffff,data $((first + 6))"$rest" \
		$((first + 7)),app=1234 $((first + 8)) || return
	corrupt=(1 2 3)
	((type != 3)) || corrupt=(1 2 4)
	# The guard covers what is in front of it.
	((offset == 0)) || corrupt+=(6)

	: >"$work/reports"
	mapfile -t line < <(tuples "$spoilt" $((9 * interval)))
	for i in "${corrupt[@]}"; do
		read -r block guard app ref crc16 _ crc64 _ <<<"${line[i]}"
		should=$crc16
		[ "$checksum" = crc16 ] || should=$crc64
		wanted=$ref
		((type == 3)) || wanted=$(printf %x "$block")
		report "$block" "$guard" "$should" "$app" "$ref" "$wanted"
	done
}

# zeroed: a whole piece of what QEMU manages its image in, and a part of one. What
# metadata QEMU makes for that depends on the format; if the disk alone reads it,
# so does the target.
zeroed() {
	local alone=no over=no
	through -- put_and_zero 3211264 65536 && got /dev/zero "$disk" 3211264 8192 &&
		through -- verified got /dev/zero /dev/mapper/t 3211264 8192 || return
	through -- put_and_zero 3276800 8192 || return
	! got /dev/zero "$disk" 3276800 8192 || alone=yes
	! through -- got /dev/zero /dev/mapper/t 3276800 8192 || over=yes
	is "$over" "$alone"
}

put_and_zero() {
	put "$work/a" /dev/mapper/t "$1" "$2" && blkdiscard -f -z -o "$1" -l "$2" /dev/mapper/t
}

load_module
serve_tuples
for nsid in "${namespaces[@]}"; do
	namespace "$nsid"
	ref=ref
	((type != 3)) || ref=noref
	ok "$name" is "$(ask_tuples format "$disk") $(integrity device_is_integrity_capable)" \
		"$checksum $ref $interval $ms $tuple $offset 1"
	ok "$name: sectors that were never written" blank "$spoilt" 8192
	ok "$name: the target's tuples are the kernel's" same_tuples
	ok "$name: large" through app_tag:0x777 -- large
	if ((interval == 4096)); then
		ok "$name: intervals straddle pages, in place" through policy:optimistic -- straddled
		ok "$name: intervals straddle pages, copied" through policy:copy -- straddled
	fi
	both_ways
	must partx --delete --nr 1 "$disk"
done

finish
