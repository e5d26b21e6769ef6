#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# reads.sh: what is read is verified. A sector whose data does not match its tuple
# is an error with a report; an application that changes the buffer of a read is
# none.
#
# timeout: 240
# covers: rust/block rust/filter

. "$(dirname "$0")/lib.sh"

# Helpers --------------------------------------------------------------------

# corrupt BLOCK [COUNT]: of the disk: other data below the same tuples.
corrupt() {
	must without_tuples "$disk" dd if=/dev/urandom "of=$disk" bs="$block" seek="$1" count="${2:-1}" oflag=direct conv=notrunc
}
block=512

# disk_verifies 0|1: whether the block layer verifies what is read from the disk
# alone.
disk_verifies() {
	echo "$1" >"/sys/block/${disk##*/}/integrity/read_verify"
}

# write_at BLOCK COUNT: random data, through the target.
write_at() {
	dd if=/dev/urandom of=/dev/mapper/t bs="$block" seek="$1" count="$2" oflag=direct conv=notrunc
}

# content DEVICE SECTOR COUNT [--buffered]: of one read: ok and a hash, or the
# error's name.
content() {
	"$vm/reads.py" read "$1" $(($2 * 512)) $(($3 * 512)) ${4:+"$4"}
}

# result DEVICE SECTOR COUNT [--buffered]: the same without the hash.
result() {
	content "$@" | cut -d' ' -f1
}

# holds_zeroes DEVICE SECTOR COUNT
holds_zeroes() {
	is "$(content "$@")" "ok $(head -c $(($3 * 512)) /dev/zero | sha256sum | cut -d' ' -f1)"
}

# same_result SECTOR COUNT WANTED: of the disk alone and of the target.
same_result() {
	is "$(result "$disk" $(($1 + offset)) "$2") $(result /dev/mapper/t "$1" "$2")" "$3 $3"
}
offset=0

read_counters() {
	reads_verified=$(status_of t reads_verified)
	false_alarms=$(status_of t false_alarms)
	corrupt=$(status_of t corrupt)
	note "$(dmsetup status t)"
}

# mismatches: the sectors that were traced, in one line.
mismatches() {
	sed -nE 's/.* (stable_pi_)?read_mismatch: [0-9,]+ sector ([0-9]+) .*/\2/p' "$work/trace" | tr '\n' ' '
}

# races DEVICE: change the buffer of a read in flight; five times at most, until
# the change came before the end of the read. Sets race to the result of the read
# and to what the buffer holds.
races() {
	local i outcome when holds
	for i in 1 2 3 4 5; do
		read -r outcome when holds < <("$vm/reads.py" race "$1" 65536 8192)
		note "race on $1: $outcome, the change came in $when, the buffer holds: $holds"
		[ "$when" = late ] || break
	done
	race="$outcome $holds"
	[ "$when" = flight ]
}

set_delay() {
	{ echo "$1" >/sys/bus/pseudo/drivers/scsi_debug/ndelay; } 2>/dev/null
}

# The disk verifies, too -----------------------------------------------------

make_disk dev_size_mb=16 dif=1 dix=1 guard=0 lbpu=1 lbpws=1
ok "the module loads" load_module
protect policy:optimistic app_tag:0x00fe
ok "reads are verified where there is a profile" is "$(status_of t verify)" on

reads=$(scaled 400)
must trace_on stable_pi:verify
ok "reads by many at once give what was written" is \
	"$("$vm/reads.py" many /dev/mapper/t 4194304 "$reads")" "0 0"
trace_off
read_counters
ok "each of them was verified" holds "$reads_verified >= $reads && $false_alarms == 0 && $corrupt == 0"
ok "and traced" is "$(traced ' verify: ')" "$reads_verified"
ok "on each processor" is "$(grep -oE '\[[0-9]+\]' "$work/trace" | sort -u | wc -l)" "$(nproc)"

# woken BYTES: how often a worker was called for 8 reads of that length.
woken() {
	must trace_on workqueue:workqueue_queue_work
	must dd if=/dev/mapper/t of=/dev/null bs="$1" count=8 iflag=direct
	trace_off
	traced ' workqueue=stable-pi/look '
}
# An interrupt that finds the FPU in use leaves a short one to a worker, too.
ok "short ones are verified where they end, without a worker" holds "$(woken 16384) < 4"
ok "longer ones by a worker" is "$(woken 20480)" 8

