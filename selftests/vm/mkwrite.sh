#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mkwrite.sh: stable_page_mkwrite() in a filesystem in C, while writeback is held
# open by a suspended device.
#
# timeout: 500
#
# shellcheck disable=SC2317,SC2154,SC2034

. "$(dirname "$0")/lib.sh"

plan $((2 + 2 + 3 * 4 + 2 + 3 + 4 + 3 + 3 + 3))

file=$mnt/data

# mount_as OPTIONS: mkwrite_c on the device, with the first pages dirty.
mount_as() {
	must mount -t mkwrite_c -o "$1" /dev/mapper/d "$mnt"
	mounts+=("$mnt")
	must "$vm/mkwrite.py" fill "$file" 65536 1
}

# hold: all of the file that is dirty is under writeback until release.
hold() {
	must dmsetup suspend --nolockfs --noflush d
	must "$vm/mkwrite.py" writeback "$file"
}

release() {
	must dmsetup resume d
}

# store_in_background HOW OFFSET BYTE
store_in_background() {
	"$vm/mkwrite.py" "$1" "$file" "$2" "$3" 2>"$work/store.$2" &
	storer=$!
}

is_waiting() {
	grep -q "^folio_" "/proc/$1/wchan"
}

is_gone() {
	case $(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null) in
	'' | Z) ;;
	*) return 1 ;;
	esac
}

# ends_with STATUS: the store in the background.
ends_with() {
	local status=0
	wait_for 20 is_gone "$storer" || return
	wait "$storer" || status=$?
	is "$status" "$1"
}

byte_is() {
	is "$("$vm/mkwrite.py" byte "$file" "$1")" "$2"
}

# waited_once REGEX: of the event, since trace_on.
waited_once() {
	trace_off
	is "$(traced "$1")" 1
}

stored_after_one_wait() {
	waited_once mkwrite_wait && byte_is 100 2
}

has_failed_to_read() {
	ends_with 1 && grep -q "Bad address" "$work/store.70000"
}

# bpftrace says nothing when it has attached its probes.
is_probing() {
	(($(grep -cE ' (do_page_mkwrite|mkwrite_stable|mkwrite_stacked)\+' /sys/kernel/debug/kprobes/list) == 3))
}

stop_bpftrace() {
	kill -INT "$tracer"
	wait "$tracer"
	note "$(cat -s "$work/flags")"
}

# flags VALUE NAME...: bpftrace has seen these functions return that.
flags() {
	local value=$1 name
	shift
	for name in "$@"; do
		grep -E "^@$name\[$value\]: [1-9]" "$work/flags" || return
	done
}

mkdir -p "$mnt"
make_disk dev_size_mb=16
must map d "0 $sectors linear $disk 0"
ok "the module and the sample load" modprobe mkwrite_c
# Functions in Rust cannot be probed: these call them, or are called by who does.
bpftrace -e '
	kretprobe:do_page_mkwrite { @fault[retval & 0xffff] = count(); }
	kretprobe:mkwrite_stable { @stable[retval & 0xffff] = count(); }
	kretprobe:mkwrite_stacked { @stacked[retval & 0xffff] = count(); }' >"$work/flags" 2>&1 &
tracer=$!
ok "bpftrace looks at the results" wait_for 200 is_probing

# The hazard: a page changes while it is being written.
mount_as store=none
hold
store_in_background store 100 2
ok "none: a store goes on while its page is being written" ends_with 0
ok "none: the page has changed" byte_is 100 2
release
umount_all

for how in stable plain stacked; do
	mount_as "store=$how"
	trace_on stable_pages:mkwrite_wait
	hold
	store_in_background store 100 2
	ok "$how: a store waits" wait_for 20 is_waiting "$storer"
	ok "$how: the page has not changed" byte_is 100 1
	release
	ok "$how: it goes on when the page has been written" ends_with 0
	ok "$how: the wait was traced, and the store is there" stored_after_one_wait
	umount_all
done

# Only where the device wants it.
mount_as store=asked
hold
store_in_background store 100 2
ok "asked: a store goes on where the device does not ask" ends_with 0
release
umount_all
must eval "echo 1 >$(sysfs_of d)/queue/stable_writes"
mount_as store=asked
hold
store_in_background store 100 2
ok "asked: it waits where the device asks" wait_for 20 is_waiting "$storer"
release
ends_with 0
umount_all

# 64 KiB that were written in one piece are in one folio, or in a few.
mount_as store=stable
trace_on stable_pages:mkwrite_wait
hold
store_in_background store 40000 2
ok "large folio: a store in its middle waits" wait_for 20 is_waiting "$storer"
release
ok "large folio: it goes on when the folio has been written" ends_with 0
ok "large folio: it was one" waited_once "mkwrite_wait.*order [1-9]"

# A signal that kills, in a store of the process and in one of the kernel for it.
for how in store read; do
	must "$vm/mkwrite.py" fill "$file" 65536 1
	hold
	store_in_background "$how" 100 2
	must wait_for 20 is_waiting "$storer"
	kill -KILL "$storer"
	ok "signal: it ends the wait of a $how" ends_with 137
	release
	ok "signal: the folio of a $how is not left locked" "$vm/mkwrite.py" store "$file" 100 3
done

# The first store waits with the folio's lock, truncation and the second one wait for it.
# The second one has the page in its page table, so that it asks page_mkwrite alone.
must "$vm/mkwrite.py" fill "$file" 65536 1
mkfifo "$work/go"
"$vm/mkwrite.py" late "$file" 200 2 <"$work/go" >"$work/late" &
late=$!
exec 9>"$work/go"
must wait_for 20 grep -q 1 "$work/late"
hold
store_in_background store 100 2
must wait_for 20 is_waiting "$storer"
first=$storer storer=$late
echo >&9
exec 9>&-
must wait_for 20 is_waiting "$storer"
truncate -s 0 "$file" &
truncation=$!
must wait_for 20 is_waiting "$truncation"
release
ok "truncation: a store that came too late is SIGBUS" ends_with 135
wait "$first"
ok "truncation: it ends well" wait "$truncation"
must truncate -s 1M "$file"
ok "truncation: the file can be stored to when it is long again" "$vm/mkwrite.py" store "$file" 100 3
umount_all

mount_as store=stable,limit=65536
store_in_background store 70000 2
ok "ENOSPC: a store is SIGBUS" ends_with 135
store_in_background read 70000 2
ok "ENOSPC: a read(2) into the mapping is EFAULT" has_failed_to_read
ok "ENOSPC: the folio is not left locked" truncate -s 4096 "$file"
umount_all

stop_bpftrace
ok "bpftrace: VM_FAULT_LOCKED in each form" flags 512 fault stable stacked
ok "bpftrace: VM_FAULT_NOPAGE after truncation" flags 256 fault stable
ok "bpftrace: VM_FAULT_SIGBUS for ENOSPC and the signal" flags 2 fault stable
must rmmod mkwrite_c
finish
