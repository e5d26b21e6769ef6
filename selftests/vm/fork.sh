#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fork.sh: O_DIRECT to and from parts of pages while another thread forks and the
# children write. What was read is in the parent's pages, what was written is on the
# disk, whatever the memory is and whatever the policy.
#
# timeout: 240
#
# shellcheck disable=SC2317,SC2154

. "$(dirname "$0")/lib.sh"

memories=(anon shared hugetlb)
plan $((2 + ${#memories[@]} * (1 + 5 * 2)))

# forks DEVICE MEMORY [CONDITION]: the load, again until the condition, that the
# races have been seen, holds; five times at most. Sets the shell variables of the
# fields of the outcome.
forks() {
	local i name
	for i in 1 2 3 4 5; do
		load fork --path "$1" --memory "$2" --seconds 60 --op-limit "$operations" || return
		for name in forks writes_lost reads reads_failed reads_lost raced_writes{,_failed,_lost} \
			raced_reads{,_failed,_lost} stores_lost; do
			printf -v "$name" %s "$(field "$name")"
		done
		[ "$1" != /dev/mapper/t ] || counters t
		[ -n "${3:-}" ] && ! holds "$3" || return 0
	done
	return 1
}
operations=$(scaled 48)
calm='forks > 0 && done_writes > 0 && failed + writes_lost == 0 && reads > 0 && reads_failed + reads_lost + stores_lost == 0'

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module
echo 8 >/proc/sys/vm/nr_hugepages
ok "there are huge pages" is "$(</proc/sys/vm/nr_hugepages)" 8

for memory in "${memories[@]}"; do
	ok "disk, $memory: what changes in flight fails" \
		forks "$disk" "$memory" 'raced_writes_failed > 0 && raced_reads_failed > 0'
done

# kept POLICY: the cases of one policy.
kept() {
	local memory
	protect "$@"
	for memory in "${memories[@]}"; do
		ok "$*, $memory: the races are seen" forks /dev/mapper/t "$memory" "$seen"
		ok "$*, $memory: nothing is lost" holds "$calm && $promise"
	done
	must unmap t
}

wipe
promise='raced_reads_failed + raced_reads_lost + raced_writes_failed + raced_writes_lost == 0 && corrupt == 0'
seen='false_alarms > 0 && repaired > 0'
kept policy:optimistic recheck:on
kept policy:auto recheck:on
seen='false_alarms > 0 && copied_pinned > 0'
kept policy:copy
# These two repair nothing: they say so.
promise='raced_reads_failed + raced_reads_lost + raced_writes_lost == 0'
seen='false_alarms > 0 && raced_writes_failed > 0 && unrepaired > 0'
kept policy:wait recheck:on
promise='raced_reads_failed + raced_reads_lost == 0'
seen='false_alarms > 0 && unstable > 0'
kept policy:detect
finish
