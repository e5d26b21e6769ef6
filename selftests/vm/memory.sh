#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# memory.sh: what the target allocates, it frees: for each target, and for each
# write, whatever its policy and its fate.
#
# Each round is run once to warm up, so that caches and per-CPU lists are filled,
# and then measured. A round has so many targets, or writes, that one small
# allocation of each that is not freed is more than the tolerance.
#
# timeout: 180
#
# shellcheck disable=SC2317,SC2154

. "$(dirname "$0")/lib.sh"

plan $((1 + 5 + 3 * 2 + 2))

# used KEY...: kB in /proc/meminfo, when the kernel has freed what it is going to.
used() {
	local key sum=0 kb
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 0.5
	for key in "$@"; do
		kb=$(sed -nE "s/^$key: *([0-9]+) kB/\1/p" /proc/meminfo)
		sum=$((sum + kb))
	done
	printf '%d\n' "$sum"
}

# objects: in use, in the caches that kmalloc() takes from. The memory of all
# caches says less: they keep empty slabs.
objects() {
	awk '$1 ~ /^kmalloc-/ { sum += $2 } END { print sum }' /proc/slabinfo
}

threads() {
	find /proc -maxdepth 1 -name '[0-9]*' -exec cat {}/comm \; 2>/dev/null | grep -c stable-pi
}

# many: a table of 256 targets, made and removed, four times.
targets=256 rounds=4
many() {
	local i j table=''
	for ((i = 0; i < targets; i++)); do
		table+="$((i * 64)) 64 stable-pi $disk $((i * 64))"$'\n'
	done
	for ((j = 0; j < rounds; j++)); do
		map t "$table" && dd if=/dev/zero of=/dev/mapper/t bs=1M count=8 oflag=direct status=none && unmap t || return
	done
}

# writes_of POLICY ARGUMENT...: 6000 writes of 4 KiB each.
operations=6000
writes_of() {
	local policy=$1
	shift
	protect "policy:$policy" recheck:on
	load direct --path /dev/mapper/t --size 4M --seconds 60 --op-limit $operations "$@" || return
	counters t
	unmap t
	holds "done_writes >= operations"
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 max_queue=4 ndelay=100000
caches=$(awk '{ print $1 }' /proc/slabinfo | sort)
ok "the module loads" load_module

must many
before=$(used KernelStack VmallocUsed) percpu_before=$(used Percpu) objects_before=$(objects)
ok "targets come and go" many
grown=$(($(used KernelStack VmallocUsed) - before))
grown_percpu=$(($(used Percpu) - percpu_before))
grown_objects=$(($(objects) - objects_before))
note "$((targets * rounds)) targets: $grown kB of stacks, $grown_percpu kB per CPU, $grown_objects objects more"
ok "no object is left of each" holds 'grown_objects < targets * rounds / 2'
# 64 bytes of counters on each of two processors would be 128 kB.
ok "no counter is left of each" holds 'grown_percpu < targets * rounds / 16'
ok "no stack is left of each" holds 'grown < targets * rounds'
ok "no thread is left" is "$(threads)" 0

# A page of each write would be 24000 kB. Between two runs MemAvailable was seen to
# differ by 5000 kB for no reason of ours, so half of that is the limit; what is
# smaller than a page shows in the objects.
for policy in optimistic copy wait; do
	must writes_of $policy
	before=$(used MemAvailable) objects_before=$(objects)
	writes_of $policy
	grown=$((before - $(used MemAvailable))) grown_objects=$(($(objects) - objects_before))
	note "$policy: $operations writes, $repaired of them repaired: $grown kB, $grown_objects objects more"
	ok "$policy: no object is left of each write" holds 'grown_objects < operations / 4'
	ok "$policy: no page is left of each write" holds 'grown < operations * 2'
done

ok "the module goes" unload_module
sleep 1
ok "no cache is left" is "$(awk '{ print $1 }' /proc/slabinfo | sort | comm -13 <(printf '%s\n' "$caches") - | grep -iE 'stable|^bio-' | tr '\n' ' ')" ""
finish
