#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pi.sh: the disk accepts what the target generates, it is the target's and not
# the block layer's own, and what no longer matches is rejected.
#
# timeout: 120
# covers: rust/block rust/filter rust/pi

. "$(dirname "$0")/lib.sh"

# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

# write_blocks DEVICE: 8, of 4 KiB.
write_blocks() {
	dd if=/dev/urandom of="$1" bs=4k count=8 oflag=direct status=none
}

# hold ARGUMENT...: one write that waits between the target and the disk, where its data
# can change.
hold() {
	held low "$@"
	counters t
}

# hold_at_disk SEED RECHECK: one write that the disk takes a time for, after it has
# checked it, and whose data changes in that time: the more of it, the busier this machine
# is.
hold_at_disk() {
	local ms
	for ms in 500 2000 8000 30000; do
		must map t "0 $sectors stable-pi $disk 0 2 policy:optimistic recheck:$2"
		echo $((ms * 1000000)) >"$ndelay"
		load hold --path /dev/mapper/t --offset 8192 --at 1500 --after-ms $((ms / 3)) --read-back \
			--seed "$1" --mutate-once
		echo 0 >"$ndelay"
		set_fields result content in_flight
		counters t
		must unmap t
		[ "$in_flight" != true ] || return
	done
}
ndelay=/sys/bus/pseudo/drivers/scsi_debug/ndelay

make_disk dev_size_mb=16 dif=1 dix=1 guard=0
ok "the disk has a profile" is "$(integrity format) $(integrity device_is_integrity_capable)" "T10-DIF-TYPE1-CRC 1"
ok "the module loads" load_module

ok "the disk alone: a write" prepared write_blocks "$disk"
ok "the disk alone: the block layer generates" is "$count" 8
ok "the disk alone: its tuples have no application tag" tuples_are 0 64 0000

for policy in optimistic copy wait; do
	protect "policy:$policy" app_tag:0x1234
	ok "$policy: a write" prepared write_blocks /dev/mapper/t
	ok "$policy: the block layer generates nothing" is "$count" 0
	ok "$policy: the tuples are the target's" tuples_are 0 64 1234
	must unmap t
	must dd if=/dev/zero of="$disk" bs=32k count=1 oflag=direct
done

must map low "0 $sectors linear $disk 0"
must map t "0 $sectors stable-pi /dev/mapper/low 0 1 policy:wait"
hold
ok "wait: data that nobody changes is accepted" is "$result $content" "ok old"
hold --seed 2 --change 1500
ok "wait: data that changes in flight is rejected" is "$result $in_flight" "EILSEQ true"
must unmap t

must map t "0 $sectors stable-pi /dev/mapper/low 0 1 policy:copy"
hold --seed 3 --change 1500
ok "copy: it is written as it was" is "$result $in_flight $content" "ok true old"
must unmap t

must map t "0 $sectors stable-pi /dev/mapper/low 0 2 policy:optimistic app_tag:0x4321"
hold --seed 4
ok "optimistic: nothing is repaired that did not change" holds "$writes == 1 && $in_place == 1 && $repaired == 0 && $retried == 0"
trace_on stable_pi:unstable_write stable_pi:copy
hold --seed 5 --change 1500
trace_off
note "$(<"$work/trace")"
ok "optimistic: it is written as it became" is "$result $in_flight $content" "ok true new"
ok "optimistic: and counted once" holds "$writes == 2 && $repaired == 1 && $unrepaired == 0"
ok "optimistic: the trace event names the interval" is \
	"$(traced 'unstable_write: .* sector 16 \+ 8 lower .* sector 16 intervals 2-2 changed 1 class ') $(traced ' copy: .* sector 16 \+ 8 class [a-z]+ repair$')" "1 1"
ok "optimistic: the repair has the target's tuples" tuples_are 16 8 4321
must unmap t
must unmap low

# What changes after the disk has checked it is on the disk as it was, and a recheck sees
# that.
hold_at_disk 6 off
ok "optimistic: a change after the check is not seen without a recheck" is "$result $in_flight $content $repaired" "ok true old 0"
hold_at_disk 7 on
ok "optimistic: with a recheck it is" is "$result $in_flight $content $rechecked $repaired" "ok true new 1 1"

ok "all of the disk can be read" reads_back
finish
