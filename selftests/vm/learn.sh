#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# learn.sh: the policy `auto` learns which processes and files change their pages, copies the writes of
# those and of no others, and forgets them. The decisions are tested on the host, in
# rust/filter/tests/learn.rs; here is what an owner is, and what is said.
#
# timeout: 240
# covers: rust/filter rust/mm/class.rs rust/block/submitter.rs rust/block/integrity

. "$(dirname "$0")/lib.sh"

# Names of their own in the trace.
must cp "$loads" "$work/mutator"
must cp "$loads" "$work/calm"

# mutates [WRITES]: of a process that changes all of its buffers all the time, traced. Sets the
# counters. The process ends.
mutates() {
	must dmsetup message t 0 reset
	must trace_on stable_pi:learn stable_pi:copy
	log_mark
	loads="$work/mutator" load direct --path /dev/mapper/t --size 1M --jobs 1 --depth 16 --seconds 60 --op-limit "${1:-600}"
	learned=$(status_of t learned)
	trace_off
	counters t
	note "learned $learned, of $writes writes $copied copied, $unstable changed"
	note "$(grep ' learn: ' "$work/trace")"
}

# turned FILE PROCESS COPIED: so often was that traced.
turned() {
	traced " learn: $top inode $1 process $2 $3\$"
}

# copied_from SECTOR, copied_before SECTOR: how many writes there were copied from the start, as traced.
copied_from() {
	sed -nE '/ repair$/d; s/.* copy: .* sector ([0-9]+) .*/\1/p' "$work/trace" | awk -v at="$1" '$1 >= at { n++ } END { print n + 0 }'
}

copied_before() {
	echo $(($(copied_from 0) - $(copied_from "$1")))
}

make_disk dev_size_mb=32 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module
any='[0-9]+'

# The disk checks before it takes the data, so each write is compared once more.
# The control.
protect recheck:on learn:off
top=$(tr : , <"$(sysfs_of t)/dev")
mutates
ok "learn:off: writes change, all go in place" holds "$failed == 0 && $unstable > 16 && $in_place == $writes"
ok "learn:off: nothing is learned" is "$learned $copied_learned $(traced ' learn: ')" "0 0 0"
must unmap t

protect recheck:on
mutates
ok "a process that changes its buffers is copied" holds "$failed == 0 && $copied_learned * 10 >= $writes * 7 && $copied == $copied_learned"
ok "and hardly repaired any more" holds "$repaired * 10 < $writes && $unrepaired == 0"
ok "the event names the process" holds "$(turned 0,0:0 "$any" copied) >= 1"
process=$(sed -nE 's/.* learn: .* process ([0-9]+) copied/\1/p' "$work/trace" | head -n 1)
ok "a line in the log does, too" is \
	"$(new_log | grep -cE "stable-pi ${top/,/:}: process $process \((mutator|iou-wrk-[0-9]+)\) changes memory under its writes: they are copied now\$")" 1

# The process has ended, and the number is that of owners that write now.
none_is_known() {
	[ "$(status_of t learned)" = 0 ]
}
ok "a process that does not write any more is forgotten" wait_for 15 none_is_known

# One that changes, in the first megabyte, and fifteen beside it that do not, from when it is known.
one_is_known() {
	[ "$(status_of t learned)" = 1 ]
}
must trace_on stable_pi:copy
"$work/mutator" direct --path /dev/mapper/t --size 1M --jobs 1 --depth 16 --seconds 600 >"$work/mutator.out" 2>&1 &
mutator=$!
defer quiet kill "$mutator"
ok "side by side: one changes its buffers, and is known" wait_for 60 one_is_known
must dmsetup message t 0 reset
beside=()
for i in {1..15}; do
	"$work/calm" direct --path /dev/mapper/t --start $((i * 1048576)) --size 1M --jobs 1 --depth 2 --seconds 60 \
		--op-limit 40 --no-mutate --verify --seed "$i" >"$work/calm.$i" 2>&1 &
	beside+=($!)
