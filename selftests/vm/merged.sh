#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# merged.sh: the block layer makes one request of many writes, and one page that
# changes fails them all. Only the write that it belongs to is to blame, and only
# that is copied.
#
# scsi_debug takes as many tuple buffers in a request as there are. QEMU's NVMe
# takes one, so that the block layer merges no two of these writes there.
#
# timeout: 240
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# 256 writes; 64 on the debug kernel. The byte that changes is in the 41st of them.
count=$((SELFTEST_SCALE > 1 ? 64 : 256)) size=4096
all=$((count * size)) middle=$((40 * size + 100))

# batch DEVICE BYTE...: these writes, given to the block layer at once and held in
# the scheduler while these bytes change; five times at most, until all of them
# were one request, to the byte at $at. Sets what bio does.
batch() {
	local device=$1 byte changes=()
	shift
	for byte; do
		changes+=(--change "$byte")
	done
	for at in 1 2 3 4 5; do
		at=$((at * all))
		[ "$device" = "$disk" ] || must dmsetup message t 0 reset
		must trace_on block:block_rq_issue stable_pi:unstable_write stable_pi:copy
		bio write "$device" "$at" "$size" --count "$count" --busy "$disk" "${changes[@]}"
		trace_off
		[ "$in_flight" != true ] || (($(requests "$all") == 0)) || return 0
	done
	echo "the writes were never one request"
	return 1
}

# holds_on_disk SUM
holds_on_disk() {
	is "$(sum "$at" "$all")" "$1"
}

# So many seconds for the command that keeps the disk busy, and jiffies for others.
make_disk dev_size_mb=16 dif=1 dix=1 guard=0 max_queue=1 delay=$((SELFTEST_SCALE > 1 ? 3 : 1))
number=$(number_of "$disk")
echo $((all / 1024)) >"/sys/block/${disk##*/}/queue/max_sectors_kb"
ok "the module loads" load_module
ok "the disk takes so much at once" is "$(<"/sys/block/${disk##*/}/queue/max_sectors_kb")" $((all / 1024))

ok "the disk alone: all writes are one request" batch "$disk" "$middle"
ok "the disk alone: all of them fail" is "$done_writes $failed $result" "$count $count EILSEQ"

protect policy:optimistic
ok "optimistic: all writes are one request" batch /dev/mapper/t "$middle"
counters t
ok "optimistic: none of them fails" is "$done_writes $result" "$count ok"
ok "optimistic: one was changed, and that was repaired" is \
	"$writes $in_place $unstable $repaired $blameless $unrepaired" "$count $count 1 1 0 0"
ok "optimistic: it is the right one" is \
	"$(traced 'unstable_write: ') $(traced "unstable_write: .* sector $((at / 512 + 320)) \+ 8 ") $(traced ' copy: ')" "1 1 1"
ok "optimistic: the others were sent once more at most" holds "$retried > 0 && $retried < $count"
ok "optimistic: each by itself" is "$(requests "$all") $(requests "$size") $(requests '[0-9]+')" \
	"1 $((retried + 1)) $((retried + 2))"
ok "optimistic: all is as it became" holds_on_disk "$new"

ok "optimistic, two bytes far apart: all writes are one request" batch /dev/mapper/t 0 $((all - 1))
counters t
ok "optimistic, two bytes far apart: none of them fails" is "$done_writes $result" "$count ok"
ok "optimistic, two bytes far apart: both were repaired" is \
	"$unstable $repaired $blameless $unrepaired $(traced ' copy: ')" "2 2 0 0 2"
ok "optimistic, two bytes far apart: all is as it became" holds_on_disk "$new"
must unmap t

protect policy:copy
ok "copy: all writes are one request" batch /dev/mapper/t "$middle"
counters t
ok "copy: none fails, and no other request is needed" is "$result $copied $repaired $(requests '[0-9]+')" "ok $count 0 1"
ok "copy: all is as it was" holds_on_disk "$old"
must unmap t

protect policy:detect
ok "detect: all writes are one request" batch /dev/mapper/t "$middle"
counters t
ok "detect: all fail, as on the disk alone" is "$done_writes $failed $result" "$count $count EILSEQ"
ok "detect: one is to blame" is "$unstable $unrepaired $repaired $retried $(traced 'unstable_write: ')" "1 1 0 0 1"
ok "detect: nothing was sent again" is "$(requests '[0-9]+')" 1
must unmap t

protect policy:wait
ok "wait: all writes are one request" batch /dev/mapper/t "$middle"
counters t
ok "wait: all fail, as on the disk alone" is "$done_writes $failed $result" "$count $count EILSEQ"
ok "wait: nothing was repaired" holds "$repaired == 0 && $retried == 0 && $unstable + $blameless == $unrepaired"
must unmap t

# What failed left the disk as it was; what was repaired can be read.
ok "all of the disk can be read" reads_back
ok "the module goes" unload_module
finish
