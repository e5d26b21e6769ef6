#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# requests.sh: what a write can be besides data, and what the block layer makes of
# several writes.
#
# timeout: 120
# covers: rust/block
#
# shellcheck disable=SC2119

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# issued COMMAND...: what reaches the disk meanwhile is in the trace.
issued() {
	trace_on block:block_rq_issue || return
	"$@" || return
	trace_off
	cat "$work/trace"
}

# requests REGEX: of the disk, in the words of the trace event: flags, bytes,
# sector + count.
requests() {
	traced "block_rq_issue: $number $1"
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 lbpu=1 lbpws=1 max_queue=1
number=$(tr : , <"/sys/block/${disk##*/}/dev")
ok "the module loads" load_module
ok "the disk has a cache, and can write through it" is \
	"$(<"/sys/block/${disk##*/}/queue/write_cache") $(<"/sys/block/${disk##*/}/queue/fua")" "write back 1"

for policy in optimistic copy wait; do
	protect "policy:$policy" app_tag:0x00aa
	must dd if=/dev/urandom of=/dev/mapper/t bs=64k count=1 oflag=direct
	ok "$policy: fsync" issued sync /dev/mapper/t
	ok "$policy: is a flush of the disk" is "$(requests 'FF ')" 1

	ok "$policy: a write with O_DSYNC" issued "$vm/writes.py" adjacent /dev/mapper/t 8192 4096 1 --sync
	ok "$policy: writes through, with the target's tuples" is \
		"$(requests 'WFS 4096 .* 16 \+ 8 ') $(tuples_are 16 8 00aa && echo right)" "1 right"

	discard() {
		issued blkdiscard -o 16384 -l 16384 /dev/mapper/t &&
			is "$(requests 'DS? .* 32 \+ 32 ')" 1 && tuples_are 0 32 00aa &&
			is "$(ask_tuples "$disk" 32 1 | cut -d' ' -f2-4)" "ffff ffff ffffffff"
	}
	ok "$policy: a discard goes to the same sectors" discard

	# scsi_debug leaves the tuples as they are when it writes zeroes, so that
	# these blocks cannot be read until they are written again.
	zeroes() {
		issued blkdiscard -z -o 32768 -l 16384 /dev/mapper/t &&
			is "$(requests 'WZS 16384 .* 64 \+ 32 ')" 1 &&
			dd if=/dev/zero of=/dev/mapper/t bs=16k seek=2 count=1 oflag=direct conv=notrunc &&
			tuples_are 0 32 00aa && tuples_are 96 32 00aa
	}
	ok "$policy: zeroes are written to the same sectors" zeroes
	must unmap t
done
protect
ok "the mapped device discards" holds "$(<"$(sysfs_of t)/queue/discard_max_bytes") > 0"
ok "and writes zeroes" holds "$(<"$(sysfs_of t)/queue/write_zeroes_max_bytes") > 0"
ok "and has a cache" is "$(<"$(sysfs_of t)/queue/write_cache")" "write back"
must unmap t

# A repaired write writes through as the first one did.
must map low "0 $sectors linear $disk 0"
must map t "0 $sectors stable-pi /dev/mapper/low 0 2 policy:optimistic app_tag:0x00bb"
bio_is() {
	bio "$@" && is "$result" ok
}
ok "a write with O_DSYNC that changes in flight" issued \
	bio_is write /dev/mapper/t 1048576 4096 --dsync --slow low --change 2048
counters t
ok "is repaired by one that writes through, too" is "$repaired $(requests 'WFA?S 4096 .* 2048 \+ 8 ')" "1 2"

must unmap t
must unmap low

# 16 adjacent writes wait together for a busy disk, where they are merged; one of them
# changes. Requests of one bio are 8 sectors.
must map t "0 $sectors stable-pi $disk 0 2 policy:optimistic app_tag:0x00bb"
echo 30000000 >/sys/bus/pseudo/drivers/scsi_debug/ndelay
merged=0
for i in 1 2 3 4 5; do
	trace_on block:block_rq_issue stable_pi:unstable_write stable_pi:copy
	counters t
	before=$repaired
	bio write /dev/mapper/t $((i * 2097152)) 4096 --count 16 --busy "$disk" --change $((7 * 4096 + 2048))
	trace_off
	merged=$(grep 'block_rq_issue' "$work/trace" | grep -cE " W.* \+ (1[6-9]|[2-9][0-9]|1[0-9]{2}) ")
	((merged == 0)) || break
done
counters t
note "$(<"$work/trace")"
ok "16 adjacent writes were merged" holds "$merged > 0"
ok "none of them fails" is "$result $failed" "ok 0"
ok "only the one that changed is repaired" is \
	"$(traced 'unstable_write: ') $(traced "unstable_write: .* sector $((i * 4096 + 56)) \+ 8 ") $(traced ' copy: ')" "1 1 1"
ok "the others are sent once more" holds "$retried > 0 && $repaired == $before + 1 && $unrepaired == 0"
echo 0 >/sys/bus/pseudo/drivers/scsi_debug/ndelay
ok "all hold what was written" is "$(dd if="$disk" bs=64k skip=$((i * 2097152)) iflag=direct,skip_bytes count=1 status=none |
	sha256sum | cut -d' ' -f1)" "$new"
must unmap t
ok "all of the disk can be read" reads_back
finish
