#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mixed.sh: the block layer makes one request of copies and of writes in place, and
# what changes among the latter fails no copy.
#
# What was mapped before a message and what was mapped after it can become one
# request. Here two targets side by side make one, so that it does.
#
# timeout: 180
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

count=128 size=4096 all=$((128 * 4096))

# mixed: writes to both targets, held in the scheduler while one of the second
# changes; five times at most, until all of them were one request.
mixed() {
	local _
	for _ in 1 2 3 4 5; do
		must dmsetup message t 0 reset
		must dmsetup message t $((all / 1024)) reset
		must trace_on block:block_rq_issue
		bio write /dev/mapper/t 0 "$size" --count "$count" --busy "$disk" --change $((all * 3 / 4))
		trace_off
		[ "$in_flight" != true ] || (($(requests "$all") == 0)) || return 0
	done
	echo "the writes were never one request"
	return 1
}

ok "the module loads" load_module
make_disk dev_size_mb=16 dif=1 dix=1 guard=0 max_queue=1 delay=$((SELFTEST_SCALE > 1 ? 3 : 1))
number=$(number_of "$disk")
echo $((all / 1024)) >"/sys/block/${disk##*/}/queue/max_sectors_kb"
must map t "0 $((all / 1024)) stable-pi $disk 0 1 policy:copy" \
	"$((all / 1024)) $((all / 1024)) stable-pi $disk $((all / 1024)) 1 policy:optimistic"
ok "writes of two policies are one request" mixed
ok "none of them fails" is "$done_writes $result" "$count ok"
counters t
ok "only what had changed was repaired" holds \
	"$copied == $count / 2 && $in_place == $count / 2 && $unstable == 1 && $repaired == 1 && $unrepaired == 0"
ok "the copies were sent again" holds "$retried >= $count / 2"
must unmap t

ok "all of the disk can be read" reads_back
ok "the module goes" unload_module
finish
