#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mkwrite.sh: page_mkwrite in a filesystem in C and in one in Rust, while writeback is
# held open by a suspended device.
#
# timeout: 500
# covers: rust/mm rust/fs rust/bindings include samples/mkwrite-c samples/mkwrite-rust

. "$(dirname "$0")/lib.sh"

file=$mnt/data

# filesystem NAME: is mounted from now on. What stores has that name, so that
# bpftrace knows which one it was for.
filesystem() {
	kind=$1 stores=$work/$1
	ln -s "$vm/mkwrite.py" "$stores"
}

# mount_as OPTION...: it is on the device, with the first pages dirty.
mount_as() {
	must mount_at "$mnt" -t "${kind%-*}" "$@" /dev/mapper/d
	must "$stores" fill "$file" 65536 1
}

# hold: all of the file that is dirty is under writeback until release.
hold() {
	must dmsetup suspend --nolockfs --noflush d
	must "$stores" writeback "$file"
}

release() {
	must dmsetup resume d
}

# store_in_background HOW OFFSET BYTE
store_in_background() {
	"$stores" "$1" "$file" "$2" "$3" 2>"$work/store.$2" &
	storer=$!
}

# is_waiting PID [FUNCTION]: for a folio, below that function; a process that reads its own
# program does so, too.
is_waiting() {
	grep -q "^folio_" "/proc/$1/wchan" && grep -q "${2:-do_page_mkwrite}.*+" "/proc/$1/stack"
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
	is "$("$stores" byte "$file" "$1")" "$2"
}

# waited_once REGEX: of the event, since trace_on.
waited_once() {
	trace_off
	is "$(traced "$1")" 1
}

stored_after_one_wait() {
	waited_once mkwrite_wait && byte_is 100 2
}

# has_failed_to_read OFFSET
has_failed_to_read() {
	ends_with 1 && grep -q "Bad address" "$work/store.$1"
}

# bpftrace says nothing when it has attached its probes.
is_probing() {
	(($(grep -cE ' (do_page_mkwrite|mkwrite_stable|mkwrite_stacked|mkwrite_locked)\+' \
		/sys/kernel/debug/kprobes/list) == 4))
}

stop_bpftrace() {
	kill -INT "$tracer"
	wait "$tracer"
	note "$(cat -s "$work/flags")"
}

# flags VALUE KEY...: bpftrace has counted that under each of these keys.
flags() {
	local value=$1 key
	shift
	for key in "$@"; do
		grep -F "@$key$value]: " "$work/flags" || return
	done
}

# The cases of both -------------------------------------------------------------

# waits NAME: a store does, exactly as long as the page is being written.
waits() {
	trace_on stable_pages:mkwrite_wait
	hold
	store_in_background store 100 2
	ok "$1: a store waits" wait_for 20 is_waiting "$storer"
	ok "$1: the page has not changed" byte_is 100 1
	release
	ok "$1: it goes on when the page has been written" ends_with 0
	ok "$1: the wait was traced, and the store is there" stored_after_one_wait
}

# is_killed NAME: by a signal, in a store of the process and in one of the kernel for it.
is_killed() {
	local how
	for how in store read; do
		must "$stores" fill "$file" 65536 1
		hold
		store_in_background "$how" 100 2
		must wait_for 20 is_waiting "$storer"
		kill -KILL "$storer"
		ok "$1: a signal ends the wait of a $how" ends_with 137
		release
		ok "$1: the folio of a $how is not left locked" "$stores" store "$file" 100 3
	done
}

# is_truncated NAME: the first store waits with the folio's lock, truncation and the second
# one wait for it. The second one has the page in its page table, so that it asks
# page_mkwrite alone.
is_truncated() {
	local late first truncation
	must "$stores" fill "$file" 65536 1
	mkfifo "$work/go.$kind"
	"$stores" late "$file" 200 2 <"$work/go.$kind" >"$work/late.$kind" &
	late=$!
	exec 9>"$work/go.$kind"
	must wait_for 20 grep -q 1 "$work/late.$kind"
	hold
	store_in_background store 100 2
	must wait_for 20 is_waiting "$storer"
	first=$storer storer=$late
	echo >&9
	exec 9>&-
	must wait_for 20 is_waiting "$storer"
	truncate -s 0 "$file" &
	truncation=$!
	must wait_for 20 is_waiting "$truncation" truncate
	release
	ok "$1: a store that came too late for truncation is SIGBUS" ends_with 135
	wait "$first"
	ok "$1: truncation ends well" wait "$truncation"
	must truncate -s 1M "$file"
	ok "$1: the file can be stored to when it is long again" "$stores" store "$file" 100 3
}

# is_full NAME OFFSET: there are no blocks there.
is_full() {
	store_in_background store "$2" 2
	ok "$1: ENOSPC: a store is SIGBUS" ends_with 135
	store_in_background read "$2" 2
	ok "$1: ENOSPC: a read(2) into the mapping is EFAULT" has_failed_to_read "$2"
	ok "$1: ENOSPC: the folio is not left locked" truncate -s 4096 "$file"
}

