#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bpftrace.sh: what the scripts in tools/bpftrace see of a known load.
#
# The scripts see the same there:
# requires: stock kernel
# timeout: 300
# covers: tools/bpftrace rust/block/integrity/trace.rs rust/bindings

. "$(dirname "$0")/lib.sh"

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

# events MAP: how many there are in the histogram of this name and key.
events() {
	awk -v map="@$1:" '/^@/ { mine = $0 == map }
		mine && match($0, /[0-9]+ \|/) { n += substr($0, RSTART) }
		END { print n + 0 }' "$work/traced"
}

# row COLUMN: of the line of the mapped device in a table; 0 if there is none.
row() {
	awk -v device="$mapped_as" -v column="$1" '$1 == device { n += $column } END { print n + 0 }' \
		"$work/traced"
}

# classes: those in the lines of the mapped device.
classes() {
	awk -v device="$mapped_as" '$1 == device { print $2 }' "$work/traced" | sort -u | tr '\n' ' ' |
		sed 's/ $//'
}

# protect_as ARGUMENT...: the target, and its number as it is in tables and in keys.
protect_as() {
	wipe
	protect "$@"
	mapped_as=$(<"$(sysfs_of t)/dev")
	key=${mapped_as/:/, }
}

# write_files THREADS: through mappings, but for so many of the 16 threads. Until
# a race has been seen, five times at most: then somebody waits, or a write fails.
write_files() {
	local i
	for i in 1 2 3 4 5; do
		trace stablewaits mmap --dir "$mnt" --threads 16 --writers-write "$1" \
			--file-size 256K --stores 64 --seconds 60 --op-limit "$(scaled 100)" || return
		waited=$(events "usecs[ext4, loads]")
		((waited == 0 && failed == 0)) || return 0
	done
}

make_disk dev_size_mb=32 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module
# The kernel takes them only if they go with its own.
ok "the kernel has the types of the module" test -s /sys/kernel/btf/stable_pages
ok "bpftrace knows what its functions are called with" grep -q 'struct bio \* bio$' \
	<(bpftrace -lv 'fentry:stable_pages:sp_*' 2>&1)
