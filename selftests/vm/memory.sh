#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# memory.sh: what the target allocates, it frees: for each target, and for each
# write and read, whatever its policy and its fate.
#
# A round has so many targets, writes or reads, that one small allocation of each
# that is not freed is more than the limit. What leaks does so in each round, and
# what is allocated for other reasons does not: of three rounds, one within the
# limits is enough.
#
# timeout: 180
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"
. selftests/watch.sh

# kilobytes: that are neither free, nor in a list of pages that a processor keeps,
# nor accounted for in any other way, and so somebody's own pages.
kilobytes() {
	awk 'FILENAME == "/proc/zoneinfo" {
		if ($1 == "count:")
			used -= 4 * $2
		next
	}
	$1 == "MemTotal:" { used += $2 }
	/^(MemFree|Buffers|Cached|AnonPages|Slab|KernelStack|PageTables|VmallocUsed|Percpu):/ { used -= $2 }
	END { print used }' /proc/zoneinfo /proc/meminfo
}

# in_use: sets the shell variables objects, pages (kB), percpu (kB) and stacks (kB)
# to what is in use when all has been freed that is going to be.
in_use() {
	sleep 0.5
	drain
	: "$(</proc/sys/vm/stat_refresh)"
	objects=$(objects | awk '/^kmalloc-/ { sum += $2 } END { print sum }')
	pages=$(kilobytes)
	percpu=$(awk '$1 == "Percpu:" { print $2 }' /proc/meminfo)
	stacks=$(awk '/^(KernelStack|VmallocUsed):/ { sum += $2 } END { print sum }' /proc/meminfo)
}

# settles LIMIT COMMAND...: what a run of it leaves is within the limit, an
# expression; after three runs at most. Sets objects, pages, percpu and stacks to
# the difference.
settles() {
	local i limit=$1 before
	shift
	for i in 1 2 3; do
		in_use
		before=("$objects" "$pages" "$percpu" "$stacks")
		"$@" || return
		in_use
		((objects -= before[0], pages -= before[1], percpu -= before[2], stacks -= before[3], 1))
		note "$*: $objects objects, $pages kB of pages, $percpu kB per CPU, $stacks kB of stacks more"
		((!(limit))) || break
	done
}

# many: targets come and go, 128 in a table.
tables=$(scaled 4) targets=0
many() {
	local i table=''
	for ((i = 0; i < 128; i++)); do
		table+="$((i * 64)) 64 stable-pi $disk $((i * 64)) 1 policy:copy"$'\n'
	done
	targets=0
	for ((i = 0; i < tables; i++)); do
		map t "$table" && dd if=/dev/zero of=/dev/mapper/t bs=1M count=4 oflag=direct status=none && unmap t || return
		targets=$((targets + 128))
	done
}

# writes_of POLICY: so many writes of 4 KiB, whose buffers change.
operations=$((500 + $(scaled 1500)))
writes_of() {
	protect "policy:$1" recheck:on
	load direct --path /dev/mapper/t --size 4M --seconds 600 --op-limit "$operations" || return
	counters t
	unmap t
	holds "$writes >= $operations"
}

reads() {
	protect policy:copy
	dd if=/dev/mapper/t of=/dev/null bs=4k count="$operations" iflag=direct
	counters t
	unmap t
	holds "$reads_verified >= $operations"
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 max_queue=4 ndelay=100000
wipe
caches_before=$(awk '{ print $1 }' /proc/slabinfo | sort)
ok "the module loads" load_module

within='objects < targets / 2 && percpu < targets / 16 && stacks < targets'
ok "targets come and go" settles "$within" many
ok "no object is left of each" holds "$objects < $targets / 2"
# 64 bytes of counters for each of two processors is twice that.
ok "no counter is left of each" holds "$percpu < $targets / 16"
ok "no stack is left of each, and no thread" holds "$stacks < $targets && $(threads | wc -l) == 0"

within='objects < operations / 2 && pages < operations * 2'
for policy in optimistic copy wait; do
	ok "$policy: writes" settles "$within" writes_of $policy
	ok "$policy: no object is left of each write" holds "$objects < $operations / 2"
	ok "$policy: no page is left of each write" holds "$pages < $operations * 2"
done
# What a load left on the disk may not be what its tuples say.
wipe
ok "reads" settles "$within" reads
ok "no object is left of each read" holds "$objects < $operations / 2"
ok "no page is left of each read" holds "$pages < $operations * 2"

ok "the module goes" unload_module
no_cache_left() {
	is "$(awk '{ print $1 }' /proc/slabinfo | sort | comm -13 <(printf '%s\n' "$caches_before") - |
		grep -iE 'stable|^bio-' | tr '\n' ' ')" ""
}
# The last of them goes when its last object does, which may wait for RCU.
ok "no cache is left" wait_for 10 no_cache_left
finish
