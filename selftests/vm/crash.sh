#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# crash.sh: what a power failure leaves. Disks record each write, flush and FUA while data
# changes in flight; the record is replayed to each point, and what is there then is looked
# at: which sectors read, and whether what fsync(2) promised is there. For each policy, over
# a disk that checks its tuples, one that only stores them, one that checks too early, and
# one without. The disks are in recorder.py, the writes and the replay in crash.py.
#
# SELFTEST_SOAK=N makes it N rounds of writes for each policy instead of 6. The lines with
# "figures:" are the table of Documentation/admin-guide/crash-replay.rst.
#
# timeout: 300
# requires: stock kernel
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/crash.sh
. "$vm/lib/crash.sh"

log=$work/log gate=$work/gate
printf '\1' >"$gate"

# recorder KIND [IMAGE]: sets disk to the one of recorder.py; no_recorder takes it away.
declare recorder_to
recorder() {
	: >"$log"
	exec {recorder_to}> >(exec "$vm/recorder.py" "$1" "$log" "$gate" "${@:2}" >"$work/disk" 2>"$work/recorder")
	must wait_for 20 test -s "$work/disk"
	read -r disk <"$work/disk"
	must wait_for 10 test -b "$disk"
	sectors=$(blockdev --getsz "$disk")
	defer no_recorder
}

no_recorder() {
	exec {recorder_to}>&-
	wait_for 20 test ! -e "$disk" || note "$(<"$work/recorder")"
	rm -f "$work/disk"
	[ ! -e "$disk" ]
}

# crash DEVICE [IMAGE]: writes, and what the log holds then.
crash() {
	ask write "$1" "$rounds" 1 "$log" "$gate"
	set_fields done_writes=writes failed changed changed_cache from to
	replayed "$log" "$from" "$to" "${@:2}"
}

# crash_with ARGUMENT...: of stable-pi, over the disk. Sets the counters, too.
crash_with() {
	arguments=$*
	protect "$@"
	crash /dev/mapper/t "${image[@]}"
	counters t
	must unmap t
}
image=()

for needed in ublk_drv dm_log_writes; do
	modprobe --quiet "$needed" || {
		skip "power failures" "this kernel has no $needed"
		finish
	}
done
defer gone_module ublk_drv
load_module

# Stored, and not checked -----------------------------------------------------

kind=stores
recorder stores
ok "stores: a profile, without a check" is "$(integrity format) $(integrity device_is_integrity_capable)" "T10-DIF-TYPE1-IP 0"
arguments=alone
crash "$disk"
ok "stores, alone: what changes in flight does not read" holds "$changed > 0 && $bad_direct > 0 && $bad_dsync > 0 && $open > 0"
ok "stores, alone: nor does what was promised" holds "$broken > 0"
crash_with policy:auto
ok "stores, auto: all reads after each crash" holds "$changed > 0 && $changed_cache > 0 && $copied > 0 && $all_read"
ok "stores, auto: what was promised is there" holds "$kept"
crash_with policy:auto waits:on
ok "stores, auto, waits:on: all reads, and pages wait" holds "$changed_cache == 0 && $in_place > 0 && $all_read"
ok "stores, auto, waits:on: what was promised is there" holds "$kept"
image=("$work/window")
crash_with policy:optimistic trust:on
image=()
ok "stores, optimistic: there is a window" holds "$bad_direct > 0 && $bad_dsync > 0 && $bad_cache > 0 && $in_order > 0 && $cut > 0 && $any >= $in_order"
# A write cache may have written the sector out before the repair took its place in it.
ok "stores, optimistic: it lasts until the repair has been flushed" holds "$any > $in_order && $settles > $widest"
ok "stores, optimistic: a repair ends it" holds "$open == 0 && $width > 0 && $repaired > 0 && $failed == 0"
ok "stores, optimistic: and before fsync(2) does" holds "$broken == 0"
ok "stores, optimistic: what was promised is there" holds "$kept"
crash_with policy:copy
ok "stores, copy: all reads after each crash" holds "$changed > 0 && $copied > 0 && $all_read"
ok "stores, copy: what was promised is there" holds "$kept"
crash_with policy:wait
ok "stores, wait: what has failed does not read" holds "$failed > 0 && $bad_direct + $bad_dsync > 0 && $bad_cache == 0 && $repaired == 0"
ok "stores, wait: what was promised is there" holds "$kept"
crash_with policy:detect
ok "stores, detect: nor what has not failed" holds "$failed == 0 && $bad_direct + $bad_dsync > 0 && $broken > 0 && $repaired == 0"
must no_recorder
undefer no_recorder

