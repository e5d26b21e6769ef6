#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# unsettled.sh: a read whose sectors a write is on its way to, or was stored torn in
# and is being repaired, waits for that write before it is called corrupt. A read of
# other sectors waits for no repair. And where the path to the disk invents errors, a
# private copy and a private read are worth more tries than one.
#
# timeout: 240
# covers: rust/filter rust/block

. "$(dirname "$0")/lib.sh"

# Helpers --------------------------------------------------------------------

block=512

# corrupt BLOCK COUNT: of the disk: other data below the same tuples, as a torn write
# leaves it.
corrupt() {
	must without_tuples "$disk" dd if=/dev/urandom "of=$disk" bs="$block" seek="$1" count="$2" oflag=direct conv=notrunc
}

# result BLOCK COUNT: of a read through the target: ok, or the error's name.
result() {
	"$vm/reads.py" read /dev/mapper/t $(($1 * block)) $(($2 * block)) | cut -d' ' -f1
}

# counter NAME VALUE: has it.
counter() {
	[ "$(status_of t "$1")" = "$2" ]
}

# writes_in_flight DEVICE NUMBER: are there at least.
writes_in_flight() {
	local writes
	read -r _ writes <"/sys/block/${1##*/}/inflight"
	((writes >= $2))
}

set_delay() {
	{ echo "$1" >/sys/bus/pseudo/drivers/scsi_debug/ndelay; } 2>/dev/null
}

# split ARGUMENT...: stable-pi over a device whose reads go to the disk, and whose
# writes go there through one that can be suspended.
split() {
	must map held "0 $sectors linear $disk 0"
	must map split "0 $sectors delay $disk 0 0 /dev/mapper/held 0 0"
	must map t "0 $sectors stable-pi /dev/mapper/split 0 $# $*"
	t=$(dmsetup info -c --noheadings -o blkdevname t)
}

hold() {
	must dmsetup suspend --noflush --nolockfs held
}

release() {
	must dmsetup resume held
}

# read_beside PAGE COUNT: a write to so many pages there is held, and then sectors 4096 to 4111,
# which are pages 512 and 513, are read.
read_beside() {
	hold
	dd if=/dev/zero of=/dev/mapper/t bs=4096 seek="$1" count="$2" oflag=direct conv=notrunc 2>"$work/dd" &
	writer=$!
	must wait_for 10 writes_in_flight "$t" 1
	result 4096 16 >"$work/result" &
	reader=$!
}

join() {
	must unmap t
	must unmap split
	must unmap held
}

# A write in flight ------------------------------------------------------------

must modprobe dm_delay
make_disk dev_size_mb=16 dif=1 dix=1 guard=0
echo 2 >"/sys/block/${disk##*/}/queue/nomerges"
wipe
ok "the module loads" load_module
split policy:optimistic recheck:on
is_split() {
	is "$(status_of t verify) $(status_of t profile)" "on $(integrity format)"
}
ok "reads and writes go separate ways" is_split

events=$(dmsetup info -c --noheadings -o events t)
log_mark
corrupt 4100 1
read_beside 512 2
ok "a read waits for a write in flight to sectors that do not match" wait_for 20 counter reads_waited 1
release
wait "$reader"
wait "$writer"
ok "and succeeds when that has been stored" is "$(<"$work/result")" ok
nothing_said() {
	is "$(status_of t corrupt) $(status_of t false_alarms) $(dmsetup info -c --noheadings -o events t)" "0 1 $events" &&
		fails log_says "read does not match"
}
ok "nothing is counted, logged or raised but a false alarm" nothing_said

# The control: without a write it is corrupt, and so it is with one to other sectors.
corrupt 4100 1
ok "without a write in flight it is corrupt" is "$(result 4096 16)" EILSEQ
before=$(status_of t reads_waited)
read_beside 0 1
ok "a write to other sectors is waited for, too" wait_for 20 counter reads_waited $((before + 1))
ok "but what matches waits for nothing" is "$(result 8192 16)" ok
release
wait "$reader"
wait "$writer"
ok "it changes nothing: corrupt" is "$(<"$work/result") $(status_of t corrupt)" "EILSEQ 2"

# A write that is being repaired -------------------------------------------------

# The disk ends a command seconds after it has taken its data: 1000 jiffies.
slow_disk() {
	{ echo 1000 >/sys/bus/pseudo/drivers/scsi_debug/delay; } 2>/dev/null
}

