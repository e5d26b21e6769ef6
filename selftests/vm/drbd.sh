#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# drbd.sh: DRBD sends the pages of a write to its other node and writes them itself: a buffer that
# changes between the two makes the nodes differ. With data-integrity-alg the other node finds a wrong
# digest, and drops the connection. With stable-pi on top, by default, neither happens.
#
# What DRBD does is not ours:
# requires: stock kernel
# timeout: 240
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/stack.sh
. "$vm/lib/stack.sh"
# shellcheck source=lib/drbd.sh
. "$vm/lib/drbd.sh"

# mutate: direct writes whose buffers change.
mutate() {
	load direct --path "$top_device" --size 8M --block-size 64K --depth 4 --seconds 60 \
		--op-limit "$((40 + $(scaled 100)))" "$@"
}

# seen COMMAND...: after some of them, it is so.
seen() {
	local i
	for i in {1..10}; do
		mutate --seed "$i"
		! "$@" || return 0
	done
	return 1
}

apart() {
	drbd_differs && ((nodes_differ > 0))
}

broken() {
	(($(drbd_broken) > 0))
}

must modprobe brd rd_nr=2 rd_size=16384
defer gone_module brd
ok "the module loads" load_module

control "dev /dev/ram0 /dev/ram1" drbd stable-pi
ok "unprotected: the nodes differ" seen apart
note "$nodes_differ sectors"
unstack

stack "dev /dev/ram0 /dev/ram1" drbd stable-pi
mutate
ok "stable-pi: no write fails" holds "$done_writes > 0 && $mutations > 0 && $failed == 0"
ok "stable-pi: the nodes are compared" drbd_differs
ok "stable-pi: they do not differ" is "$nodes_differ" 0
unstack

control "dev /dev/ram0 /dev/ram1" "drbd --data-integrity-alg crc32c" stable-pi
log_mark
ok "unprotected, with digests: the connection breaks" seen broken
unstack

stack "dev /dev/ram0 /dev/ram1" "drbd --data-integrity-alg crc32c" stable-pi
log_mark
mutate
ok "stable-pi, with digests: no write fails" holds "$done_writes > 0 && $mutations > 0 && $failed == 0"
ok "stable-pi, with digests: none is wrong" is "$(drbd_broken)" 0
ok "stable-pi, with digests: the nodes are compared" drbd_differs
ok "stable-pi, with digests: they do not differ" is "$nodes_differ" 0
unstack
finish