# A store sets the time of the file.
sets_time() {
	must touch -d @1 "$file"
	"$stores" store "$file" 100 4 && (($(stat -c %Y "$file") > 1))
}

# common_cases NAME OFFSET: there are no blocks at the offset.
common_cases() {
	waits "$1"
	is_killed "$1"
	is_truncated "$1"
	ok "$1: a store sets the time of the file" sets_time
	must truncate -s $(($2 + 4096)) "$file"
	is_full "$1" "$2"
	umount_all
}

is_shut_out() {
	is_gone "$1" || grep -q percpu "/proc/$1/wchan"
}

# waits_for_thaw: the store in the background does. It is thawed in any case.
waits_for_thaw() {
	local rc=0
	wait_for 20 is_shut_out "$storer" || rc=1
	byte_is 100 1 || rc=1
	must fsfreeze --unfreeze "$mnt"
	ends_with 0 && return "$rc"
}

# is_made_again ERRNO: a store that failed with it.
is_made_again() {
	local rc=0
	mount_as -o "store=stable,error=$1"
	"$stores" store "$file" 100 5 && byte_is 100 5 || rc=1
	umount_all && return "$rc"
}

# What was written back by itself, before the device is suspended, nobody waits for.
echo 0 >/proc/sys/vm/dirty_writeback_centisecs

make_disk dev_size_mb=16
must map d "0 $sectors linear $disk 0"
ok "the module and the samples load" modprobe -a mkwrite_c mkwrite_rust
# Functions in Rust cannot be probed: these call them, or are called by who does.
bpftrace -e '
	kretprobe:do_page_mkwrite { @fault[comm, retval & 0xffff] = count(); }
	kretprobe:mkwrite_stable { @stable[retval & 0xffff] = count(); }
	kretprobe:mkwrite_locked { @locked[retval & 0xffff] = count(); }
	kretprobe:mkwrite_stacked { @stacked[retval & 0xffff] = count(); }' >"$work/flags" 2>&1 &
tracer=$!
ok "bpftrace looks at the results" wait_for 200 is_probing

# The hazard: a page changes while it is being written.
filesystem mkwrite_c
mount_as -o store=none
hold
store_in_background store 100 2
ok "none: a store goes on while its page is being written" ends_with 0
ok "none: the page has changed" byte_is 100 2
release
umount_all

for how in plain stacked locked; do
	mount_as -o "store=$how"
	waits "$how"
	umount_all
done

# Only where the device wants it.
mount_as -o store=asked
hold
store_in_background store 100 2
ok "asked: a store goes on where the device does not ask" ends_with 0
release
umount_all
must eval "echo 1 >$(sysfs_of d)/queue/stable_writes"
mount_as -o store=asked
hold
store_in_background store 100 2
ok "asked: it waits where the device asks" wait_for 20 is_waiting "$storer"
release
ends_with 0
umount_all
must eval "echo 0 >$(sysfs_of d)/queue/stable_writes"

mount_as -o store=stable
ok "freeze: the filesystem is frozen" fsfreeze --freeze "$mnt"
store_in_background store 100 2
ok "freeze: a store waits, and goes on when it is thawed" waits_for_thaw

# 64 KiB that were written in one piece are in one folio, or in a few.
must "$stores" fill "$file" 65536 1
trace_on stable_pages:mkwrite_wait
hold
store_in_background store 40000 2
ok "large folio: a store in its middle waits" wait_for 20 is_waiting "$storer"
release
ok "large folio: it goes on when the folio has been written" ends_with 0
ok "large folio: it was one" waited_once "mkwrite_wait.*order [1-9]"
umount_all

mount_as -o store=stable,limit=65536
common_cases C 70000

filesystem mkwrite_rust
mount_as
common_cases Rust $((sectors * 512))

# What prepare() can say, once.
filesystem mkwrite_c-again
ok "EAGAIN: a store is made again" is_made_again 11
ok "ENOMEM: a store is made again" is_made_again 12
mount_as -o store=stable,error=5
store_in_background store 100 2
ok "EIO: a store is SIGBUS" ends_with 135
umount_all

stop_bpftrace
ok "bpftrace: VM_FAULT_LOCKED in each form" flags 512 stable[ stacked[ locked[ "fault[mkwrite_rust, "
ok "bpftrace: VM_FAULT_NOPAGE after truncation" flags 256 stable[ "fault[mkwrite_c, " "fault[mkwrite_rust, "
ok "bpftrace: VM_FAULT_SIGBUS for ENOSPC and the signal" flags 2 stable[ "fault[mkwrite_c, " "fault[mkwrite_rust, "
again="fault[mkwrite_c-again, "
says_again() {
	flags 256 "$again" && flags 1 "$again" && flags 2 "$again"
}
ok "bpftrace: VM_FAULT_NOPAGE for EAGAIN, OOM for ENOMEM, SIGBUS for EIO" says_again
must rmmod mkwrite_rust mkwrite_c
finish
