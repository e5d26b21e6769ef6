#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# digests.sh: the data digests of NVMe/TCP and iSCSI. The one is computed when a page has been
# given to the socket, which sends what the page holds later, the other when a copy of the page
# has been sent. A buffer that changes between the two is a digest error at the other end, which
# drops the connection; with stable-pi on top, by default, there is none.
#
# Who computes them is not ours:
# requires: stock kernel
# timeout: 300
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/nvmet.sh
. "$vm/lib/nvmet.sh"
# shellcheck source=lib/iscsi.sh
. "$vm/lib/iscsi.sh"

# mutate PATH WRITES OPTION...: direct writes whose buffers change.
mutate() {
	load direct --path "$1" --size 8M --block-size 64K --seconds 60 --op-limit "$2" "${@:3}"
}

# breaks TRANSPORT: some write breaks the digest, on the disk as it is. They are sent one by one:
# Linux's NVMe target waits for ever for a request whose data has come, and whose digest has
# not when another's breaks the connection (nvmet_tcp_need_data_in() in 7.2). A session of iSCSI
# begins again after two seconds, and the write with it.
breaks() {
	local i
	for i in {1..40}; do
		mutate "$remote" 4 --depth 1 --jobs 1 --seed "$i"
		wrong=$("$1_errors")
		((wrong == 0)) || return 0
	done
	echo "no digest was wrong"
	return 1
}
declare wrong

# behind NAME TRANSPORT: the disk, with a digest; how it is served, comes and goes is in lib/.
behind() {
	local name=$1 transport=$2 before depth=${#deferred[@]}
	must "${transport}_ready"
	must "${transport}_serve" "$disk"
	must "${transport}_connect"
	ok "$name: a disk with a data digest asks for stable pages" is "$(<"/sys/block/${remote##*/}/queue/stable_writes")" 1
	ok "$name: and has no profile" is "$(cat "/sys/block/${remote##*/}/integrity/format" 2>/dev/null || echo none)" none
	log_mark
	ok "$name, unprotected: digests are wrong" breaks "$transport"
	note "$wrong errors, $failed of $done_writes writes failed"
	must "${transport}_disconnect"

	must "${transport}_connect"
	must map t "0 $sectors stable-pi $remote 0"
	before=$("${transport}_errors")
	mutate /dev/mapper/t "$((20 + $(scaled 20)))"
	counters t
	ok "$name, stable-pi: many of these writes at once" holds "$done_writes >= 20 && $mutations > 0"
	ok "$name, stable-pi: no digest is wrong" is "$("${transport}_errors")" "$before"
	ok "$name, stable-pi: no write fails" is "$failed" 0
	ok "$name, stable-pi: what user space can change was copied" holds "$copied == $writes && $in_place == 0"
	load direct --path /dev/mapper/t --size 8M --seconds 60 --op-limit "$(scaled 200)" --no-mutate --verify
	ok "$name, stable-pi: what is written is read" holds \
		"$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0"
	ok "$name, stable-pi: no digest is wrong in the end" is "$("${transport}_errors")" "$before"
	must unmap t
	must "${transport}_disconnect"
	take_down "$depth" || bail "what serves the disk does not go"
}

for driver in nvmet_tcp nvme_tcp iscsi_tcp; do
	modprobe -nq "$driver" || bail "this kernel has no $driver"
done
ok "the module loads" load_module
make_disk dev_size_mb=16
behind NVMe/TCP nvmet
behind iSCSI iscsi
finish
