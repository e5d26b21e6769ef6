#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# pools.sh: no allocation that the target asks for succeeds, and I/O goes on. Only
# a kernel with fault injection (--kernel debug) can show that.
#
# requires: debug kernel
# timeout: 300
# covers: rust/block
# allow: FAULT_INJECTION
#
# shellcheck disable=SC2015

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

cases=$((11 + 7 + 2 * 3 + 1 + 2 * 2))
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

# starved COMMAND...: it runs without memory. Sets the counters.
starved() {
	must dmsetup message t 0 reset
	starve
	"$@"
	local status=$?
	feed
	counters t
	return "$status"
}

make_disk dev_size_mb=32 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module

log_mark
starve
ok "a target that gets no memory is refused" fails map t "0 $sectors stable-pi $disk 0"
ok "and says why" grep -qE 'stable-pi: .*(-ENOMEM|-12)' <(new_log)
feed

# large POLICY: 4 MiB at once; how many writes that was is in writes.
large() {
	protect "policy:$1" app_tag:0x00cc
	starve
	dd if=/dev/urandom of=/dev/mapper/t bs=4M count=1 oflag=direct
	local status=$?
	feed
	counters t
	must unmap t
	return "$status"
}

ok "copy: a large write goes on" large copy
ok "copy: in pieces of one page" holds "$writes == 1024 && $copied == $writes"
ok "copy: with the target's tuples" tuples_are 0 8192 00cc
ok "optimistic: a large write goes on" large optimistic
ok "optimistic: in pieces of one page of tuples" holds "$writes == 16 && $in_place == $writes"
ok "optimistic: with the target's tuples" tuples_are 0 8192 00cc

protect policy:optimistic recheck:on
starve
ok "a load whose buffers change goes on" load direct --path /dev/mapper/t --block-size 16K --depth 32 --size 8M --seconds 60 --op-limit "$(scaled 800)"
feed
counters t
ok "nothing fails, something was repaired" holds \
	"$done_writes > 0 && $failed == 0 && $repaired > 0 && $unrepaired == 0"
must unmap t

# Reads, and what is read again. ------------------------------------------------

# The disk takes the data after it has checked it.
protect policy:optimistic recheck:on
must dd if=/dev/urandom of="$work/data" bs=4M count=1
must dd if="$work/data" of=/dev/mapper/t bs=4M oflag=direct
large_read() {
	dd if=/dev/mapper/t of="$work/read" bs=4M count=1 iflag=direct && cmp "$work/data" "$work/read"
}
ok "reads: a large one goes on" starved large_read
ok "reads: in pieces of one page of tuples, all verified" holds \
	"$reads_verified == 16 && $corrupt == 0 && $false_alarms == 0"

# Other data behind the back of a tuple.
must without_tuples "$disk" dd if=/dev/urandom of="$disk" bs=512 seek=300 count=1 oflag=direct conv=notrunc
ok "reads: a corrupt one is refused" starved fails dd if=/dev/mapper/t of="$work/read" bs=128k skip=1 count=1 iflag=direct
ok "reads: since it was read again" is "$corrupt $false_alarms" "1 0"
must dd if="$work/data" of=/dev/mapper/t bs=4M oflag=direct

both_ways() {
	load direct --path /dev/mapper/t --block-size 16K --depth 32 --size 4M --seconds 60 --op-limit "$(scaled 800)" --read-percent 60
}
for i in 1 2 3 4 5; do
	ok_so_far=yes
	starved both_ways || ok_so_far=
	((false_alarms == 0)) && [ -n "$ok_so_far" ] || break
done
ok "reads: a load whose buffers change goes on" test -n "$ok_so_far"
ok "reads: nothing fails" is "$failed $(field reads_failed)" "0 0"
ok "reads: some were false alarms" holds "$false_alarms > 0 && $corrupt == 0"
must unmap t

# What must not wait. --------------------------------------------------------------

no_wait() {
	bio write /dev/mapper/t 65536 65536 --nowait --sync
	first=$result
	bio read /dev/mapper/t 65536 65536 --nowait --sync
	is "$first $result" "EAGAIN EAGAIN"
}
echo 20000 >/sys/bus/pseudo/drivers/scsi_debug/ndelay
for policy in optimistic copy; do
	protect "policy:$policy"
	ok "$policy: what must not wait for memory ends with EAGAIN" starved no_wait
	ok "$policy: and is not counted" holds "$writes == 0 && $intervals == 0 && $reads_verified == 0"
	bio write /dev/mapper/t 65536 65536 --nowait --sync
	ok "$policy: with memory it succeeds" is "$result $(sum 65536 65536)" "ok $new"
	must unmap t
done
ok "all of the disk can be read" reads_back
drop_disk

# What must stay whole: the largest that is offered. --------------------------------

make_disk dev_size_mb=16 dif=1 dix=1 atomic_wr=1 atomic_wr_max_length=2048
number=$(number_of "$disk")
for policy in optimistic copy; do
	protect "policy:$policy"
	must trace_on block:block_rq_issue
	starved bio write /dev/mapper/t 0 262144 --atomic
	trace_off
	ok "$policy: an atomic write stays whole" is \
		"$result $writes $(requests 262144) $(requests '[0-9]+') $(sum 0 262144)" "ok 1 1 1 $new"
	# More than there is a reserve for at once.
	starved bio write /dev/mapper/t 1048576 262144 --atomic --count 6
	ok "$policy: each of several does" is "$result $writes" "ok 6"
	must unmap t
done
finish