done
wait "${beside[@]}"
known=$(status_of t learned)
counters t
quiet kill "$mutator"
wait "$mutator"
undefer quiet kill "$mutator"
trace_off
calm_writes=0
for i in {1..15}; do
	outcome=$(<"$work/calm.$i")
	set_fields done_writes=writes failed mismatched unreadable
	holds "$done_writes > 0 && $failed == 0 && $mismatched == 0 && $unreadable == 0" >/dev/null &&
		calm_writes=$((calm_writes + done_writes))
done
note "of others than the first, known to the end: $known; $calm_writes writes, $(copied_from 2048) copied; of the first $(copied_before 2048)"
ok "side by side: fifteen write all the while, and do not change" holds "$calm_writes >= 15 * 40 && $known == 1"
ok "side by side: the first is copied" holds "$(copied_before 2048) > 100 && $copied_learned > 100"
ok "side by side: nothing of the fifteen is" is "$(copied_from 2048)" 0

# Live. ---------------------------------------------------------------------------
must trace_on stable_pi:learn
must dmsetup message t 0 learn off
trace_off
ok "learn off: forgets" is "$(status_of t learned) $(($(turned 0,0:0 "$any" 'in place') > 0))" "0 1"
ok "learn off: the table says so" is "$(dmsetup table t | cut -d' ' -f5-)" "0 3 policy:auto recheck:on learn:off"
mutates 200
ok "learn off: nothing is copied" holds "$copied == 0 && $learned == 0"
must dmsetup message t 0 learn on
must dmsetup message t 0 policy optimistic
mutates 200
ok "policy optimistic: nothing is copied" holds "$copied == 0 && $learned == 0 && $unstable > 0"
must dmsetup message t 0 policy auto
mutates 400
ok "learn on, policy auto: it learns" holds "$copied_learned > 0"
must unmap t

# Files. --------------------------------------------------------------------------
wipe
protect recheck:on
ext4_on /dev/mapper/t
# A page that is written again is one write then, and none of metadata.
must mount -o remount,lazytime "$mnt"
must mkdir "$mnt/maps"
must trace_on stable_pi:learn
for i in 1 2 3 4 5; do
	load mmap --dir "$mnt/maps" --files 1 --threads 8 --seconds 60 --op-limit 40 --file-size 256K --stores 512
	counters t
	((copied_learned == 0)) || break
done
trace_off
note "$(grep ' learn: ' "$work/trace")"
file=$(stat -c '%Hd,%Ld:%i' "$mnt"/maps/*)
ok "page cache: the writes of a file are copied" holds "$failed == 0 && $copied_learned > 0 && $copied_learned == $copied_cache"
ok "page cache: the event names the file" holds "$(turned "$file" 0 copied) >= 1"
ok "page cache: and no other owner" is "$(traced ' learn: .* copied$')" "$(turned "$file" 0 copied)"
# rewrite FILE COUNT: a page of it, written so often.
rewrite() {
	python3 -S - "$@" <<-'END'
		import os, sys
		fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_DSYNC)
		for _ in range(int(sys.argv[2])):
		    os.pwrite(fd, bytes(4096), 0)
	END
}
must rewrite "$mnt/other" 20
must dmsetup message t 0 reset
must rewrite "$mnt/other" 20
counters t
ok "page cache: another file goes in place" holds "$in_place >= 20 && $copied_learned == 0"
must trace_on stable_pi:learn
i=0
while [ "$(status_of t learned)" != 0 ] && ((i++ < 40)); do
	must rewrite "$mnt"/maps/* 128
done
trace_off
note "after $i rounds: $(grep ' learn: ' "$work/trace")"
ok "page cache: the file is forgotten when it does not change any more" is "$(turned "$file" 0 'in place')" 1
must umount_all
must unmap t

ok "all can be read" reads_back
finish
