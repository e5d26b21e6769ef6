#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fork.sh: O_DIRECT to and from parts of pages while another thread forks and the
# children write. What was read is in the parent's pages, what was written is on the
# disk, whatever the memory is and whatever the policy.
#
# timeout: 240
# covers: rust/block rust/filter rust/mm

. "$(dirname "$0")/lib.sh"

memories=(anon shared hugetlb)
declare forks writes_lost reads reads_failed reads_lost raced_writes_failed raced_writes_lost \
	raced_reads_failed raced_reads_lost stores_lost
operations=$(scaled 48)

# forks DEVICE MEMORY SEEN: the load, again until SEEN says that the races have been
# seen; five times at most. Sets what is declared above.
forks() {
	local i
	for i in 1 2 3 4 5; do
		load fork --path "$1" --memory "$2" --seconds 60 --op-limit "$operations" || return
		set_fields forks writes_lost reads reads_failed reads_lost raced_writes_failed raced_writes_lost \
			raced_reads_failed raced_reads_lost stores_lost
		[ "$1" != /dev/mapper/t ] || counters t
		! "$3" || return 0
	done
	return 1
}

calm() {
	holds "$forks > 0 && $done_writes > 0 && $failed + $writes_lost == 0" &&
		holds "$reads > 0 && $reads_failed + $reads_lost + $stores_lost == 0"
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module
echo 8 >/proc/sys/vm/nr_hugepages
ok "there are huge pages" is "$(</proc/sys/vm/nr_hugepages)" 8

both_failed() {
	holds "$raced_writes_failed > 0 && $raced_reads_failed > 0"
}

for memory in "${memories[@]}"; do
	ok "disk, $memory: what changes in flight fails" forks "$disk" "$memory" both_failed
done

# kept NAME POLICY...: the cases of one policy: NAME_seen says that the races have been,
# NAME_kept that the policy has done what it promises.
kept() {
	local name=$1 memory
	shift
	protect "$@"
	for memory in "${memories[@]}"; do
		ok "$*, $memory: the races are seen" forks /dev/mapper/t "$memory" "${name}_seen"
		ok "$*, $memory: nothing is lost" eval "calm && ${name}_kept"
	done
	must unmap t
}

repair_seen() {
	holds "$false_alarms > 0 && $repaired > 0"
}
repair_kept() {
	holds "$raced_reads_failed + $raced_reads_lost + $raced_writes_failed + $raced_writes_lost == 0 && $corrupt == 0"
}

copy_seen() {
	holds "$false_alarms > 0 && $copied_pinned > 0"
}
copy_kept() {
	repair_kept
}

# These two repair nothing: they say so.
wait_seen() {
	holds "$false_alarms > 0 && $raced_writes_failed > 0 && $unrepaired > 0"
}
wait_kept() {
	holds "$raced_reads_failed + $raced_reads_lost + $raced_writes_lost == 0"
}

detect_seen() {
	holds "$false_alarms > 0 && $unstable > 0"
}
detect_kept() {
	holds "$raced_reads_failed + $raced_reads_lost == 0"
}

wipe
kept repair policy:optimistic recheck:on
kept repair policy:auto recheck:on
kept copy policy:copy
kept wait policy:wait recheck:on
kept detect policy:detect
finish
