#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# counters.sh: dmsetup status counts what happened, and its numbers add up.
#
# timeout: 240
# covers: rust/filter rust/block/counters.rs rust/block/dm rust/block/integrity

. "$(dirname "$0")/lib.sh"

order='policy verify recheck profile interval below trust learned writes intervals in_place copied copied_kernel
copied_waits copied_cache copied_anon copied_pinned copied_foreign copied_learned forwarded rechecked retried
unstable blameless repaired unrepaired reads_verified false_alarms corrupt reads_waited
reads_unsettled'
counts=${order#*learned }

# fields: every key of the status line is a variable of that name.
fields() {
	local word status
	status=$(dmsetup status t)
	note "$status"
	for word in ${status#*stable-pi}; do
		printf -v "${word%%:*}" %s "${word#*:}"
	done
}

declare recheck # and more that no case names

# keys: of the status line, in its order.
keys() {
	dmsetup status t | grep -o '[a-z_]*:' | tr -d : | tr '\n' ' '
}

# counted NAME=NUMBER...: these, and 0 for each other counter, since the last reset.
counted() {
	local key pair wanted
	for key in $counts; do
		wanted=0
		for pair; do
			[ "${pair%=*}" != "$key" ] || wanted=${pair#*=}
		done
		[ "${!key}" = "$wanted" ] || {
			echo "$key is ${!key}, not $wanted"
			return 1
		}
	done
}

# sums: what has to be so after any load.
sums() {
	holds "$writes == $in_place + $copied + $forwarded" &&
		holds "$copied == $copied_kernel + $copied_waits + $copied_cache + $copied_anon + $copied_pinned + $copied_foreign" &&
		holds "$copied_learned <= $copied" &&
		holds "$unstable + $blameless == $repaired + $unrepaired" &&
		holds "$unstable + $blameless <= $in_place && $rechecked <= $in_place" &&
		holds "$false_alarms + $corrupt + $reads_unsettled <= $reads_verified" &&
		holds "$intervals >= $writes"
}

reset() {
	must dmsetup message t 0 reset
}

# direct COUNT [DD-ARGUMENT...], buffered COUNT: so many blocks of 4 KiB written,
# eight intervals each.
direct() {
	must dd if=/dev/urandom of=/dev/mapper/t bs=4k count="$1" oflag=direct "${@:2}"
}

buffered() {
	must dd if=/dev/urandom of=/dev/mapper/t bs=4k count="$1" conv=fsync
}

# The disk ----------------------------------------------------------------------

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 lbpu=1 lbpws=1 max_queue=1
ok "the module loads" load_module
must map below "0 $sectors linear $disk 0"
must map t "0 $sectors stable-pi /dev/mapper/below 0 1 policy:optimistic"
ok "the keys are those of the documentation" is "$(keys)" "$(tr '\n' ' ' <<<"$order")"

# Writes in place ---------------------------------------------------------------

direct 32
fields
ok "in place: so many writes" counted writes=32 intervals=256 in_place=32
must dd if=/dev/mapper/t of=/dev/null bs=4k count=16 iflag=direct
fields
ok "reads do not count as writes" counted writes=32 intervals=256 in_place=32 reads_verified=16
reset
fields
ok "reset: all are 0" counted
must blkdiscard --force --offset 1048576 --length 65536 /dev/mapper/t
must blkdiscard --force --zeroout --offset 1048576 --length 65536 /dev/mapper/t
fields
ok "what carries no data is not counted" counted
must dmsetup message t 0 recheck on
reset
direct 32
fields
ok "a recheck is counted" counted writes=32 intervals=256 in_place=32 rechecked=32
ok "the message is in the status" is "$recheck" on
must dmsetup message t 0 recheck auto

# Copies, by class --------------------------------------------------------------

must dmsetup message t 0 policy copy
reset
direct 32
fields
ok "copies: direct writes pin their pages" counted writes=32 intervals=256 copied=32 copied_pinned=32
reset
buffered 32
fields
ok "copies: page cache" counted writes="$writes" intervals=256 copied="$writes" copied_cache="$writes"
ok "copies: of that there are some" holds "$writes > 0 && $writes <= 32"
must map crypt "0 $sectors crypt aes-xts-plain64 $(printf '%064d' 1) 0 /dev/mapper/t 0"
reset
must dd if=/dev/urandom of=/dev/mapper/crypt bs=4k count=32 oflag=direct
fields
ok "copies: what dm-crypt has encrypted is memory of the kernel" \
	counted writes=32 intervals=256 copied=32 copied_kernel=32
must unmap crypt

# The mapping waits now, which it hears of when the device is made.
must unmap t
must map t "0 $sectors stable-pi /dev/mapper/below 0 2 policy:copy waits:on"
buffered 32
fields
ok "copies: page cache that waits" counted writes="$writes" intervals=256 copied="$writes" copied_waits="$writes"
must dmsetup message t 0 policy auto
reset
buffered 32
fields
ok "a device that checks: auto needs no copy" counted writes="$writes" intervals=256 in_place="$writes"
must unmap t

# Changes -----------------------------------------------------------------------

# change POLICY: one write of 4 KiB whose last interval changes in flight.
change() {
	local word
	must dmsetup message t 0 policy "$1"
	reset
	read -r result word < <("$vm/owner.py" t below direct /dev/mapper/t 65536 4096 4095)
	fields
}
must map t "0 $sectors stable-pi /dev/mapper/below 0"
change optimistic
ok "optimistic: a change is repaired" is "$result" ok
ok "optimistic: and counted" counted writes=1 intervals=8 in_place=1 unstable=1 repaired=1
change copy
ok "copy: a change is none" is "$result" ok
ok "copy: and not counted" counted writes=1 intervals=8 copied=1 copied_pinned=1
for policy in wait detect; do
	change $policy
	ok "$policy: a change is counted as not repaired" is \
		"$result $(counted writes=1 intervals=8 in_place=1 unstable=1 unrepaired=1)" "EILSEQ "
done

# Reads -------------------------------------------------------------------------

must direct 8
must without_tuples "$disk" dd if=/dev/urandom of="$disk" bs=512 seek=3 count=1 oflag=direct
reset
dd if=/dev/mapper/t of="$work/read" bs=4k count=8 iflag=direct,nonblock 2>"$work/dd"
fields
ok "a corrupt sector: the read is" counted reads_verified=1 corrupt=1 reads_waited=1
must direct 8
reset
must dd if=/dev/mapper/t of=/dev/null bs=4k count=8 iflag=direct
fields
ok "written anew: none is" counted reads_verified=8
must unmap t

# Payloads from above -----------------------------------------------------------

# payload ARGUMENT...: a write of 4 KiB with one.
payload() {
	outcome=$("$vm/payload.py" write /dev/mapper/t 128 8 "$@" 2>"$work/payload") || note "$(<"$work/payload")"
	result=$(field result)
	fields
}
must map t "0 $sectors stable-pi /dev/mapper/below 0 1 passthrough"
payload
ok "a payload from above is forwarded" is "$result $(counted writes=1 intervals=8 forwarded=1)" "ok "
payload --spoil guard
ok "one that is wrong is not" is "$result $(counted writes=1 intervals=8 forwarded=1)" "EILSEQ "
reset
# io_uring tries it once without waiting, which a suspended device does not take and
# nobody counts. Nor does it keep one with a payload: a copy is sent when it is resumed.
payload --suspend below --change 100
ok "a change while the device below is suspended is none" is \
	"$result $(counted writes=1 intervals=8 forwarded=1)" "ok "
reset
direct 4
fields
ok "a write without one is the target's" counted writes=4 intervals=32 in_place=4
must unmap t

# Everything at once --------------------------------------------------------------

# mixed: reads and writes whose buffers change, and the page cache.
mixed() {
	reset
	load direct --path /dev/mapper/t --size 4M --seconds 60 --op-limit "$(scaled 200)" --read-percent 30 &&
		buffered 32
	fields
}
ndelay=/sys/bus/pseudo/drivers/scsi_debug/ndelay
echo 2000000 >"$ndelay"
protect recheck:on
must dmsetup message t 0 policy optimistic
mixed
ok "optimistic: the sums" sums
ok "optimistic: of what there was" holds "$writes > 0 && $repaired > 0 && $reads_verified > 0 && $rechecked > 0"
must dmsetup message t 0 policy copy
mixed
ok "copy: the sums" sums
ok "copy: of what there was" holds "$copied == $writes && $copied_pinned > 0 && $copied_cache > 0 && $reads_verified > 0"
must dmsetup message t 0 policy auto
mixed
ok "auto: the sums" sums
ok "auto: of what there was" holds "$writes > 0 && $repaired > 0 && $reads_verified > 0"
must dmsetup message t 0 policy wait
mixed
ok "wait: the sums" sums
ok "wait: of what there was" holds "$writes == $in_place && $unrepaired > 0 && $repaired == 0"
must dmsetup message t 0 policy detect
mixed
ok "detect: the sums" sums
ok "detect: of what there was" holds "$writes == $in_place && $unrepaired > 0 && $repaired == 0"
must unmap t

# What a table has counted is its own.
protect
fields
ok "a new table begins at 0" counted
must unmap t
echo 0 >"$ndelay"
must wipe
ok "all of the disk can be read" reads_back
finish
