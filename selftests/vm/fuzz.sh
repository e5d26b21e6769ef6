#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fuzz.sh: three thousand generated table lines and messages, right and wrong, get
# the answer that fuzz.py works out by itself, and leave nothing behind.
#
# The lines come from a seed, which is printed; to have others, from the top of
# the tree:
#
#   FUZZ_SEED=2 FUZZ_LINES=50000 qemu/run --env FUZZ_SEED --env FUZZ_LINES \
#       --timeout 0 -- selftests/vm/fuzz.sh
#
# timeout: 360
# covers: rust/filter rust/block/dm rust/block/integrity

. "$(dirname "$0")/lib.sh"
. selftests/watch.sh

seed=${FUZZ_SEED:-1}
lines=${FUZZ_LINES:-3000}
((SELFTEST_SCALE == 1)) || lines=${FUZZ_LINES:-$(scaled 2500)}
tables=$((lines * 7 / 10)) messages=$((lines - lines * 7 / 10))

# fuzz KIND SEED COUNT: what it prints is kept as a diagnostic.
fuzz() {
	local rc=0
	"$vm/fuzz.py" "$@" "$disk" /dev/nullb0 /dev/nullb1 >"$work/fuzz" 2>&1 || rc=$?
	note "$(<"$work/fuzz")"
	return "$rc"
}

# answered KIND COUNT: ok shows what is printed only if it fails.
answered() {
	local rc=0
	fuzz "$1" "$seed" "$2" >"$work/notes" || rc=$?
	return "$rc"
}

# small_objects: in use, in the caches that kmalloc() takes from, when the kernel
# has freed what it is going to.
small_objects() {
	sleep 1
	drain
	objects | awk '/^kmalloc-/ { sum += $2 } END { print sum }'
}

kb() {
	sed -nE "s/^$1: *([0-9]+) kB/\1/p" /proc/meminfo
}

declare before_objects before_percpu before_available after_objects after_percpu after_available

# measure before|after: sets those.
measure() {
	printf -v "$1_objects" %d "$(small_objects)"
	printf -v "$1_percpu" %d "$(kb Percpu)"
	printf -v "$1_available" %d "$(kb MemAvailable)"
}

users() {
	cat "/sys/module/$1/refcnt"
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 sector_size=4096
must modprobe null_blk nr_devices=2 gb=1
must wait_for 10 test -b /dev/nullb1
ok "the module loads" load_module
note "seed $seed, $tables tables and $messages messages"

# Thousands of errors of device mapper are expected, each of which fuzz.py reads
# and compares; the console is too slow for them.
read -r console _ </proc/sys/kernel/printk
ignore=$(</sys/module/printk/parameters/ignore_loglevel)
echo N >/sys/module/printk/parameters/ignore_loglevel
echo 3 >/proc/sys/kernel/printk

must fuzz tables "$seed warm-up" $((tables / 10))
must fuzz messages "$seed warm-up" $((messages / 10))
measure before
ok "each table line is answered as the grammar says" answered tables $tables
cat "$work/notes"
ok "each message is answered as the grammar says" answered messages $messages
cat "$work/notes"
measure after

echo "$console" >/proc/sys/kernel/printk
echo "$ignore" >/sys/module/printk/parameters/ignore_loglevel

ok "no device is left" is "$(dmsetup info -c --noheadings -o name)" "No devices found"
ok "no target holds the module" is "$(users stable_pages)" 0
ok "nobody holds the disk" is "$(users scsi_debug) $(find "/sys/block/${disk##*/}/holders/" -mindepth 1)" "0 "
ok "no thread is left" is "$(threads)" ""
grown_objects=$((after_objects - before_objects))
grown_percpu=$((after_percpu - before_percpu))
taken=$((before_available - after_available))
note "$grown_objects objects, $grown_percpu kB per CPU, $taken kB in all more"
# Every third line makes a target, so one small allocation of each that is not
# freed is more than this.
ok "no object is left of each line" holds "$grown_objects < $lines / 8"
ok "no counter is left of each target" holds "$grown_percpu < $lines / 16"
ok "the module goes" unload_module
ok "the disk goes" gone_disks
finish
