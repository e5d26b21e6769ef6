#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# swap.sh: memory is swapped to stable-pi while there is none left. Nothing hangs,
# and what comes back is what went out.
#
# The kernel's own swapping may not get the page that describes a part of the swap
# space. It says so, with a stack trace, and goes on, on the disk alone, too: see
# swap_cluster_alloc_table() in mm/swapfile.c, which nobody else asks so for.
#
# timeout: 240
# covers: rust/block rust/filter
# mem: 512M
# allow: page allocation failure: order:0, mode:0x[0-9a-f]+\(GFP_KERNEL\|__GFP_HIGH\|__GFP_ZERO\|__GFP_COMP\|__GFP_NOMEMALLOC\)
# drive: if=none,id=n,format=raw,file.driver=null-co,file.size=192M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=n,ms=8,pi=1,logical_block_size=512,physical_block_size=512

. "$(dirname "$0")/lib.sh"

policies=(policy:auto 'policy:optimistic recheck:on' policy:copy)
((SELFTEST_SCALE == 1)) || policies=('policy:optimistic recheck:on')
# MiB: what is left of the memory, how much more than that is used, and how much is to
# be swapped: the kernel finds some more memory elsewhere.
left=64 excess=48 lot=32

# kB for those alone who cannot wait: the disk's driver, which needs a list of pages
# for a request and gets it with GFP_ATOMIC. Without memory it tries again later, but
# the kernel prints a stack trace. It sets less than 2 MiB aside in a machine this small.
reserve=8192

# kilobytes KEY: in /proc/meminfo.
kilobytes() {
	sed -nE "s/^$1: *([0-9]+) kB/\1/p" /proc/meminfo
}

# vmstat KEY: in pages.
vmstat() {
	awk -v key="$1" '$1 == key { print $2 }' /proc/vmstat
}

drop_caches() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# occupy: all memory but what is to be left, with huge pages, which are not swapped.
occupy() {
	drop_caches
	echo $((($(kilobytes MemAvailable) / 1024 - left) * 1024 / $(kilobytes Hugepagesize))) \
		>/proc/sys/vm/nr_hugepages
}

# press: use all memory and some of the disk. Sets wrong, swapped_out and swapped_in,
# in pages.
press() {
	local available
	drop_caches
	available=$(kilobytes MemAvailable)
	swapped_out=$(vmstat pswpout) swapped_in=$(vmstat pswpin)
	wrong=$("$vm/swap.py" 2 $((available / 1024 + excess)) "$(scaled 4000)")
	swapped_out=$(($(vmstat pswpout) - swapped_out)) swapped_in=$(($(vmstat pswpin) - swapped_in))
	note "of $available kB, $swapped_out pages went out and $swapped_in came in"
}

disk=/dev/nvme0n1
must wait_for 10 test -b "$disk"
sectors=$(blockdev --getsz "$disk")
echo 60 >/proc/sys/kernel/hung_task_timeout_secs
echo "$reserve" >/proc/sys/vm/min_free_kbytes
ok "the disk has a profile" is "$(integrity format) $(integrity device_is_integrity_capable)" "T10-DIF-TYPE1-CRC 1"
ok "the module loads" load_module
# QEMU has no right tuples for what was never written.
wipe
occupy

for arguments in "${policies[@]}"; do
	# shellcheck disable=SC2086
	protect $arguments
	must mkswap -q /dev/mapper/t
	must swapon /dev/mapper/t
	defer swapoff /dev/mapper/t
	press
	ok "$arguments: with no memory left, all go on" test -n "$wrong"
	must swapoff /dev/mapper/t
	undefer swapoff /dev/mapper/t
	ok "$arguments: there was a lot of swapping" holds "$swapped_out > $lot * 256 && $swapped_in > $lot * 256 / 2"
	ok "$arguments: no page held anything else" is "$wrong" 0
	counters t
	ok "$arguments: what came in was verified, and no write failed" holds \
		"$writes > 0 && $reads_verified > 0 && $corrupt == 0 && $unrepaired == 0"
	must unmap t
done
finish