must write_at 4096 64
good=$(content /dev/mapper/t 4100 1)
corrupt 4100
corrupt 4110 2
ok "the disk alone rejects a corrupt sector" is "$(result "$disk" 4100 1)" EILSEQ
disk_verifies 0
handed_out=$(content "$disk" 4100 1)
different() {
	is "${handed_out%% *}" ok && fails is "$handed_out" "$good"
}
ok "but hands out its other data where nobody verifies" different
ok "verify: the target rejects it all the same" is "$(result /dev/mapper/t 4100 1)" EILSEQ
disk_verifies 1

# The line in the log is one in five seconds; a target of its own has not spoken yet.
must unmap t
protect policy:optimistic
events=$(dmsetup info -c --noheadings -o events t)
dmsetup wait t "$events" >/dev/null &
waiter=$!
log_mark
must trace_on stable_pi:read_mismatch
ok "a direct read of it fails" is "$(result /dev/mapper/t 4100 1)" EILSEQ
trace_off
ok "the trace names the sector" is "$(mismatches)" "4100 "
read_counters
ok "it is counted" holds "$corrupt == 1 && $false_alarms == 0"
ok "and in the kernel log" is \
	"$(new_log | grep -cE 'stable-pi [0-9]+:[0-9]+: sector 4100: read does not match: guard 0x')" 1
ok "dmsetup wait wakes" wait_for 10 fails kill -0 "$waiter"
kill "$waiter" 2>/dev/null
# Buffered, the page is what fails, and the kernel calls that EIO.
ok "a buffered read of it fails" is "$(result /dev/mapper/t 4096 8 --buffered)" EIO

must trace_on stable_pi:read_mismatch
ok "a longer read fails" is "$(result /dev/mapper/t 4096 64)" EILSEQ
trace_off
ok "the trace names each corrupt sector of it" is "$(mismatches)" "4100 4110 4111 "
neighbours() {
	is "$(result /dev/mapper/t 4096 4) $(result /dev/mapper/t 4101 9) $(result /dev/mapper/t 4112 48)" "ok ok ok" &&
		is "$(result /dev/mapper/t 4112 8 --buffered)" ok
}
ok "its neighbours can be read" neighbours
must write_at 4096 64
ok "what is written anew can be read" is "$(result /dev/mapper/t 4096 64)" ok
ok "buffered, too" is "$(result /dev/mapper/t 4096 64 --buffered)" ok

# verify:off leaves it to the block layer below.
corrupt 4100
must dmsetup message t 0 verify off
before=$(status_of t reads_verified)
ok "verify:off: the disk's own verification rejects it" is "$(result /dev/mapper/t 4100 1)" EILSEQ
disk_verifies 0
ok "verify:off: and where there is none, nobody does" is "$(result /dev/mapper/t 4100 1)" ok
must dmsetup message t 0 verify on
read_counters
ok "verify:off: what was rejected is counted, and nothing else" is "$reads_verified" $((before + 1))
ok "verify:on by message: rejected again" is "$(result /dev/mapper/t 4100 1)" EILSEQ
disk_verifies 1
must unmap t
drop_disk

# The disk does not verify what it hands out ---------------------------------

make_disk dev_size_mb=16 dif=0 dix=1 guard=0
offset=2048
must map t "0 $((sectors - offset)) stable-pi $disk $offset 1 policy:copy"
must write_at 100 32
corrupt $((offset + 100))
read -r _ guard _ ref crc _ < <(ask_tuples "$disk" $((offset + 100)) 1)
log_mark
must trace_on stable_pi:read_mismatch
ok "wrong guard: rejected" same_result 100 1 EILSEQ
trace_off
hex() {
	printf '0x%x' "0x$1"
}
ok "wrong guard: the trace has both, and the tags" is "$(sed 's/.*read_mismatch: //' "$work/trace")" \
	"$(dmsetup info -c --noheadings -o major,minor --separator , t) sector 100 guard $(hex "$guard") should be $(hex "$crc") app 0x0 should be 0x0 ref $(hex "$ref") should be $(hex "$ref")"
ok "wrong guard: so has the log" grep -q \
	": sector 100: read does not match: guard $(hex "$guard") should be $(hex "$crc"), app 0x0, ref $(hex "$ref") should be $(hex "$ref")" <(new_log)

must ask_tuples write "$disk" "$((offset + 101)),ref=7"
must trace_on stable_pi:read_mismatch
ok "wrong reference tag: rejected" same_result 101 1 EILSEQ
trace_off
ok "wrong reference tag: the trace has both" grep -q \
	" sector 101 .* ref 0x7 should be $(printf '0x%x' $((offset + 101)))" "$work/trace"