every_module_has_types() {
	local modules ko
	mapfile -t modules < <(find "${module%/*}" -name '*.ko')
	for ko in "${modules[@]}"; do
		objdump -h "$ko" | grep -qF ' .BTF ' || {
			echo "$ko has none"
			return 1
		}
	done
	((${#modules[@]} > 1))
}
ok "each module in samples/ has types, too" every_module_has_types

# nearly "NUMBER..." "NUMBER...": what was seen is what there was, all but a few: an
# event is lost when an interrupt's comes while one is being taken on its CPU. What
# was not there at all is not seen either; as a difference it may be below 0 for what was lost.
nearly() {
	local i got real distance
	read -ra got <<<"$1"
	read -ra real <<<"$2"
	for i in "${!real[@]}"; do
		distance=$((${got[i]:--1000} - real[i]))
		((real[i] == 0 ? got[i] <= 0 && got[i] >= -8 : ${distance#-} <= real[i] / 50 + 8)) || {
			echo "seen: $1"
			echo "real: $2"
			return 1
		}
	done
}

# Who waits ---------------------------------------------------------------------

# Nothing tells ext4 to wait here, so the same load fails and nobody waits.
must map loses "0 $sectors flakey $disk 0 3600 0"
ext4_on /dev/mapper/loses
write_files 0
ok "stablewaits: over flakey, writes fail and nobody waits" holds "$failed > 0 && $waited == 0"
must umount_all
must unmap loses
wipe
ext4_on "$disk"
write_files 0
ok "stablewaits: on the disk, stores wait" holds "$waited > 0 && $failed == 0"
write_files 16
ok "stablewaits: on the disk, write(2) waits" holds "$waited > 0"
must umount_all

# What is copied, and what is not -----------------------------------------------

# copies ARGUMENT...: what stablecopies sees of direct writes of 4 KiB. Each is tried
# once: it sees attempts, and what is counted is writes.
copies() {
	trace stablecopies direct --path /dev/mapper/t --seconds 60 --op-limit "$(scaled 200)" --wait "$@"
	counters t
	seen="$(row 3) $(row 5) $(row 7)"
	seen_kib="$(row 4) $(row 6) $(row 8)"
}

protect_as policy:optimistic recheck:on
copies
ok "stablecopies: optimistic repairs" holds "$repaired > 0 && $failed == 0"
ok "stablecopies: each repair is seen, and no other copy" nearly \
	"$seen" "$((in_place - repaired)) $repaired 0"
ok "stablecopies: with their data" nearly \
	"$seen_kib" "$((4 * (in_place - repaired))) $((4 * repaired)) 0"
must dmsetup message t 0 reset
must dmsetup message t 0 policy copy
copies
ok "stablecopies: each copy is seen, with its data" nearly "$seen $seen_kib" "0 0 $writes 0 0 $((4 * writes))"
ok "stablecopies: and its class" is "$(classes)" pinned
must dmsetup message t 0 reset
must dmsetup message t 0 policy auto
copies --no-mutate
ok "stablecopies: what nobody changes is not copied" nearly "$seen $seen_kib" "$writes 0 0 $((4 * writes)) 0 0"
copies_of_files() {
	ext4_on /dev/mapper/t
	must dmsetup message t 0 reset
	trace stablecopies buffered --path "$mnt/file" --size 256K --seconds 60 --op-limit "$(scaled 40)"
	must umount_all
}
copies_of_files
ok "stablecopies: files are page cache, in place as well" is "$(classes)" cache

# Who changes what --------------------------------------------------------------

# scsi_debug leaves old tuples where mkfs had zeroes written.
must unmap t
protect_as recheck:on
trace unstablewrites direct --path /dev/mapper/t --seconds 60 --op-limit "$(scaled 200)"
counters t
seen_writes=$(row 5) seen_intervals=$(row 6)
ok "unstablewrites: each one is seen" nearly "$seen_writes" "$unstable"
ok "unstablewrites: with its intervals" holds "$seen_writes > 0 && $seen_intervals >= $seen_writes"
# io_uring has its own threads for what would have to wait.
ok "unstablewrites: of the memory of the load" is \
	"$(awk -v device="$mapped_as" '$1 == device { sub(/^iou-wrk-.*/, "loads", $4); print $2, $3, $4 }' "$work/traced" |
		sort -u)" "pinned 0:0/0 loads"
ext4_on /dev/mapper/t
for i in 1 2 3 4 5; do
	trace unstablewrites mmap --dir "$mnt" --shared-file --threads 16 --file-size 256K --stores 64 --seconds 60 --op-limit "$(scaled 100)"
	files=$(awk -v device="$mapped_as" '$1 == device && $2 == "cache" && $4 == "loads" { print $3 }' "$work/traced" |
		grep -v '/0$' | sort -u)
	[ -z "$files" ] || break
done
ok "unstablewrites: no write fails" holds "$failed == 0"
ok "unstablewrites: of a mapped file, by its inode" is \
	"$files" "$mapped_as/$(find "$mnt" -xdev -type f -printf '%i\n')"
must umount_all

# How long reads wait -----------------------------------------------------------

must unmap t
protect_as
trace stableverify readback --path /dev/mapper/t --chunk 64K
counters t
ok "stableverify: reads are verified" holds "$reads_verified > 0 && $corrupt == 0"
seen_waits=$(events "wait_usecs[$key]") seen_checks=$(events "verify_usecs[$key]")
ok "stableverify: each wait and each comparison is seen" nearly \
	"$seen_waits $seen_checks" "$reads_verified $reads_verified"
ok "stableverify: with the time for each KiB" nearly \
	"$(events "verify_nsecs_per_kib[$key]")" "$reads_verified"
finish