# repairs_held OFFSET COUNT: so many writes there change while the disk has them, and
# their repairs are held: ten times at most, until the disk had all of them before the first
# was over.
repairs_held() {
	local i before
	for i in 1 2 3 4 5 6 7 8 9 10; do
		must wait_for 30 slow_disk
		before=$(status_of t repaired)
		"$vm/unsettled.py" /dev/mapper/t "$1" "$2" "/sys/block/${disk##*/}/inflight" >"$work/writers" &
		writers=$!
		wait_for 3 writes_in_flight "$disk" "$2"
		hold
		if wait_for 5 counter unstable $((before + $2)) && counter repaired "$before"; then
			must wait_for 10 set_delay 1000
			return 0
		fi
		note "not all repairs are held: $(dmsetup status t)"
		release
		wait "$writers"
	done
	return 1
}

repaired() {
	release
	wait "$writers"
	is "$(<"$work/writers")" 0
}

before=$(status_of t corrupt)
waited=$(status_of t reads_waited)
ok "a write has changed, and its repair is held" repairs_held $((4096 * 512)) 1
corrupt 4096 8
result 4096 8 >"$work/result" &
reader=$!
ok "a read waits for the repair" wait_for 20 counter reads_waited $((waited + 1))
ok "the repair succeeds" repaired
wait "$reader"
ok "and the read, which was not corrupt" is "$(<"$work/result") $(status_of t corrupt)" "ok $before"

# Reads of other sectors ---------------------------------------------------------

# More repairs than there are workers for.
many=$((16 * $(nproc) + 16))
must trace_on stable_pi:verify
ok "more repairs are held than there are workers" repairs_held 0 "$many"
before=$(status_of t repaired)
result 16384 64 >"$work/result" &
reader=$!
ok "a read is verified without waiting for one of them" wait_for 30 fails kill -0 "$reader"
counters t
ok "none has been repaired meanwhile" is "$(<"$work/result") $repaired" "ok $before"
ok "the repairs succeed" repaired
wait "$reader"
trace_off
note "reads waited to be looked at, in ns: $(grep -oE 'wait [0-9]+ ns' "$work/trace" | cut -d' ' -f2 | sort -n | tail -n 3 | tr '\n' ' ')"
ok "all of it reads" reads_back /dev/mapper/t
join

# A path that invents guard errors -----------------------------------------------

driver=/sys/bus/pseudo/drivers/scsi_debug
# invent N: every Nth command ends with a guard error, which says nothing about its data.
invent() {
	echo 0x20 >"$driver/opts"
	echo "$1" >"$driver/every_nth"
}

honest() {
	echo 0 >"$driver/every_nth"
	echo 0 >"$driver/opts"
}

must wait_for 10 set_delay 100000
invent 3
load direct --path "$disk" --size 2M --seconds 1 --block-size 4K --depth 1 --jobs 1
honest
ok "the disk alone: writes fail" holds "$failed > 0"

for policy in optimistic copy; do
	protect "policy:$policy"
	invent 3
	for i in 1 2 3 4 5 6 7 8; do
		load direct --path /dev/mapper/t --size 2M --seconds 1 --block-size 4K --depth 1 --jobs 1 --seed "$i" ||
			break
		((failed == 0)) || break
		counters t
		((repaired < 30 && copied < 30)) || break
	done
	honest
	ok "$policy: no write fails" holds "$done_writes > 0 && $failed == 0"
	ok "$policy: there were copies, and some were sent again" holds "$repaired + $copied >= 30 && $retried > 0 && $unrepaired == 0"
	must unmap t
done

wipe
protect policy:copy
invent 3
for i in 1 2 3 4 5 6 7 8; do
	load direct --path /dev/mapper/t --size 2M --seconds 1 --read-percent 100 --block-size 4K --depth 1 --jobs 1 --seed "$i" || break
	counters t
	((corrupt == 0 && false_alarms < 30)) || break
done
honest
ok "no read is corrupt" holds "$false_alarms > 0 && $corrupt == 0"

# A path that spoils everything ends it after as many tries as are promised.
must trace_on block:block_rq_issue
invent 1
ok "a read that is rejected always is corrupt" is "$(result 64 8)" EILSEQ
honest
trace_off
ok "after five commands" is "$(traced "block_rq_issue: .* R[A-Z]* .* 64 \+ 8 ")" 5
must unmap t
finish