must ask_tuples write "$disk" "$((offset + 102)),app=1234"
ok "an application tag of somebody else: not rejected" same_result 102 1 ok
must ask_tuples write "$disk" "$((offset + 103)),app=ffff"
corrupt $((offset + 103))
ok "the escape: not verified" same_result 103 1 ok
ok "their neighbours can be read" same_result 104 28 ok
read_counters
ok "two were corrupt, none a false alarm" holds "$corrupt == 2 && $false_alarms == 0"
must unmap t
drop_disk
offset=0

make_disk dev_size_mb=16 dif=0 dix=1 guard=0 sector_size=4096
block=4096
protect policy:copy
must write_at 0 32
corrupt 17
must trace_on stable_pi:read_mismatch
ok "intervals of 4096 bytes: rejected" same_result 0 256 EILSEQ
trace_off
ok "intervals of 4096 bytes: the sector is of 512" is "$(mismatches)" "136 "
must unmap t
drop_disk
block=512

# What was never written, and what was taken back ----------------------------

for dif in 1 3; do
	make_disk dev_size_mb=16 dif=$dif dix=1 guard=0 lbpu=1 lbpws=1
	protect policy:optimistic
	ok "type $dif: what was never written is zeroes" holds_zeroes /dev/mapper/t 8192 64
	corrupt 8200
	ok "type $dif: and not verified" same_result 8192 64 ok
	must write_at 8192 64
	corrupt 8200
	must blkdiscard -o $((8192 * 512)) -l $((64 * 512)) /dev/mapper/t
	ok "type $dif: what was discarded is zeroes" holds_zeroes /dev/mapper/t 8192 64
	if [ $dif = 3 ]; then
		must ask_tuples write "$disk" 8300,app=ffff,ref=5
		corrupt 8300
		ok "type 3: the application tag alone is no escape" same_result 8300 1 EILSEQ
		must ask_tuples write "$disk" 8301,app=ffff,ref=ffffffff
		corrupt 8301
		ok "type 3: with the reference tag it is" same_result 8301 1 ok
	fi
	must unmap t
	drop_disk
done

# An application that changes the buffer of a read ---------------------------

# The disk fills the buffer at once and completes the read long after that.
make_disk dev_size_mb=16 dif=1 dix=1 guard=0
wipe
must wait_for 10 set_delay 300000000
ok "a buffer is changed after the disk has filled it" races "$disk"
ok "the disk alone: the read fails, though the disk is right" is "$race" "EILSEQ changed"
protect policy:optimistic
must trace_on stable_pi:false_alarm stable_pi:read_mismatch
ok "the same through the target" races /dev/mapper/t
trace_off
ok "it succeeds, and the buffer holds what the disk does" is "$race" "ok disk"
read_counters
ok "it is a false alarm, and no more" is \
	"$((false_alarms > 0)) $corrupt $(traced ' false_alarm: .* sector 128 \+ 16') $(mismatches)" "1 0 $false_alarms "
must wait_for 10 set_delay 2000000

scribble "$disk"
ok "the disk alone: reads fail whose buffers change" holds "$reads_failed > 0"
scribble /dev/mapper/t
ok "the target: none does, and there were false alarms" holds \
	"$reads > 0 && $reads_failed == 0 && $false_alarms > 0 && $corrupt == 0"
ok "the largest reads are verified" reads_back /dev/mapper/t
must unmap t

# Over a layer that does not pass the profile on, it is the block layer below that verifies, in the
# memory of the application; and with verify:off, too.
must dd if=/dev/zero of="$disk" bs=1M oflag=direct iflag=count_bytes "count=$((sectors * 512))"
must map hides "0 $sectors flakey $disk 0 3600 0"
ok "a layer that hides the profile" is "$(cat "$(sysfs_of hides)/integrity/format" 2>/dev/null || echo none)" none
scribble /dev/mapper/hides
ok "(control: reads fail there when their buffers change)" holds "$reads > 0 && $reads_failed > 0"
for over in /dev/mapper/hides "$disk"; do
	must map t "0 $sectors stable-pi $over 0 1 verify:off"
	scribble /dev/mapper/t
	read_counters
	ok "${over##*/}, without verification: none fails" holds "$reads > 0 && $reads_failed == 0"
	ok "${over##*/}: what was rejected was read again" holds \
		"$false_alarms > 0 && $false_alarms == $reads_verified && $corrupt == 0"
	corrupt 96
	ok "${over##*/}: what is corrupt fails as below" is "$(result /dev/mapper/t 96 1)" EILSEQ
	ok "${over##*/}: and its neighbour is read" is "$(result /dev/mapper/t 97 1)" ok
	read_counters
	ok "${over##*/}: and is counted" is "$corrupt" 1
	must dd if=/dev/zero of="$disk" bs=512 seek=96 count=1 oflag=direct
	must unmap t
done
must unmap hides
finish
