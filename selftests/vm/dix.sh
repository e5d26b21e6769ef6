#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dix.sh: a disk with a profile that does not say that it checks, though scsi_debug
# does it all the same: what succeeds is compared once more.
#
# timeout: 120
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"

load_module
make_disk dev_size_mb=16 dif=0 dix=1 guard=0 "${window[@]}"
ok "a profile without a check by the device" is "$(integrity device_is_integrity_capable)" 0

# One round of the load POLICY ARGUMENT...
round() {
	local policy=$1
	shift
	protect "policy:$policy" "$@"
	load direct --path /dev/mapper/t --size 1M --seconds 60 --op-limit "$(scaled 200)"
	counters t
}

round optimistic
ok "optimistic: what changed is repaired" holds "$done_writes > 0 && $failed == 0 && $repaired > 0"
# Each of those may have been rejected.
load direct --path /dev/mapper/t --size 1M --seconds 60 --op-limit "$(scaled 20)" --no-mutate
counters t
ok "optimistic: what succeeds is rechecked" holds "$done_writes > 0 && $failed == 0 && $rechecked >= $done_writes"
ok "optimistic: and can be read" reads_back
must unmap t
round optimistic recheck:off
ok "without a recheck none is compared" holds "$rechecked == 0"
must unmap t
# Nothing has looked for what changed after the disk had copied it.
wipe
round copy
ok "copy: nothing fails or is repaired" holds "$done_writes > 0 && $failed == 0 && $copied > 0 && $repaired == 0"
ok "copy: and can be read" reads_back
must unmap t
round auto
ok "auto: what an application can change is copied" holds "$failed == 0 && $copied > 0 && $copied == $copied_pinned && $in_place == 0 && $unstable == 0"
ok "auto: and can be read" reads_back
finish
