#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# digests.sh: the data digest of NVMe/TCP. It is computed when a page has been given to
# the socket, which sends what the page holds later. A buffer that changes between
# the two is a digest error at the other end, which drops the connection; with
# stable-pi on top, by default, there is none.
#
# Who computes them is not ours:
# requires: stock kernel
# timeout: 240
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/nvmet.sh
. "$vm/lib/nvmet.sh"

# mutate PATH OPTIONS: direct writes whose buffers change.
mutate() {
	load direct --path "$1" --size 8M --block-size 64K --seconds 60 --op-limit "$((20 + $(scaled 20)))" "${@:2}"
}

# breaks: some write breaks the digest, on the disk as it is. They are sent one by one:
# Linux's target waits for ever for a request whose data has come, and whose digest has
# not when another's breaks the connection (nvmet_tcp_need_data_in() in 7.2).
breaks() {
	local i
	for i in {1..20}; do
		mutate "$remote" --depth 1 --jobs 1 --seed "$i"
		errors=$(digest_errors)
		((errors == 0)) || return 0
	done
	echo "no digest was wrong"
	return 1
}

for driver in nvmet_tcp nvme_tcp; do
	modprobe -nq "$driver" || bail "this kernel has no $driver"
done
must digests_ready
make_disk dev_size_mb=16
must serve "$disk"

must connect
ok "a disk with a data digest asks for stable pages" is "$(<"/sys/block/${remote##*/}/queue/stable_writes")" 1
ok "and has no profile" is "$(cat "/sys/block/${remote##*/}/integrity/format" 2>/dev/null || echo none)" none
log_mark
ok "unprotected: digests are wrong" breaks
note "$errors errors, $failed of $done_writes writes failed"
must disconnect

must connect
ok "the module loads" load_module
must map t "0 $sectors stable-pi $remote 0"
log_mark
mutate /dev/mapper/t
counters t
ok "stable-pi: many of these writes at once" holds "$done_writes >= 20 && $mutations > 0"
ok "stable-pi: no digest is wrong" is "$(digest_errors)" 0
ok "stable-pi: no write fails" is "$failed" 0
ok "stable-pi: what user space can change was copied" holds "$copied == $writes && $in_place == 0"
load direct --path /dev/mapper/t --size 8M --seconds 60 --op-limit "$(scaled 200)" --no-mutate --verify
ok "stable-pi: what is written is read" holds \
	"$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
ok "stable-pi: no digest is wrong in the end" is "$(digest_errors)" 0
must unmap t
must disconnect
finish
