#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scan-log.sh: what qemu/scan-log must find in a kernel log, and what it must
# leave alone.

set -u
# A pipe into expect must not keep it from counting.
shopt -s lastpipe

cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0 failed=0 output=

# expect STATUS NAME [OPTION]...: scan standard input.
expect() {
	local want=$1 name=$2 got=0
	shift 2
	cat >"$work/log"
	output=$(qemu/scan-log "$@" "$work/log" 2>&1) || got=$?
	check "$name" [ "$got" = "$want" ]
}

check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		printf 'ok %d %s\n' "$count" "$name"
	else
		printf 'not ok %d %s\n' "$count" "$name"
		printf '%s\n' "$output" | sed 's/^/# /'
		failed=1
	fi
}

printf 'TAP version 14\n'

# One line of a log each, as the kernel's source prints it.
while IFS= read -r line; do
	[ -n "$line" ] || continue
	printf '[    1.000000] Linux\n[   12.345678] %s\r\n[   12.345679] next\n' "$line" |
		expect 1 "found: ${line//#/}"
done <<'END'
WARNING: mm/page_alloc.c:5063 at foo+0x12/0x30, CPU#1: dd/412
WARNING: CPU: 0 PID: 1 at kernel/foo.c:12 foo+0x12/0x30
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: inconsistent lock state
WARNING: suspicious RCU usage
WARNING: held lock freed!
WARNING: bad unlock balance detected!
WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected
[ BUG: Invalid wait context ]
BUG: kernel NULL pointer dereference, address: 0000000000000008
BUG: KASAN: slab-use-after-free in stable_pi_end_io+0x10/0x20 [stable_pi]
BUG: KASAN: slab-out-of-bounds in memcpy+0x10/0x20
BUG: KFENCE: use-after-free read in foo+0x10/0x20
BUG: sleeping function called from invalid context at include/linux/sched/mm.h:321
BUG: scheduling while atomic: dd/512/0x00000002
BUG: Bad page state in process dd  pfn:12345
BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[12]
BUG: MAX_LOCKDEP_CHAINS too low!
BUG kmalloc-64 (Tainted: G           O       ): Poison overwritten
kernel BUG at block/bio.c:123!
Oops: Oops: 0002 [#1] SMP NOPTI
Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP
general protection fault: 0000 [#1] SMP
divide error: 0000 [#1] SMP
Kernel panic - not syncing: sysrq triggered crash
UBSAN: array-index-out-of-bounds in drivers/md/foo.c:12:3
UBSAN: shift-out-of-bounds in lib/foo.c:1:2
watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kworker/0:1:12]
watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... } 26 jiffies
INFO: rcu_tasks detected stalls on tasks:
rcu: rcu_preempt kthread starved for 5250 jiffies! g1 f0x0 RCU_GP_WAIT_FQS(5)
INFO: task dmsetup:411 blocked for more than 120 seconds.
INFO: task dd:411 blocked in I/O wait for more than 120 seconds.
INFO: task dd:411 is blocked on a mutex likely owned by task foo:1.
INFO: trying to register non-static key.
INFO: lockdep is turned off.
refcount_t: underflow; use-after-free.
list_add corruption. prev->next should be next (ffff), but was 0000. (prev=ffff).
list_del corruption, ffff888003c0 is LIST_POISON1 (dead000000000100)
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
kmemleak: Kernel memory leak detector disabled
kmemleak: Memory pool empty, consider increasing CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE
unreferenced object 0xffff888101234567 (size 64):
ODEBUG: free active (active state 0) object: ffff object type: timer_list
kworker/0:1: page allocation failure: order:5, mode:0xcc0(GFP_KERNEL)
fio invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
unchecked MSR access error: WRMSR to 0x10a (tried to write 0x0000000000000000) at rIP: 0x0 (foo)
rust_kernel: panicked at rust/filter/map.rs:12:5:
Call Trace:
init: error: sync has not ended within 30 s
END

while IFS= read -r line; do
	[ -n "$line" ] || continue
	printf '[   12.345678] %s\n' "$line" | expect 0 "left alone: ${line//#/}"
done <<'END'
sd 0:0:0:0: [sda] tag#12 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=0s
sd 0:0:0:0: [sda] tag#12 Sense Key : Aborted Command [current]
sd 0:0:0:0: [sda] tag#12 Add. Sense: Logical block guard check failed
protection error, dev sda, sector 8 op 0x1:(WRITE) flags 0x8800 phys_seg 1 prio class 0
critical target error, dev sda, sector 0 op 0x3:(DISCARD) flags 0x800 phys_seg 1 prio class 0
I/O error, dev sda, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0
Buffer I/O error on dev dm-0, logical block 1, lost async page write
EXT4-fs warning (device dm-0): ext4_end_bio:343: I/O error 10 writing to inode 12 starting block 8)
EXT4-fs error (device dm-0): ext4_find_entry:1683: inode #2: comm ls: reading directory lblock 0
EXT4-fs (dm-0): mounted filesystem 0-1 r/w with ordered data mode. Quota mode: none.
XFS (dm-0): metadata I/O error in "xfs_buf_ioend+0x1" at daddr 0x8 len 8 error 84
device-mapper: stable-pi: guard mismatch in sector 8: expected 0x1234, is 0x4321
stable_pages: loading out-of-tree module taints kernel.
stable_pages: module verification failed: signature and/or required key missing - tainting kernel
Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on
traps: loads[412] general protection fault ip:55 sp:7f error:0 in loads[55+1]
loads[412]: segfault at 0 ip 0000 sp 0000 error 4 in loads[0+1]
kfence: initialized - using 2097152 bytes for 255 objects at 0x(____ptrval____)
kasan: KernelAddressSanitizer initialized
kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)
kmemleak: Automatic memory scanning thread started
rcu: 	RCU CPU stall warnings timeout set to 60 (rcu_cpu_stall_timeout).
clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable
workqueue: foo hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND
DEBUG: a driver says so
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
init: running the command
END

