#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bitmap.sh: md changes the page of its write-intent bitmap while that is being written. A
# disk that checks rejects the write, and md gives up the disk: the array breaks under
# writes whose buffers never change. Over stable-pi it does not.
#
# requires: stock kernel
# timeout: 300
# covers: rust/filter rust/block tools/hazards-load
# allow: md: super_written gets error=-84

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/stack.sh
. "$vm/lib/stack.sh"

disks='pi 2 dev_size_mb=32 max_queue=1 ndelay=1000000'
array='md 1 --bitmap=internal --bitmap-chunk=4K'

# until_seen COMMAND: until a page has changed, as far as COMMAND can tell.
until_seen() {
	local i
	for ((i = 0; i < 6; i++)); do
		outcome=$(tools/hazards-load steady "$top_device" 200)
		note "$outcome"
		set_fields done_writes=writes failed
		((failed == 0)) && ! "$@" || return 0
	done
}

given_up() {
	(($(<"/sys/block/${top_device##*/}/md/degraded") > 0))
}

repaired_below() {
	unstable=$(($(status_of stable-pi-0 unstable) + $(status_of stable-pi-1 unstable)))
	unrepaired=$(($(status_of stable-pi-0 unrepaired) + $(status_of stable-pi-1 unrepaired)))
	((unstable > 0))
}
declare unstable unrepaired

ok "the module loads" load_module
stack "$disks" "$array"
until_seen given_up
ok "without stable-pi a disk goes, although no buffer changes" given_up
unstack

stack "$disks" stable-pi "$array"
log_mark
until_seen repaired_below
ok "with it below, no write fails" holds "$failed == 0 && $done_writes > 0"
ok "the bitmap has changed, and was written again" holds "$unstable > 0 && $unrepaired == 0"
ok "a page of the kernel's, it says" grep -q 'data changed under a write: kernel page, submitted by' <(new_log)
ok "all disks are there" fails given_up
unstack
finish