# The kernel and the target agree with the replay.
recorder stores "$work/window"
protect policy:auto verify:on
ask read /dev/mapper/t "$work/window"
set_fields unreadable unexpected other
ok "stores: after the crash, these sectors do not read, and no others" holds "$worst >= 0 && $unreadable > 0 && $unexpected == 0 && $other == 0"
must unmap t
must no_recorder
undefer no_recorder

# Checked ---------------------------------------------------------------------

kind=checks
recorder checks
ok "checks: a profile, with a check" is "$(integrity device_is_integrity_capable)" 1
for policy in auto optimistic; do
	crash_with "policy:$policy" trust:on
	ok "checks, $policy: all reads after each crash" holds "$changed > 0 && $in_place > 0 && $repaired > 0 && $failed == 0 && $all_read"
	ok "checks, $policy: what was promised is there" holds "$kept"
done
crash_with policy:copy
ok "checks, copy: all reads after each crash" holds "$copied > 0 && $failed == 0 && $all_read"
ok "checks, copy: what was promised is there" holds "$kept"
for policy in wait detect; do
	crash_with "policy:$policy"
	ok "checks, $policy: writes fail, and all reads" holds "$failed > 0 && $repaired == 0 && $all_read"
	ok "checks, $policy: what was promised is there" holds "$kept"
done
must no_recorder
undefer no_recorder

# Checked before the data is taken --------------------------------------------

kind=late
recorder late
crash_with policy:auto trust:on
ok "late, auto: without a recheck some never read again" holds "$bad_direct > 0 && $open > 0 && $broken > 0"
for policy in auto optimistic; do
	crash_with "policy:$policy" trust:on recheck:on
	ok "late, $policy, recheck:on: a repair ends the window" holds "$bad_direct > 0 && $in_order > 0 && $open == 0 && $broken == 0 && $repaired > 0"
	ok "late, $policy, recheck:on: what was promised is there" holds "$kept"
done
crash_with policy:auto trust:off
ok "late, auto, trust:off: all reads after each crash" holds "$changed > 0 && $copied > 0 && $all_read"
ok "late, auto, trust:off: what was promised is there" holds "$kept"
crash_with policy:copy
ok "late, copy: all reads after each crash" holds "$changed > 0 && $copied > 0 && $all_read"
ok "late, copy: what was promised is there" holds "$kept"
for policy in wait detect; do
	crash_with "policy:$policy" trust:on
	ok "late, $policy: no repair ends it" holds "$bad_direct > 0 && $open > 0 && $repaired == 0"
done
must no_recorder
undefer no_recorder

# No tuples -------------------------------------------------------------------

# plain ARGUMENT...: what log-writes records arrives there 100 ms later.
plain() {
	must map logged "0 $(blockdev --getsz /dev/ram0) log-writes /dev/ram0 /dev/ram1"
	slowly /dev/mapper/logged logged "$@"
	must unmap logged
	replayed /dev/ram1 0 0
}

kind=plain
must modprobe brd rd_nr=2 rd_size=$((64 << 10))
defer gone_module brd
must modprobe dm_delay
plain policy:auto
ok "plain, auto: what was promised is there" holds "$changed > 0 && $copied > 0 && $failed == 0 && $kept"
plain policy:optimistic trust:on
ok "plain, optimistic: what was promised is there" holds "$changed > 0 && $repaired > 0 && $failed == 0 && $kept"
plain policy:copy
ok "plain, copy: what was promised is there" holds "$changed > 0 && $copied > 0 && $failed == 0 && $kept"
plain policy:wait
ok "plain, wait: what was promised is there" holds "$failed > 0 && $kept"
plain policy:detect
ok "plain, detect: what was promised is there" holds "$unstable > 0 && $failed == 0 && $kept"
finish
