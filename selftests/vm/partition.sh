#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# partition.sh: the target on a partition, on a part of the disk, and as one of
# several targets in a table. What is written lands where it belongs, with the
# reference tags of the disk, also when it is repaired, and nowhere else. Beyond
# 2 TiB these tags, which have 32 bits, begin at 0 again.
#
# timeout: 150
# covers: rust/block rust/pi

. "$(dirname "$0")/lib.sh"

pattern=$work/pattern
head -c 262144 /dev/urandom >"$pattern"

# sum FIRST COUNT: of sectors of the disk.
sum() {
	dd if="$disk" bs=1M skip=$(($1 * 512)) count=$(($2 * 512)) status=none \
		iflag=direct,skip_bytes,count_bytes | sha256sum
}

# put DEVICE SECTOR: the pattern, 512 sectors.
put() {
	dd if="$pattern" of="$1" bs=64k seek=$(($2 * 512)) oflag=direct,seek_bytes conv=notrunc status=none
}

# landed SECTOR: the pattern is there on the disk.
landed() {
	is "$(sum "$1" 512)" "$(sha256sum <"$pattern")"
}

# race SECTOR: a mutator on 2 MiB of the target, until something was repaired.
race() {
	local i
	for i in 1 2 3 4 5; do
		load direct --path /dev/mapper/t --start $(($1 * 512)) --size 1M --seconds 60 --op-limit "$(scaled 120)" --seed "$i" || return
		counters t
		((repaired == 0)) || break
	done
	holds "$failed == 0 && $repaired > 0 && $unrepaired == 0"
}

# elsewhere FIRST COUNT: the sum of everything but these sectors.
elsewhere() {
	sum 0 "$1" && sum $(($1 + $2)) $((sectors - $1 - $2))
}

make_disk dev_size_mb=24 dif=1 dix=1 guard=0 "${window[@]}"
wipe
partition <<'END'
start=2048, size=8192, type=83
start=10240, size=16384, type=83
start=26624, size=16384, type=83
END
ok "the module loads" load_module

must dd if=/dev/urandom of="${disk}1" bs=1M count=4 oflag=direct
must dd if=/dev/urandom of="${disk}3" bs=1M count=8 oflag=direct

before=$(elsewhere 10240 16384)
for policy in optimistic copy; do
	must map t "0 16384 stable-pi ${disk}2 0 3 policy:$policy recheck:on app_tag:0x0a0b"
	ok "partition, $policy: a write" put /dev/mapper/t 4096
	ok "partition, $policy: it is where it belongs" landed $((10240 + 4096))
	ok "partition, $policy: with the disk's reference tags" tuples_are $((10240 + 4096)) 512 0a0b
	if [ "$policy" = optimistic ]; then
		ok "partition, $policy: repairs" race 8192
	else
		load direct --path /dev/mapper/t --start 4M --size 1M --seconds 60 --op-limit "$(scaled 120)" --no-mutate --verify
		ok "partition, $policy: a load" holds "$failed == 0 && $mismatched == 0 && $unreadable == 0"
	fi
	ok "partition, $policy: nothing else was touched" is "$(elsewhere 10240 16384)" "$before"
	must unmap t
done

must map t "0 8192 stable-pi ${disk}2 1024 1 app_tag:0x0a0c"
ok "partition, offset: a write" put /dev/mapper/t 2048
ok "partition, offset: it is where it belongs" landed $((10240 + 1024 + 2048))
ok "partition, offset: with the disk's reference tags" tuples_are $((10240 + 1024 + 2048)) 512 0a0c
must unmap t

# A table of three, in the other order than on the disk.
must map t \
	"0 2048 linear $disk 30720" \
	"2048 8192 stable-pi $disk 20480 3 policy:optimistic recheck:on app_tag:0x0001" \
	"10240 8192 stable-pi $disk 2048 2 policy:copy app_tag:0x0002"
elsewhere_in_table() {
	sum 0 2048 && sum 10240 10240 && sum 28672 $((sectors - 28672))
}
before=$(elsewhere_in_table)
for target in "2048 20480 0001" "10240 2048 0002"; do
	read -r at below tag <<<"$target"
	ok "table, start $at: a write" put /dev/mapper/t $((at + 1024))
	ok "table, start $at: it is where it belongs" landed $((below + 1024))
	ok "table, start $at: with the disk's reference tags" tuples_are $((below + 1024)) 512 "$tag"
done
ok "table: repairs" race 6144
ok "table: nothing else was touched" is "$(elsewhere_in_table)" "$before"
must unmap t

ok "all of the disk can be read" reads_back
drop_disk

# The disk has fewer sectors than it says: one is in many places.
wrap=4294967296
make_disk dev_size_mb=8 virtual_gb=2049 dif=1 dix=1 guard=0 "${window[@]}"
same() {
	is "$(dd if="$1" bs=256k count=1 skip=$(($2 * 512)) iflag=direct,skip_bytes status=none | sha256sum)" \
		"$(sha256sum <"$pattern")"
}
for policy in optimistic copy; do
	protect policy:$policy recheck:on app_tag:0x0a0d
	ok "2 TiB, $policy: a write over the end of the reference tags" put /dev/mapper/t $((wrap - 256))
	ok "2 TiB, $policy: they begin anew" ask_tuples check "$disk" 0a0d $((wrap - 256))+512
	ok "2 TiB, $policy: the read is verified" same /dev/mapper/t $((wrap - 256))
	[ "$policy" != optimistic ] || ok "2 TiB, $policy: repairs" race $((wrap - 1024))
	must unmap t
done
must map t "0 1024 stable-pi $disk $((wrap + 512))"
put /dev/mapper/t 0
ok "2 TiB: a target that begins behind it" same "$disk" $((wrap + 512))
must unmap t
finish
