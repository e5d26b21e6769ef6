#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pools.sh: no allocation that the target asks for succeeds, and I/O goes on. Only
# a kernel with fault injection (--kernel debug) can show that.
#
# requires: debug kernel
# timeout: 240
# allow: FAULT_INJECTION
#
# shellcheck disable=SC2317,SC2154,SC2034,SC2015

. "$(dirname "$0")/lib.sh"

cases=12
plan $cases

faults=/sys/kernel/debug
if [ ! -e "$faults/failslab/require-start" ]; then
	for ((i = 0; i < cases; i++)); do
		skip "without memory" "this kernel injects no faults"
	done
	finish
fi

# starve, feed: from now on everything that is allocated below a function of the
# module fails, or nothing.
starve() {
	local start size kind
	read -r _ size _ _ _ start _ < <(grep '^stable_pages ' /proc/modules)
	for kind in failslab fail_page_alloc; do
		# Without the range, the whole machine would starve.
		printf '0x%x\n' $((start)) >"$faults/$kind/require-start" &&
			printf '0x%x\n' $((start + size)) >"$faults/$kind/require-end" ||
			bail "no fault can be confined to the module"
		echo 32 >"$faults/$kind/stacktrace-depth"
		echo N >"$faults/$kind/ignore-gfp-wait"
		echo 0 >"$faults/$kind/verbose"
		echo -1 >"$faults/$kind/times"
		echo 100 >"$faults/$kind/probability"
	done
	echo 0 >"$faults/fail_page_alloc/min-order"
}

feed() {
	local kind
	for kind in failslab fail_page_alloc; do
		echo 0 >"$faults/$kind/probability"
	done
}

make_disk dev_size_mb=32 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module

log_mark
starve
ok "a target that gets no memory is refused" fails map t "0 $sectors stable-pi $disk 0"
ok "and says why" grep -qE 'stable-pi: .*(-ENOMEM|-12)' <(new_log)
feed

# quiet POLICY: 4 MiB at once; how many writes that was is in writes.
quiet() {
	protect "policy:$1" app_tag:0x00cc
	starve
	dd if=/dev/urandom of=/dev/mapper/t bs=4M count=1 oflag=direct
	local status=$?
	feed
	counters t
	must unmap t
	return "$status"
}

ok "copy: a large write goes on" quiet copy
ok "copy: in pieces of one page" holds 'writes == 1024 && copied == writes'
ok "copy: with the target's tuples" tuples_are 0 8192 00cc
ok "optimistic: a large write goes on" quiet optimistic
ok "optimistic: in pieces of one page of tuples" holds 'writes == 16 && in_place == writes'
ok "optimistic: with the target's tuples" tuples_are 0 8192 00cc

protect policy:optimistic recheck:on
starve
ok "a load whose buffers change goes on" load direct --path /dev/mapper/t --block-size 16K --depth 32 --size 8M --seconds 5
feed
counters t
ok "nothing fails, something was repaired" holds \
	'done_writes > 0 && failed == 0 && repaired > 0 && unrepaired == 0'
must unmap t
ok "all of the disk can be read" reads_back
finish
