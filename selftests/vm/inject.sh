#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# inject.sh: errors on purpose. A message makes tuples wrong, of reads or of writes,
# once or until it ends; what the target, the log and a scrub say is what they say
# of a real error; no other sector is touched, and nothing is left in the end.
#
# timeout: 240
# covers: rust/filter rust/block/integrity
# drive: if=none,id=n,format=raw,file.driver=null-co,file.size=32M,file.read-zeroes=on,snapshot=on
# device: nvme,id=c,serial=1
# device: nvme-ns,drive=n,ms=8,pi=1,logical_block_size=4096,physical_block_size=4096

. "$(dirname "$0")/lib.sh"
# shellcheck source=lib/bio.sh
. "$vm/lib/bio.sh"

say() {
	dmsetup message t 0 inject "$@"
}

# write_at SECTOR COUNT: other data each time. Sets result, to ok or the error's name,
# and data, to what was written.
write_at() {
	local out
	out=$("$vm/writes.py" vector /dev/mapper/t $(($1 * 512)) 0 $(($2 * 512)))
	data=$(tail -n 1 <<<"$out" | cut -d' ' -f1)
	result=$(head -n -1 <<<"$out" | tail -n 1)
	result=${result##* }
	result=${result:-ok}
}

# read_at SECTOR COUNT: sets result, to ok or the error's name, and data.
read_at() {
	read -r result data <<<"$("$vm/reads.py" read /dev/mapper/t $(($1 * 512)) $(($2 * 512)))"
}
declare result data

# counted NAME=VALUE...: these, and no others of those that tell of something wrong.
counted() {
	local name expected=" $* "
	counters t
	for name in retried unstable blameless repaired unrepaired false_alarms corrupt reads_unsettled; do
		[[ $expected == *" $name="* ]] || expected+="$name=0 "
		[[ $expected == *" $name=${!name} "* ]] || {
			echo "$name: ${!name}, not as in:$expected"
			return 1
		}
	done
}

# after MESSAGE...: said, with all counters at 0.
after() {
	say "$@" && dmsetup message t 0 reset
}

# refused WHY WORD...: and one line of the log says why.
refused() {
	local why=$1
	shift
	log_mark
	fails say "$@" && log_says "stable-pi: message: inject: $why"
}

make_disk dev_size_mb=16 dif=1 dix=1 guard=0
ok "the module loads" load_module

protect
ok "refused: where the table line does not allow it" refused "the table line does not say inject:on" guard read 8
must unmap t

protect inject:on
must say guard read 8 8
read_at 8 8
ok "a tuple that asks for no check is not compared" is "$result" ok
write_at 8 8
read_at 8 8
ok "(what has been written is)" is "$result" EILSEQ
must dmsetup message t 0 verify off
read_at 8 8
ok "nor is one of a read that is not verified" is "$result" ok
must unmap t
protect passthrough inject:on
must say guard write 16 8
payload write /dev/mapper/t 16 8 --seed 1
ok "tuples from above are left alone" is "$result" ok
ok "so that nothing is wrong" counted
write_at 16 8
ok "(those of the target are not)" is "$result" EILSEQ
must unmap t

at=2048
for policy in optimistic copy; do
	[ $policy = copy ] && kept=retried=1 || kept='unstable=1 repaired=1'
	protect policy:$policy inject:on
	ok "$policy: the table says that it is allowed" is "$(dmsetup table t | cut -d' ' -f5-)" "0 2 policy:$policy inject:on"
	write_at 0 $((2 * at))
	ok "$policy: (nothing is wrong before)" counted

	# Writes.
	log_mark
	must after guard write $at 8 once
	ok "$policy: the log says what is wrong" log_says \
		"guard tags of writes of sectors $at to $((at + 7)) are wrong on purpose, once"
	write_at $((at - 8)) 8
	write_at $((at + 8)) 8
	ok "$policy: guard, a write beside it" counted
	write_at $at 8
	# shellcheck disable=SC2086
	ok "$policy: guard, once: the write is repaired" counted $kept
	ok "$policy: guard, once: and succeeds" is "$result $(sum $((at * 512)) 4096)" "ok $data"
	ok "$policy: guard, once: with right tuples" tuples_are $at 8 0000
	write_at $at 8
	# shellcheck disable=SC2086
	ok "$policy: guard, once: it is over" counted $kept
	must after ref write $((at + 3)) once
	write_at $at 8
	ok "$policy: reference tag, once: the write is sent again" counted retried=1
	ok "$policy: reference tag, once: and succeeds" is "$result" ok

	before=$(sum $((at * 512)) 4096)
	for tag in guard ref; do
		must after $tag write $((at + 7))
		write_at $at 8
		counters t
		ok "$policy: $tag: the write fails" is "$result" EILSEQ
		ok "$policy: $tag: after as many tries as are promised" holds "$retried >= 3 && $repaired == 0"
		ok "$policy: $tag: the disk has what it had" is "$(sum $((at * 512)) 4096)" "$before"
		write_at $((at + 8)) 8
		ok "$policy: $tag: a write beside it succeeds" is "$result" ok
	done
	must after off
	write_at $at 8
	ok "$policy: afterwards it succeeds" counted

	must after app write $((at + 1)) 2 once
	write_at $at 8
	ok "$policy: application tag: it is stored" is "$(ask_tuples "$disk" $at 4 | awk '{ print $3 }' | xargs)" "0000 0001 0001 0000"
	ok "$policy: application tag: nothing else happens" counted
	write_at $at 8
	ok "$policy: application tag: it is over" tuples_are $at 8 0000

	# Reads.
	must after guard read $at 8 once
	read_at $at 8
	ok "$policy: read, once: the second look is right" is "$result $data" "ok $(sum $((at * 512)) 4096)"
	ok "$policy: read, once: a false alarm" counted false_alarms=1
	for tag in guard ref; do
		# A sector has a line once in 5 seconds.
		[ $tag = guard ] && sector=$((at + 7)) || sector=$((at + 6))
		log_mark
		must after $tag read $at 8
		read_at "$sector" 1
		ok "$policy: $tag: a read is corrupt" is "$result" EILSEQ
		ok "$policy: $tag: it counts as that" counted corrupt=1
		ok "$policy: $tag: the log says so" log_says "sector $sector: read does not match: "
		read_at $((at - 64)) 128
		ok "$policy: $tag: so is one with it in it" is "$result" EILSEQ
		read_at $((at - 64)) 64
		ok "$policy: $tag: the one before it is not" is "$result" ok
		read_at $((at + 8)) 64
		ok "$policy: $tag: nor the one behind it" is "$result" ok
	done
	ok "$policy: the disk itself reads" is "$("$vm/reads.py" read "$disk" $((at * 512)) 4096)" "ok $(sum $((at * 512)) 4096)"
	ok "$policy: a scrub finds just that" is \
		"$("$top/build/cargo/release/stablepi" --json scrub t --state "$work/scrub" | grep -o '"sector":[0-9]*,"sectors":[0-9]*')" \
		"\"sector\":$at,\"sectors\":8"
	must after off
	read_at 0 $((2 * at))
	ok "$policy: in the end all of it reads" is "$result" ok
	ok "$policy: and nothing is wrong" counted
	must unmap t
done

protect inject:on
ok "refused: application tags of reads" refused "application tags of reads are not compared" app read 8
ok "refused: what is behind the end" refused "the sectors are not the target's" guard read $sectors
ok "refused: a part of which is" refused "the sectors are not the target's" guard read $((sectors - 1)) 2
ok "refused: no words" refused "expected guard|ref|app read|write <sector> [<count>] [once], or off"
write_at 0 64
must say guard read 8
must dmsetup load t --table "0 $sectors stable-pi $disk 0 1 inject:on"
must dmsetup suspend t
must dmsetup resume t
read_at 0 64
ok "a new table has none" is "$result" ok
must unmap t
ok "all of the disk can be read" reads_back
drop_disk

# A disk that does not say that it checks, though scsi_debug does.
make_disk dev_size_mb=16 dif=0 dix=1 guard=0
protect policy:copy inject:on
write_at 0 $((2 * at))
must after guard write $at once
write_at $at 8
ok "a disk that does not say that it checks: the write succeeds" is "$result" ok
ok "a disk that does not say that it checks: it is sent again" counted retried=1
must unmap t
protect policy:optimistic inject:on trust:on
must after guard write $at once
write_at $at 8
ok "a disk that does not say that it checks: a write in place is repaired" counted unstable=1 repaired=1
ok "a disk that does not say that it checks: and the sector reads" is "$result $("$vm/reads.py" read /dev/mapper/t $((at * 512)) 4096)" "ok ok $data"
must unmap t
drop_disk

# An interval of 8 sectors, in the second target of a table.
disk=/dev/nvme0n1
must wait_for 10 test -b $disk
sectors=$(blockdev --getsz $disk)
must map t "0 8192 linear $disk 16384" "8192 8192 stable-pi $disk 0 2 policy:optimistic inject:on"
second() {
	dmsetup message t 8192 inject "$@"
}
write_at 8192 64
must second guard read $((8192 + 12))
read_at $((8192 + 8)) 8
ok "NVMe: an interval with one of the sectors is corrupt" is "$result" EILSEQ
read_at 8192 8
ok "NVMe: the one before it is not" is "$result" ok
read_at $((8192 + 16)) 48
ok "NVMe: nor are those behind it" is "$result" ok
must second guard write $((8192 + 12)) once
write_at $((8192 + 8)) 8
counters t
ok "NVMe: a write with it is repaired" holds "$unstable == 1 && $repaired == 1"
read_at $((8192 + 8)) 8
ok "NVMe: and reads" is "$result" ok
ok "NVMe: sectors of another target are refused" fails second guard read 8
must unmap t

must modprobe null_blk nr_devices=1 gb=1
disk=/dev/nullb0
must map t "0 2048 stable-pi $disk 0 1 inject:on"
ok "refused: without a profile" refused "the device has no integrity profile" guard read 8
must unmap t
finish
