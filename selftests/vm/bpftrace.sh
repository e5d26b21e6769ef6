#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bpftrace.sh: what the scripts in tools/bpftrace see of a known load.
#
# timeout: 300
#
# shellcheck disable=SC2317,SC2154

. "$(dirname "$0")/lib.sh"

plan $((1 + 3 + 4 + 3))

# trace SCRIPT LOAD-ARGUMENT...: while the load runs, which bpftrace starts when
# all probes are attached. What it prints is in $work/traced then.
trace() {
	local script=$1
	shift
	: >"$work/traced"
	outcome=$(bpftrace -q -o "$work/traced" -c "$loads $*" \
		"tools/bpftrace/$script.bt" 2>"$work/bpftrace") || outcome=
	[ -n "$outcome" ] || note "$(<"$work/bpftrace")"
	note "$outcome"
	note "$(cat -s "$work/traced")"
	failed=$(field failed)
	[ -n "$outcome" ]
}

# waits: the sum of the histograms of this load's waits on ext4.
waits() {
	awk '/^@/ { mine = $0 == "@usecs[ext4, loads]:" }
		mine && match($0, /[0-9]+ \|/) { n += substr($0, RSTART) }
		END { print n + 0 }' "$work/traced"
}

# value NAME: of a map with one element, which is the disk; 0 if it is not there.
value() {
	local n
	n=$(sed -nE "s/^@$1\\[$device\\]: ([0-9]+)$/\\1/p" "$work/traced")
	printf '%s\n' "${n:-0}"
}

# write_files THREADS: through mappings, but for so many of the 16 threads. Until
# a race has been seen, five times at most: then somebody waits, or a write fails.
write_files() {
	local i
	for i in 1 2 3 4 5; do
		trace stablewaits mmap --dir "$mnt" --threads 16 --writers-write "$1" \
			--file-size 256K --stores 64 --seconds 3 || return
		waited=$(waits)
		((waited == 0 && failed == 0)) || return 0
	done
}

make_disk dev_size_mb=32 dif=1 dix=1 guard=0 "${window[@]}"
device=$(tr : ' ' <"/sys/block/${disk##*/}/dev" | sed 's/ /, /')
ok "the module loads" load_module

# Nothing tells ext4 to wait here, so the same load fails and nobody waits.
must map loses "0 $sectors flakey $disk 0 3600 0"
ext4_on /dev/mapper/loses
write_files 0
ok "stablewaits: over flakey, writes fail and nobody waits" holds 'failed > 0 && waited == 0'
must umount_all
must unmap loses
wipe
ext4_on "$disk"
write_files 0
ok "stablewaits: on the disk, stores wait" holds 'waited > 0 && failed == 0'
write_files 16
ok "stablewaits: on the disk, write(2) waits" holds 'waited > 0'
must umount_all

# watch ARGUMENT...: what stablecopies sees of direct writes to stable-pi.
watch() {
	wipe
	protect "$@"
	trace stablecopies direct --path /dev/mapper/t --seconds 3
	counters t
	must unmap t
	local name
	for name in unstable_writes repairs copies repaired_bytes copied_bytes; do
		printf -v "seen_$name" %d "$(value "$name")"
	done
}

watch policy:optimistic recheck:on
ok "stablecopies: optimistic repairs" holds 'repaired > 0 && failed == 0'
ok "stablecopies: each repair is seen" holds 'seen_repairs == repaired && seen_unstable_writes > 0'
ok "stablecopies: with its bytes" holds 'seen_repaired_bytes == 4096 * repaired'
ok "stablecopies: optimistic copies nothing else" holds 'seen_copies == 0'

watch policy:copy
ok "stablecopies: each copy is seen" holds 'copied > 0 && seen_copies == copied'
ok "stablecopies: with its bytes" holds 'seen_copied_bytes == 4096 * copied'
ok "stablecopies: a copy needs no repair" holds 'seen_repairs == 0 && seen_unstable_writes == 0'

finish
