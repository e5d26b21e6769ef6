#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# iscsi.sh: the data digest of iSCSI. It is computed over pages that have been copied to the
# socket before. A buffer that changes between the two is a wrong digest at the target, which ends
# the session; with stable-pi on top, by default, there is none.
#
# Who computes them is not ours:
# requires: stock kernel
# timeout: 240
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/iscsi.sh
. "$vm/lib/iscsi.sh"

# mutate PATH WRITES OPTIONS: direct writes whose buffers change.
mutate() {
	load direct --path "$1" --size 8M --block-size 64K --seconds 60 --op-limit "$2" "${@:3}"
}

# breaks: some write breaks the digest, on the disk as it is. The next session takes two seconds.
breaks() {
	local i
	for i in {1..20}; do
		mutate "$iscsi_disk" 2 --depth 1 --jobs 1 --seed "$i"
		errors=$(iscsi_digest_errors)
		((errors == 0)) || return 0
	done
	echo "no digest was wrong"
	return 1
}

must modprobe brd rd_nr=1 rd_size=16384
defer gone_module brd
must iscsi_ready
must iscsi_serve /dev/ram0
must iscsi_connect
sectors=$(blockdev --getsz "$iscsi_disk")
ok "a disk with a data digest asks for stable pages" is "$(<"/sys/block/${iscsi_disk##*/}/queue/stable_writes")" 1
ok "unprotected: digests are wrong" breaks
errors=$(iscsi_digest_errors)
note "$errors errors, $failed of $done_writes writes failed"

ok "the module loads" load_module
must map t "0 $sectors stable-pi $iscsi_disk 0"
mutate /dev/mapper/t "$(scaled 40)"
counters t
ok "stable-pi: many of these writes at once" holds "$done_writes >= 20 && $mutations > 0"
ok "stable-pi: no digest is wrong" is "$(iscsi_digest_errors)" "$errors"
ok "stable-pi: no write fails" is "$failed" 0
ok "stable-pi: what user space can change was copied" holds "$copied == $writes && $in_place == 0"
load direct --path /dev/mapper/t --size 8M --seconds 60 --op-limit "$(scaled 200)" --no-mutate --verify
ok "stable-pi: what is written is read" holds \
	"$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
ok "stable-pi: no digest is wrong in the end" is "$(iscsi_digest_errors)" "$errors"
must unmap t
finish
