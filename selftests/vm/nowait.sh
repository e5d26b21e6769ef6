#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nowait.sh: reads and writes that must not wait (RWF_NOWAIT) succeed, and end with
# EAGAIN where they would have to.
#
# timeout: 180
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# write_and_read DEVICE OFFSET SIZE OPTION...: what both end with, and whether the
# data is the same.
write_and_read() {
	local device=$1 offset=$2 size=$3 written both same=other
	shift 3
	bio write "$device" "$offset" "$size" --nowait "$@"
	written=$new both=$result
	bio read "$device" "$offset" "$size" --nowait "$@"
	[ "$new" != "$written" ] || same=same
	both+=" $result $same"
	is "$both" "ok ok same"
}

make_disk dev_size_mb=32 dif=1 dix=1 guard=0 max_queue=1 ndelay=20000
ok "the module loads" load_module
ok "the disk alone: a write and a read" write_and_read "$disk" 0 4096 --sync
must map slow "0 $sectors delay $disk 0 1"
bio write /dev/mapper/slow 0 4096 --nowait --sync
ok "a target that cannot do it: they are refused" is "$result" ENOTSUP
must map t "0 $sectors stable-pi /dev/mapper/slow 0"
bio write /dev/mapper/t 0 4096 --nowait --sync
ok "over that they are, too" is "$result" ENOTSUP
must unmap t
must unmap slow

# A write that changes while the disk is busy with another command: what becomes of
# it, and which data the disk holds then.
changes() {
	local i
	for i in 1 2 3 4 5; do
		bio write /dev/mapper/t $((i * 65536)) 4096 --nowait --busy "$disk" --change 100
		[ "$in_flight" != true ] || break
	done
	counters t
	# The repair does not give up because the write was not to wait.
	case $result:$(sum $((i * 65536)) 4096) in
	ok:"$old") result="ok old" ;;
	ok:"$new") result="ok new" ;;
	esac
	is "$in_flight $result $repaired" "true $1"
}

for policy in auto optimistic copy wait detect; do
	protect "policy:$policy" app_tag:0x0077
	ok "$policy: a write and a read" write_and_read /dev/mapper/t 4096 4096 --sync
	ok "$policy: through io_uring" write_and_read /dev/mapper/t 8192 65536
	right() {
		tuples_are 8 136 0077 && counters t && holds "$writes == 2 && $reads_verified == 2"
	}
	ok "$policy: with the target's tuples, and verified" right
	case $policy in
	copy) expected="ok old 0" ;;
	wait | detect) expected="EILSEQ 0" ;;
	*) expected="ok new 1" ;;
	esac
	ok "$policy: a write that changes in flight" changes "$expected"
	must unmap t
done

must map low "0 $sectors linear $disk 0"
for policy in optimistic copy; do
	must map t "0 $sectors stable-pi /dev/mapper/low 0 2 policy:$policy app_tag:0x0078"
	# What is not there yet is not waited for; nothing of it is left over.
	for kind in write read; do
		bio $kind /dev/mapper/t 1048576 8192 --nowait --sync --suspend low
		first=$result
		bio $kind /dev/mapper/t 1048576 8192 --nowait --suspend low
		ok "$policy: a $kind above a device that is suspended" is "$first $result" "EAGAIN EAGAIN"
		bio $kind /dev/mapper/t 1048576 8192 --nowait --sync --suspend t
		ok "$policy: a $kind while the target is suspended" is "$result" EAGAIN
	done
	counters t
	ok "$policy: none of them is counted, nor as changed" holds \
		"$writes == 0 && $intervals == 0 && $in_place == 0 && $copied == 0 && $reads_verified == 0 && $unstable == 0 && $repaired == 0 && $unrepaired == 0 && $blameless == 0"
	ok "$policy: it goes on after that" write_and_read /dev/mapper/t 1048576 8192
	must unmap t
done

# More than the target has metadata for at once.
echo 4 >/proc/sys/vm/nr_hugepages
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 app_tag:0x0079"
bio write /dev/mapper/t 8388608 8388608 --nowait --huge
large() {
	case $result in
	ok) is "$(sum 8388608 8388608)" "$new" ;;
	*) is "$result" EAGAIN ;;
	esac
}
ok "a large write succeeds as a whole, or not at all" large
bio write /dev/mapper/t 8388608 8388608 --huge
ok "and one that may wait succeeds" is "$result $(sum 8388608 8388608)" "ok $new"
must unmap t

must unmap low
ok "all of the disk can be read" reads_back
finish