printf '[    1.000000][    T1] BUG: KASAN: x\n' | expect 1 "found behind a caller's number"
printf 'WARNING: at foo\n' | expect 1 "found without a time stamp"
printf '' | expect 0 "an empty log"
printf '[    1.0] \000WARNING: at foo\n' | expect 1 "found beside a byte of zero"

warning() {
	printf '[    1.000000] %s\n' 'WARNING: fs/foo.c:1 at bar+0x1/0x2, CPU#0: dd/1' \
		'Modules linked in: foo' 'Call Trace:' ' <TASK>' '---[ end trace 0 ]---'
}

warning | expect 0 "an excused warning takes its stack trace along" --allow 'at bar\+'
warning | expect 1 "another regular expression excuses nothing" --allow 'at baz\+'
warning | expect 0 "one of several excuses is enough" --allow baz --allow bar
{ warning && printf '[    2.0] BUG: x\n'; } | expect 1 "an excuse does not reach the next report" --allow 'at bar\+'
{ warning && printf '[    2.0] Oops: x\n[    2.0] Call Trace:\n'; } |
	expect 1 "nor the stack trace of that" --allow 'at bar\+|Oops: y'
printf '[    1.0] FAULT_INJECTION: forcing a failure.\n[    1.0] Call Trace:\n' |
	expect 0 "a stack trace without a report of its own can be excused" --allow FAULT_INJECTION
{ warning && printf 'line\n%.0s' {1..100} && printf '[    2.0] Call Trace:\n'; } |
	expect 1 "a distant stack trace is one of its own" --allow 'at bar\+'

printf 'x\n' | expect 0 "not tainted" --taint 0
printf 'x\n' | expect 0 "tainted by an unsigned out-of-tree module" --taint 12288
printf 'x\n' | expect 1 "tainted by a warning" --taint $((12288 + 512))
check "the letter of a taint is printed" grep -q 'tainted: W' <<<"$output"
printf 'x\n' | expect 1 "tainted by a proprietary module that died" --taint $((1 + 128))
check "all letters are printed" grep -q 'tainted: P D' <<<"$output"
warning | expect 0 "the taint of an excused warning is excused" --taint 512 --allow 'at bar\+'
warning | expect 1 "but no other taint" --taint $((512 + 32)) --allow 'at bar\+'

warning | expect 1 "context is shown"
check "with the line marked" grep -q '^> .*WARNING' <<<"$output"
check "and what is around it" grep -q '^  .*Modules linked in' <<<"$output"

printf 'x\n' | expect 2 "an unknown option" --what
printf 'x\n' | expect 2 "a regular expression that is none" --allow '('
printf 'x\n' | expect 2 "a taint that is no number" --taint x
output=$(qemu/scan-log "$work/none" 2>&1)
check "a file that is not there" [ $? = 2 ]

printf '1..%d\n' "$count"
exit "$failed"
